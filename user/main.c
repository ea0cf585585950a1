// SPDX-License-Identifier: BSD-2-Clause
/* main.c - the command table of `weir`. What a command does is in cli/NAME.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "compiler.h"
#include "config.h"

static int version(const struct arguments *arguments, struct error *error UNUSED)
{
	if (arguments->json)
		print_json_text("version", WEIR_VERSION);
	else
		printf("weir %s\n", WEIR_VERSION);
	return 0;
}

static const struct command commands[] = {
	{ "agent", .handle = cli_agent,
	  .about = "keep the kernel's tables equal to the configuration" },
	{ "check", .handle = cli_check,
	  .about = "is a configuration file right?" },
	{ "attach", .handle = cli_attach,
	  .about = "balance what arrives on an interface" },
	{ "detach", .handle = cli_detach,
	  .about = "leave an interface alone again; needs no agent" },
	{ "status", .handle = cli_status,
	  .about = "is it working, and if not, why?" },
	{ "service", .handle = cli_service,
	  .about = "list, show, add, set and del services" },
	{ "backend", .handle = cli_backend,
	  .about = "list, add, set, drain and del a service's backends" },
	{ "limit", .handle = cli_limit,
	  .about = "list, add, set and del a service's limits per source" },
	{ "counters", .handle = cli_counters,
	  .about = "packets and bytes of services and backends, and what was dropped, and why" },
	{ "route", .handle = cli_route,
	  .about = "which backend a flow goes to, and why" },
	{ "decap", .handle = cli_decap,
	  .about = "on a backend: take the tunnel header of ipip off" },
	{ "version", .run = version,
	  .about = "the version of this program" },
	{ "help", .arguments = "[COMMAND]",	/* run() takes it */
	  .about = "this list, or what `weir COMMAND --help` prints" },
	{}
};

/* `weir` alone. */
static int what_next(void)
{
	fputs("weir balances and limits, in XDP, what arrives on an interface. To begin:\n\n"
	      "  weir check " CONFIG_FILE "\n"
	      "  weir agent\n"
	      "  weir attach eth0\n"
	      "  weir status\n\n"
	      "`weir help` lists all commands.\n", stderr);
	return CLI_USAGE;
}

static int run(int argc, char **argv)
{
	if (argc == 1)
		return what_next();
	if (cli_take_shared_options(&argc, argv))
		return CLI_USAGE;
	if (argc > 1 && !strcmp(argv[1], "help")) {
		cli_ask_help();
		argc--;
		argv++;
	} else if (argc > 1 && !strcmp(argv[1], "--version")) {
		argv[1] = "version";
	}
	argv[0] = "weir";
	return cli_run_one_of(commands, argc, argv);
}

int main(int argc, char **argv)
{
	int status = run(argc, argv);

	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "weir: cannot write the output: %s\n", strerror(errno));
		return CLI_ERROR;
	}
	return status;
}
