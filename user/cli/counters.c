// SPDX-License-Identifier: BSD-2-Clause
/* counters.c - `weir counters`: what went where since the data plane was made. */
#include <stdio.h>
#include <string.h>

#include <weir/abi.h>

#include "cli/cli.h"
#include "cli/print.h"

/* A service's row has a name; its backends' rows follow it. */
static const char *owner_text(const json_t *row, char *out)
{
	const char *name = json_text(row, "name");

	if (*name)
		return name;
	snprintf(out, PRINT_CELL, "  %s", json_text(row, "address"));
	return out;
}

static void show_services(const json_t *services)
{
	static const struct column columns[] = {
		{ "SERVICE", .text = owner_text },
		{ "PACKETS", .key = "packets", .right = true },
		{ "BYTES", .key = "bytes", .right = true },
		{ "NEW FLOWS", .key = "new_flows", .right = true },
		{ "LIMITED", .key = "limited_packets", .right = true },
		{ "LIMITED BYTES", .key = "limited_bytes", .right = true },
		{ "DROPPED", .key = "dropped_packets", .right = true },
		{}
	};
	json_t *rows = json_array(), *service;
	size_t i;

	json_array_foreach(services, i, service) {
		json_array_append(rows, service);
		json_array_extend(rows, json_object_get(service, "backends"));
	}
	print_table(rows, columns, "no services");
	json_decref(rows);
}

static const char *reason_meaning(const char *name)
{
	static const struct {
		const char *name, *meaning;
	} reasons[] = {
#define REASON(name, text) { #name, text },
		WEIR_DROP_REASONS(REASON)
#undef REASON
	};
	size_t i;

	for (i = 0; i < WEIR_DROPS; i++)
		if (!strcmp(reasons[i].name, name))
			return reasons[i].meaning;
	return "";
}

static void show_drops(json_t *drops)
{
	static const struct column columns[] = {
		{ "DROPPED", .key = "packets", .right = true },
		{ "REASON", .key = "reason" },
		{ "MEANING", .key = "meaning" },
		{}
	};
	json_t *rows = json_array(), *packets;
	const char *reason;

	json_object_foreach(drops, reason, packets) {
		if (json_integer_value(packets) == 0)
			continue;
		json_array_append_new(rows, json_pack("{sOssss}", "packets", packets, "reason",
						      reason, "meaning",
						      reason_meaning(reason)));
	}
	print_table(rows, columns, "no packet was dropped");
	json_decref(rows);
}

static void show_counters(const json_t *answer)
{
	const json_t *totals = json_object_get(answer, "totals");
	const json_t *limiter = json_object_get(answer, "limiter");

	show_services(json_object_get(answer, "services"));
	putchar('\n');
	show_drops(json_object_get(answer, "drops"));
	putchar('\n');
	print_pair("totals", "%lld packets forwarded, %lld dropped, %lld passed to the stack",
		   json_number(totals, "forwarded_packets"),
		   json_number(totals, "dropped_packets"), json_number(totals, "passed_packets"));
	print_pair("limiter", "%lld buckets evicted in debt, %lld packets refused in contention",
		   json_number(limiter, "evictions_in_debt"), json_number(limiter, "contended"));
}

static int counters(const struct arguments *arguments, struct error *error)
{
	if (arguments->count)
		return cli_show(arguments, show_counters, error, "/v1/counters?service=%s",
				arguments->words[0]);
	return cli_show(arguments, show_counters, error, "/v1/counters");
}

int cli_counters(int argc, char **argv)
{
	static const struct command command = { "counters", "[SERVICE]", .run = counters };

	return cli_run(&command, argc, argv);
}
