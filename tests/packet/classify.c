// SPDX-License-Identifier: BSD-2-Clause
/* classify.c - whose packet it is: address, port and protocol against the services. */
#include <netinet/in.h>

#include "site.h"

#define NOBODY LANES

enum defect {
	SOUND,
	BAD_LENGTH,		/* TCP data offset or UDP length of 0 */
	CUT_SHORT,		/* one byte is missing */
	FIRST_FRAGMENT,		/* IPv4 only */
	LATER_FRAGMENT,		/* IPv4 only: no ports */
};

struct row {
	const char *name;
	enum host to;
	uint16_t port;
	enum lane_id lane;	/* that it must be counted for, or NOBODY */
	unsigned int in;	/* these variants; 0: all */
	enum defect defect;
};

static const struct row rows[] = {
	/* by address and port */
	{ "a service's port", VIP, 81, .lane = LANE_IPIP_V4 },
	{ "another service of the same address", VIP, 82, .lane = LANE_IPIP_V6 },
	{ "another port", VIP, 80, .lane = NOBODY },
	{ "a service's port with its bytes swapped", VIP, 81 << 8, .lane = NOBODY },
	{ "port 0", VIP, 0, .lane = NOBODY },
	{ "port 65535", VIP, 65535, .lane = NOBODY },
	{ "another address", STRANGER, 81, .lane = NOBODY },
	{ "the tunnels' source address", BALANCER, 81, .lane = NOBODY },

	/* by protocol */
	{ "TCP to a service of TCP", VIP, 22, .lane = LANE_TCP_ONLY, .in = TCP },
	{ "UDP to a service of TCP", VIP, 22, .lane = NOBODY, .in = UDP },
	{ "UDP to a service of UDP", VIP, 53, .lane = LANE_UDP_ONLY, .in = UDP },
	{ "TCP to a service of UDP", VIP, 53, .lane = NOBODY, .in = TCP },

	/* port any; an exact port comes first */
	{ "any port", ANY_VIP, 80, .lane = LANE_ANY },
	{ "any port: 1", ANY_VIP, 1, .lane = LANE_ANY },
	{ "any port: 65535", ANY_VIP, 65535, .lane = LANE_ANY },
	{ "any port: 0", ANY_VIP, 0, .lane = LANE_ANY },
	{ "exact port beside any", ANY_VIP, 443, .lane = LANE_EXACT },

	/* what is bad is dropped only where it is ours */
	{ "bad length, port", VIP, 81, .lane = LANE_IPIP_V4, .defect = BAD_LENGTH },
	{ "bad length, any port", ANY_VIP, 80, .lane = LANE_ANY, .defect = BAD_LENGTH },
	{ "bad length, exact port", ANY_VIP, 443, .lane = LANE_EXACT, .defect = BAD_LENGTH },
	{ "bad length, another port", VIP, 80, .lane = NOBODY, .defect = BAD_LENGTH },
	{ "bad length, another address", STRANGER, 81, .lane = NOBODY, .defect = BAD_LENGTH },
	{ "cut short, port", VIP, 81, .lane = LANE_IPIP_V4, .defect = CUT_SHORT },
	{ "cut short, another port", VIP, 80, .lane = NOBODY, .defect = CUT_SHORT },
	{ "cut short, another address", STRANGER, 81, .lane = NOBODY, .defect = CUT_SHORT },

	/* later fragments have no ports: only a service of all of them knows its own */
	{ "first fragment, port", VIP, 81, .lane = LANE_IPIP_V4, .in = V4,
	  .defect = FIRST_FRAGMENT },
	{ "first fragment, any port", ANY_VIP, 80, .lane = LANE_ANY, .in = V4,
	  .defect = FIRST_FRAGMENT },
	{ "first fragment, exact port", ANY_VIP, 443, .lane = LANE_EXACT, .in = V4,
	  .defect = FIRST_FRAGMENT },
	{ "first fragment, another port", VIP, 80, .lane = NOBODY, .in = V4,
	  .defect = FIRST_FRAGMENT },
	{ "first fragment, another address", STRANGER, 81, .lane = NOBODY, .in = V4,
	  .defect = FIRST_FRAGMENT },
	{ "later fragment, port", VIP, 81, .lane = NOBODY, .in = V4, .defect = LATER_FRAGMENT },
	{ "later fragment, any port", ANY_VIP, 80, .lane = LANE_ANY, .in = V4,
	  .defect = LATER_FRAGMENT },
	{ "later fragment, bytes like the exact port", ANY_VIP, 443, .lane = LANE_ANY, .in = V4,
	  .defect = LATER_FRAGMENT },
	{ "later fragment, another address", STRANGER, 81, .lane = NOBODY, .in = V4,
	  .defect = LATER_FRAGMENT },
};

static enum weir_drop spoil(struct frame *frame, enum defect defect, bool tcp)
{
	uint8_t *fragment = frame->data + ETHERNET_SIZE + 6;

	switch (defect) {
	case BAD_LENGTH:
		put16(frame->data + frame->transport + (tcp ? 12 : 4), 0);
		return WEIR_DROP_malformed;
	case CUT_SHORT:
		frame->size--;
		return WEIR_DROP_truncated;
	case FIRST_FRAGMENT:
	case LATER_FRAGMENT:
		put16(fragment, defect == FIRST_FRAGMENT ? 0x2000 : 0x0010);
		return WEIR_DROP_fragment;
	default:
		return WEIR_DROPS;
	}
}

static void run_row(void **state)
{
	const struct row *row = *state;

	for_each_variant(variant, row->in) {
		struct recipe recipe = request(variant, row->port);
		struct frame frame;
		struct route route;
		enum weir_drop why;

		subject("%s", variant->name);
		set_destination(&recipe, host(row->to, variant->family));
		frame_build(&frame, &recipe);
		why = spoil(&frame, row->defect, variant->protocol == IPPROTO_TCP);
		if (row->lane == NOBODY) {
			expect_pass(site(), &frame);
			continue;
		}
		route = lane_route(row->lane, variant);
		if (row->defect)
			expect_drop(site(), &frame, why, route.service, NULL);
		else
			expect_forward(site(), &frame, &route);
	}
}

/* What a service sends, or what was meant for another host's port of this number. */
static void source_is_no_key(void **state)
{
	for_each_variant(variant, 0) {
		struct recipe recipe = lane_request(LANE_IPIP_V4, variant);
		struct frame frame;

		subject("%s", variant->name);
		set_source(&recipe, host(VIP, variant->family));
		set_destination(&recipe, host(CLIENT, variant->family));
		recipe.source_port = recipe.destination_port;
		frame_build(&frame, &recipe);
		expect_pass(site(), &frame);
		recipe.destination_port = 40000;
		frame_build(&frame, &recipe);
		expect_pass(site(), &frame);
	}
}

/* An IPv6 address that starts with the service's IPv4 address, as the key's words do. */
static void family_is_part_of_the_key(void **state)
{
	for_each_variant(variant, V6) {
		struct recipe recipe = lane_request(LANE_IPIP_V4, variant);
		struct frame frame;

		subject("%s", variant->name);
		assert_int_equal(ip_bytes(host(VIP, 4), recipe.destination), 4);
		frame_build(&frame, &recipe);
		expect_pass(site(), &frame);
	}
}

/* One bit of the address or port off is another one. */
static void every_bit_of_the_key(void **state)
{
	for_each_variant(variant, 0) {
		struct recipe recipe = lane_request(LANE_IPIP_V4, variant);
		size_t size = variant->family == 4 ? 4 : 16;
		struct frame frame, other;

		frame_build(&frame, &recipe);
		for (size_t bit = 0; bit < 8 * (size + 2); bit++) {
			size_t byte = bit / 8 < size ? frame.transport - size + bit / 8
						     : frame.transport + 2 + bit / 8 - size;

			subject("%s, bit %zu", variant->name, bit);
			other = frame;
			other.data[byte] ^= 1 << bit % 8;
			if (get16(other.data + other.transport + 2) - 81u < LANE_FORWARDS &&
			    byte > other.transport)
				continue;	/* a neighbour's port */
			expect_pass(site(), &other);
		}
	}
}

void classify_tests(struct suite *suite)
{
	for (size_t i = 0; i < ROWS(rows); i++)
		add_test(suite, run_row, &rows[i], "classify: %s", rows[i].name);
	add_test(suite, source_is_no_key, NULL, "classify: the source is no key");
	add_test(suite, family_is_part_of_the_key, NULL,
		 "classify: the family is part of the key");
	add_test(suite, every_bit_of_the_key, NULL, "classify: every bit of the key");
}
