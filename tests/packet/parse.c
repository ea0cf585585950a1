// SPDX-License-Identifier: BSD-2-Clause
/*
 * parse.c - what becomes of a packet because of its form alone. Each row takes a good
 * request to a service and spoils it, or makes it unusual.
 */
#include <linux/bpf.h>
#include <netinet/in.h>

#include "site.h"

#define MAC_SIZE 6

struct row {
	const char *name;
	void (*spoil)(struct frame *frame, size_t value);
	size_t value;
	enum weir_drop why;
	unsigned int in;	/* these variants; 0: all */
	bool one_port;		/* a service of all ports sees it otherwise */
	struct recipe change;	/* to the request, where not 0 */
};

static uint8_t *ip(struct frame *frame)
{
	return frame->data + ETHERNET_SIZE;
}

static uint8_t *transport(struct frame *frame)
{
	return frame->data + frame->transport;
}

static bool is_v4(struct frame *frame)
{
	return ip(frame)[0] >> 4 == 4;
}

/* --- what can be wrong ------------------------------------------------------------------ */

static void ethertype(struct frame *frame, size_t value)
{
	put16(frame->data + 2 * MAC_SIZE, value);
}

static void vlan(struct frame *frame, size_t value)
{
	frame_insert(frame, 2 * MAC_SIZE, 4);
	put16(frame->data + 2 * MAC_SIZE, value);
	put16(frame->data + 2 * MAC_SIZE + 2, 100);
}

static void two_vlans(struct frame *frame, size_t value)
{
	vlan(frame, 0x8100);
	vlan(frame, value);
}

static void first_mac_byte(struct frame *frame, size_t value)
{
	frame->data[0] = value;
}

static void version(struct frame *frame, size_t value)
{
	ip(frame)[0] = value << 4 | (ip(frame)[0] & 15);
}

static void other_version(struct frame *frame, size_t value)
{
	ip(frame)[0] ^= 4 << 4 ^ 6 << 4;
}

static void header_words(struct frame *frame, size_t value)
{
	ip(frame)[0] = 4 << 4 | value;
}

static void protocol(struct frame *frame, size_t value)
{
	ip(frame)[is_v4(frame) ? 9 : 6] = value;
}

/* An extension header of eight bytes in front of the transport header. */
static void extension(struct frame *frame, size_t value)
{
	uint8_t next = ip(frame)[6];

	frame_insert(frame, frame->transport, 8);
	transport(frame)[0] = next;
	transport(frame)[1] = 0;
	ip(frame)[6] = value;
	put16(ip(frame) + 4, frame->size - ETHERNET_SIZE - IPV6_SIZE);
}

/* Of the IP packet, header included, less than or more than there is. */
static void announce(struct frame *frame, size_t length)
{
	if (is_v4(frame))
		put16(ip(frame) + 2, length);
	else
		put16(ip(frame) + 4, length - IPV6_SIZE);
	frame->length = length;
}

static void announce_payload(struct frame *frame, size_t value)
{
	announce(frame, frame->transport - ETHERNET_SIZE + value);
}

static void announce_more(struct frame *frame, size_t value)
{
	announce(frame, frame->length + value);
}

static void fragment(struct frame *frame, size_t value)
{
	put16(ip(frame) + 6, value);
}

static void data_offset(struct frame *frame, size_t words)
{
	transport(frame)[12] = words << 4;
}

/* A header as long as the segment, or longer. */
static void data_offset_beyond(struct frame *frame, size_t words)
{
	size_t segment = frame->size - frame->transport;

	data_offset(frame, segment / 4 + words);
}

static void udp_length(struct frame *frame, size_t value)
{
	put16(transport(frame) + 4, value);
}

static void udp_length_beyond(struct frame *frame, size_t value)
{
	put16(transport(frame) + 4, frame->size - frame->transport + value);
}

/* Nobody's business but the receiver's. */
static void spoil_checksums(struct frame *frame, size_t value)
{
	transport(frame)[16 % (frame->size - frame->transport)] ^= value;
	if (is_v4(frame))
		ip(frame)[10] ^= value;
}

/* Not ours: whatever cannot be read as address, protocol and port. */
static const struct row passed[] = {
	{ "ARP", ethertype, .value = 0x0806 },
	{ "ethertype unknown", ethertype, .value = 0x1234 },
	{ "802.3 length", ethertype, .value = 60 },
	{ "IPv6 said to be IPv4", ethertype, .value = 0x0800, .in = V6 },
	{ "IPv4 said to be IPv6", ethertype, .value = 0x86dd, .in = V4 },
	{ "VLAN tag", vlan, .value = 0x8100 },
	{ "provider's VLAN tag", vlan, .value = 0x88a8 },
	{ "two VLAN tags", two_vlans, .value = 0x88a8 },
	{ "broadcast MAC", first_mac_byte, .value = 0xff },
	{ "multicast MAC", first_mac_byte, .value = 0x33 },
	{ "version of the other family", .spoil = other_version },
	{ "version 0", version, .value = 0 },
	{ "version 5", version, .value = 5 },
	{ "IPv4 header of 16 bytes", header_words, .value = 4, .in = V4 },
	{ "IPv4 header of no bytes", header_words, .value = 0, .in = V4 },
	{ "ICMP", protocol, .value = IPPROTO_ICMP },
	{ "ICMPv6", protocol, .value = IPPROTO_ICMPV6 },
	{ "IPv4 in IP", protocol, .value = IPPROTO_IPIP },
	{ "IPv6 in IP", protocol, .value = IPPROTO_IPV6 },
	{ "GRE", protocol, .value = IPPROTO_GRE },
	{ "ESP", protocol, .value = IPPROTO_ESP },
	{ "SCTP", protocol, .value = IPPROTO_SCTP },
	{ "UDP-Lite", protocol, .value = IPPROTO_UDPLITE },
	{ "hop-by-hop options", extension, .value = IPPROTO_HOPOPTS, .in = V6 },
	{ "routing header", extension, .value = IPPROTO_ROUTING, .in = V6 },
	{ "fragment header", extension, .value = IPPROTO_FRAGMENT, .in = V6 },
	{ "destination options", extension, .value = IPPROTO_DSTOPTS, .in = V6 },
	{ "authentication header", extension, .value = IPPROTO_AH, .in = V6 },
	{ "no next header", extension, .value = IPPROTO_NONE, .in = V6 },
	{ "middle fragment", fragment, .value = 0x2001, .in = V4,
	  .one_port = true },
	{ "last fragment", fragment, .value = 0x0001, .in = V4,
	  .one_port = true },
	{ "last fragment, largest offset", fragment, .value = 0x1fff, .in = V4,
	  .one_port = true },
};

/* Ours and bad. */
static const struct row dropped[] = {
	{ "first fragment", fragment, 0x2000, .why = WEIR_DROP_fragment, .in = V4 },
	{ "first fragment, don't fragment", fragment, 0x6000, .why = WEIR_DROP_fragment,
	  .in = V4 },
	{ "TCP data offset 0", data_offset, 0, .why = WEIR_DROP_malformed, .in = TCP },
	{ "TCP data offset 4", data_offset, 4, .why = WEIR_DROP_malformed, .in = TCP },
	{ "TCP data offset 1 beyond the segment", data_offset_beyond, 1,
	  .why = WEIR_DROP_malformed, .in = TCP, .change = { .payload = 20 } },
	{ "UDP length 0", udp_length, 0, .why = WEIR_DROP_malformed, .in = UDP },
	{ "UDP length 7", udp_length, 7, .why = WEIR_DROP_malformed, .in = UDP },
	{ "UDP length 1 beyond the packet", udp_length_beyond, 1, .why = WEIR_DROP_malformed,
	  .in = UDP },
	{ "UDP length 65535", udp_length, 65535, .why = WEIR_DROP_malformed, .in = UDP },
	{ "IP length 1 beyond the frame", announce_more, 1, .why = WEIR_DROP_truncated },
	{ "IP length 60000 beyond the frame", announce_more, 60000, .why = WEIR_DROP_truncated },
	{ "IP length 65535", announce, 65535, .why = WEIR_DROP_truncated },
	{ "IPv4 length 0", announce, 0, .why = WEIR_DROP_malformed, .in = V4 },
	{ "IPv4 length 19", announce, 19, .why = WEIR_DROP_malformed, .in = V4 },
	{ "IPv4 length 1 short of its options", announce, 31, .why = WEIR_DROP_malformed, .in = V4,
	  .change = { .ip_options = 12 } },
	{ "IP payload 0", announce_payload, 0, .why = WEIR_DROP_truncated },
	{ "IP payload 3", announce_payload, 3, .why = WEIR_DROP_truncated },
	{ "IP payload 7", announce_payload, 7, .why = WEIR_DROP_truncated },
	{ "IP payload 1 short of a TCP header", announce_payload, TCP_SIZE - 1,
	  .why = WEIR_DROP_truncated, .in = TCP },
};

/* Unusual and good. */
static const struct row forwarded[] = {
	{ "TCP data offset to the segment's end", data_offset_beyond, .value = 0, .in = TCP,
	  .change = { .payload = 20 } },
	{ "UDP length 1 short of the packet", udp_length_beyond, .value = -1, .in = UDP },
	{ "UDP length 8", udp_length, .value = 8, .in = UDP },
	{ "IP payload of a TCP header", announce_payload, .value = TCP_SIZE, .in = TCP },
	{ "reserved IPv4 flag", fragment, .value = 0x8000, .in = V4 },
	{ "wrong checksums", spoil_checksums, .value = 0x40 },
	{ "unicast MAC of another host", first_mac_byte, .value = 0xfe },
};

static void build(struct frame *frame, const struct row *row, enum lane_id lane,
		  const struct variant *variant)
{
	struct recipe recipe = lane_request(lane, variant);

	subject("%s", lane_service(lane, variant));
	recipe.ip_options = row->change.ip_options;
	if (row->change.payload)
		recipe.payload = row->change.payload;
	frame_build(frame, &recipe);
	row->spoil(frame, row->value);
}

/* Each row is tried on a service of one port, and on one of all ports. */
static enum lane_id lanes_of(const struct row *row, int n)
{
	return n && !row->one_port ? LANE_ANY : LANE_IPIP_V4;
}

static void run_passed(void **state)
{
	const struct row *row = *state;
	struct frame frame;

	for (int n = 0; n < 2; n++)
		for_each_variant(variant, row->in) {
			build(&frame, row, lanes_of(row, n), variant);
			expect_pass(site(), &frame);
		}
}

static void run_dropped(void **state)
{
	const struct row *row = *state;
	struct frame frame;

	for (int n = 0; n < 2; n++)
		for_each_variant(variant, row->in) {
			enum lane_id lane = lanes_of(row, n);

			build(&frame, row, lane, variant);
			expect_drop(site(), &frame, row->why, lane_service(lane, variant), NULL);
		}
}

static void run_forwarded(void **state)
{
	const struct row *row = *state;
	struct frame frame;

	for (int n = 0; n < 2; n++)
		for_each_variant(variant, row->in) {
			struct route route = lane_route(lanes_of(row, n), variant);

			build(&frame, row, lanes_of(row, n), variant);
			expect_forward(site(), &frame, &route);
		}
}

static void every_ethertype(void **state)
{
	struct recipe recipe = lane_request(LANE_L2, &variants[0]);
	struct frame frame;

	frame_build(&frame, &recipe);
	for (size_t type = 0; type <= 0xffff; type++) {
		int expected = type == 0x0800 ? XDP_TX : XDP_PASS;

		ethertype(&frame, type);
		subject("ethertype 0x%04zx", type);
		check(verdict_of(site(), &frame) == expected, "not %s", verdict_name(expected));
	}
}

static void every_protocol(void **state)
{
	for_each_variant(variant, TCP) {
		struct recipe recipe = lane_request(LANE_TCP_ONLY, variant);
		struct frame frame;

		frame_build(&frame, &recipe);
		for (size_t number = 0; number <= 0xff; number++) {
			int expected = number == IPPROTO_TCP ? XDP_TX : XDP_PASS;

			protocol(&frame, number);
			subject("%s, protocol %zu", variant->name, number);
			check(verdict_of(site(), &frame) == expected, "not %s",
			      verdict_name(expected));
		}
	}
}

void parse_tests(struct suite *suite)
{
	for (size_t i = 0; i < ROWS(passed); i++)
		add_test(suite, run_passed, &passed[i], "parse: pass: %s", passed[i].name);
	for (size_t i = 0; i < ROWS(dropped); i++)
		add_test(suite, run_dropped, &dropped[i], "parse: drop: %s", dropped[i].name);
	for (size_t i = 0; i < ROWS(forwarded); i++)
		add_test(suite, run_forwarded, &forwarded[i], "parse: forward: %s",
			 forwarded[i].name);
	add_test(suite, every_ethertype, NULL, "parse: every ethertype");
	add_test(suite, every_protocol, NULL, "parse: every protocol");
}
