/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cli.h - what the commands of `weir` share: how a command line is described,
 * parsed and explained, and how a command asks the agent and shows the answer.
 *
 * A command is described by data (struct command); parsing, --help and usage errors
 * are derived from it. --json, --socket and --help are understood everywhere on the
 * line, so no command names them. A command never prints an error itself: it leaves
 * one line in *error, and cli_run() prints it.
 */
#ifndef WEIR_CLI_H
#define WEIR_CLI_H

#include <jansson.h>
#include <stdbool.h>

#include "error.h"

#define CLI_SOCKET "/run/weir/weir.sock"

/* Exit status of `weir`. */
enum cli_exit {
	CLI_OK,
	CLI_ERROR,
	CLI_USAGE,
};

/*
 * `value` is what --help shows and what is accepted, alternatives separated by '|':
 *   NULL              a flag: true when given
 *   "native|generic"  one of these words
 *   "N", max set      a number min..max
 *   "N|any", max set  a number min..max, or the word
 *   "FILE"            any text: a word in capitals is a placeholder
 */
struct command_option {
	const char *name;	/* "prefix-v4"; in arguments.options it is "prefix_v4" */
	const char *value;
	const char *about;
	json_int_t min, max;
};

/* A parsed command line. */
struct arguments {
	char **words;		/* as many as command.arguments asks for, then NULL */
	int count;
	json_t *options;	/* those given, by name: a string, an integer or true */
	bool json;		/* --json */
	const char *socket;	/* --socket, else WEIR_SOCKET, else CLI_SOCKET */
};

/*
 * A command, or one verb of a noun. Tables of them end with one without a name.
 * One of run and handle is set.
 */
struct command {
	const char *name;
	const char *arguments;	/* "SERVICE ADDRESS[:PORT]"; "[SERVICE]": optional; or NULL */
	const char *about;	/* one line, no full stop; NULL: what main.c's table says */
	const struct command_option *options;	/* up to one without a name, or NULL */
	unsigned int required;	/* so many of the options, from the first, must be given */
	bool changes;		/* makes no sense without any option */

	/* 0, -errno, or CLI_USAGE; the latter two with one line in *error. */
	int (*run)(const struct arguments *arguments, struct error *error);

	/* Does its own parsing; argv[0] is the name. Returns the exit status. */
	int (*handle)(int argc, char **argv);
};

/* Parse the line as `command` says, run it, print its error. Returns the exit status. */
int cli_run(const struct command *command, int argc, char **argv);

/* The same for a table: argv[0] is the noun, or "weir", argv[1] names the command. */
int cli_run_one_of(const struct command *table, int argc, char **argv);

/*
 * Begin a command line: take --json, --socket PATH and --help out of it, for all that
 * follows. 0, or CLI_USAGE with the reason printed.
 */
int cli_take_shared_options(int *argc, char **argv);

/* From now on explain what is named instead of running it: `weir help`. */
void cli_ask_help(void);

/* A whole decimal number min..max and nothing else. 0, or -EINVAL with a line that names `what`. */
int cli_parse_number(const char *what, const char *text, json_int_t min, json_int_t max,
		     json_int_t *value, struct error *error);

/*
 * Below, `path` is a format whose only conversion is %s; what it inserts is
 * percent-encoded.
 */

/* GET path and print the answer: through show(), or with --json as it is. 0 or -errno. */
int cli_show(const struct arguments *arguments, void (*show)(const json_t *answer),
	     struct error *error, const char *path, ...)
	__attribute__((format(printf, 4, 5)));

/* Send the options as an edit; with --json print the answer. 0 or -errno. */
int cli_edit(const struct arguments *arguments, struct error *error, const char *method,
	     const char *path, ...)
	__attribute__((format(printf, 4, 5)));

/* Print one line that says what was done, unless --json printed that. Returns 0. */
int cli_confirm(const struct arguments *arguments, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

int cli_agent(int argc, char **argv);
int cli_check(int argc, char **argv);
int cli_attach(int argc, char **argv);
int cli_detach(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_service(int argc, char **argv);
int cli_backend(int argc, char **argv);
int cli_limit(int argc, char **argv);
int cli_decap(int argc, char **argv);
int cli_counters(int argc, char **argv);
int cli_route(int argc, char **argv);

#endif
