// SPDX-License-Identifier: BSD-2-Clause
/* frame.c - see frame.h. */
#include <netinet/in.h>
#include <string.h>

#include "frame.h"

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_IPV6 0x86dd

void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

uint16_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* RFC 1071: big-endian words, an odd last byte padded with zero. */
static uint32_t sum_words(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? data[i] : data[i] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Over the pseudo-header of RFC 793 or RFC 8200 and the segment. */
static uint16_t transport_checksum(uint8_t protocol, const uint8_t *addresses,
				   size_t address_size, const uint8_t *segment, size_t size)
{
	return fold(sum_words(addresses, 2 * address_size) + protocol + size +
		    sum_words(segment, size));
}

/* --- build ------------------------------------------------------------------------------ */

static void write_ethernet(uint8_t *at, uint8_t family)
{
	static const uint8_t macs[] = { 2, 0, 0, 0, 0, 0xaa, 2, 0, 0, 0, 0, 0xcc };

	memcpy(at, macs, sizeof(macs));
	put16(at + 12, family == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6);
}

static void write_ipv4(uint8_t *at, const struct recipe *recipe, size_t length)
{
	size_t header = IPV4_SIZE + recipe->ip_options;

	at[0] = 4 << 4 | header / 4;
	at[1] = recipe->tos;
	put16(at + 2, length);
	put16(at + 4, recipe->id);
	put16(at + 6, recipe->fragment);
	at[8] = recipe->ttl;
	at[9] = recipe->protocol;
	memcpy(at + 12, recipe->source, 4);
	memcpy(at + 16, recipe->destination, 4);
	memset(at + IPV4_SIZE, 1, recipe->ip_options);	/* no operation */
	put16(at + 10, 0);
	put16(at + 10, fold(sum_words(at, header)));
}

static void write_ipv6(uint8_t *at, const struct recipe *recipe, size_t length)
{
	put32(at, 6u << 28 | recipe->tos << 20 | recipe->flow_label);
	put16(at + 4, length - IPV6_SIZE);
	at[6] = recipe->protocol;
	at[7] = recipe->ttl;
	memcpy(at + 8, recipe->source, 16);
	memcpy(at + 24, recipe->destination, 16);
}

static void write_tcp(uint8_t *at, const struct recipe *recipe)
{
	put16(at, recipe->source_port);
	put16(at + 2, recipe->destination_port);
	put32(at + 4, 0x01020304);
	put32(at + 8, 0x05060708);
	at[12] = (TCP_SIZE + recipe->tcp_options) / 4 << 4;
	at[13] = recipe->tcp_flags;
	put16(at + 14, 0xfff0);
	memset(at + TCP_SIZE, 1, recipe->tcp_options);
}

static void write_udp(uint8_t *at, const struct recipe *recipe)
{
	put16(at, recipe->source_port);
	put16(at + 2, recipe->destination_port);
	put16(at + 4, UDP_SIZE + recipe->payload);
}

static void seal_transport(struct frame *frame, const struct recipe *recipe, size_t size)
{
	bool tcp = recipe->protocol == IPPROTO_TCP, v4 = recipe->family == 4;
	uint8_t *at = frame->data + frame->transport;
	const uint8_t *ip = frame->data + ETHERNET_SIZE;
	uint16_t sum = transport_checksum(recipe->protocol, v4 ? ip + 12 : ip + 8, v4 ? 4 : 16,
					  at, size);

	put16(at + (tcp ? 16 : 6), sum || tcp ? sum : 0xffff);
}

void frame_build(struct frame *frame, const struct recipe *recipe)
{
	bool tcp = recipe->protocol == IPPROTO_TCP, v4 = recipe->family == 4;
	size_t header = tcp ? TCP_SIZE + recipe->tcp_options : UDP_SIZE;
	uint8_t *ip = frame->data + ETHERNET_SIZE, *at;

	memset(frame->data, 0, sizeof(frame->data));
	frame->transport = ETHERNET_SIZE + (v4 ? IPV4_SIZE + recipe->ip_options : IPV6_SIZE);
	frame->size = frame->transport + header + recipe->payload;
	frame->length = frame->size - ETHERNET_SIZE;

	write_ethernet(frame->data, recipe->family);
	(v4 ? write_ipv4 : write_ipv6)(ip, recipe, frame->length);
	at = frame->data + frame->transport;
	(tcp ? write_tcp : write_udp)(at, recipe);
	for (size_t i = 0; i < recipe->payload; i++)
		at[header + i] = 7 * i + 3;
	seal_transport(frame, recipe, header + recipe->payload);

	while (frame->size < recipe->pad_to)
		frame->data[frame->size++] = 0x5a;
}

void frame_insert(struct frame *frame, size_t offset, size_t size)
{
	memmove(frame->data + offset + size, frame->data + offset, frame->size - offset);
	memset(frame->data + offset, 0xee, size);
	frame->size += size;
}

void frame_set_macs(struct frame *frame, const uint8_t *destination, const uint8_t *source)
{
	memcpy(frame->data, destination, 6);
	memcpy(frame->data + 6, source, 6);
}

bool frame_opens_flow(const struct frame *frame)
{
	const uint8_t *ip = frame->data + ETHERNET_SIZE;
	uint8_t protocol = ip[0] >> 4 == 4 ? ip[9] : ip[6];
	uint8_t flags = frame->data[frame->transport + 13];

	return protocol == IPPROTO_TCP && (flags & TCP_SYN) && !(flags & TCP_ACK);
}

/* --- tunnels ---------------------------------------------------------------------------- */

void frame_encapsulate(struct frame *frame, const struct frame *inner,
		       const struct outer *outer)
{
	bool v4 = outer->family == 4;
	size_t added = v4 ? IPV4_SIZE : IPV6_SIZE;
	const uint8_t *inner_ip = inner->data + ETHERNET_SIZE;
	struct recipe header = {
		.tos = inner_ip[0] >> 4 == 4 ? inner_ip[1] : get16(inner_ip) >> 4,
		.protocol = inner_ip[0] >> 4 == 4 ? IPPROTO_IPIP : IPPROTO_IPV6,
		.ttl = 64,
		.fragment = 0x4000,	/* don't */
		.flow_label = outer->flow_label,
	};

	memcpy(header.source, outer->source, sizeof(header.source));
	memcpy(header.destination, outer->destination, sizeof(header.destination));
	*frame = *inner;
	frame->size += added;
	frame->transport += added;
	frame->length += added;
	write_ethernet(frame->data, outer->family);
	(v4 ? write_ipv4 : write_ipv6)(frame->data + ETHERNET_SIZE, &header, frame->length);
	memcpy(frame->data + ETHERNET_SIZE + added, inner_ip, inner->size - ETHERNET_SIZE);
}

/* --- verify ----------------------------------------------------------------------------- */

static const char *transport_fault(uint8_t protocol, const uint8_t *addresses,
				   size_t address_size, const uint8_t *segment, size_t size)
{
	if (protocol == IPPROTO_UDP) {
		if (size < UDP_SIZE || get16(segment + 4) < UDP_SIZE || get16(segment + 4) > size)
			return "UDP length";
		size = get16(segment + 4);
	}
	if (transport_checksum(protocol, addresses, address_size, segment, size))
		return protocol == IPPROTO_UDP ? "UDP checksum" : "TCP checksum";
	return NULL;
}

static const char *ip_fault(const uint8_t *ip, size_t size)
{
	bool v4 = ip[0] >> 4 == 4;
	size_t header = v4 ? (ip[0] & 15) * 4 : IPV6_SIZE;
	size_t length = v4 ? get16(ip + 2) : IPV6_SIZE + get16(ip + 4);
	uint8_t protocol = v4 ? ip[9] : ip[6];

	if (!v4 && ip[0] >> 4 != 6)
		return "IP version";
	if (header < IPV4_SIZE || length < header || length > size)
		return "IP length";
	if (v4 && fold(sum_words(ip, header)))
		return "IPv4 header checksum";
	if (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6)
		return ip_fault(ip + header, length - header);
	return transport_fault(protocol, v4 ? ip + 12 : ip + 8, v4 ? 4 : 16, ip + header,
			       length - header);
}

const char *frame_fault(const uint8_t *data, size_t size)
{
	uint16_t type = size < ETHERNET_SIZE + IPV4_SIZE ? 0 : get16(data + 12);

	if (type != (data[ETHERNET_SIZE] >> 4 == 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6))
		return "ethertype";
	return ip_fault(data + ETHERNET_SIZE, size - ETHERNET_SIZE);
}
