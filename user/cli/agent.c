// SPDX-License-Identifier: BSD-2-Clause
/* agent.c - `weir agent`. */
#include <jansson.h>

#include "agent/agent.h"
#include "cli/cli.h"
#include "config.h"
#include "log.h"

static int run(const struct arguments *arguments, struct error *error)
{
	const char *level = json_string_value(json_object_get(arguments->options, "log_level"));
	const char *config = json_string_value(json_object_get(arguments->options, "config"));
	const struct agent_options options = {
		.config = config ? config : CONFIG_FILE,
		.socket = arguments->socket,
		.teardown_on_exit = json_object_get(arguments->options, "teardown_on_exit"),
	};

	log_set_level(level ? log_level_parse(level) : LOG_LEVEL_INFO);
	return agent_run(&options, error);
}

static const struct command_option options[] = {
	{ .name = "config", .value = "FILE", .about = "configuration, default " CONFIG_FILE },
	{ .name = "teardown-on-exit", .about = "remove the data plane when the agent stops" },
	{ .name = "log-level", .value = "error|warning|info|debug", .about = "default info" },
	{}
};

static const struct command command = {
	.name = "agent",
	.about = "keep the kernel's tables equal to the configuration, in the foreground",
	.options = options,
	.run = run,
};

int cli_agent(int argc, char **argv)
{
	return cli_run(&command, argc, argv);
}
