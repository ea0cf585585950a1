// SPDX-License-Identifier: BSD-2-Clause
/*
 * services.c - the table of services where keys meet: in one place, in places that
 * services have left, and over the table's end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir/hash.h>

#include "harness.h"

#define CROWD WEIR_SERVICE_PROBES	/* as many as a place can take */
#define POSITIONS (4 * WORLD_SERVICES)

static struct weir_service_key key_of(const char *address, uint16_t port, uint8_t protocol)
{
	struct weir_service_key key = { .port = htons(port), .protocol = protocol };

	key.family = ip_bytes(address, (uint8_t *)key.address);
	return key;
}

static uint32_t position_of(const struct weir_service_key *key)
{
	return weir_service_hash(key) & (POSITIONS - 1);
}

/* --- a crowd of services ------------------------------------------------------------------ */

/* Ports of 203.0.113.10 whose keys have the same position. */
static void find_crowd(uint32_t position, uint16_t ports[CROWD + 1])
{
	struct weir_service_key key = key_of("203.0.113.10", 0, IPPROTO_TCP);
	size_t found = 0;

	for (uint32_t port = 1; port <= UINT16_MAX && found <= CROWD; port++) {
		key.port = htons(port);
		if (position_of(&key) == position)
			ports[found++] = port;
	}
	assert_int_equal(found, CROWD + 1);
}

/* Services "0", "1", ... on these ports, for each bit of `members`. */
static int serve_crowd(struct world *world, const uint16_t *ports, uint32_t members,
		       struct error *error)
{
	struct tables *next;
	char *text;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int err;

	for (int i = 0; i <= CROWD; i++)
		if (members & 1u << i)
			fprintf(out, "%s{'name': '%d', 'address': '203.0.113.10', 'port': %u,"
				" 'protocol': 'tcp', 'backends': [{'address': '10.0.1.%d'}]}",
				ftell(out) ? ", " : "", i, ports[i], i + 1);
	fclose(out);
	err = world_build(world, &next, error, text);
	free(text);
	if (!err)
		world_apply(world, next);
	return err;
}

static void check_crowd(const struct world *world, const uint16_t *ports, uint32_t members)
{
	for (int i = 0; i <= CROWD; i++) {
		char name[16], backend[32];
		const struct route route = { name, backend, .l2 = false };
		struct recipe recipe = request(&variants[0], ports[i]);
		struct frame frame;

		snprintf(name, sizeof(name), "%d", i);
		snprintf(backend, sizeof(backend), "10.0.1.%d", i + 1);
		frame_build(&frame, &recipe);
		subject("service %d, members 0x%x", i, members);
		if (members & 1u << i)
			expect_forward(world, &frame, &route);
		else
			expect_pass(world, &frame);
	}
}

/*
 * As many as a probe finds, over the table's end; in changing company, so that probes
 * cross places of services that have left.
 */
static void crowded_place(void **state)
{
	const uint32_t all = (1u << CROWD) - 1;
	struct world *world = empty_world();
	uint16_t ports[CROWD + 1];
	uint64_t numbers = 3;
	struct error error;

	find_crowd(POSITIONS - CROWD / 2, ports);
	assert_int_equal(serve_crowd(world, ports, all, &error), 0);
	check_crowd(world, ports, all);
	assert_int_equal(serve_crowd(world, ports, 1u << (CROWD - 1), &error), 0);
	check_crowd(world, ports, 1u << (CROWD - 1));
	for (int i = 0; i < 10; i++) {
		uint32_t members = random_next(&numbers) & all & random_next(&numbers);

		assert_int_equal(serve_crowd(world, ports, members, &error), 0);
		check_crowd(world, ports, members);
	}
}

static void one_too_many(void **state)
{
	const uint32_t all = (1u << CROWD) - 1;
	struct world *world = empty_world();
	uint16_t ports[CROWD + 1];
	struct error error;

	find_crowd(5, ports);
	assert_int_equal(serve_crowd(world, ports, all, &error), 0);
	check(serve_crowd(world, ports, all | 1u << CROWD, &error) == -ENOSPC, "it was placed");
	check(strstr(error.text, "capacity.services"), "message: %s", error.text);
	check_crowd(world, ports, all);
}

/* --- keys that are no service's ---------------------------------------------------------- */

enum part { ADDRESS_0, ADDRESS_1, ADDRESS_2, ADDRESS_3, PORT, PROTOCOL, FAMILY };

struct part_row {
	const char *name;
	enum part part;
	bool v4;	/* the service is of IPv4; it has port 1 to 65535, and is of TCP */
};

static const struct part_row parts[] = {
	{ "first word of an IPv4 address", ADDRESS_0, true },
	{ "first word of the address", ADDRESS_0, false },
	{ "second word of the address", ADDRESS_1, false },
	{ "third word of the address", ADDRESS_2, false },
	{ "last word of the address", ADDRESS_3, false },
	{ "port", PORT, false },
	{ "protocol", PROTOCOL, false },
	{ "family", FAMILY, true },
};

/* Another value of this part alone, the nth. Never a multicast address. */
static struct weir_service_key other_key(struct weir_service_key key, enum part part, uint32_t n)
{
	switch (part) {
	case PORT:
		key.port ^= htons(n);
		break;
	case PROTOCOL:
		key.protocol = IPPROTO_UDP;
		break;
	case FAMILY:
		key.family = WEIR_IPV6;
		break;
	default:
		key.address[part - ADDRESS_0] ^= htonl(n);
	}
	return key;
}

/* A service's key, and another one that differs in this part only and has its position. */
static void find_pair(const struct part_row *row, struct weir_service_key *service,
		      struct weir_service_key *other)
{
	const char *address = host(VIP, row->v4 ? 4 : 6);

	for (uint32_t n = 1; n <= UINT16_MAX; n++) {
		bool fixed = row->part == PROTOCOL || row->part == FAMILY;

		*service = key_of(address, fixed ? n : 80, IPPROTO_TCP);
		*other = other_key(*service, row->part, n);
		if (position_of(service) == position_of(other))
			return;
	}
	fail_subject("no two keys meet");
}

static void build_for_key(struct frame *frame, const struct weir_service_key *key)
{
	const struct variant variant = { .family = key->family, .protocol = key->protocol };
	struct recipe recipe = request(&variant, ntohs(key->port));

	memcpy(recipe.destination, key->address, sizeof(recipe.destination));
	frame_build(frame, &recipe);
}

/* The hash alone would take one for the other: every part of the key is compared. */
static void run_part(void **state)
{
	const struct route route = { "service", "10.0.1.1", .l2 = false };
	const struct part_row *row = *state;
	struct weir_service_key service, other;
	struct world *world = empty_world();
	struct frame frame;

	subject("%s", row->name);
	find_pair(row, &service, &other);
	world_serve(world, "{'name': 'service', 'address': '%s', 'port': %u, 'protocol': 'tcp',"
		    " 'backends': [{'address': '10.0.1.1'}]}", host(VIP, row->v4 ? 4 : 6),
		    ntohs(service.port));
	build_for_key(&frame, &service);
	expect_forward(world, &frame, &route);
	build_for_key(&frame, &other);
	expect_pass(world, &frame);
}

void services_tests(struct suite *suite)
{
	add_test(suite, crowded_place, NULL, "services: a crowded place");
	add_test(suite, one_too_many, NULL, "services: one too many for a place");
	for (size_t i = 0; i < ROWS(parts); i++)
		add_test(suite, run_part, &parts[i], "services: keys that differ in %s",
			 parts[i].name);
}
