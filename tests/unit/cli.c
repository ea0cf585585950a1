// SPDX-License-Identifier: BSD-2-Clause
/*
 * cli.c - command lines: what is parsed from them, and the exact line for what is
 * not accepted; then paths of the API, and tables. No agent is asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/print.h"

#define MAX_WORDS 12

/* --- what a function prints, stdout and stderr together --- */

static struct {
	FILE *file;
	int out, err;
	char text[2048];
} captured;

static void capture_begin(void)
{
	fflush(stdout);
	captured.file = tmpfile();
	assert_non_null(captured.file);
	captured.out = dup(STDOUT_FILENO);
	captured.err = dup(STDERR_FILENO);
	dup2(fileno(captured.file), STDOUT_FILENO);
	dup2(fileno(captured.file), STDERR_FILENO);
}

static const char *capture_end(void)
{
	size_t length;

	fflush(stdout);
	dup2(captured.out, STDOUT_FILENO);
	dup2(captured.err, STDERR_FILENO);
	close(captured.out);
	close(captured.err);
	rewind(captured.file);
	length = fread(captured.text, 1, sizeof(captured.text) - 1, captured.file);
	captured.text[length] = '\0';
	fclose(captured.file);
	return captured.text;
}

/* --- command lines: `try` prints what it was given --- */

static int print_arguments(const struct arguments *arguments, struct error *error)
{
	char *options = json_dumps(arguments->options, JSON_COMPACT);
	int i;

	for (i = 0; i < arguments->count; i++)
		printf("%s ", arguments->words[i]);
	printf("%s%s %s\n", options, arguments->json ? " json" : "", arguments->socket);
	free(options);
	assert_null(arguments->words[arguments->count]);
	return 0;
}

static int busy(const struct arguments *arguments, struct error *error)
{
	return error_set(error, EBUSY, "busy: try later");
}

static const struct command_option options[] = {
	{ "rate", "N", "", 1, 1000 },
	{ "port", "N|any", "", 1, 65535 },
	{ "mode", "native|generic", .about = "" },
	{ "log-file", "FILE", .about = "" },
	{ "all", NULL, .about = "" },
	{}
};

static const struct command verbs[] = {
	{ "add", "NAME [OTHER]", "", options, .required = 1, .run = print_arguments },
	{ "set", NULL, "", options, .changes = true, .run = print_arguments },
	{ "list", .about = "", .run = print_arguments },
	{ "fail", .about = "", .run = busy },
	{}
};

static int try(int argc, char **argv)
{
	return cli_run_one_of(verbs, argc, argv);
}

static const struct command commands[] = {
	{ "try", .about = "", .handle = try },
	{}
};

/* An expected text without its newline. */
static const struct line {
	const char *line;
	int status;
	const char *printed;
} lines[] = {
	/* words and options in any order; the shared ones anywhere */
	{ "try list", 0, "{} /s" },
	{ "try add a --rate 5", 0, "a {\"rate\":5} /s" },
	{ "try add --rate=5 a b", 0, "a b {\"rate\":5} /s" },
	{ "try add a --rate 5 b --all", 0, "a b {\"rate\":5,\"all\":true} /s" },
	{ "try add a --rate 5 --rate 6", 0, "a {\"rate\":6} /s" },
	{ "try add --rate 5 -- --json", 0, "--json {\"rate\":5} /s" },
	{ "try list --json", 0, "{} json /s" },
	{ "--json try list", 0, "{} json /s" },
	{ "try --socket /x list", 0, "{} /x" },
	{ "try list --socket=/x", 0, "{} /x" },
	{ "try list --socket", 2, "weir: --socket wants a value" },

	/* values */
	{ "try set --port 65535", 0, "{\"port\":65535} /s" },
	{ "try set --port any", 0, "{\"port\":\"any\"} /s" },
	{ "try set --port N", 2, "weir try set: --port is \"N\", allowed are 1 to 65535 or any" },
	{ "try set --mode generic", 0, "{\"mode\":\"generic\"} /s" },
	{ "try set --mode gen", 2,
	  "weir try set: --mode is \"gen\", allowed are native|generic" },
	{ "try set --mode=", 2, "weir try set: --mode is \"\", allowed are native|generic" },
	{ "try set --log-file FILE", 0, "{\"log_file\":\"FILE\"} /s" },
	{ "try set --log-file \xff", 2, "weir try set: --log-file is not UTF-8 text" },
	{ "try set --rate 0", 2, "weir try set: --rate is \"0\", allowed are 1 to 1000" },
	{ "try set --rate 1001", 2, "weir try set: --rate is \"1001\", allowed are 1 to 1000" },
	{ "try set --rate", 2, "weir try set: --rate wants a value" },

	/* too much, too little, mistyped */
	{ "try add --rate 5", 2, "weir try add: NAME is missing: weir try add NAME [OTHER]" },
	{ "try add a", 2, "weir try add: --rate N is missing" },
	{ "try add a b c --rate 5", 2,
	  "weir try add: unexpected \"c\", see `weir try add --help`" },
	{ "try list a", 2, "weir try list: unexpected \"a\", see `weir try list --help`" },
	{ "try set", 2,
	  "weir try set: nothing to change: see the options of `weir try set --help`" },
	{ "try set --prot 1", 2, "weir try set: unknown option --prot, did you mean --port?" },
	{ "try set --prot=1", 2,
	  "weir try set: unknown option --prot=1, did you mean --port?" },
	{ "try set --jsno", 2, "weir try set: unknown option --jsno, did you mean --json?" },
	{ "try list --rate 5", 2,
	  "weir try list: unknown option --rate, see `weir try list --help`" },
	{ "try set -rx", 2, "weir try set: unknown option -r, see `weir try set --help`" },
	{ "try set -r 5", 2, "weir try set: unknown option -r, see `weir try set --help`" },
	{ "try lits", 2, "weir try: unknown command lits, did you mean list?" },
	{ "tyr list", 2, "weir: unknown command tyr, did you mean try?" },
	{ "xyzzy", 2, "weir: unknown command xyzzy, see `weir --help`" },
	{ "--frob try", 2, "weir: unknown option --frob, see `weir --help`" },

	/* a command that fails */
	{ "try fail", 1, "weir: busy: try later" },
};

static int run_line(const char *line)
{
	char *argv[MAX_WORDS + 2] = { (char *)"weir" };
	char *copy = strdup(line), *rest = copy;
	int argc = 1, status;

	while (rest) {
		assert_true(argc <= MAX_WORDS);
		argv[argc++] = strsep(&rest, " ");
	}
	status = cli_take_shared_options(&argc, argv);
	if (!status)
		status = cli_run_one_of(commands, argc, argv);
	free(copy);
	return status;
}

static void test_lines(void **state)
{
	size_t i;

	setenv("WEIR_SOCKET", "/s", 1);
	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		const char *printed;
		int status;

		capture_begin();
		status = run_line(lines[i].line);
		printed = capture_end();
		captured.text[strcspn(printed, "\n")] = '\0';
		if (status != lines[i].status || strcmp(printed, lines[i].printed))
			fail_msg("weir %s: exit status %d, printed: %s", lines[i].line, status,
				 printed);
	}
}

static void test_socket_default(void **state)
{
	unsetenv("WEIR_SOCKET");
	capture_begin();
	assert_int_equal(run_line("try list"), 0);
	assert_string_equal(capture_end(), "{} " CLI_SOCKET "\n");
}

static void test_numbers(void **state)
{
	static const char *const refused[] = {
		"", " 1", "1 ", "+1", "-1", "1x", "0x1", "1.0", "1e1", "11", "one",
		"9223372036854775808", "18446744073709551617",
	};
	struct error error;
	json_int_t value;
	size_t i;

	assert_int_equal(cli_parse_number("N", "0", 0, 10, &value, &error), 0);
	assert_int_equal(value, 0);
	assert_int_equal(cli_parse_number("N", "10", 0, 10, &value, &error), 0);
	assert_int_equal(value, 10);
	for (i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (cli_parse_number("N", refused[i], 0, 10, &value, &error) != -EINVAL)
			fail_msg("\"%s\" is accepted", refused[i]);
	assert_string_equal(error.text,
			    "N is \"18446744073709551617\", allowed are 0 to 10");
	assert_int_equal(cli_parse_number("N", "9223372036854775808", 0, INT64_MAX, &value, &error),
			 -EINVAL);
}

static char *path_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *path_of(const char *format, ...)
{
	va_list texts;
	char *path;

	va_start(texts, format);
	path = client_path(format, texts);
	va_end(texts);
	return path;
}

static void test_paths(void **state)
{
	static const struct {
		const char *text, *encoded;
	} rows[] = {
		{ "web", "/a/web/b" },
		{ "A-Z.a_z~09", "/a/A-Z.a_z~09/b" },
		{ "[2001:db8::1]:80", "/a/%5B2001%3Adb8%3A%3A1%5D%3A80/b" },
		{ "a/b?c#d%2F e&f=", "/a/a%2Fb%3Fc%23d%252F%20e%26f%3D/b" },
		{ "\xc3\xa9\n", "/a/%C3%A9%0A/b" },
		{ "%s", "/a/%25s/b" },
		{ "", "/a//b" },
	};
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *path = path_of("/a/%s/b", rows[i].text);

		assert_string_equal(path, rows[i].encoded);
		free(path);
	}
}

static void test_no_agent(void **state)
{
	struct error error;
	json_t *answer;

	client_use_socket("/nonexistent/weir.sock");
	assert_int_equal(client_call("GET", "/", NULL, &answer, &error), -ECONNREFUSED);
	assert_null(answer);
	assert_string_equal(error.text,
			    "no agent is listening on /nonexistent/weir.sock: start it with "
			    "`weir agent`, or name its socket with --socket");
}

static const char *twice(const json_t *row, char *out)
{
	snprintf(out, PRINT_CELL, "%lld", 2 * json_number(row, "number"));
	return out;
}

static void test_table(void **state)
{
	static const struct column columns[] = {
		{ "NAME", .key = "name" },
		{ "NUMBER", .key = "number", .right = true },
		{ "TWICE", .text = twice, .right = true },
		{ "NOTE", .key = "note" },
		{}
	};
	json_t *rows = json_pack("[{sssIss}, {sssIsn}, {}]", "name", "a-long-name", "number",
				 (json_int_t)12345678901, "note", "x", "name", "b", "number",
				 (json_int_t)0, "note");
	json_t *empty = json_array();

	capture_begin();
	print_table(rows, columns, "nothing");
	print_table(empty, columns, "nothing");
	assert_string_equal(capture_end(),
			    "NAME              NUMBER        TWICE  NOTE\n"
			    "a-long-name  12345678901  24691357802  x\n"
			    "b                      0            0\n"
			    "                                    0\n"
			    "nothing\n");
	json_decref(rows);
	json_decref(empty);
}

static void test_endpoint(void **state)
{
	json_t *v4 = json_pack("{sssiss}", "address", "192.0.2.1", "port", 80, "protocol", "tcp");
	json_t *v6 = json_pack("{ssssss}", "address", "2001:db8::1", "port", "any", "protocol",
			       "udp");
	char out[PRINT_CELL];

	assert_string_equal(print_endpoint(v4, out), "192.0.2.1:80/tcp");
	assert_string_equal(print_endpoint(v6, out), "[2001:db8::1]:any/udp");
	json_decref(v4);
	json_decref(v6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_socket_default),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_no_agent),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_endpoint),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
