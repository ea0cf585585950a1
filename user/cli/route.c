// SPDX-License-Identifier: BSD-2-Clause
/* route.c - `weir route`: which backend a flow goes to, and why. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/print.h"

static void show_route(const json_t *route)
{
	const char *service = json_text(route, "service"), *backend = json_text(route, "backend");

	printf("%s%s%s: %s\n", service, *service ? " -> " : "", *backend ? backend : "no backend",
	       json_text(route, "why"));
}

static int route(const struct arguments *arguments, struct error *error)
{
	char **word = arguments->words;

	return cli_show(arguments, show_route, error,
			"/v1/route?protocol=%s&source=%s&destination=%s", word[0], word[1],
			word[2]);
}

int cli_route(int argc, char **argv)
{
	static const struct command command = {
		"route", "PROTOCOL SOURCE:PORT DESTINATION:PORT",
		"which backend a flow goes to, and why; IPv6 is [ADDRESS]:PORT", .run = route,
	};

	return cli_run(&command, argc, argv);
}
