// SPDX-License-Identifier: BSD-2-Clause
/* service.c - `weir service`: what is balanced, and how. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "cli/service.h"

static const char *ready_text(const json_t *service, char *out)
{
	const json_t *backends = json_object_get(service, "backends"), *backend;
	size_t i, ready = 0;

	json_array_foreach(backends, i, backend)
		ready += !strcmp(json_text(backend, "status"), "ready");
	snprintf(out, PRINT_CELL, "%zu of %zu", ready, json_array_size(backends));
	return out;
}

static const char *limits_text(const json_t *service, char *out)
{
	snprintf(out, PRINT_CELL, "%zu", json_array_size(json_object_get(service, "limits")));
	return out;
}

static void show_services(const json_t *answer)
{
	static const struct column columns[] = {
		{ "SERVICE", .key = "name" },
		{ "ADDRESS", .text = print_endpoint },
		{ "FORWARD", .key = "forward" },
		{ "SELECT", .key = "select" },
		{ "HASH", .key = "hash" },
		{ "LIMITS", .text = limits_text, .right = true },
		{ "BACKENDS READY", .text = ready_text },
		{}
	};

	print_table(json_object_get(answer, "services"), columns,
		    "no services: see `weir service add --help`");
}

static void show_service(const json_t *service)
{
	const json_t *ring = json_object_get(service, "ring");
	char out[PRINT_CELL];

	print_pair("service", "%s", json_text(service, "name"));
	print_pair("address", "%s", print_endpoint(service, out));
	print_pair("forward", "%s", json_text(service, "forward"));
	print_pair("select", "%s, hash over %s", json_text(service, "select"),
		   json_text(service, "hash"));
	print_pair("ring", "%lld slots; the last change moved %lld, %lld more than it had to",
		   json_number(ring, "size"), json_number(ring, "changed"),
		   json_number(ring, "excess"));
	print_pair("backends", "%s ready", ready_text(service, out));
	putchar('\n');
	show_limits(service);
	putchar('\n');
	show_backends(service);
}

static int list(const struct arguments *arguments, struct error *error)
{
	return cli_show(arguments, show_services, error, "/v1/services");
}

static int show(const struct arguments *arguments, struct error *error)
{
	return cli_show(arguments, show_service, error, "/v1/services/%s", arguments->words[0]);
}

static int add(const struct arguments *arguments, struct error *error)
{
	const char *name = arguments->words[0];

	json_object_set_new(arguments->options, "name", json_string(name));
	return cli_edit(arguments, error, "POST", "/v1/services") ?:
	       cli_confirm(arguments, "%s: added", name);
}

static int set(const struct arguments *arguments, struct error *error)
{
	const char *name = arguments->words[0];

	return cli_edit(arguments, error, "PATCH", "/v1/services/%s", name) ?:
	       cli_confirm(arguments, "%s: changed", name);
}

static int del(const struct arguments *arguments, struct error *error)
{
	const char *name = arguments->words[0];

	return cli_edit(arguments, error, "DELETE", "/v1/services/%s", name) ?:
	       cli_confirm(arguments, "%s: deleted", name);
}

int cli_service(int argc, char **argv)
{
	static const struct command_option options[] = {
		{ "address", "ADDRESS", .about = "where clients connect to, IPv4 or IPv6" },
		{ "port", "N|any", "its port; any: all of them", 1, UINT16_MAX },
		{ "protocol", "tcp|udp", .about = "of the packets" },
		{ "forward", "ipip|l2",
		  .about = "ipip: in a tunnel; l2: to the backend's MAC address" },
		{ "select", "maglev", .about = "how a flow's backend is chosen" },
		{ "hash", "5-tuple", .about = "what a flow is" },
		{}
	};
	static const struct command verbs[] = {
		{ "list", NULL, "all services", .run = list },
		{ "show", "NAME", "all about one", .run = show },
		{ "add", "NAME", "add one; `weir backend add` gives it backends", options,
		  .required = 3, .run = add },
		{ "set", "NAME", "change what the options say", options, .changes = true,
		  .run = set },
		{ "del", "NAME", "delete one, with its backends and limits", .run = del },
		{}
	};

	return cli_run_one_of(verbs, argc, argv);
}
