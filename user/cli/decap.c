// SPDX-License-Identifier: BSD-2-Clause
/* decap.c - `weir decap`: what a backend host runs. Needs no agent. */
#include <errno.h>
#include <string.h>

#include <weir/decap.h>

#include "cli/cli.h"
#include "cli/print.h"
#include "dataplane/decap.h"

/* "A,B,C" -> addresses */
static int parse_addresses(const char *text, struct address *addresses, size_t *count,
			   struct error *error)
{
	char copy[WEIR_DECAP_ADDRESSES * ADDRESS_TEXT], *rest = copy, *one;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return error_set(error, E2BIG, "--address: at most %d addresses",
				 WEIR_DECAP_ADDRESSES);
	for (*count = 0; (one = strsep(&rest, ",")); (*count)++) {
		if (*count == WEIR_DECAP_ADDRESSES)
			return error_set(error, E2BIG, "--address: at most %d addresses",
					 WEIR_DECAP_ADDRESSES);
		if (address_parse(one, &addresses[*count]) ||
		    !address_is_unicast(&addresses[*count]))
			return error_set(error, EINVAL,
					 "--address: \"%s\" is not a unicast IP address", one);
	}
	return 0;
}

static int confirm(const struct arguments *arguments, const char *key, const char *interface,
		   const char *text)
{
	if (arguments->json)
		print_json_text(key, interface);
	return cli_confirm(arguments, "%s: %s", interface, text);
}

static int run(const struct arguments *arguments, struct error *error)
{
	const char *text = json_string_value(json_object_get(arguments->options, "address"));
	const char *mode = json_string_value(json_object_get(arguments->options, "mode"));
	struct address addresses[WEIR_DECAP_ADDRESSES];
	const char *interface = arguments->words[0];
	size_t count = 0;
	int err;

	if (json_object_get(arguments->options, "detach")) {
		err = decap_detach(interface, error);
		return err ? err : confirm(arguments, "detached", interface,
					   "decapsulator detached");
	}
	if (!text) {
		error_set(error, EINVAL,
			  "--address is missing: the addresses at which tunnels end here");
		return CLI_USAGE;
	}
	err = parse_addresses(text, addresses, &count, error);
	if (!err)
		err = decap_attach(interface, mode && !strcmp(mode, "generic"), addresses, count,
				   error);
	return err ? err : confirm(arguments, "attached", interface, "decapsulator attached");
}

static const struct command_option options[] = {
	{ .name = "address", .value = "A[,B...]",
	  .about = "outer destinations: this host's addresses as weir's backend" },
	{ .name = "mode", .value = "native|generic", .about = "default native" },
	{ .name = "detach", .about = "remove it again" },
	{}
};

static const struct command command = {
	.name = "decap",
	.arguments = "IFACE",
	.about = "on a backend: take the tunnel header of ipip off, in XDP",
	.options = options,
	.run = run,
};

int cli_decap(int argc, char **argv)
{
	return cli_run(&command, argc, argv);
}
