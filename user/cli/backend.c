// SPDX-License-Identifier: BSD-2-Clause
/* backend.c - `weir backend`: the servers behind a service. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "cli/service.h"
#include "registry/registry.h"

#define PATH "/v1/services/%s/backends"

static const char *share_text(const json_t *backend, char *out)
{
	snprintf(out, PRINT_CELL, "%.1f%%",
		 100 * json_number_value(json_object_get(backend, "share")));
	return out;
}

static const char *next_hop_text(const json_t *backend, char *out)
{
	const json_t *hop = json_object_get(backend, "next_hop");

	*out = '\0';
	if (json_is_object(hop))
		snprintf(out, PRINT_CELL, "%s %s", json_text(hop, "interface"),
			 json_text(hop, "mac"));
	return out;
}

void show_backends(const json_t *service)
{
	static const struct column columns[] = {
		{ "BACKEND", .key = "address" },
		{ "WEIGHT", .key = "weight", .right = true },
		{ "STATE", .key = "state" },
		{ "STATUS", .key = "status" },
		{ "SHARE", .text = share_text, .right = true },
		{ "NEXT HOP", .text = next_hop_text },
		{ "REASON", .key = "reason" },
		{}
	};

	print_table(json_object_get(service, "backends"), columns,
		    "no backends: see `weir backend add --help`");
}

static int list(const struct arguments *arguments, struct error *error)
{
	return cli_show(arguments, show_backends, error, PATH, arguments->words[0]);
}

static int add(const struct arguments *arguments, struct error *error)
{
	char **word = arguments->words;

	json_object_set_new(arguments->options, "address", json_string(word[1]));
	return cli_edit(arguments, error, "POST", PATH, word[0]) ?:
	       cli_confirm(arguments, "%s: backend %s added", word[0], word[1]);
}

/* To change a backend, and to say so in a word. */
static int change(const struct arguments *arguments, const char *done, struct error *error)
{
	char **word = arguments->words;

	return cli_edit(arguments, error, "PATCH", PATH "/%s", word[0], word[1]) ?:
	       cli_confirm(arguments, "%s: backend %s %s", word[0], word[1], done);
}

static int set(const struct arguments *arguments, struct error *error)
{
	return change(arguments, "changed", error);
}

static int drain(const struct arguments *arguments, struct error *error)
{
	json_object_set_new(arguments->options, "state",
			    json_string(backend_state_name(BACKEND_DRAINING)));
	return change(arguments, "is draining", error);
}

static int del(const struct arguments *arguments, struct error *error)
{
	char **word = arguments->words;

	return cli_edit(arguments, error, "DELETE", PATH "/%s", word[0], word[1]) ?:
	       cli_confirm(arguments, "%s: backend %s deleted", word[0], word[1]);
}

int cli_backend(int argc, char **argv)
{
	static const struct command_option options[] = {
		{ "weight", "N", "its share of new flows among the weights; 0: none; a new one has 1", 0,
		  BACKEND_WEIGHT_MAX },
		{ "state", "active|draining", .about = "draining: takes no new flows; a new one is active" },
		{}
	};
	static const struct command verbs[] = {
		{ "list", "SERVICE",
		  "each one's share of the ring, next hop, and why it is not ready", .run = list },
		{ "add", "SERVICE ADDRESS[:PORT]", "add one; a port must be the service's",
		  options, .run = add },
		{ "set", "SERVICE ADDRESS[:PORT]", "change what the options say", options,
		  .changes = true, .run = set },
		{ "drain", "SERVICE ADDRESS[:PORT]", "give it no new flows", .run = drain },
		{ "del", "SERVICE ADDRESS[:PORT]", "delete one", .run = del },
		{}
	};

	return cli_run_one_of(verbs, argc, argv);
}
