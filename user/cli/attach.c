// SPDX-License-Identifier: BSD-2-Clause
/*
 * attach.c - `weir attach`, `weir detach`. The agent attaches; detaching works
 * without one too, because the data plane outlives it.
 */
#include <errno.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/print.h"
#include "dataplane/dataplane.h"

static int attach(const struct arguments *arguments, struct error *error)
{
	const char *interface = arguments->words[0];

	if (!json_object_get(arguments->options, "mode"))
		json_object_set_new(arguments->options, "mode", json_string("native"));
	return cli_edit(arguments, error, "PUT", "/v1/interfaces/%s", interface) ?:
	       cli_confirm(arguments, "%s: attached in %s mode", interface,
			   json_text(arguments->options, "mode"));
}

int cli_attach(int argc, char **argv)
{
	static const struct command_option options[] = {
		{ "mode", "native|generic",
		  .about = "native (default): in the driver; generic: any interface, slower" },
		{}
	};
	static const struct command command = {
		"attach", "IFACE", .options = options, .run = attach,
	};

	return cli_run(&command, argc, argv);
}

static int detach_all_online(const struct arguments *quiet, struct error *error)
{
	const json_t *interface;
	json_t *answer;
	size_t i;
	int err = client_call("GET", "/v1/interfaces", NULL, &answer, error);

	if (err)
		return err;
	json_array_foreach(json_object_get(answer, "interfaces"), i, interface) {
		/* One that fails does not keep the others attached. */
		int failed = cli_edit(quiet, error, "DELETE", "/v1/interfaces/%s",
				      json_text(interface, "name"));

		if (failed)
			err = failed;
	}
	json_decref(answer);
	return err;
}

static int detach(const struct arguments *arguments, struct error *error)
{
	const char *name = arguments->words[0];
	bool all = json_object_get(arguments->options, "all");
	struct arguments quiet = *arguments;
	int err;

	if (all == (name != NULL)) {
		error_set(error, EINVAL, "name one interface, or give --all");
		return CLI_USAGE;
	}
	quiet.json = false;
	if (all)
		err = detach_all_online(&quiet, error);
	else
		err = cli_edit(&quiet, error, "DELETE", "/v1/interfaces/%s", name);
	if (err == -ECONNREFUSED)
		err = dataplane_detach_offline(name, all, error);
	if (err)
		return err;
	if (arguments->json)
		print_json_text("detached", all ? "all" : name);
	return cli_confirm(arguments, "%s: detached", all ? "all interfaces" : name);
}

int cli_detach(int argc, char **argv)
{
	static const struct command_option options[] = {
		{ "all", NULL, .about = "every interface that weir is attached to" },
		{}
	};
	static const struct command command = {
		"detach", "[IFACE]", .options = options, .run = detach,
	};

	return cli_run(&command, argc, argv);
}
