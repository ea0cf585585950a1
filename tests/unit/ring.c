// SPDX-License-Identifier: BSD-2-Clause
/*
 * ring.c - ring builders: that shares follow weights, that balancers agree, and how
 * much a change moves. A second, naive Maglev says what each slot should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "config.h"
#include "dataplane/ring.h"
#include "random.h"

#define SIZE 65537
#define MOST 656	/* backends: one more than a ring of SIZE slots is for */
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const uint8_t seed[CONFIG_SEED_SIZE] = {
	0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
	0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff,
};

/* Every third one is IPv6; some share their first word with an IPv4 one. */
static struct ring_backend backend(uint32_t n, uint16_t index, uint16_t weight)
{
	struct ring_backend backend = { .index = index, .weight = weight };

	backend.address.family = n % 3 == 2 ? WEIR_IPV6 : WEIR_IPV4;
	backend.address.word[0] = htonl(0x0a000001 + n - (n % 6 == 5));
	return backend;
}

typedef uint16_t weight_of(uint32_t n, uint32_t count);

static void fill(struct ring_backend *backends, uint32_t count, weight_of *weight)
{
	for (uint32_t n = 0; n < count; n++)
		backends[n] = backend(n, n + 1, weight(n, count));
}

static void build(struct ring_backend *backends, size_t count, uint16_t *owner, uint32_t size)
{
	memset(owner, 0xff, size * sizeof(*owner));
	assert_int_equal(ring_build_maglev(backends, count, seed, owner, size), 0);
}

/* --- weights -------------------------------------------------------------------------- */

static uint16_t equal(uint32_t n, uint32_t count)
{
	return 1;
}

static uint16_t equal_and_large(uint32_t n, uint32_t count)
{
	return BACKEND_WEIGHT_MAX;
}

static uint16_t one_to_n(uint32_t n, uint32_t count)
{
	return n + 1;
}

static uint16_t one_light(uint32_t n, uint32_t count)
{
	return n ? 100 : 1;
}

static uint16_t one_heavy(uint32_t n, uint32_t count)
{
	return n ? 1 : 100;
}

static uint16_t half_and_half(uint32_t n, uint32_t count)
{
	return n % 2 ? 100 : 1;
}

static uint16_t one_zero(uint32_t n, uint32_t count)
{
	return n != count / 2;
}

static uint16_t random_weight(uint32_t n, uint32_t count)
{
	struct random random = { n * 1000 + count };

	return random_below(&random, BACKEND_WEIGHT_MAX + 1);
}

static uint16_t random_small_weight(uint32_t n, uint32_t count)
{
	struct random random = { n * 1000 + count };

	return 1 + random_below(&random, 10);
}

/* Each light one is just short of its next slot when the ring is full. */
static uint16_t waiting_in_step(uint32_t n, uint32_t count)
{
	return n < count / 100 ? 7042 : 2816;
}

static uint16_t waiting_in_step_too(uint32_t n, uint32_t count)
{
	return n < 4 ? 5010 : 1695;
}

static uint16_t doubled_first(uint32_t n, uint32_t count)
{
	return n ? 1 : 2;
}

static uint16_t canary(uint32_t n, uint32_t count)
{
	return n ? 10 : 1;
}

static uint16_t random_but_one(uint32_t n, uint32_t count)
{
	return n ? random_weight(n, count) : 0;
}

static const struct {
	const char *name;
	weight_of *weight;
} mixes[] = {
	{ "equal", equal },
	{ "equal and large", equal_and_large },
	{ "1 to n", one_to_n },
	{ "one light", one_light },
	{ "one heavy", one_heavy },
	{ "1 and 100 by turns", half_and_half },
	{ "one zero", one_zero },
	{ "random", random_weight },
	{ "random, 1 to 10", random_small_weight },
	{ "all waiting at the end", waiting_in_step },
	{ "four among many", waiting_in_step_too },
};

static const uint32_t counts[] = {
	2, 3, 4, 5, 7, 10, 16, 33, 64, 100, 200, 327, 328, 466, 500, 582, 588, 600, 655,
};

/* --- shares --------------------------------------------------------------------------- */

/*
 * What holds at 65537 slots: a backend has its fair share within 1% or within two
 * slots, whichever is more; so within 1% from a fair share of 200 slots on.
 */
static void assert_share(const char *mix, uint32_t count, const struct ring_backend *backend,
			 uint32_t slots, double fair)
{
	if (fabs(slots - fair) > fmax(fair / 100, 2) || (!backend->weight && slots))
		fail_msg("%s, %u backends: weight %u has %u slots, fair are %.2f", mix, count,
			 backend->weight, slots, fair);
}

static void assert_shares(const char *mix, const struct ring_backend *backends, uint32_t count,
			  const uint16_t *owner, double *worst)
{
	uint32_t slots[MOST + 1] = {};
	double sum = 0, fair;

	for (uint32_t i = 0; i < SIZE; i++) {
		assert_in_range(owner[i], 1, count);
		slots[owner[i]]++;
	}
	for (uint32_t i = 0; i < count; i++)
		sum += backends[i].weight;
	for (uint32_t i = 0; i < count; i++) {
		fair = SIZE * backends[i].weight / sum;
		assert_share(mix, count, &backends[i], slots[backends[i].index], fair);
		if (fair >= 200)
			*worst = fmax(*worst, fabs(slots[backends[i].index] / fair - 1));
	}
}

static void shares_follow_weights(void **state)
{
	static struct ring_backend backends[MOST];
	static uint16_t owner[SIZE];

	for (size_t m = 0; m < COUNT(mixes); m++) {
		double worst = 0;

		for (size_t c = 0; c < COUNT(counts); c++) {
			fill(backends, counts[c], mixes[m].weight);
			build(backends, counts[c], owner, SIZE);
			assert_shares(mixes[m].name, backends, counts[c], owner, &worst);
		}
		print_message("%-24s at most %.2f%% off (fair share of 200 slots or more)\n",
			      mixes[m].name, worst * 100);
	}
}

static void weights_with_a_common_factor_are_the_same_weights(void **state)
{
	static uint16_t plain[4093], scaled[4093];
	struct ring_backend backends[20];

	fill(backends, 20, one_to_n);
	build(backends, 20, plain, 4093);
	for (size_t i = 0; i < 20; i++)
		backends[i].weight *= 128;
	build(backends, 20, scaled, 4093);
	assert_memory_equal(plain, scaled, sizeof(plain));
}

static void no_weight_owns_nothing(void **state)
{
	struct ring_backend backends[3];
	uint16_t owner[1021];

	for (uint32_t count = 0; count <= 3; count++) {
		for (uint32_t n = 0; n < count; n++)
			backends[n] = backend(n, n + 1, 0);
		build(backends, count, owner, 1021);
		for (size_t i = 0; i < 1021; i++)
			assert_int_equal(owner[i], 0);
	}
}

static void one_backend_owns_all(void **state)
{
	static const uint32_t sizes[] = { 2, 3, 1021, SIZE };
	static uint16_t owner[SIZE];

	for (size_t s = 0; s < COUNT(sizes); s++) {
		/* the others have no weight */
		struct ring_backend backends[] = {
			backend(0, 1, 0), backend(1, UINT16_MAX, 1), backend(2, 3, 0),
		};

		build(backends, 3, owner, sizes[s]);
		for (size_t i = 0; i < sizes[s]; i++)
			assert_int_equal(owner[i], UINT16_MAX);
	}
}

/* --- which slots ---------------------------------------------------------------------- */

static uint64_t walk_hash(const struct ring_backend *backend, const uint8_t *key, uint64_t n)
{
	uint8_t identity[40] = {};

	memcpy(identity, backend->address.word, 16);
	memcpy(identity + 16, key, 16);
	identity[32] = backend->address.family;
	return XXH64(identity, sizeof(identity), n);
}

static int by_address(const void *a, const void *b)
{
	const struct ring_backend *left = a, *right = b;

	return address_compare(&left->address, &right->address);
}

/* How many slots a backend may have after some turns: floor(start + turns x w / W). */
static uint64_t due(const struct ring_backend *backend, uint64_t largest, uint64_t turns)
{
	uint64_t start = (walk_hash(backend, seed, 3) >> 32) * largest >> 32;

	return (start + turns * backend->weight) / largest;
}

static uint16_t *naive_claim(const struct ring_backend *backend, uint16_t *owner, uint64_t size)
{
	uint64_t offset = walk_hash(backend, seed, 1) % size;
	uint64_t skip = walk_hash(backend, seed, 2) % (size - 1) + 1;

	for (uint64_t j = 0; j < size; j++)
		if (!owner[(offset + j * skip) % size])
			return &owner[(offset + j * skip) % size];
	fail();
	return NULL;
}

static void naive_maglev(struct ring_backend *backends, size_t count, uint16_t *owner,
			 uint32_t size)
{
	uint64_t largest = 0;
	uint32_t left = size;

	qsort(backends, count, sizeof(*backends), by_address);
	for (size_t i = 0; i < count; i++)
		largest = backends[i].weight > largest ? backends[i].weight : largest;
	memset(owner, 0, size * sizeof(*owner));
	for (uint64_t turn = 0; left; turn++)
		for (size_t i = 0; i < count && left; i++) {
			if (due(&backends[i], largest, turn) ==
			    due(&backends[i], largest, turn + 1))
				continue;
			*naive_claim(&backends[i], owner, size) = backends[i].index;
			left--;
		}
}

static void every_slot_is_as_the_naive_builder_says(void **state)
{
	static const uint32_t sizes[] = { 3, 7, 101, 1021 };
	uint16_t owner[1021], wanted[1021];
	struct ring_backend backends[40];

	for (size_t s = 0; s < COUNT(sizes); s++)
		for (size_t m = 0; m < COUNT(mixes); m++)
			for (uint32_t count = 2; count <= 40; count += 7) {
				fill(backends, count, mixes[m].weight);
				build(backends, count, owner, sizes[s]);
				naive_maglev(backends, count, wanted, sizes[s]);
				assert_memory_equal(owner, wanted, sizes[s] * sizeof(*owner));
			}
}

/*
 * All balancers of a fleet must agree, whatever their versions: if this fails, the
 * builder has changed, and so will most flows' backends during an upgrade.
 */
static void the_algorithm_is_pinned(void **state)
{
	struct ring_backend backends[] = {
		{ .index = 1, .weight = 1 }, { .index = 2, .weight = 2 },
		{ .index = 3, .weight = 3 }, { .index = 4, .weight = 100 },
	};
	uint8_t bytes[2 * 1021];
	uint16_t owner[1021];

	address_parse("10.0.0.11", &backends[0].address);
	address_parse("10.0.0.12", &backends[1].address);
	address_parse("2001:db8::11", &backends[2].address);
	address_parse("192.0.2.1", &backends[3].address);
	build(backends, 4, owner, 1021);
	for (size_t i = 0; i < 1021; i++) {
		bytes[2 * i] = owner[i];
		bytes[2 * i + 1] = owner[i] >> 8;
	}
	assert_int_equal(XXH64(bytes, sizeof(bytes), 0), 0xeb3fdc3eb3f332f0);
}

static void shuffle(struct ring_backend *backends, size_t count, struct random *random)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = random_below(random, i);
		struct ring_backend swapped = backends[i - 1];

		backends[i - 1] = backends[j];
		backends[j] = swapped;
	}
}

static void input_order_does_not_matter(void **state)
{
	static uint16_t owner[4093], other[4093];
	struct random random = { 1 };
	struct ring_backend backends[40];

	for (size_t m = 0; m < COUNT(mixes); m++) {
		fill(backends, 40, mixes[m].weight);
		build(backends, 40, owner, 4093);
		for (int i = 0; i < 20; i++) {
			shuffle(backends, 40, &random);
			build(backends, 40, other, 4093);
			assert_memory_equal(owner, other, sizeof(owner));
		}
	}
}

/* Which index a backend has on this balancer is no part of its identity. */
static void indices_do_not_matter(void **state)
{
	static uint16_t owner[4093], other[4093];
	struct ring_backend backends[40];
	uint16_t new_index[41];

	fill(backends, 40, random_weight);
	build(backends, 40, owner, 4093);
	for (size_t i = 0; i < 40; i++) {
		uint16_t old = backends[i].index;

		new_index[old] = backends[i].index = old * 7919 % 65521;
	}
	build(backends, 40, other, 4093);
	for (size_t i = 0; i < 4093; i++)
		assert_int_equal(other[i], new_index[owner[i]]);
}

/* n equal backends agree by chance in one slot of n. */
static void another_seed_is_another_ring(void **state)
{
	static uint16_t owner[SIZE], other[SIZE];
	struct ring_backend backends[10];
	uint8_t other_seed[CONFIG_SEED_SIZE];
	uint32_t changed, excess;

	fill(backends, 10, equal);
	build(backends, 10, owner, SIZE);
	for (size_t bit = 0; bit < 8 * sizeof(seed); bit++) {
		memcpy(other_seed, seed, sizeof(seed));
		other_seed[bit / 8] ^= 1 << bit % 8;
		assert_int_equal(ring_build_maglev(backends, 10, other_seed, other, SIZE), 0);
		assert_int_equal(ring_churn(owner, other, SIZE, &changed, &excess), 0);
		assert_in_range(changed, SIZE * 0.88, SIZE * 0.92);
	}
}

/* --- sizes ---------------------------------------------------------------------------- */

static bool is_prime(uint32_t n)
{
	for (uint32_t divisor = 2; divisor * divisor <= n; divisor++)
		if (n % divisor == 0)
			return false;
	return n > 1;
}

static void sizes_are_primes_of_100_slots_a_backend(void **state)
{
	static const struct {
		size_t backends;
		uint32_t size;
	} rows[] = {
		{ 0, 1021 }, { 1, 1021 }, { 10, 1021 }, { 11, 4093 }, { 40, 4093 },
		{ 41, 16381 }, { 163, 16381 }, { 164, 65537 }, { 655, 65537 },
		{ 656, 262139 }, { 2621, 262139 }, { 2622, 1048573 }, { 10485, 1048573 },
		{ 10486, 4194301 }, { 41943, 4194301 }, { 41944, 4194301 },
		{ UINT16_MAX, 4194301 }, { UINT32_MAX, 4194301 },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(ring_size(rows[i].backends), rows[i].size);
	for (size_t n = 0; n <= 41943; n++)
		assert_true(ring_size(n) >= 100 * n && is_prime(ring_size(n)));
}

/* --- churn ---------------------------------------------------------------------------- */

static void count_churn(const uint16_t *before, const uint16_t *after, uint32_t size,
			uint32_t *changed, uint32_t *excess)
{
	assert_int_equal(ring_churn(before, after, size, changed, excess), 0);
	assert_in_range(*excess, 0, *changed);
}

struct change {
	const char *name;
	weight_of *before, *after;
	int more;	/* backends */
};

/*
 * Maglev promises no bound. A slot moves in excess when the change reaches it by a chain
 * of collisions: a claim pushed off its slot takes its walk's next free one, and so pushes
 * another. Chains are long in the last turns only, when few slots are free. Measured are
 * up to 3% where a ring is as small as ring_size() allows and up to 1.7% at 65537 slots;
 * a builder without consistency moves half of the ring and more.
 */
static uint32_t most_excess(uint32_t size)
{
	return size < SIZE ? size / 25 : size / 50;
}

static void measure(const struct change *change, uint32_t count, uint32_t size)
{
	static struct ring_backend backends[MOST];
	static uint16_t before[SIZE], after[SIZE];
	uint32_t changed, excess;

	fill(backends, count, change->before);
	build(backends, count, before, size);
	fill(backends, count + change->more, change->after);
	build(backends, count + change->more, after, size);
	count_churn(before, after, size, &changed, &excess);
	print_message("%-28s %3u backends, %5u slots: %5.2f%% change, %4.2f%% more than needed\n",
		      change->name, count, size, 100.0 * changed / size, 100.0 * excess / size);
	if (excess > most_excess(size))
		fail_msg("%s, %u backends: %u of %u slots moved without need", change->name,
			 count, excess, size);
	if (changed == excess)
		fail_msg("%s, %u backends: no slot had to move", change->name, count);
}

static void a_change_moves_little_more_than_it_must(void **state)
{
	static const struct change changes[] = {
		{ "one of equals added", equal, equal, 1 },
		{ "one of equals removed", equal, equal, -1 },
		{ "one of equals gets weight 0", equal, one_zero, 0 },
		{ "one of equals doubled", equal, doubled_first, 0 },
		{ "one of 10s down to 1", equal_and_large, canary, 0 },
		{ "heaviest added (1 to n)", one_to_n, one_to_n, 1 },
		{ "heaviest removed (1 to n)", one_to_n, one_to_n, -1 },
		{ "one of random weights to 0", random_weight, random_but_one, 0 },
	};
	static const uint32_t sizes[][2] = {
		{ 3, 1021 }, { 10, 1021 }, { 10, SIZE }, { 40, 4093 }, { 100, SIZE }, { 600, SIZE },
	};

	for (size_t c = 0; c < COUNT(changes); c++)
		for (size_t s = 0; s < COUNT(sizes); s++)
			measure(&changes[c], sizes[s][0], sizes[s][1]);
}

/* The nth of all rings of `size` slots and three owners, the first of them nobody. */
static void enumerate(uint32_t n, uint16_t *owner, uint32_t size)
{
	for (uint32_t i = 0; i < size; i++, n /= 3)
		owner[i] = n % 3;
}

static uint32_t slots_apart(const uint16_t *a, const uint16_t *b, uint32_t size)
{
	uint32_t apart = 0;

	for (uint32_t i = 0; i < size; i++)
		apart += a[i] != b[i];
	return apart;
}

static bool same_counts(const uint16_t *a, const uint16_t *b, uint32_t size)
{
	int counts[3] = {};

	for (uint32_t i = 0; i < size; i++) {
		counts[a[i]]++;
		counts[b[i]]--;
	}
	return !counts[0] && !counts[1] && !counts[2];
}

/* The ring nearest to `before` of all that give everybody as many slots as `after`. */
static uint32_t nearest(const uint16_t *before, const uint16_t *after, uint32_t size,
			uint32_t rings)
{
	uint32_t least = size, apart;
	uint16_t other[8];

	for (uint32_t n = 0; n < rings; n++) {
		enumerate(n, other, size);
		if (!same_counts(other, after, size))
			continue;
		apart = slots_apart(before, other, size);
		least = apart < least ? apart : least;
	}
	return least;
}

static void churn_is_as_all_rings_of_4_slots_say(void **state)
{
	uint32_t changed, excess, rings = 81;
	uint16_t before[4], after[4];

	for (uint32_t b = 0; b < rings; b++)
		for (uint32_t a = 0; a < rings; a++) {
			enumerate(b, before, 4);
			enumerate(a, after, 4);
			count_churn(before, after, 4, &changed, &excess);
			assert_int_equal(changed, slots_apart(before, after, 4));
			assert_int_equal(excess, changed - nearest(before, after, 4, rings));
		}
}

/* What needs not move is the smaller of an owner's two counts, summed over all owners. */
static void churn_is_as_counted_over_all_indices(void **state)
{
	static uint16_t before[4093], after[4093];
	struct random random = { 2 };
	uint32_t changed, excess;

	for (int round = 0; round < 10; round++) {
		static uint32_t counts[2][UINT16_MAX + 1];
		uint32_t kept = 0, owners = round % 2 ? 50 : UINT16_MAX + 1;

		memset(counts, 0, sizeof(counts));
		for (size_t i = 0; i < 4093; i++) {
			before[i] = UINT16_MAX - random_below(&random, owners);
			after[i] = UINT16_MAX - random_below(&random, owners);
			counts[0][before[i]]++;
			counts[1][after[i]]++;
		}
		for (size_t i = 0; i <= UINT16_MAX; i++)
			kept += counts[0][i] < counts[1][i] ? counts[0][i] : counts[1][i];
		count_churn(before, after, 4093, &changed, &excess);
		assert_int_equal(changed, slots_apart(before, after, 4093));
		assert_int_equal(excess, changed - (4093 - kept));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_follow_weights),
		cmocka_unit_test(weights_with_a_common_factor_are_the_same_weights),
		cmocka_unit_test(no_weight_owns_nothing),
		cmocka_unit_test(one_backend_owns_all),
		cmocka_unit_test(every_slot_is_as_the_naive_builder_says),
		cmocka_unit_test(the_algorithm_is_pinned),
		cmocka_unit_test(input_order_does_not_matter),
		cmocka_unit_test(indices_do_not_matter),
		cmocka_unit_test(another_seed_is_another_ring),
		cmocka_unit_test(sizes_are_primes_of_100_slots_a_backend),
		cmocka_unit_test(a_change_moves_little_more_than_it_must),
		cmocka_unit_test(churn_is_as_all_rings_of_4_slots_say),
		cmocka_unit_test(churn_is_as_counted_over_all_indices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
