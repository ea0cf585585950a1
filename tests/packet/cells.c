// SPDX-License-Identifier: BSD-2-Clause
/*
 * cells.c - the limiter's table of cells: shared by CPUs, and smaller than the number
 * of sources.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "limited.h"

/* Some source, other than that of the requests and of other n. */
static void build_nth(struct frame *frame, const struct variant *variant, uint32_t n)
{
	struct recipe recipe = request(variant, 80);

	put32(recipe.source, variant->family == 4 ? 0x0a400000 + n : 0x20020000 + n);
	frame_build(frame, &recipe);
}

/* --- two CPUs --------------------------------------------------------------------------- */

#define ROUNDS 250

/* One of two threads. In each round both send their frame `calls` x `repeat` times. */
struct sender {
	const struct world *world;
	const struct frame *frames;	/* one a round */
	unsigned int rounds, calls, repeat;
	atomic_uint *arrived;
	int cpu;
	pthread_t thread;

	int err;
	double began, ended;
	unsigned int admitted[ROUNDS];	/* calls that ended so */
};

/* Both begin a round within nanoseconds of each other, where they have a CPU each. */
static void wait_for_the_other(struct sender *sender, unsigned int round)
{
	atomic_fetch_add(sender->arrived, 1);
	while (atomic_load(sender->arrived) < 2 * (round + 1))
		sched_yield();
}

static void send_round(struct sender *sender, unsigned int round)
{
	const struct frame *frame = &sender->frames[round];
	uint8_t out[FRAME_MAX];

	for (unsigned int i = 0; i < sender->calls; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, options,
			.data_in = frame->data,
			.data_size_in = frame->size,
			.data_out = out,
			.data_size_out = sizeof(out),
			.repeat = sender->repeat,
		);

		if (bpf_prog_test_run_opts(sender->world->program, &options))
			sender->err = errno;
		sender->admitted[round] += options.retval == XDP_TX;
	}
}

static void *send_all(void *arg)
{
	struct sender *sender = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sender->cpu, &cpus);
	sender->err = pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	for (unsigned int round = 0; round < sender->rounds; round++) {
		wait_for_the_other(sender, round);
		if (!round)
			sender->began = seconds();
		send_round(sender, round);
	}
	sender->ended = seconds();
	return NULL;
}

/* The first two CPUs that this process may use. A machine with one cannot run the test. */
static void pick_cpus(struct sender sender[2])
{
	cpu_set_t allowed;
	int found = 0;

	assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	for (int i = 0; i < CPU_SETSIZE && found < 2; i++)
		if (CPU_ISSET(i, &allowed))
			sender[found++].cpu = i;
	if (found == 2)
		return;
	print_error("this machine has one CPU\n");
	skip();
}

/* Run two copies of *sender on two CPUs. Returns how long they took together. */
static double send_from_two_cpus(struct sender sender[2])
{
	atomic_uint arrived = 0;
	double began, ended;

	sender[1] = sender[0];
	pick_cpus(sender);
	for (int i = 0; i < 2; i++) {
		sender[i].arrived = &arrived;
		assert_int_equal(pthread_create(&sender[i].thread, NULL, send_all, &sender[i]),
				 0);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(sender[i].thread, NULL);
		check(!sender[i].err, "CPU %d: %s", sender[i].cpu, strerror(sender[i].err));
	}
	began = sender[0].began < sender[1].began ? sender[0].began : sender[1].began;
	ended = sender[0].ended > sender[1].ended ? sender[0].ended : sender[1].ended;
	return ended - began;
}

/*
 * A million tokens a second, taken by two CPUs that want far more: each lost update of
 * the cell would admit one packet too many. What is not limited was admitted, although
 * most of it passes: the test run goes on with the frame that was forwarded last.
 */
static void two_cpus_one_bucket(void **state)
{
	const unsigned int rate = 1000000, burst = 100, packets = 500000;
	struct world *world = many_cells();

	serve_limit(world, rate, burst);
	for_each_variant(variant, 0) {
		uint32_t service = service_index(world, variant->name);
		struct counters before, after;
		struct frame frame;
		struct sender sender[2] = { {
			.world = world, .frames = &frame,
			.rounds = 1, .calls = 1, .repeat = packets,
		} };
		uint64_t limited, count;
		double took;

		subject("%s", variant->name);
		limit_request(&frame, variant, NULL);
		counters_read(world, &before);
		took = send_from_two_cpus(sender);
		counters_read(world, &after);

		limited = after.service[service].limited_packets -
			  before.service[service].limited_packets;
		count = 2 * packets - limited;
		check(count >= burst && count <= burst + rate * took + 1,
		      "%ju were admitted in %f s", (uintmax_t)count, took);
		check(after.drops.limited - before.drops.limited == limited &&
		      after.totals.dropped_packets - before.totals.dropped_packets == limited,
		      "drops were counted in part");
	}
}

/*
 * A source's first packets come on two CPUs: they agree on one cell, which they take
 * over from a source of an earlier round, and it is one bucket from the first packet.
 */
static void two_cpus_one_new_source(void **state)
{
	static struct frame frames[ROUNDS];
	static struct sender sender[2];
	const unsigned int burst = 5;
	struct world *world = four_cells();

	serve_limit(world, 1, burst);
	for_each_variant(variant, 0) {
		double took;

		for (unsigned int i = 0; i < ROUNDS; i++)
			build_nth(&frames[i], variant, i);
		sender[0] = (struct sender){
			.world = world, .frames = frames,
			.rounds = ROUNDS, .calls = 2 * burst, .repeat = 1,
		};
		took = send_from_two_cpus(sender);
		for (unsigned int i = 0; i < ROUNDS; i++) {
			unsigned int count = sender[0].admitted[i] + sender[1].admitted[i];

			subject("%s, round %u", variant->name, i);
			check(count >= burst && count <= burst + took,
			      "%u were admitted, expected %u", count, burst);
		}
	}
}

/* --- more sources than cells ------------------------------------------------------------ */

static uint64_t evictions(const struct world *world)
{
	struct counters counters;

	counters_read(world, &counters);
	return counters.totals.limit_evictions_in_debt;
}

static void expect_evictions(const struct world *world, uint64_t before, uint64_t expected)
{
	uint64_t count = evictions(world) - before;

	check(count == expected, "%ju evictions in debt, expected %ju", (uintmax_t)count,
	      (uintmax_t)expected);
}

/* Four sources fill a line and stay; the fifth takes the cell of the one with least debt. */
static void least_debt_goes_first(void **state)
{
	static const unsigned int used[] = { 4, 1, 3, 2 };
	struct frame frame[5];

	for_each_variant(variant, 0) {
		struct world *world = four_cells();
		uint64_t before = evictions(world), filled, taken;
		double start = seconds();

		subject("%s", variant->name);
		serve_limit(world, 1, 6);
		for (int i = 0; i < 5; i++)
			build_nth(&frame[i], variant, i);
		for (int i = 0; i < 4; i++)
			check(count_admitted(world, &frame[i], used[i]) == used[i],
			      "source %d was limited", i);
		filled = evictions(world);
		check(count_admitted(world, &frame[4], 2) == 2, "the fifth was limited");
		taken = evictions(world);
		expect_admitted(world, &frame[0], 2, 1);
		expect_admitted(world, &frame[2], 3, 1);
		expect_admitted(world, &frame[3], 4, 1);
		expect_admitted(world, &frame[4], 4, 1);
		if (seconds() - start < 1) {	/* else a bucket may have been full again */
			check(filled == before && taken == before + 1,
			      "%ju evictions in debt by four sources, %ju by the fifth",
			      (uintmax_t)(filled - before), (uintmax_t)(taken - filled));
			expect_evictions(world, before, 1);
		}
		check(count_admitted(world, &frame[1], 6) == 6, "the evicted was remembered");
	}
}

/* What spoofed sources cannot do: reset the bucket of one that is being limited. */
static void flood_of_sources(void **state)
{
	const unsigned int flood = 1000, burst = 10;

	for_each_variant(variant, 0) {
		struct world *world = four_cells();
		uint64_t before = evictions(world);
		double start = seconds();
		struct frame limited, frame;

		subject("%s", variant->name);
		serve_limit(world, 1, burst);
		limit_request(&limited, variant, NULL);
		expect_admitted(world, &limited, burst, 1);
		for (unsigned int i = 0; i < flood; i++) {
			build_nth(&frame, variant, i);
			check(admitted(world, &frame), "new source %u was limited", i);
		}
		expect_admitted(world, &limited, 0, 1);
		if (seconds() - start < 1)	/* else some debts were paid */
			expect_evictions(world, before, flood - 3);
	}
}

/* At the highest rate a packet's debt has passed before the next one comes. */
static void paid_debts_are_no_loss(void **state)
{
	for_each_variant(variant, 0) {
		struct world *world = four_cells();
		uint64_t before = evictions(world);
		struct frame frame;

		subject("%s", variant->name);
		serve_limit(world, UINT32_MAX, 1);
		for (unsigned int i = 0; i < 100; i++) {
			build_nth(&frame, variant, i);
			check(admitted(world, &frame), "source %u was limited", i);
		}
		expect_evictions(world, before, 0);
	}
}

/* Sources go to lines by their hash: with 200 of them on 1,024 lines no five meet. */
static void sources_spread_over_lines(void **state)
{
	struct frame frame;

	for_each_variant(variant, 0) {
		struct world *world = many_cells();
		uint64_t before = evictions(world);

		subject("%s", variant->name);
		serve_limit(world, 1, 2);
		for (unsigned int i = 0; i < 400; i++) {
			build_nth(&frame, variant, i % 200);
			check(admitted(world, &frame), "source %u was limited", i % 200);
		}
		expect_evictions(world, before, 0);
	}
}

void cells_tests(struct suite *suite)
{
	add_test(suite, two_cpus_one_bucket, NULL, "cells: two CPUs, one bucket");
	add_test(suite, two_cpus_one_new_source, NULL, "cells: two CPUs, one new source");
	add_test(suite, least_debt_goes_first, NULL, "cells: the least debt goes first");
	add_test(suite, flood_of_sources, NULL, "cells: a flood of sources");
	add_test(suite, paid_debts_are_no_loss, NULL, "cells: paid debts are no loss");
	add_test(suite, sources_spread_over_lines, NULL, "cells: sources spread over lines");
}
