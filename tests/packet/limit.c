// SPDX-License-Identifier: BSD-2-Clause
/*
 * limit.c - the limiter as a source meets it: how many packets go through, whom else
 * it costs, and what a change of the limit does.
 *
 * Most rows have a rate of one packet a second, so that the burst alone counts; where
 * time does count, it is measured around the packets, and what was admitted is held
 * against burst + rate x time.
 */
#include <stdio.h>
#include <string.h>

#include "limited.h"

/* --- burst ------------------------------------------------------------------------------ */

struct burst_row {
	const char *name;
	unsigned int rate, burst;
};

static const struct burst_row bursts[] = {
	{ "burst 1", 1, 1 },
	{ "burst 2", 1, 2 },
	{ "burst 50", 1, 50 },
	{ "burst 1,000", 1, 1000 },
	{ "rate 3, burst 20", 3, 20 },
};

/* The first `burst` packets, each of them; then none; all counted. */
static void run_burst(void **state)
{
	const struct burst_row *row = *state;
	struct world *world = many_cells();

	serve_limit(world, row->rate, row->burst);
	for_each_variant(variant, 0) {
		struct route route = limit_route(variant);
		struct counters after, expected;
		unsigned int late;
		struct frame frame;
		double start;

		subject("%s", variant->name);
		limit_request(&frame, variant, NULL);
		counters_read(world, &expected);
		start = seconds();
		for (unsigned int i = 0; i < row->burst; i++)
			check(admitted(world, &frame), "packet %u was limited", i);
		late = count_admitted(world, &frame, 10);
		check(late <= (seconds() - start) * row->rate, "%u more were admitted", late);

		add_forwarded(&expected, world, &route, &frame, row->burst + late);
		add_limited(&expected, world, &route, &frame, 10 - late);
		counters_read(world, &after);
		counters_check(&after, &expected);
	}
}

static void limited_packet(void **state)
{
	struct world *world = many_cells();

	serve_limit(world, 1, 1);
	for_each_variant(variant, 0) {
		struct route route = limit_route(variant);
		struct frame frame;

		subject("%s", variant->name);
		limit_request(&frame, variant, NULL);
		expect_forward(world, &frame, &route);
		expect_drop(world, &frame, WEIR_DROP_limited, variant->name, NULL);
	}
}

/* --- sources ---------------------------------------------------------------------------- */

struct source_row {
	const char *prefix;	/* of the limit; "": the default */
	const char *one, *other;
	bool shared;		/* they have one bucket */
};

static const struct source_row sources[] = {
	{ "", "198.51.100.6", "198.51.100.7", false },
	{ "", "198.51.100.7", "70.51.100.7", false },
	{ ", 'prefix_v4': 31", "198.51.100.6", "198.51.100.7", true },
	{ ", 'prefix_v4': 31", "198.51.100.6", "198.51.100.4", false },
	{ ", 'prefix_v4': 24", "198.51.100.0", "198.51.100.255", true },
	{ ", 'prefix_v4': 24", "198.51.100.255", "198.51.101.0", false },
	{ ", 'prefix_v4': 12", "198.48.0.1", "198.63.255.1", true },
	{ ", 'prefix_v4': 12", "198.48.0.1", "198.32.0.1", false },
	{ ", 'prefix_v4': 1", "1.0.0.1", "126.0.0.1", true },
	{ ", 'prefix_v4': 1", "1.0.0.1", "129.0.0.1", false },
	{ ", 'prefix_v4': 0", "1.0.0.1", "223.255.255.254", true },
	{ "", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true },
	{ "", "2001:db8::1", "2001:db8:0:1::1", false },
	{ ", 'prefix_v6': 128", "2001:db8::2", "2001:db8::3", false },
	{ ", 'prefix_v6': 127", "2001:db8::2", "2001:db8::3", true },
	{ ", 'prefix_v6': 127", "2001:db8::2", "2001:db8::", false },
	{ ", 'prefix_v6': 97", "2001:db8::7fff:ffff", "2001:db8::8000:0", false },
	{ ", 'prefix_v6': 96", "2001:db8::7fff:ffff", "2001:db8::8000:0", true },
	{ ", 'prefix_v6': 96", "2001:db8::", "2001:db8::1:0:0", false },
	{ ", 'prefix_v6': 65", "2001:db8::1", "2001:db8::8000:0:0:1", false },
	{ ", 'prefix_v6': 48", "2001:db8::1", "2001:db8:0:ffff::1", true },
	{ ", 'prefix_v6': 48", "2001:db8::1", "2001:db8:1::1", false },
	{ ", 'prefix_v6': 32", "2001:db8::1", "2001:db8:ffff::1", true },
	{ ", 'prefix_v6': 32", "2001:db8::1", "2001:db9::1", false },
	{ ", 'prefix_v6': 4", "2001:db8::1", "2fff:db8::1", true },
	{ ", 'prefix_v6': 4", "2001:db8::1", "3001:db8::1", false },
	{ ", 'prefix_v6': 0", "2001:db8::1", "fe00::1", true },
};

static void run_source(void **state)
{
	const struct source_row *row = *state;
	struct world *world = many_cells();
	struct frame one, other;
	char limit[96];

	snprintf(limit, sizeof(limit), "{'rate': 1, 'burst': 3%s}", row->prefix);
	serve_limits(world, limit);
	for_each_variant(variant, strchr(row->one, ':') ? V6 : V4) {
		subject("%s", variant->name);
		limit_request(&one, variant, row->one);
		limit_request(&other, variant, row->other);
		expect_admitted(world, &one, 3, 1);
		expect_admitted(world, &other, row->shared ? 0 : 3, 1);
		expect_admitted(world, &one, 0, 1);
	}
}

/* One source's bucket at one service says nothing about it at another, in one line either. */
static void services_are_independent(void **state)
{
	struct frame frame;

	for (int lines = 0; lines < 2; lines++) {
		struct world *world = lines ? many_cells() : four_cells();

		serve_limit(world, 1, 3);
		for_each_variant(variant, 0) {
			subject("%s", variant->name);
			limit_request(&frame, variant, NULL);
			expect_admitted(world, &frame, 3, 1);
		}
	}
}

/* What is dropped for its form takes no tokens from the source it claims to come from. */
static void defective_packets_are_free(void **state)
{
	struct world *world = many_cells();

	serve_limit(world, 1, 3);
	for_each_variant(variant, 0) {
		struct frame frame, cut;

		subject("%s", variant->name);
		limit_request(&frame, variant, NULL);
		cut = frame;
		cut.size--;
		for (int i = 0; i < 10; i++)
			expect_drop(world, &cut, WEIR_DROP_truncated, variant->name, NULL);
		expect_admitted(world, &frame, 3, 1);
	}
}

static void comes_before_the_choice(void **state)
{
	struct world *world = empty_world();
	struct frame frame;

	world_serve(world, "{'name': 'empty', 'address': '%s', 'port': 80, 'protocol': 'tcp',"
		    " 'limits': [{'rate': 1, 'burst': 2}]}", host(VIP, 4));
	limit_request(&frame, &variants[0], NULL);
	for (int i = 0; i < 2; i++)
		expect_drop(world, &frame, WEIR_DROP_no_backend, "empty", NULL);
	expect_drop(world, &frame, WEIR_DROP_limited, "empty", NULL);
}

/* --- time ------------------------------------------------------------------------------- */

struct rate_row {
	const char *name;
	unsigned int rate, burst;
};

/* Bursts of 20 seconds: the bucket is not full again whatever keeps this test from running. */
static const struct rate_row rates[] = {
	{ "rate 100", 100, 2000 },
	{ "rate 1,000", 1000, 20000 },
	{ "rate 3,000", 3000, 60000 },
};

static void check_admitted(uint64_t count, const struct rate_row *row, double least,
			   double most)
{
	check(count <= row->burst + row->rate * most + 1, "%ju were admitted in %f s",
	      (uintmax_t)count, most);
	check(count + 1 >= row->burst + row->rate * least, "only %ju were admitted in %f s",
	      (uintmax_t)count, least);
}

/* Empty the bucket, and go on for a while until it is empty again. */
static void run_refill(void **state)
{
	const struct rate_row *row = *state;
	struct world *world = many_cells();

	serve_limit(world, row->rate, row->burst);
	for_each_variant(variant, 0) {
		double start = seconds(), first, last;
		unsigned int count;
		struct frame frame;
		bool through;

		subject("%s", variant->name);
		limit_request(&frame, variant, NULL);
		count = admitted(world, &frame);
		first = seconds();
		do {
			last = seconds();
			through = admitted(world, &frame);
			count += through;
			check(last < start + 15, "never limited");
		} while (through || last < start + 0.15);
		check_admitted(count, row, last - first, seconds() - start);
	}
}

struct change_row {
	const char *name;
	unsigned int rate, burst, used;
	unsigned int new_rate, new_burst, left;
};

/* The debt stays what it was, but for what the new bucket cannot owe. */
static const struct change_row changes[] = {
	{ "nothing changes", 1, 5, 5, 1, 5, 0 },
	{ "larger burst", 1, 5, 5, 1, 8, 3 },
	{ "larger burst, half used", 1, 8, 4, 1, 10, 6 },
	{ "smaller burst, half used", 1, 8, 4, 1, 6, 2 },
	{ "burst smaller than the debt", 1, 8, 6, 1, 4, 0 },
	{ "higher rate", 1, 10, 10, 2, 10, 0 },
	{ "higher rate, half used", 1, 10, 4, 2, 10, 2 },
};

static void run_change(void **state)
{
	const struct change_row *row = *state;
	struct world *world = many_cells();
	struct frame frame[VARIANTS];

	serve_limit(world, row->rate, row->burst);
	for_each_variant(variant, 0) {
		subject("%s, before", variant->name);
		limit_request(&frame[variant - variants], variant, NULL);
		check(count_admitted(world, &frame[variant - variants], row->used) == row->used,
		      "limited too soon");
	}
	serve_limit(world, row->new_rate, row->new_burst);
	for_each_variant(variant, 0) {
		subject("%s, after", variant->name);
		expect_admitted(world, &frame[variant - variants], row->left, row->new_rate);
	}
}

static void limit_is_added(void **state)
{
	struct world *world = many_cells();
	struct frame frame;

	world_serve(world, "%s", "");	/* whose records have a limit in them */
	serve_limits(world, "");
	for_each_variant(variant, 0) {
		subject("%s", variant->name);
		limit_request(&frame, variant, NULL);
		check(count_admitted(world, &frame, 100) == 100, "limited without a limit");
	}
	serve_limit(world, 1, 3);
	for_each_variant(variant, 0) {
		subject("%s", variant->name);
		limit_request(&frame, variant, NULL);
		expect_admitted(world, &frame, 3, 1);
	}
}

static void limit_is_removed(void **state)
{
	struct world *world = many_cells();
	struct frame frame;

	for_each_variant(variant, 0) {
		subject("%s", variant->name);
		serve_limit(world, 1, 1);
		limit_request(&frame, variant, NULL);
		expect_admitted(world, &frame, 1, 1);
		serve_limits(world, "");
		check(count_admitted(world, &frame, 100) == 100, "still limited");
	}
}

static void new_agent_keeps_buckets(void **state)
{
	struct world *world = many_cells();
	struct frame frame;

	serve_limit(world, 1, 4);
	limit_request(&frame, &variants[0], NULL);
	expect_admitted(world, &frame, 4, 1);
	world_adopt(world);
	serve_limit(world, 1, 4);
	expect_admitted(world, &frame, 0, 1);
}

void limit_tests(struct suite *suite)
{
	for (size_t i = 0; i < ROWS(bursts); i++)
		add_test(suite, run_burst, &bursts[i], "limit: %s", bursts[i].name);
	add_test(suite, limited_packet, NULL, "limit: a limited packet");
	for (size_t i = 0; i < ROWS(sources); i++)
		add_test(suite, run_source, &sources[i], "limit: %s and %s %s%s", sources[i].one,
			 sources[i].other, sources[i].shared ? "share" : "differ",
			 sources[i].prefix);
	add_test(suite, services_are_independent, NULL, "limit: services are independent");
	add_test(suite, defective_packets_are_free, NULL, "limit: defective packets are free");
	add_test(suite, comes_before_the_choice, NULL, "limit: comes before the choice");
	for (size_t i = 0; i < ROWS(rates); i++)
		add_test(suite, run_refill, &rates[i], "limit: refill at %s", rates[i].name);
	for (size_t i = 0; i < ROWS(changes); i++)
		add_test(suite, run_change, &changes[i], "limit: change: %s", changes[i].name);
	add_test(suite, limit_is_added, NULL, "limit: a limit is added");
	add_test(suite, limit_is_removed, NULL, "limit: the limit is removed");
	add_test(suite, new_agent_keeps_buckets, NULL, "limit: a new agent keeps buckets");
}
