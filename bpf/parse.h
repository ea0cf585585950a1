/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * parse.h - read the frame once, front to back.
 *
 * A frame whose destination cannot be read as address and protocol cannot be ours and
 * passes; one without a port can be ours only if a service is on any port. One that can be read but is broken is noted as defective, and
 * classify.h drops it only if it turns out to be ours.
 *
 * Passes in this version, also when it is for a service's address: VLAN tags, IPv6
 * extension headers, ICMP, protocols other than TCP and UDP.
 */
#ifndef WEIR_PARSE_H
#define WEIR_PARSE_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "cursor.h"
#include "packet.h"

static __always_inline void note_defect(struct packet *packet, enum weir_drop why)
{
	if (!packet->defective)
		packet->drop = why;
	packet->defective = true;
}

static __always_inline void read_tcp(struct cursor *cursor, struct packet *packet,
				     __u32 segment)
{
	const struct tcphdr *tcp = take(cursor, sizeof(*tcp));

	if (!tcp || segment < sizeof(*tcp)) {
		note_defect(packet, WEIR_DROP_truncated);
		return;
	}
	if (tcp->doff * 4 < sizeof(*tcp) || tcp->doff * 4 > segment)
		note_defect(packet, WEIR_DROP_malformed);
	packet->opens_flow = tcp->syn && !tcp->ack;
}

static __always_inline void read_udp(struct cursor *cursor, struct packet *packet,
				     __u32 datagram)
{
	const struct udphdr *udp = take(cursor, sizeof(*udp));

	if (!udp || datagram < sizeof(*udp)) {
		note_defect(packet, WEIR_DROP_truncated);
		return;
	}
	if (bpf_ntohs(udp->len) < sizeof(*udp) || bpf_ntohs(udp->len) > datagram)
		note_defect(packet, WEIR_DROP_malformed);
}

/* Ports, then the rest of the header. payload: bytes that the IP header announces. */
static __always_inline enum verdict read_transport(struct cursor *cursor,
						   struct packet *packet, __u32 payload)
{
	const __u32 *ports = cursor->at;

	if ((void *)(ports + 1) > cursor->end) {
		note_defect(packet, WEIR_DROP_truncated);
		return VERDICT_NEXT;	/* ours only if it is for a service on any port */
	}
	packet->ports = *ports;
	packet->destination.port = bpf_htons((__u16)bpf_ntohl(*ports));

	if (packet->destination.protocol == IPPROTO_TCP)
		read_tcp(cursor, packet, payload);
	else
		read_udp(cursor, packet, payload);
	return VERDICT_NEXT;
}

static __always_inline bool is_transport(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

static __always_inline enum verdict read_ipv4(struct cursor *cursor, struct packet *packet)
{
	__u32 available = cursor->end - cursor->at;
	const struct iphdr *ip = take(cursor, sizeof(*ip));
	__u32 header, fragment;

	if (!ip || ip->version != 4 || ip->ihl < 5 || !is_transport(ip->protocol))
		return VERDICT_PASS;

	header = ip->ihl * 4;
	packet->length = bpf_ntohs(ip->tot_len);
	packet->tos = ip->tos;
	packet->source[0] = ip->saddr;
	packet->destination.address[0] = ip->daddr;
	packet->destination.protocol = ip->protocol;
	packet->destination.family = WEIR_IPV4;

	if (packet->length > available)
		note_defect(packet, WEIR_DROP_truncated);
	if (packet->length < header) {
		note_defect(packet, WEIR_DROP_malformed);
		packet->length = header;
	}
	fragment = bpf_ntohs(ip->frag_off) & (IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS);
	if (fragment)
		note_defect(packet, WEIR_DROP_fragment);
	if (fragment & IPV4_FRAGMENT_OFFSET)
		return VERDICT_NEXT;	/* no ports: only a service on any port is meant */

	cursor->at = (void *)ip + header;
	return read_transport(cursor, packet, packet->length - header);
}

static __always_inline enum verdict read_ipv6(struct cursor *cursor, struct packet *packet)
{
	__u32 available = cursor->end - cursor->at;
	const struct ipv6hdr *ip = take(cursor, sizeof(*ip));
	__u32 payload;

	if (!ip || ip->version != 6 || !is_transport(ip->nexthdr))
		return VERDICT_PASS;

	payload = bpf_ntohs(ip->payload_len);
	packet->length = sizeof(*ip) + payload;
	packet->tos = bpf_ntohs(*(__be16 *)ip) >> 4;
	__builtin_memcpy(packet->source, &ip->saddr, sizeof(packet->source));
	__builtin_memcpy(packet->destination.address, &ip->daddr,
			 sizeof(packet->destination.address));
	packet->destination.protocol = ip->nexthdr;
	packet->destination.family = WEIR_IPV6;

	if (packet->length > available)
		note_defect(packet, WEIR_DROP_truncated);
	return read_transport(cursor, packet, payload);
}

/* Half-words: both are aligned to 2, and fewer loads than bytes. */
static __always_inline void copy_mac(__u16 *to, const __u8 *from)
{
	const __u16 *half = (const __u16 *)from;

	to[0] = half[0];
	to[1] = half[1];
	to[2] = half[2];
}

static __always_inline enum verdict parse(struct packet *packet)
{
	struct cursor cursor = frame(packet->ctx);
	const struct ethhdr *ethernet = take(&cursor, sizeof(*ethernet));

	/* A frame for a group address is not for this host alone: never forwarded. */
	if (!ethernet || ethernet->h_dest[0] & 1)
		return VERDICT_PASS;
	copy_mac(packet->sent_to, ethernet->h_dest);

	switch (ethernet->h_proto) {
	case bpf_htons(ETH_P_IP):
		return read_ipv4(&cursor, packet);
	case bpf_htons(ETH_P_IPV6):
		return read_ipv6(&cursor, packet);
	default:
		return VERDICT_PASS;
	}
}

#endif
