// SPDX-License-Identifier: BSD-2-Clause
/* limited.c - see limited.h. */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "limited.h"

/* No bucket is older, so none has gained more than the time since then is worth. */
static double emptied_at;

static struct world *empty_cells(const char *name, uint32_t cells)
{
	const struct config_capacity capacity = {
		.services = VARIANTS, .backends = 16, .slots = 1 << 14, .limit_cells = cells,
	};
	const struct weir_limit_line empty = {};
	struct world *world = kept_world(name, &capacity);
	int fd = open_pin(world, "limit_cells");

	for (uint32_t line = 0; line < cells / WEIR_CELLS_PER_LINE; line++)
		assert_int_equal(bpf_map_update_elem(fd, &line, &empty, BPF_ANY), 0);
	close(fd);
	emptied_at = seconds();
	return world;
}

struct world *many_cells(void)
{
	return empty_cells("many", 4096);
}

struct world *four_cells(void)
{
	return empty_cells("four", WEIR_CELLS_PER_LINE);
}

static const char *backend_of(const struct variant *variant)
{
	return variant->family == 4 ? "10.0.1.11" : "fd00::1:11";
}

struct route limit_route(const struct variant *variant)
{
	return (struct route){ variant->name, backend_of(variant), .l2 = true };
}

void serve_limits(struct world *world, const char *limits)
{
	char text[VARIANTS][512];

	for_each_variant(variant, 0)
		snprintf(text[variant - variants], sizeof(text[0]),
			 "{'name': '%s', 'address': '%s', 'port': 80, 'protocol': '%s',"
			 " 'forward': 'l2', 'backends': [{'address': '%s'}], 'limits': [%s]}",
			 variant->name, host(VIP, variant->family),
			 variant->name + strlen("v4-"), backend_of(variant), limits);
	world_serve(world, "%s, %s, %s, %s", text[0], text[1], text[2], text[3]);
}

void serve_limit(struct world *world, unsigned int rate, unsigned int burst)
{
	char limit[64];

	snprintf(limit, sizeof(limit), "{'rate': %u, 'burst': %u}", rate, burst);
	serve_limits(world, limit);
}

void limit_request(struct frame *frame, const struct variant *variant, const char *source)
{
	struct recipe recipe = request(variant, 80);

	if (source)
		set_source(&recipe, source);
	frame_build(frame, &recipe);
}

double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);	/* the clock of bpf_ktime_get_ns() */
	return now.tv_sec + now.tv_nsec / 1e9;
}

bool admitted(const struct world *world, const struct frame *frame)
{
	int verdict = verdict_of(world, frame);

	check(verdict == XDP_TX || verdict == XDP_DROP, "verdict %s", verdict_name(verdict));
	return verdict == XDP_TX;
}

unsigned int count_admitted(const struct world *world, const struct frame *frame,
			    unsigned int packets)
{
	unsigned int count = 0;

	while (packets--)
		count += admitted(world, frame);
	return count;
}

void expect_admitted(const struct world *world, const struct frame *frame,
		     unsigned int expected, unsigned int rate)
{
	unsigned int count = count_admitted(world, frame, expected + 5), late;

	late = (seconds() - emptied_at) * rate;
	check(count >= expected && count <= expected + late, "%u were admitted, expected %u",
	      count, expected);
}

void add_forwarded(struct counters *counters, const struct world *world,
		   const struct route *route, const struct frame *frame, uint64_t packets)
{
	uint32_t service = service_index(world, route->service);
	uint32_t backend = backend_index(world, route->service, route->backend);

	counters->service[service].packets += packets;
	counters->service[service].bytes += packets * frame->length;
	counters->backend[backend].packets += packets;
	counters->backend[backend].bytes += packets * frame->length;
	counters->totals.forwarded_packets += packets;
}

void add_limited(struct counters *counters, const struct world *world,
		 const struct route *route, const struct frame *frame, uint64_t packets)
{
	uint32_t service = service_index(world, route->service);

	counters->service[service].limited_packets += packets;
	counters->service[service].limited_bytes += packets * frame->length;
	counters->drops.limited += packets;
	counters->totals.dropped_packets += packets;
}
