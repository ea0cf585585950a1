// SPDX-License-Identifier: BSD-2-Clause
/* status.c - `weir status`: is it working, and if not, why, on one screen. */
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/print.h"

/* "3d 4h 5m", "4h 5m", "5m 6s": what is below a minute counts only in the first hour. */
static const char *duration(json_int_t seconds, char *out)
{
	json_int_t minutes = seconds / 60 % 60, hours = seconds / 3600 % 24, days = seconds / 86400;

	if (days)
		snprintf(out, PRINT_CELL, "%lldd %lldh %lldm", days, hours, minutes);
	else if (hours)
		snprintf(out, PRINT_CELL, "%lldh %lldm", hours, minutes);
	else
		snprintf(out, PRINT_CELL, "%lldm %llds", minutes, seconds % 60);
	return out;
}

static const char *date(json_int_t seconds, char *out)
{
	time_t when = (time_t)seconds;
	struct tm local;

	if (!localtime_r(&when, &local) || !strftime(out, PRINT_CELL, "%F %T %z", &local))
		*out = '\0';
	return out;
}

static void show_problems(const json_t *problems)
{
	const json_t *problem;
	size_t i;

	json_array_foreach(problems, i, problem)
		print_pair(i ? "" : "problems", "%s", json_string_value(problem));
}

static void show_config(const json_t *config)
{
	bool rejected = json_is_string(json_object_get(config, "error"));
	char out[PRINT_CELL];

	/* What is wrong with it is one of the problems. */
	print_pair("config", "%s, loaded %s%s", json_text(config, "file"),
		   date(json_number(config, "loaded_at"), out),
		   rejected ? "; what it says now is rejected" : "");
}

static void show_dataplane(const json_t *dataplane)
{
	const json_t *interfaces = json_object_get(dataplane, "interfaces"), *interface;
	size_t i;

	print_pair("dataplane", "%s, ABI %lld, %s, %lld of %lld slots used",
		   json_text(dataplane, "bpf_dir"), json_number(dataplane, "abi"),
		   json_is_true(json_object_get(dataplane, "adopted")) ? "adopted" : "new",
		   json_number(dataplane, "slots_used"), json_number(dataplane, "slots_total"));
	json_array_foreach(interfaces, i, interface)
		print_pair(i ? "" : "interfaces", "%s: %s, program %lld",
			   json_text(interface, "name"), json_text(interface, "mode"),
			   json_number(interface, "program_id"));
	if (!json_array_size(interfaces))
		print_pair("interfaces", "none: nothing is balanced before `weir attach IFACE`");
}

static const char *ready_text(const json_t *service, char *out)
{
	snprintf(out, PRINT_CELL, "%lld of %lld", json_number(service, "ready"),
		 json_number(service, "backends"));
	return out;
}

static void show_services(const json_t *services)
{
	static const struct column columns[] = {
		{ "SERVICE", .key = "name" },
		{ "ADDRESS", .text = print_endpoint },
		{ "BACKENDS READY", .text = ready_text },
		{}
	};

	putchar('\n');
	print_table(services, columns, "no services: see `weir service add --help`");
}

static void show_status(const json_t *status)
{
	char out[PRINT_CELL];

	print_pair("state", "%s", json_text(status, "state"));
	show_problems(json_object_get(status, "problems"));
	print_pair("agent", "%s, pid %lld, up %s", json_text(status, "version"),
		   json_number(status, "pid"),
		   duration(json_number(status, "uptime_seconds"), out));
	show_config(json_object_get(status, "config"));
	show_dataplane(json_object_get(status, "dataplane"));
	show_services(json_object_get(status, "services"));
}

static int status(const struct arguments *arguments, struct error *error)
{
	return cli_show(arguments, show_status, error, "/v1/status");
}

int cli_status(int argc, char **argv)
{
	static const struct command command = { "status", .run = status };

	return cli_run(&command, argc, argv);
}
