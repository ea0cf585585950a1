// SPDX-License-Identifier: BSD-2-Clause
/*
 * truncate.c - packets of each kind in each lane, cut at every length. What is not
 * whole is never forwarded: while nothing says whose it is it passes, later it is
 * dropped; without ports it is a service's only if that is on all of them. What is only
 * padding may go. (A test run takes no frame without a whole Ethernet header.)
 */
#include "site.h"

#define PORTS_SIZE 4

struct row {
	const char *name;
	unsigned int in;	/* these variants; 0: all */
	size_t ip_options, tcp_options, payload, pad_to;
	uint8_t tcp_flags;
};

static const struct row rows[] = {
	{ "no payload", .tcp_flags = TCP_ACK },
	{ "payload", .payload = 33 },
	{ "padded", .payload = 1, .pad_to = 72 },
	{ "IPv4 options", .in = V4, .ip_options = 40, .payload = 5 },
	{ "IPv4 options, padded", .in = V4, .ip_options = 8, .pad_to = 70 },
	{ "SYN with options", .in = TCP, .tcp_flags = TCP_SYN, .tcp_options = 40 },
};

static void build(struct frame *frame, const struct row *row, struct recipe recipe)
{
	recipe.ip_options = row->ip_options;
	recipe.tcp_options = row->tcp_options;
	recipe.tcp_flags = row->tcp_flags;
	recipe.payload = row->payload;
	recipe.pad_to = row->pad_to;
	frame_build(frame, &recipe);
}

static void expect_cut(const struct frame *cut, const struct frame *whole, enum lane_id lane,
		       const struct variant *variant)
{
	size_t header = ETHERNET_SIZE + (variant->family == 4 ? IPV4_SIZE : IPV6_SIZE);
	struct route route = lane_route(lane, variant);
	bool of_any = lanes[lane].host == lanes[LANE_ANY].host;

	if (cut->size >= ETHERNET_SIZE + whole->length)
		expect_forward(site(), cut, &route);
	else if (cut->size >= whole->transport + PORTS_SIZE)
		expect_drop(site(), cut, WEIR_DROP_truncated, route.service, NULL);
	else if (cut->size >= header && of_any)
		expect_drop(site(), cut, WEIR_DROP_truncated, lane_service(LANE_ANY, variant),
			    NULL);
	else
		expect_pass(site(), cut);
}

static void cut_everywhere(enum lane_id lane, const struct variant *variant,
			   const struct row *row)
{
	struct frame whole;

	build(&whole, row, lane_request(lane, variant));
	for (size_t size = ETHERNET_SIZE; size <= whole.size; size++) {
		struct frame cut = whole;

		subject("%s, %zu of %zu bytes", lane_service(lane, variant), size, whole.size);
		cut.size = size;
		expect_cut(&cut, &whole, lane, variant);
	}
}

static void run_row(void **state)
{
	const struct row *row = *state;

	for (int lane = 0; lane <= LANE_EXACT; lane++)
		for_each_variant(variant, row->in)
			cut_everywhere(lane, variant, row);
}

void truncate_tests(struct suite *suite)
{
	for (size_t i = 0; i < ROWS(rows); i++)
		add_test(suite, run_row, &rows[i], "truncate: %s", rows[i].name);
}
