// SPDX-License-Identifier: BSD-2-Clause
/* check.c - `weir check`: is a configuration file right? Asks no agent. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "config.h"
#include "file.h"

static int load(const char *file, struct config **config, struct error *error)
{
	json_t *root = NULL;
	size_t length;
	char *text;
	int err;

	err = file_read(file, &text, &length, error);
	if (!err)
		err = config_parse_text(text, length, file, &root, error);
	if (!err)
		err = config_build(root, text, file, config, error);
	json_decref(root);
	free(text);
	return err;
}

static size_t count_backends(const struct config *config)
{
	size_t i, count = 0;

	for (i = 0; i < config->service_count; i++)
		count += config->services[i].embedded.count;
	return count;
}

static void print(const struct arguments *arguments, const struct config *config)
{
	size_t backends = count_backends(config);
	json_t *counts;

	if (!arguments->json) {
		printf("%s: ok: %zu services, %zu backends\n", arguments->words[0],
		       config->service_count, backends);
		return;
	}
	counts = json_pack("{s:I, s:I}", "services", (json_int_t)config->service_count,
			   "backends", (json_int_t)backends);
	print_json(counts);
	json_decref(counts);
}

static int check(const struct arguments *arguments, struct error *error)
{
	struct config *config;
	int err = load(arguments->words[0], &config, error);

	if (err)
		return err;
	print(arguments, config);
	config_free(config);
	return 0;
}

int cli_check(int argc, char **argv)
{
	static const struct command command = {
		"check", "FILE",
		"check a configuration file and say where the first mistake is",
		.run = check,
	};

	return cli_run(&command, argc, argv);
}
