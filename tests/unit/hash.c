// SPDX-License-Identifier: BSD-2-Clause
/*
 * hash.c - the keyed hash: that it is NH as written down, spreads over all slots and
 * bits, and leaves nobody who lacks the key a collision. Keys are random, if the same in
 * every run, so the bounds are those of chance: 6 standard deviations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <weir/hash.h>

#include "address.h"
#include "random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SIGMAS 6

struct flow {
	uint8_t family;
	__be32 source[4], destination[4];
	uint32_t ports;
	uint8_t protocol;
};

static uint64_t hash_flow(const struct weir_settings *settings, const struct flow *flow)
{
	return weir_flow_hash(settings, flow->family, flow->source, flow->destination,
			      flow->ports, flow->protocol);
}

static uint32_t ports(uint16_t source, uint16_t destination)
{
	uint16_t words[] = { htons(source), htons(destination) };
	uint32_t both;

	memcpy(&both, words, sizeof(both));
	return both;
}

static void random_words(struct random *random, uint32_t *words, size_t count)
{
	while (count--)
		*words++ = random_bits(random);
}

static struct weir_settings random_keys(struct random *random)
{
	struct weir_settings settings = {};

	random_words(random, settings.flow_key, WEIR_FLOW_KEYS);
	random_words(random, settings.line_key, WEIR_SOURCE_KEYS);
	random_words(random, settings.cell_key, WEIR_SOURCE_KEYS);
	return settings;
}

static struct flow random_flow(struct random *random, uint8_t family)
{
	struct flow flow = { .family = family, .ports = random_bits(random) };
	size_t words = family == WEIR_IPV6 ? 4 : 1;

	random_words(random, flow.source, words);
	random_words(random, flow.destination, words);
	flow.protocol = random_bits(random) & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	return flow;
}

/* --- as it is written down ------------------------------------------------------------ */

/* RFC 4418, 5.2.2, for a message of pairs of words; then MurmurHash3's fmix64. */
static uint64_t plain_hash(const uint32_t *message, const uint32_t *key, size_t words)
{
	const unsigned __int128 modulus = (unsigned __int128)1 << 64;
	unsigned __int128 sum = 0;
	uint64_t hash;

	for (size_t i = 0; i < words; i += 2) {
		uint64_t a = ((uint64_t)message[i] + key[i]) % (1ULL << 32);
		uint64_t b = ((uint64_t)message[i + 1] + key[i + 1]) % (1ULL << 32);

		sum = (sum + (unsigned __int128)a * b) % modulus;
	}
	hash = sum;
	hash = (hash ^ hash >> 33) * (unsigned __int128)0xff51afd7ed558ccd % modulus;
	hash = (hash ^ hash >> 33) * (unsigned __int128)0xc4ceb9fe1a85ec53 % modulus;
	return hash ^ hash >> 33;
}

static uint64_t plain_flow_hash(const struct weir_settings *settings, const struct flow *flow)
{
	uint32_t message[10] = { flow->ports, 256u * flow->family + flow->protocol };
	size_t words = flow->family == WEIR_IPV6 ? 4 : 1;

	for (size_t i = 0; i < words; i++) {
		message[2 + 2 * i] = flow->source[i];
		message[3 + 2 * i] = flow->destination[i];
	}
	return plain_hash(message, settings->flow_key, 2 + 2 * words);
}

static uint64_t plain_source_hash(const uint32_t *key, uint8_t family, const __be32 *address,
				  uint32_t rule)
{
	uint32_t message[6] = { address[0], 256 * rule + family, address[1], address[2],
				address[3] };

	return plain_hash(message, key, family == WEIR_IPV6 ? 6 : 2);
}

static void hashes_as_it_is_written_down(void **state)
{
	struct random random = { 7 };

	for (int i = 0; i < 200000; i++) {
		struct weir_settings settings = random_keys(&random);
		struct flow flow = random_flow(&random, i % 2 ? WEIR_IPV4 : WEIR_IPV6);
		uint32_t rule = random_below(&random, 1 << 18);

		const uint32_t *key = settings.line_key;

		assert_int_equal(hash_flow(&settings, &flow), plain_flow_hash(&settings, &flow));
		assert_int_equal(weir_source_hash(key, flow.family, flow.source, rule),
				 plain_source_hash(key, flow.family, flow.source, rule));
	}
}

static void set_golden_key(uint32_t *key, size_t count)
{
	for (size_t i = 0; i < count; i++)
		key[i] = 0x9e3779b9u * (i + 1);
}

static uint64_t golden_flow(const char *source, const char *destination, uint16_t port,
			    uint8_t protocol)
{
	struct weir_settings settings = {};
	struct address from, to;

	set_golden_key(settings.flow_key, WEIR_FLOW_KEYS);
	address_parse(source, &from);
	address_parse(destination, &to);
	return weir_flow_hash(&settings, from.family, from.word, to.word, ports(40000, port),
			      protocol);
}

static uint64_t golden_source(const char *source, uint32_t rule)
{
	uint32_t key[WEIR_SOURCE_KEYS];
	struct address from;

	set_golden_key(key, WEIR_SOURCE_KEYS);
	address_parse(source, &from);
	return weir_source_hash(key, from.family, from.word, rule);
}

static uint32_t golden_service(const char *text, uint16_t port, uint8_t protocol)
{
	struct weir_service_key key = { .port = htons(port), .protocol = protocol };
	struct address address;

	address_parse(text, &address);
	memcpy(key.address, address.word, sizeof(key.address));
	key.family = address.family;
	return weir_service_hash(&key);
}

/*
 * Computed by another program, for little-endian machines. All balancers of a fleet
 * must agree: if this fails, most flows change their backends during an upgrade. And the table
 * of services that one version leaves in the kernel is the next one's.
 */
static void the_algorithm_is_pinned(void **state)
{
	assert_int_equal(weir_mix(1), 0xb456bcfc34c2cb2c);
	assert_int_equal(golden_flow("198.51.100.7", "203.0.113.10", 80, IPPROTO_TCP),
			 0x8b4f7e54b0d665f0);
	assert_int_equal(golden_flow("2001:db8:1::7", "2001:db8::10", 53, IPPROTO_UDP),
			 0x36bd63227091f341);
	assert_int_equal(golden_source("198.51.100.7", 5), 0x7ac9be8677cd4ac1);
	assert_int_equal(golden_source("2001:db8:1::", 262141), 0xa99e3e98f8699080);
	assert_int_equal(golden_service("203.0.113.10", 80, IPPROTO_TCP), 0xb5845e16);
	assert_int_equal(golden_service("2001:db8::10", 53, IPPROTO_UDP), 0xdb985b4e);
}

/* --- spread --------------------------------------------------------------------------- */

/* How far from even, in standard deviations: chi-square with size - 1 degrees of freedom. */
static double unevenness(const uint32_t *counts, uint32_t size, double samples)
{
	double expected = samples / size, chi_square = 0;

	for (uint32_t i = 0; i < size; i++)
		chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
	return (chi_square - (size - 1)) / sqrt(2.0 * (size - 1));
}

typedef void vary(struct flow *flow, uint32_t n, struct random *random);

static void next_port(struct flow *flow, uint32_t n, struct random *random)
{
	flow->ports = ports(1024 + n, 80);
}

static void next_address(struct flow *flow, uint32_t n, struct random *random)
{
	int last = flow->family == WEIR_IPV6 ? 3 : 0;

	flow->source[last] = htonl(0x0a000000 + n);
}

static void next_prefix(struct flow *flow, uint32_t n, struct random *random)
{
	flow->source[flow->family == WEIR_IPV6] = htonl(n << 8);
}

static void next_port_of_some_addresses(struct flow *flow, uint32_t n, struct random *random)
{
	next_port(flow, n / 16, random);
	next_address(flow, n % 16, random);
}

static void next_destination(struct flow *flow, uint32_t n, struct random *random)
{
	int last = flow->family == WEIR_IPV6 ? 3 : 0;

	flow->destination[last] = htonl(0xcb007100 + n);
}

static void anything(struct flow *flow, uint32_t n, struct random *random)
{
	*flow = random_flow(random, flow->family);
}

static const struct traffic {
	const char *name;
	uint8_t family;
	vary *vary;
} traffics[] = {
	{ "sequential ports, IPv4", WEIR_IPV4, next_port },
	{ "sequential ports, IPv6", WEIR_IPV6, next_port },
	{ "sequential addresses, IPv4", WEIR_IPV4, next_address },
	{ "sequential addresses, IPv6", WEIR_IPV6, next_address },
	{ "sequential /24", WEIR_IPV4, next_prefix },
	{ "sequential /56", WEIR_IPV6, next_prefix },
	{ "ports of 16 addresses, IPv4", WEIR_IPV4, next_port_of_some_addresses },
	{ "ports of 16 addresses, IPv6", WEIR_IPV6, next_port_of_some_addresses },
	{ "sequential destinations, IPv4", WEIR_IPV4, next_destination },
	{ "sequential destinations, IPv6", WEIR_IPV6, next_destination },
	{ "random, IPv4", WEIR_IPV4, anything },
	{ "random, IPv6", WEIR_IPV6, anything },
};

static double spread(const struct traffic *traffic, struct random *random, uint32_t size)
{
	static uint32_t counts[16381];
	struct weir_settings settings = random_keys(random);
	struct flow flow = random_flow(random, traffic->family);
	uint32_t samples = 16 * size < 64512 ? 16 * size : 64512;	/* ports above 1023 */

	memset(counts, 0, sizeof(counts));
	for (uint32_t n = 0; n < samples; n++) {
		traffic->vary(&flow, n, random);
		counts[weir_scale(hash_flow(&settings, &flow), size)]++;
	}
	return unevenness(counts, size, samples);
}

static void spreads_traffic_evenly_over_slots(void **state)
{
	static const uint32_t sizes[] = { 3, 1021, 4093, 16381 };
	struct random random = { 8 };
	double worst = 0;

	for (size_t t = 0; t < COUNT(traffics); t++)
		for (int i = 0; i < 40; i++) {
			uint32_t size = sizes[i % COUNT(sizes)];
			double sigmas = spread(&traffics[t], &random, size);

			worst = fmax(worst, sigmas);
			if (fabs(sigmas) > SIGMAS && size > 3)
				fail_msg("%s: %u slots are %.1f sigmas from even",
					 traffics[t].name, size, sigmas);
			/* 3 slots have no normal chi-square: p < 2e-9 is chi-square 40 */
			if (size == 3 && sigmas > 19)
				fail_msg("%s: 3 slots are uneven", traffics[t].name);
		}
	print_message("at worst %.1f sigmas from even\n", worst);
}

/* The bits of a flow that count, as one run of bytes. */
#define FLOW_BITS(family) ((family) == WEIR_IPV6 ? 8 * 37 : 8 * 13)

static void flip(struct flow *flow, unsigned int bit)
{
	size_t bits = flow->family == WEIR_IPV6 ? 128 : 32;
	uint8_t *where[] = { (uint8_t *)flow->source, (uint8_t *)flow->destination };

	if (bit < 2 * bits)
		where[bit / bits][bit % bits / 8] ^= 1 << bit % 8;
	else if (bit < 2 * bits + 32)
		flow->ports ^= 1u << (bit - 2 * bits);
	else
		flow->protocol ^= 1 << (bit - 2 * bits - 32);
}

static void avalanche(uint8_t family, unsigned int bit, struct random *random)
{
	const int trials = 4000;
	int flipped[64] = {};

	for (int trial = 0; trial < trials; trial++) {
		struct weir_settings settings = random_keys(random);
		struct flow flow = random_flow(random, family);
		uint64_t difference = hash_flow(&settings, &flow);

		flip(&flow, bit);
		difference ^= hash_flow(&settings, &flow);
		for (int i = 0; i < 64; i++)
			flipped[i] += difference >> i & 1;
	}
	for (int i = 0; i < 64; i++)
		if (fabs(flipped[i] - trials / 2.0) > SIGMAS * sqrt(trials) / 2)
			fail_msg("IPv%u: input bit %u flips output bit %d %d times of %d", family,
				 bit, i, flipped[i], trials);
}

static void every_bit_flips_half_of_all_bits(void **state)
{
	static const uint8_t families[] = { WEIR_IPV4, WEIR_IPV6 };
	struct random random = { 9 };

	for (size_t i = 0; i < COUNT(families); i++)
		for (unsigned int bit = 0; bit < FLOW_BITS(families[i]); bit++)
			avalanche(families[i], bit, &random);
}

/* --- collisions ----------------------------------------------------------------------- */

/* Pairs that collide under a hash that only adds, multiplies or swaps. */
static const struct pair {
	const char *name;
	struct flow a, b;
} pairs[] = {
	{ "ends swapped", { 4, { 1 }, { 2 }, 0x00500050, 6 }, { 4, { 2 }, { 1 }, 0x00500050, 6 } },
	{ "ports swapped", { 4, { 1 }, { 2 }, 0x00010002, 6 }, { 4, { 1 }, { 2 }, 0x00020001, 6 } },
	{ "protocols", { 4, { 1 }, { 2 }, 0x00500050, 6 }, { 4, { 1 }, { 2 }, 0x00500050, 17 } },
	{ "families", { 4, { 1 }, { 2 }, 0x00500050, 6 }, { 6, { 1 }, { 2 }, 0x00500050, 6 } },
	{ "families, zeros", { 4, {}, {}, 0, 6 }, { 6, {}, {}, 0, 6 } },
	{ "families, more words", { 4, { 1 }, { 2 }, 3, 6 }, { 6, { 1 }, { 2, 3, 4 }, 3, 6 } },
	{ "source and ports", { 4, { 1 }, { 2 }, 3, 6 }, { 4, { 3 }, { 2 }, 1, 6 } },
	{ "sums", { 4, { 1 }, { 4 }, 0, 6 }, { 4, { 2 }, { 3 }, 0, 6 } },
	{ "products", { 4, { 2 }, { 6 }, 0, 6 }, { 4, { 3 }, { 4 }, 0, 6 } },
	{ "top bit", { 4, { 0 }, { 0 }, 0, 6 }, { 4, { 1u << 31 }, { 0 }, 0, 6 } },
	{ "top bits", { 4, { 0 }, { 0 }, 0, 6 }, { 4, { 1u << 31 }, { 1u << 31 }, 0, 6 } },
	{ "words swapped", { 6, { 0, 1, 2 }, {}, 0, 6 }, { 6, { 0, 2, 1 }, {}, 0, 6 } },
	{ "pairs swapped", { 6, { 0, 1, 2 }, { 0, 3, 4 }, 0, 6 },
	  { 6, { 0, 2, 1 }, { 0, 4, 3 }, 0, 6 } },
	{ "last word", { 6, { 0, 0, 0, 1 }, {}, 0, 6 }, { 6, { 0, 0, 0, 2 }, {}, 0, 6 } },
	{ "word moved", { 6, { 1 }, {}, 0, 6 }, { 6, { 0, 1 }, {}, 0, 6 } },
};

/* Over random keys two flows are never equal, and in one slot as often as chance has it. */
static void who_lacks_the_key_finds_no_collision(void **state)
{
	const double keys = 200000, size = 1021, expected = keys / size;
	struct random random = { 10 };

	for (size_t i = 0; i < COUNT(pairs); i++) {
		uint32_t same_slot = 0;

		for (int n = 0; n < keys; n++) {
			struct weir_settings settings = random_keys(&random);
			uint64_t a = hash_flow(&settings, &pairs[i].a);
			uint64_t b = hash_flow(&settings, &pairs[i].b);

			if (a == b)
				fail_msg("%s: equal", pairs[i].name);
			same_slot += weir_scale(a, size) == weir_scale(b, size);
		}
		if (fabs(same_slot - expected) > SIGMAS * sqrt(expected))
			fail_msg("%s: in one slot %u times, by chance %.0f", pairs[i].name,
				 same_slot, expected);
	}
}

static int compare_hashes(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* 2^16 flows of one host: 2^31 pairs, and by chance 2^-33 equal ones. */
static void all_ports_of_a_host_differ(void **state)
{
	static uint64_t hashes[1 << 16];
	struct random random = { 11 };

	for (int i = 0; i < 20; i++) {
		struct weir_settings settings = random_keys(&random);
		struct flow flow = random_flow(&random, i % 2 ? WEIR_IPV4 : WEIR_IPV6);

		for (uint32_t port = 0; port < COUNT(hashes); port++) {
			flow.ports = ports(port, 443);
			hashes[port] = hash_flow(&settings, &flow);
		}
		qsort(hashes, COUNT(hashes), sizeof(*hashes), compare_hashes);
		for (size_t n = 1; n < COUNT(hashes); n++)
			assert_int_not_equal(hashes[n - 1], hashes[n]);
	}
}

/* --- slots ---------------------------------------------------------------------------- */

/* Each slot gets 2^32 / size of the upper halves, rounded down or up: the edges of all. */
static void scales_to_all_slots_alike(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 3, 1021, 65537, 4194301, 1u << 31, UINT32_MAX };

	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint64_t size = sizes[i], step = size / 100000 + 1;

		assert_int_equal(weir_scale(0, size), 0);
		assert_int_equal(weir_scale(UINT64_MAX, size), size - 1);
		for (uint64_t slot = 1; slot < size; slot += step) {
			uint64_t first = ((slot << 32) + size - 1) / size;

			assert_int_equal(weir_scale(first << 32, size), slot);
			assert_int_equal(weir_scale((first << 32) - 1, size), slot - 1);
		}
	}
}

/* --- sources -------------------------------------------------------------------------- */

enum source_kind { SEQUENTIAL, SEQUENTIAL_64, SPOOFED, SOURCE_KINDS };

static const char *const source_names[] = { "sequential IPv4", "sequential /64", "spoofed IPv4" };

/* The source's line of 32, and its cell key's upper 5 bits. */
static void count_source(const struct weir_settings *settings, enum source_kind kind, uint32_t n,
			 struct random *random, uint32_t *counts)
{
	uint8_t family = kind == SEQUENTIAL_64 ? WEIR_IPV6 : WEIR_IPV4;
	__be32 address[4] = {};
	uint32_t line, cell;

	address[kind == SEQUENTIAL_64] = kind == SPOOFED ? random_bits(random) : htonl(n);
	line = weir_scale(weir_source_hash(settings->line_key, family, address, 1), 32);
	cell = weir_scale(weir_source_hash(settings->cell_key, family, address, 1), 32);
	counts[line * 32 + cell]++;
}

/* The sources of one line must not look alike to its cells, and all lines be used. */
static void line_and_cell_are_independent(void **state)
{
	const uint32_t samples = 32768;
	struct random random = { 12 };

	for (int i = 0; i < 30; i++) {
		struct weir_settings settings = random_keys(&random);
		enum source_kind kind = i % SOURCE_KINDS;
		uint32_t counts[32 * 32] = {};

		for (uint32_t n = 0; n < samples; n++)
			count_source(&settings, kind, n, &random, counts);
		if (fabs(unevenness(counts, COUNT(counts), samples)) > SIGMAS)
			fail_msg("%s: lines and cells are %.1f sigmas from even",
				 source_names[kind], unevenness(counts, COUNT(counts), samples));
	}
}

/* What the same source must not share: rules, families, neighbouring prefixes. */
static void buckets_are_apart(void **state)
{
	static const struct {
		const char *name;
		uint8_t family[2];
		__be32 address[2][4];
		uint32_t rule[2];
	} rows[] = {
		{ "rules", { 4, 4 }, { { 1 }, { 1 } }, { 1, 2 } },
		{ "rules far apart", { 4, 4 }, { { 1 }, { 1 } }, { 1, 262141 } },
		{ "families", { 4, 6 }, { { 1 }, { 1 } }, { 1, 1 } },
		{ "rule as address", { 4, 4 }, { { 1 << 8 | 4 }, { 2 << 8 | 4 } }, { 2, 1 } },
		{ "first word", { 6, 6 }, { { 1 }, { 2 } }, { 1, 1 } },
		{ "second word", { 6, 6 }, { { 0, 1 }, { 0, 2 } }, { 1, 1 } },
		{ "third word", { 6, 6 }, { { 0, 0, 1 }, { 0, 0, 2 } }, { 1, 1 } },
		{ "fourth word", { 6, 6 }, { { 0, 0, 0, 1 }, { 0, 0, 0, 2 } }, { 1, 1 } },
		{ "words swapped", { 6, 6 }, { { 0, 1, 2 }, { 0, 2, 1 } }, { 1, 1 } },
		{ "everything off", { 4, 4 }, { { 0 }, { ~0u } }, { 1, 1 } },
	};
	struct random random = { 13 };

	for (size_t i = 0; i < COUNT(rows); i++)
		for (int n = 0; n < 50000; n++) {
			struct weir_settings settings = random_keys(&random);
			uint64_t a = weir_source_hash(settings.cell_key, rows[i].family[0],
						      rows[i].address[0], rows[i].rule[0]);
			uint64_t b = weir_source_hash(settings.cell_key, rows[i].family[1],
						      rows[i].address[1], rows[i].rule[1]);

			if ((a | 1) == (b | 1))	/* key 0 is an empty cell, so bit 0 is lost */
				fail_msg("%s: one bucket", rows[i].name);
		}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes_as_it_is_written_down),
		cmocka_unit_test(the_algorithm_is_pinned),
		cmocka_unit_test(spreads_traffic_evenly_over_slots),
		cmocka_unit_test(every_bit_flips_half_of_all_bits),
		cmocka_unit_test(who_lacks_the_key_finds_no_collision),
		cmocka_unit_test(all_ports_of_a_host_differ),
		cmocka_unit_test(scales_to_all_slots_alike),
		cmocka_unit_test(line_and_cell_are_independent),
		cmocka_unit_test(buckets_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
