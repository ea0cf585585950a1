// SPDX-License-Identifier: BSD-2-Clause
/*
 * limiter.c - the token bucket in one word, held against a plain bucket of tokens in
 * integers that never wrap: decisions, words, the clock's edges and long runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <stdbool.h>

#include <weir/limiter.h>

#include "random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND WEIR_TICKS_PER_SECOND
#define MILLISECOND (SECOND / 1000)
#define DAY (86400 * SECOND)
#define HALF (1ULL << 63)
#define LARGEST ((1ULL << 62) - 1)	/* burst_time and cost */
#define SLACK WEIR_CLOCK_SLACK

static const uint64_t starts[] = {
	0, 1, HALF - 1, HALF, HALF + 1, -1ULL, -5ULL, -(uint64_t)SECOND, 123456789 * SECOND,
};

/* A bucket as a user of the limiter keeps it: take one packet, keep the word. */
struct bucket {
	uint64_t tat, cost, burst_time;
};

static struct bucket full_bucket(uint64_t now, uint64_t cost, uint64_t burst)
{
	return (struct bucket){ .tat = now, .cost = cost, .burst_time = cost * burst };
}

static bool take(struct bucket *bucket, uint64_t now)
{
	__u64 next;
	int admit = weir_bucket_take(bucket->tat, now, bucket->cost, bucket->burst_time, &next);

	assert_in_range(admit, 0, 1);
	bucket->tat = next;
	return admit;
}

/* Of `packets` at the same time, how many pass. */
static int take_many(struct bucket *bucket, uint64_t now, int packets)
{
	int admitted = 0;

	while (packets--)
		admitted += take(bucket, now);
	return admitted;
}

/* --- one decision --------------------------------------------------------------------- */

struct decision {
	const char *name;
	uint64_t debt;		/* tat - now */
	uint64_t cost, burst_time;
	int admit;
	uint64_t left;		/* next - now */
};

static const struct decision decisions[] = {
	{ "full", 0, 10, 100, 1, 10 },
	{ "full for a tick", -1ULL, 10, 100, 1, 10 },
	{ "full for long", -(400 * DAY), 10, 100, 1, 10 },
	{ "full for half the clock's range", HALF, 10, 100, 1, 10 },
	{ "full for almost that", HALF + 1, 10, 100, 1, 10 },
	{ "full for more counts as empty", HALF - 1, 10, 100, 0, 100 },
	{ "one taken", 10, 10, 100, 1, 20 },
	{ "between two", 15, 10, 100, 1, 25 },
	{ "the last", 90, 10, 100, 1, 100 },
	{ "a tick too early", 91, 10, 100, 0, 91 },
	{ "empty", 100, 10, 100, 0, 100 },
	{ "clock behind by a tick", 101, 10, 100, 0, 101 },
	{ "clock behind by the slack", 100 + SLACK, 10, 100, 0, 100 + SLACK },
	{ "more is impossible", 101 + SLACK, 10, 100, 0, 100 },
	{ "burst 1, full", 0, 10, 10, 1, 10 },
	{ "burst 1, a tick too early", 1, 10, 10, 0, 1 },
	{ "burst 1, empty", 10, 10, 10, 0, 10 },
	{ "burst 1 of one tick", 0, 1, 1, 1, 1 },
	{ "burst 1 of one tick, empty", 1, 1, 1, 0, 1 },
	{ "largest burst, full", 0, 1, LARGEST, 1, 1 },
	{ "largest burst, the last", LARGEST - 1, 1, LARGEST, 1, LARGEST },
	{ "largest burst, empty", LARGEST, 1, LARGEST, 0, LARGEST },
	{ "largest burst, impossible", LARGEST + SLACK + 1, 1, LARGEST, 0, LARGEST },
	{ "largest cost, full", 0, LARGEST, LARGEST, 1, LARGEST },
	{ "largest cost, a tick too early", 1, LARGEST, LARGEST, 0, 1 },
	{ "cost above burst, full", 0, 11, 10, 0, 0 },
	{ "cost above burst, full for long", -DAY, 11, 10, 0, -DAY },
	{ "cost above burst, in debt", 5, 11, 10, 0, 5 },
};

/* The clock has no origin: each row holds wherever it stands, its wrap included. */
static void decides(void **state)
{
	for (size_t s = 0; s < COUNT(starts); s++)
		for (size_t i = 0; i < COUNT(decisions); i++) {
			const struct decision *row = &decisions[i];
			__u64 now = starts[s], next = 0xdead;
			int admit = weir_bucket_take(now + row->debt, now, row->cost,
						     row->burst_time, &next);

			if (admit != row->admit || next - now != row->left)
				fail_msg("%s, clock %#llx: admit %d, left %#llx", row->name, now,
					 admit, next - now);
		}
}

/* --- against plain tokens ------------------------------------------------------------- */

/* Tokens in ticks; time is not modulo anything. */
struct plain {
	__int128 tokens, now;
};

static bool plain_take(struct plain *plain, __int128 now, uint64_t cost, uint64_t burst_time)
{
	plain->tokens += now - plain->now;
	plain->now = now;
	if (plain->tokens > burst_time)
		plain->tokens = burst_time;
	if (plain->tokens < cost)
		return false;
	plain->tokens -= cost;
	return true;
}

/* How long until the next packet: nothing, about a packet's cost, a burst, or months. */
static uint64_t random_gap(struct random *random, const struct bucket *bucket)
{
	switch (random_below(random, 1024)) {
	case 0:
		return random_below(random, 200 * DAY);
	case 1 ... 3:
		return random_below(random, 2 * bucket->burst_time);
	case 4 ... 99:
		return bucket->cost;
	case 100 ... 399:
		return random_below(random, 2 * bucket->cost);
	default:
		return random_below(random, bucket->cost / 16 + 2);
	}
}

static struct bucket random_bucket(struct random *random, uint64_t now)
{
	uint64_t rate = 1 + random_below(random, UINT32_MAX >> random_below(random, 32));
	uint64_t cost = SECOND / rate;
	uint64_t burst = 1 + random_below(random, 1ULL << random_below(random, 12));

	if (burst > LARGEST / cost)
		burst = LARGEST / cost;
	return full_bucket(now, cost, burst);
}

struct tally {
	uint64_t admitted, refused, wraps;
};

static void run_beside_plain(struct random *random, uint64_t start, struct tally *tally)
{
	struct bucket bucket = random_bucket(random, start);
	struct plain plain = { .tokens = bucket.burst_time, .now = start };
	__int128 now = start;

	for (int i = 0; i < 5000; i++) {
		bool wanted, got;

		now += random_gap(random, &bucket);
		wanted = plain_take(&plain, now, bucket.cost, bucket.burst_time);
		got = take(&bucket, now);
		if (got != wanted)
			fail_msg("cost %" PRIu64 ", burst %" PRIu64 ", packet %d: admit %d",
				 bucket.cost, bucket.burst_time / bucket.cost, i, got);
		/* the word is when the bucket will be full */
		assert_true(bucket.tat == (uint64_t)(now + bucket.burst_time - plain.tokens));
		tally->admitted += wanted;
		tally->refused += !wanted;
	}
	tally->wraps += now >> 64;
}

static void decides_as_plain_tokens_do(void **state)
{
	struct random random = { 3 };
	struct tally tally = {};

	for (int i = 0; i < 2000; i++)
		run_beside_plain(&random, starts[i % COUNT(starts)], &tally);
	print_message("%" PRIu64 " admitted, %" PRIu64 " refused, the clock wrapped %" PRIu64
		      " times\n", tally.admitted, tally.refused, tally.wraps);
	assert_true(tally.admitted > 1000000 && tally.refused > 1000000 && tally.wraps > 1000);
}

/* --- what an operator expects --------------------------------------------------------- */

/* Ten at once, then one each 250 ms. */
static void holds_ten_and_gains_four_a_second(void **state)
{
	for (size_t s = 0; s < COUNT(starts); s++) {
		struct bucket bucket = full_bucket(starts[s], 250 * MILLISECOND, 10);
		uint64_t now = starts[s];

		assert_int_equal(take_many(&bucket, now, 20), 10);
		for (int i = 0; i < 100; i++) {
			now += 250 * MILLISECOND - 1;
			assert_int_equal(take_many(&bucket, now, 20), 0);
			now += 1;
			assert_int_equal(take_many(&bucket, now, 20), 1);
		}
		now += 1000 * MILLISECOND;
		assert_int_equal(take_many(&bucket, now, 20), 4);
	}
}

static void ten_tokens_serve_5_2_5_1_with_5_2_3_0(void **state)
{
	struct bucket bucket = full_bucket(77, 250 * MILLISECOND, 10);

	assert_int_equal(take_many(&bucket, 77, 5), 5);
	assert_int_equal(take_many(&bucket, 77, 2), 2);
	assert_int_equal(take_many(&bucket, 77, 5), 3);
	assert_int_equal(take_many(&bucket, 77, 1), 0);
}

static void saves_no_more_than_a_burst(void **state)
{
	static const uint64_t idle[] = {
		10 * MILLISECOND, SECOND, 60 * SECOND, DAY, 100 * DAY, 200 * DAY, 416 * DAY,
	};
	uint64_t now = -(uint64_t)(300 * DAY);
	struct bucket bucket = full_bucket(now, MILLISECOND, 10);

	assert_int_equal(take_many(&bucket, now, 100), 10);
	for (size_t i = 0; i < COUNT(idle); i++) {
		now += idle[i];
		assert_int_equal(take_many(&bucket, now, 100), 10);
	}
}

/* Who owes more than the new burst waits for one packet's time, not for the old debt. */
static void a_smaller_burst_holds_at_once(void **state)
{
	struct bucket bucket = full_bucket(0, 100 * MILLISECOND, 1000);

	assert_int_equal(take_many(&bucket, 0, 2000), 1000);
	bucket.burst_time = 5 * bucket.cost;
	assert_int_equal(take_many(&bucket, 0, 10), 0);
	assert_int_equal(take_many(&bucket, 100 * MILLISECOND - 1, 10), 0);
	assert_int_equal(take_many(&bucket, 100 * MILLISECOND, 10), 1);
	assert_int_equal(take_many(&bucket, 10 * SECOND, 10), 5);
}

static void a_larger_burst_adds_its_room(void **state)
{
	struct bucket bucket = full_bucket(0, MILLISECOND, 10);

	assert_int_equal(take_many(&bucket, 0, 20), 10);
	bucket.burst_time = 15 * bucket.cost;
	assert_int_equal(take_many(&bucket, 0, 20), 5);
}

/* A cell may hold anything, for example what another rule left in it. */
static void no_word_blocks_for_longer_than_slack_and_cost(void **state)
{
	struct random random = { 4 };

	for (int i = 0; i < 1000000; i++) {
		uint64_t now = random_bits(&random);
		struct bucket bucket = random_bucket(&random, now);

		bucket.tat = now + (random_bits(&random) >> random_below(&random, 64));
		if (!take(&bucket, now))
			assert_true(take(&bucket, now + SLACK + bucket.cost));
	}
}

/* --- long runs ------------------------------------------------------------------------ */

static const uint64_t rates[] = {
	1, 2, 3, 7, 97, 333, 999, 1000, 1001, 30000, 65537, 999983, 1000000, 1500007, 14880952,
	600000007, 4294967295,
};

/* What passes until `end` of packets that come often enough to keep the bucket from full. */
static uint64_t flood(struct bucket *bucket, struct random *random, uint64_t end, uint64_t gap)
{
	uint64_t now = 0, admitted = 0;

	while (now < end) {
		while (take(bucket, now))
			admitted++;
		now += 1 + random_below(random, 2 * gap);
		now = now < end ? now : end;
	}
	while (take(bucket, end))
		admitted++;
	return admitted;
}

/*
 * A packet's cost is ticks / rate rounded down, so that a source never gets less than
 * its rate, and more by less than one part in `cost`: 4e-9 of 1000 packets a second,
 * 4e-6 of a million, at worst 1.7% of 4,294,967,295.
 */
static void admits_rate_times_time_and_a_burst(void **state)
{
	struct random random = { 5 };

	for (size_t i = 0; i < COUNT(rates); i++) {
		uint64_t rate = rates[i], burst = 2 + rate % 1000, cost = SECOND / rate;
		struct bucket bucket = full_bucket(0, cost, burst);
		uint64_t end = 100000 * cost + random_below(&random, cost);
		uint64_t admitted = flood(&bucket, &random, end, cost / 3 + 1);
		double wanted = burst + (double)rate * end / SECOND;
		double excess = (double)rate * end / SECOND / cost;

		assert_int_equal(admitted, burst + end / cost);
		if (admitted <= wanted - 1 || admitted > wanted + excess)
			fail_msg("%" PRIu64 " a second: %" PRIu64 " admitted, %f wanted", rate,
				 admitted, wanted);
	}
}

/* Rare packets are never refused, however long the run. */
static void admits_all_that_is_below_the_rate(void **state)
{
	for (size_t i = 0; i < COUNT(rates); i++) {
		uint64_t cost = SECOND / rates[i], now = -1000 * cost;
		struct bucket bucket = full_bucket(now, cost, 1);

		for (int packet = 0; packet < 20000; packet++, now += cost)
			assert_true(take(&bucket, now));
	}
}

/* --- clocks that differ --------------------------------------------------------------- */

/* The algorithm as it is written in I.371, in integers that never wrap. */
static bool virtual_scheduling(__int128 *tat, __int128 now, uint64_t cost, uint64_t burst_time)
{
	__int128 start = *tat > now ? *tat : now;

	if (start + cost > now + burst_time)
		return false;
	*tat = start + cost;
	return true;
}

static void jumps_within_the_slack_change_nothing(void **state)
{
	struct random random = { 6 };

	for (int round = 0; round < 400; round++) {
		__int128 now = (__int128)starts[round % COUNT(starts)] + SLACK, tat = now;
		struct bucket bucket = random_bucket(&random, now);

		for (int i = 0; i < 2000; i++) {
			uint64_t behind = random_below(&random, SLACK);
			bool wanted;

			now += random_below(&random, 2 * bucket.cost);
			wanted = virtual_scheduling(&tat, now - behind, bucket.cost,
						    bucket.burst_time);
			assert_int_equal(take(&bucket, now - behind), wanted);
			assert_true(bucket.tat == (uint64_t)tat);
		}
	}
}

struct skew {
	const char *name;
	uint64_t rate, burst, behind;
};

static const struct skew skews[] = {
	{ "100 ns of 1 us", 1000000, 1, 100 * 256 },
	{ "10 us of 1 us", 1000000, 1, 10000 * 256 },
	{ "10 us of 1 us, burst", 1000000, 1000, 10000 * 256 },
	{ "1 us of 1 ms", 1000, 1, 1000 * 256 },
	{ "5 ms of 1 ms", 1000, 200, 5 * MILLISECOND },
	{ "the slack of 1 ms", 1000, 200, SLACK },
};

/* One CPU's clock is always behind the other's, and both flood one bucket. */
static void two_clocks_get_one_rate(void **state)
{
	for (size_t i = 0; i < COUNT(skews); i++) {
		const struct skew *row = &skews[i];
		struct bucket bucket = full_bucket(DAY, SECOND / row->rate, row->burst);
		uint64_t elapsed = 0, admitted = 0, wanted;

		for (; elapsed < 10000 * bucket.cost; elapsed += bucket.cost / 20) {
			while (take(&bucket, DAY + elapsed))
				admitted++;
			while (take(&bucket, DAY + elapsed - row->behind))
				admitted++;
		}
		wanted = row->burst + (elapsed - bucket.cost / 20) / bucket.cost;
		if (admitted != wanted)
			fail_msg("%s: %" PRIu64 " admitted, not %" PRIu64, row->name, admitted,
				 wanted);
	}
}

/* A jump back by more empties the bucket; it is full again after a burst's time. */
static void a_long_jump_back_costs_a_burst_at_most(void **state)
{
	struct bucket bucket = full_bucket(DAY, MILLISECOND, 10);

	assert_int_equal(take_many(&bucket, DAY, 3), 3);
	assert_int_equal(take_many(&bucket, DAY - SECOND, 20), 0);
	assert_int_equal(take_many(&bucket, DAY - SECOND + MILLISECOND, 20), 1);
	assert_int_equal(take_many(&bucket, DAY - SECOND + 11 * MILLISECOND, 20), 10);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(decides),
		cmocka_unit_test(decides_as_plain_tokens_do),
		cmocka_unit_test(holds_ten_and_gains_four_a_second),
		cmocka_unit_test(ten_tokens_serve_5_2_5_1_with_5_2_3_0),
		cmocka_unit_test(saves_no_more_than_a_burst),
		cmocka_unit_test(a_smaller_burst_holds_at_once),
		cmocka_unit_test(a_larger_burst_adds_its_room),
		cmocka_unit_test(no_word_blocks_for_longer_than_slack_and_cost),
		cmocka_unit_test(admits_rate_times_time_and_a_burst),
		cmocka_unit_test(admits_all_that_is_below_the_rate),
		cmocka_unit_test(jumps_within_the_slack_change_nothing),
		cmocka_unit_test(two_clocks_get_one_rate),
		cmocka_unit_test(a_long_jump_back_costs_a_burst_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
