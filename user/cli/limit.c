// SPDX-License-Identifier: BSD-2-Clause
/* limit.c - `weir limit`: how much each source may send to a service. */
#include <stdint.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "cli/service.h"

#define PATH "/v1/services/%s/limits"

static const char *unit_text(const json_t *limit, char *out)
{
	snprintf(out, PRINT_CELL, "%s/s", json_text(limit, "unit"));
	return out;
}

static const char *per_text(const json_t *limit, char *out)
{
	snprintf(out, PRINT_CELL, "%s: IPv4 /%lld, IPv6 /%lld", json_text(limit, "per"),
		 json_number(limit, "prefix_v4"), json_number(limit, "prefix_v6"));
	return out;
}

static const struct column columns[] = {
	{ "SERVICE", .key = "service" },	/* of lists over all services */
	{ "LIMIT", .key = "number", .right = true },
	{ "RATE", .key = "rate", .right = true },
	{ "UNIT", .text = unit_text },
	{ "BURST", .key = "burst", .right = true },
	{ "PER", .text = per_text },
	{}
};

void show_limits(const json_t *service)
{
	print_table(json_object_get(service, "limits"), columns + 1,
		    "no limits: see `weir limit add --help`");
}

static void show_all_limits(const json_t *answer)
{
	json_t *rows = json_array(), *limit;
	const json_t *service;
	size_t i, j;

	json_array_foreach(json_object_get(answer, "services"), i, service) {
		json_array_foreach(json_object_get(service, "limits"), j, limit) {
			json_object_set(limit, "service", json_object_get(service, "name"));
			json_array_append(rows, limit);
		}
	}
	print_table(rows, columns, "no limits: see `weir limit add --help`");
	json_decref(rows);
}

static int list(const struct arguments *arguments, struct error *error)
{
	if (arguments->count)
		return cli_show(arguments, show_limits, error, PATH, arguments->words[0]);
	return cli_show(arguments, show_all_limits, error, "/v1/services");
}

static int add(const struct arguments *arguments, struct error *error)
{
	const char *service = arguments->words[0];

	return cli_edit(arguments, error, "POST", PATH, service) ?:
	       cli_confirm(arguments, "%s: limit added", service);
}

static int edit(const struct arguments *arguments, const char *method, const char *done,
		struct error *error)
{
	char **word = arguments->words;
	json_int_t number;

	if (cli_parse_number("NUMBER", word[1], 1, UINT16_MAX, &number, error))
		return CLI_USAGE;
	return cli_edit(arguments, error, method, PATH "/%s", word[0], word[1]) ?:
	       cli_confirm(arguments, "%s: limit %lld %s", word[0], number, done);
}

static int set(const struct arguments *arguments, struct error *error)
{
	return edit(arguments, "PATCH", "changed", error);
}

static int del(const struct arguments *arguments, struct error *error)
{
	return edit(arguments, "DELETE", "deleted", error);
}

int cli_limit(int argc, char **argv)
{
	static const struct command_option options[] = {
		{ "rate", "N", "packets a second that a source may send", 1, UINT32_MAX },
		{ "burst", "N", "packets that may come at once; new: a tenth of the rate", 1,
		  UINT32_MAX },
		{ "prefix-v4", "N", "sources with so many leading bits in common are one; new: 32",
		  0, 32 },
		{ "prefix-v6", "N", "the same for IPv6; new: 64", 0, 128 },
		{}
	};
	static const struct command verbs[] = {
		{ "list", "[SERVICE]", "limits of one service, or of all", .run = list },
		{ "add", "SERVICE", "limit each source", options, .required = 1, .run = add },
		{ "set", "SERVICE NUMBER", "change what the options say", options,
		  .changes = true, .run = set },
		{ "del", "SERVICE NUMBER", "delete one; later ones move up", .run = del },
		{}
	};

	return cli_run_one_of(verbs, argc, argv);
}
