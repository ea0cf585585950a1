// SPDX-License-Identifier: BSD-2-Clause
/*
 * cli.c - see cli.h. From struct command to a parsed line, a help text or one
 * line of error; and the two ways in which commands use the agent.
 */
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/print.h"
#include "suggest.h"

#define MAX_OPTIONS 16		/* of a command */
#define OPTION_SIZE 32
#define NAME_SIZE 48

/* What holds for the whole command line, whichever command it names. */
static struct {
	bool json;
	bool help;
	const char *socket;
	char name[NAME_SIZE];	/* "weir backend add": as far as the line is understood */
	const char *about;	/* and what that does */
} line;

static void descend(const char *name, const char *about)
{
	size_t used = strlen(line.name);

	snprintf(line.name + used, sizeof(line.name) - used, "%s%s", used ? " " : "", name);
	if (about)
		line.about = about;
}

/* cli_take_shared_options() parses them; here they are explained. */
static const struct command_option shared_options[] = {
	{ "json", NULL, .about = "print JSON" },
	{ "socket", "PATH", .about = "the agent's socket (WEIR_SOCKET, else " CLI_SOCKET ")" },
	{ "help", NULL, .about = "print this" },
	{}
};

/* --- values ------------------------------------------------------------ */

int cli_parse_number(const char *what, const char *text, json_int_t min, json_int_t max,
		     json_int_t *value, struct error *error)
{
	char *end = NULL;

	errno = 0;
	if (isdigit((unsigned char)*text))
		*value = strtoll(text, &end, 10);
	if (!end || *end || errno || *value < min || *value > max)
		return error_set(error, EINVAL, "%s is \"%s\", allowed are %lld to %lld", what,
				 text, min, max);
	return 0;
}

/* Is `text` one of the words in "one|two"? A word in capitals stands for others. */
static bool is_alternative(const char *alternatives, const char *text)
{
	size_t length = strlen(text);
	const char *at = alternatives;

	while (at) {
		if (!strncmp(at, text, length) && (at[length] == '|' || !at[length]))
			return !isupper((unsigned char)*at);
		at = strchr(at, '|');
		if (at)
			at++;
	}
	return false;
}

static json_t *text_value(const char *what, const char *text, struct error *error)
{
	json_t *value = json_string(text);

	if (!value)
		error_set(error, EINVAL, "%s is not UTF-8 text", what);
	return value;
}

static json_t *option_value(const struct command_option *option, const char *text,
			    struct error *error)
{
	char what[OPTION_SIZE];
	json_int_t number;

	if (!option->value)
		return json_true();
	if (is_alternative(option->value, text))
		return json_string(text);
	snprintf(what, sizeof(what), "--%s", option->name);
	if (!option->max && isupper((unsigned char)*option->value))
		return text_value(what, text, error);
	if (!option->max)
		error_set(error, EINVAL, "%s is \"%s\", allowed are %s", what, text, option->value);
	else if (!cli_parse_number(what, text, option->min, option->max, &number, error))
		return json_integer(number);
	else if (strchr(option->value, '|'))
		error_set(error, EINVAL, "%s is \"%s\", allowed are %lld to %lld or %s", what,
			  text, option->min, option->max, strchr(option->value, '|') + 1);
	return NULL;
}

/* --- options and words ------------------------------------------------- */

static void option_key(const char *name, char *key)
{
	snprintf(key, OPTION_SIZE, "%s", name);
	while ((key = strchr(key, '-')))
		*key = '_';
}

static int unknown_option(const struct command *command, const char *word, struct error *error)
{
	const char *near = NULL;
	char name[OPTION_SIZE];

	snprintf(name, sizeof(name), "%s", word + strspn(word, "-"));
	name[strcspn(name, "=")] = '\0';
	if (command->options)
		near = suggest(name, command->options, sizeof(*command->options));
	if (!near)
		near = suggest(name, shared_options, sizeof(*shared_options));
	if (near)
		error_set(error, EINVAL, "unknown option %s, did you mean --%s?", word, near);
	else
		error_set(error, EINVAL, "unknown option %s, see `%s --help`", word, line.name);
	return CLI_USAGE;
}

static void fill_getopt(const struct command *command, struct option *table)
{
	const struct command_option *option = command->options;
	size_t i;

	for (i = 0; option && option[i].name; i++) {
		assert(i < MAX_OPTIONS && strlen(option[i].name) < OPTION_SIZE - 2);
		table[i].name = option[i].name;
		table[i].has_arg = option[i].value ? required_argument : no_argument;
	}
}

static int parse_options(const struct command *command, int argc, char **argv, json_t *options,
			 struct error *error)
{
	struct option table[MAX_OPTIONS + 1] = {0};
	char key[OPTION_SIZE], letter[] = "-?";
	json_t *value;
	int i, got;

	fill_getopt(command, table);
	optind = 0;	/* glibc: begin anew */
	opterr = 0;
	while ((got = getopt_long(argc, argv, ":", table, &i)) != -1) {
		if (got == '?') {
			letter[1] = (char)optopt;
			return unknown_option(command, optopt ? letter : argv[optind - 1], error);
		}
		if (got == ':') {
			error_set(error, EINVAL, "%s wants a value", argv[optind - 1]);
			return CLI_USAGE;
		}
		value = option_value(&command->options[i], optarg, error);
		if (!value)
			return CLI_USAGE;
		option_key(command->options[i].name, key);
		json_object_set_new(options, key, value);
	}
	return 0;
}

static int check_options(const struct command *command, const json_t *options,
			 struct error *error)
{
	char key[OPTION_SIZE];
	unsigned int i;

	for (i = 0; i < command->required; i++) {
		option_key(command->options[i].name, key);
		if (json_object_get(options, key))
			continue;
		error_set(error, EINVAL, "--%s %s is missing", command->options[i].name,
			  command->options[i].value);
		return CLI_USAGE;
	}
	if (!command->changes || json_object_size(options))
		return 0;
	error_set(error, EINVAL, "nothing to change: see the options of `%s --help`", line.name);
	return CLI_USAGE;
}

/* As many words as command->arguments names; those in brackets may be missing. */
static int check_words(const struct command *command, int count, char **words,
		       struct error *error)
{
	const char *at = command->arguments ? command->arguments : "";
	int i;

	for (i = 0; *at; i++) {
		int length = (int)strcspn(at, " ");

		if (i >= count && *at != '[') {
			error_set(error, EINVAL, "%.*s is missing: %s %s", length, at, line.name,
				  command->arguments);
			return CLI_USAGE;
		}
		at += length;
		at += strspn(at, " ");
	}
	if (count <= i)
		return 0;
	error_set(error, EINVAL, "unexpected \"%s\", see `%s --help`", words[i], line.name);
	return CLI_USAGE;
}

/* --- help -------------------------------------------------------------- */

static void help_options(const struct command_option *option)
{
	char text[64];

	for (; option && option->name; option++) {
		snprintf(text, sizeof(text), "--%s %s", option->name,
			 option->value ? option->value : "");
		printf("  %-24s  %s\n", text, option->about);
	}
}

static void help_command(const struct command *command)
{
	const struct command_option *option;
	unsigned int i = 0;

	printf("usage: %s", line.name);
	if (command->arguments)
		printf(" %s", command->arguments);
	for (option = command->options; option && option->name; option++, i++)
		printf(i < command->required ? " --%s%s%s" : " [--%s%s%s]", option->name,
		       option->value ? " " : "", option->value ? option->value : "");
	printf("\n\n%s\n\n", line.about);
	help_options(command->options);
	help_options(shared_options);
}

static int name_width(const struct command *command)
{
	return (int)strlen(command->name) + 1 +
	       (command->arguments ? (int)strlen(command->arguments) : 0);
}

static void help_table(FILE *out, const struct command *table)
{
	const struct command *command;
	int widest = 0;

	for (command = table; command->name; command++)
		if (name_width(command) > widest)
			widest = name_width(command);
	fprintf(out, "usage: %s COMMAND\n\n", line.name);
	for (command = table; command->name; command++)
		fprintf(out, "  %s %-*s  %s\n", command->name,
			widest - (int)strlen(command->name) - 1,
			command->arguments ? command->arguments : "", command->about);
	fprintf(out, "\nAll take --json, --socket PATH, and --help, which tells more.\n");
}

void cli_ask_help(void)
{
	line.help = true;
}

/* --- running ----------------------------------------------------------- */

int cli_take_shared_options(int *argc, char **argv)
{
	int kept = 1, i;

	memset(&line, 0, sizeof(line));
	for (i = 1; i < *argc && strcmp(argv[i], "--"); i++) {
		if (!strcmp(argv[i], "--json")) {
			line.json = true;
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			line.help = true;
		} else if (!strncmp(argv[i], "--socket=", 9)) {
			line.socket = argv[i] + 9;
		} else if (!strcmp(argv[i], "--socket")) {
			if (++i == *argc) {
				fprintf(stderr, "weir: --socket wants a value\n");
				return CLI_USAGE;
			}
			line.socket = argv[i];
		} else {
			argv[kept++] = argv[i];
		}
	}
	while (i < *argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	*argc = kept;
	if (!line.socket)
		line.socket = getenv("WEIR_SOCKET");
	if (!line.socket || !*line.socket)
		line.socket = CLI_SOCKET;
	client_use_socket(line.socket);
	return 0;
}

static int parse_and_run(const struct command *command, int argc, char **argv,
			 struct arguments *arguments, struct error *error)
{
	int err = parse_options(command, argc, argv, arguments->options, error);

	if (!err)
		err = check_words(command, argc - optind, argv + optind, error);
	if (!err)
		err = check_options(command, arguments->options, error);
	if (err)
		return err;
	arguments->words = argv + optind;
	arguments->count = argc - optind;
	return command->run(arguments, error);
}

int cli_run(const struct command *command, int argc, char **argv)
{
	struct arguments arguments = { .json = line.json, .socket = line.socket };
	struct error error;
	int err;

	descend(command->name, command->about);
	if (line.help) {
		help_command(command);
		return CLI_OK;
	}
	arguments.options = json_object();
	err = parse_and_run(command, argc, argv, &arguments, &error);
	json_decref(arguments.options);
	if (!err)
		return CLI_OK;
	fprintf(stderr, "%s: %s\n", err == CLI_USAGE ? line.name : "weir", error.text);
	return err == CLI_USAGE ? CLI_USAGE : CLI_ERROR;
}

static int unknown_command(const struct command *table, const char *word)
{
	const char *near = suggest(word, table, sizeof(*table));
	struct error error;

	if (*word == '-')
		unknown_option(&(struct command){0}, word, &error);
	else if (near)
		error_set(&error, EINVAL, "unknown command %s, did you mean %s?", word, near);
	else
		error_set(&error, EINVAL, "unknown command %s, see `%s --help`", word, line.name);
	fprintf(stderr, "%s: %s\n", line.name, error.text);
	return CLI_USAGE;
}

int cli_run_one_of(const struct command *table, int argc, char **argv)
{
	const struct command *command;

	descend(argv[0], NULL);
	if (argc < 2) {
		help_table(line.help ? stdout : stderr, table);
		return line.help ? CLI_OK : CLI_USAGE;
	}
	for (command = table; command->name; command++) {
		if (strcmp(command->name, argv[1]))
			continue;
		if (!command->handle)
			return cli_run(command, argc - 1, argv + 1);
		line.about = command->about;
		return command->handle(argc - 1, argv + 1);
	}
	return unknown_command(table, argv[1]);
}

/* --- the agent --------------------------------------------------------- */

static int request(const char *method, json_t *body, json_t **answer, struct error *error,
		   const char *format, va_list texts)
{
	char *path = client_path(format, texts);
	int err;

	if (!path)
		return error_set(error, ENOMEM, "out of memory");
	err = client_call(method, path, body, answer, error);
	free(path);
	return err;
}

int cli_show(const struct arguments *arguments, void (*show)(const json_t *answer),
	     struct error *error, const char *path, ...)
{
	json_t *answer;
	va_list texts;
	int err;

	va_start(texts, path);
	err = request("GET", NULL, &answer, error, path, texts);
	va_end(texts);
	if (err)
		return err;
	if (arguments->json)
		print_json(answer);
	else
		show(answer);
	json_decref(answer);
	return 0;
}

int cli_edit(const struct arguments *arguments, struct error *error, const char *method,
	     const char *path, ...)
{
	json_t *body = strcmp(method, "DELETE") ? arguments->options : NULL;
	json_t *answer;
	va_list texts;
	int err;

	va_start(texts, path);
	err = request(method, body, &answer, error, path, texts);
	va_end(texts);
	if (!err && arguments->json)
		print_json(answer);
	json_decref(answer);
	return err;
}

int cli_confirm(const struct arguments *arguments, const char *format, ...)
{
	va_list args;

	if (arguments->json)
		return 0;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	return 0;
}
