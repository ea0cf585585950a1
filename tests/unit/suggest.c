// SPDX-License-Identifier: BSD-2-Clause
/* suggest.c - which words are near enough to be meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "suggest.h"

#define X16 "xxxxxxxxxxxxxxxx"

/* Names in front of something else, as callers have them. */
static const struct {
	const char *name;
	int value;
} table[] = {
	{ "service", 1 }, { "backend", 2 }, { "port", 3 }, { "prefix_v4", 4 }, { "prefix_v6", 5 },
	{ "per", 6 }, { X16 X16 X16 X16, 7 }, { NULL, 0 },
};

static const struct {
	const char *name, *word, *meant;
} rows[] = {
	{ "the word itself", "port", "port" },
	{ "wrong letter", "pert", "port" },
	{ "letter too many", "backennd", "backend" },
	{ "letter missing", "servce", "service" },
	{ "letters swapped", "prot", "port" },
	{ "swapped at the end", "backedn", "backend" },
	{ "capitals", "SERVYCE", "service" },
	{ "begun", "back", "backend" },
	{ "the nearest", "prefix_v5", "prefix_v4" },
	{ "the nearest, not the first", "prefix-v6", "prefix_v6" },
	{ "a third wrong", "sarvixe", "service" },
	{ "more than a third wrong", "sarxixe", NULL },
	{ "one letter", "p", NULL },
	{ "nothing", "", NULL },
	{ "too long", X16 X16 X16 X16, NULL },
	{ "other letters", "\xc3\xa9", NULL },
};

static void suggests(void **state)
{
	const char *meant;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		print_message("  %s\n", rows[i].name);
		meant = suggest(rows[i].word, table, sizeof(*table));
		if (rows[i].meant)
			assert_string_equal(meant ? meant : "nothing", rows[i].meant);
		else
			assert_null(meant);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(suggests) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
