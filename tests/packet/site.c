// SPDX-License-Identifier: BSD-2-Clause
/* site.c - see site.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "site.h"

#define BACKENDS(v4, v6) .backend = { v4, v6 }

const struct lane lanes[LANES] = {
	[LANE_IPIP_V4] = { "ipip4", "ipip", VIP, 81, BACKENDS("10.0.1.11", "10.0.1.11") },
	[LANE_IPIP_V6] = { "ipip6", "ipip", VIP, 82, BACKENDS("fd00::1:12", "fd00::1:12") },
	[LANE_L2] = { "l2", "l2", VIP, 83, BACKENDS("10.0.1.13", "fd00::1:13") },
	[LANE_IPIP_V4_REDIRECT] = { "ipip4r", "ipip", VIP, 84,
	  BACKENDS("10.0.2.14", "10.0.2.14") },
	[LANE_IPIP_V6_REDIRECT] = { "ipip6r", "ipip", VIP, 85,
	  BACKENDS("fd00::2:15", "fd00::2:15") },
	[LANE_L2_REDIRECT] = { "l2r", "l2", VIP, 86, BACKENDS("10.0.2.16", "fd00::2:16") },
	[LANE_ANY] = { "any", "ipip", ANY_VIP, BACKENDS("10.0.1.21", "fd00::1:21") },
	[LANE_EXACT] = { "exact", "ipip", ANY_VIP, 443, BACKENDS("10.0.1.22", "fd00::1:22") },
	[LANE_TCP_ONLY] = { "tcp-only", "ipip", VIP, 22, .variants = TCP,
	  BACKENDS("10.0.1.23", "fd00::1:23") },
	[LANE_UDP_ONLY] = { "udp-only", "ipip", VIP, 53, .variants = UDP,
	  BACKENDS("10.0.1.24", "fd00::1:24") },
	[LANE_EMPTY] = { "empty", "ipip", VIP, 71, BACKENDS(NULL, NULL) },
	[LANE_DRAINING] = { "draining", "ipip", VIP, 72, BACKENDS("10.0.1.31", "10.0.1.31"),
	  .draining = true },
	[LANE_NO_HOP] = { "no-hop", "l2", VIP, 73, BACKENDS("10.0.1.32", "fd00::1:32") },
};

const char *lane_service(enum lane_id lane, const struct variant *variant)
{
	static char names[LANES][VARIANTS][WEIR_NAME_SIZE];
	char *name = names[lane][variant - variants];

	if (!name[0])
		snprintf(name, WEIR_NAME_SIZE, "%s-%s", variant->name, lanes[lane].tag);
	return name;
}

const char *lane_backend(enum lane_id lane, const struct variant *variant)
{
	return lanes[lane].backend[variant->family == 6];
}

/* --- making it -------------------------------------------------------------------------- */

static void write_service(FILE *out, enum lane_id id, const struct variant *variant)
{
	const struct lane *lane = &lanes[id];
	const char *backend = lane_backend(id, variant);

	fprintf(out, "%s{'name': '%s', 'address': '%s', 'protocol': '%s', 'forward': '%s', ",
		ftell(out) ? ", " : "", lane_service(id, variant),
		host(lane->host, variant->family), variant->name + strlen("v4-"), lane->forward);
	if (lane->port)
		fprintf(out, "'port': %u, 'backends': [", lane->port);
	else
		fprintf(out, "'port': 'any', 'backends': [");
	if (backend)
		fprintf(out, "{'address': '%s', 'state': '%s'}", backend,
			lane->draining ? "draining" : "active");
	fprintf(out, "]}");
}

static char *services_text(void)
{
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	for (int lane = 0; lane < LANES; lane++)
		for_each_variant(variant, lanes[lane].variants)
			write_service(out, lane, variant);
	fclose(out);
	return text;
}

/* The agent takes a backend off the ring when it loses its next hop; a packet may be faster. */
static void lose_hops(struct tables *tables)
{
	for (uint32_t i = 1; i < tables->capacity.backends; i++) {
		struct table_backend *backend = &tables->backends[i];

		if (strstr(backend->info.service, lanes[LANE_NO_HOP].tag))
			backend->record.hop[backend->record.active_hop].ifindex = 0;
	}
}

struct world *site(void)
{
	struct world *world = kept_world("site", &world_capacity);
	struct tables *next;
	struct error error;
	char *services;
	int err;

	if (world->present->service_count)
		return world;
	services = services_text();
	err = world_build(world, &next, &error, services);
	free(services);
	check(!err, "cannot build the site: %s", error.text);
	lose_hops(next);
	world_apply(world, next);
	return world;
}

/* --- using it --------------------------------------------------------------------------- */

struct recipe lane_request(enum lane_id lane, const struct variant *variant)
{
	struct recipe recipe = request(variant, lanes[lane].port);

	set_destination(&recipe, host(lanes[lane].host, variant->family));
	return recipe;
}

struct route lane_route(enum lane_id lane, const struct variant *variant)
{
	return (struct route){
		.service = lane_service(lane, variant),
		.backend = lane_backend(lane, variant),
		.l2 = !strcmp(lanes[lane].forward, "l2"),
	};
}

size_t lane_overhead(enum lane_id lane, const struct variant *variant)
{
	if (lane_route(lane, variant).l2)
		return 0;
	return strchr(lane_backend(lane, variant), ':') ? IPV6_SIZE : IPV4_SIZE;
}
