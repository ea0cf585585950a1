/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * forward.h - the only stage that writes packets.
 *
 *   l2    rewrite the MAC addresses; the packet itself is untouched (DSR)
 *   ipip  put an outer header of the backend's family in front (RFC 2003, RFC 2473,
 *         RFC 4213): DSR across routers. Outer TTL is our own, the traffic class is
 *         copied with its ECN bits (RFC 6040, normal mode), DF is set.
 */
#ifndef WEIR_FORWARD_H
#define WEIR_FORWARD_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"

#define TUNNEL_TTL		64
#define IPV4_DONT_FRAGMENT	0x4000
#define IPV6_FLOW_LABEL		0xfffff

static __always_inline void write_ethernet(struct ethhdr *ethernet,
					   const struct weir_next_hop *hop, __be16 type)
{
	__builtin_memcpy(ethernet->h_dest, hop->destination, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, hop->source, ETH_ALEN);
	ethernet->h_proto = type;
}

static __always_inline __be16 ethernet_type(__u8 family)
{
	return family == WEIR_IPV4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

static __always_inline __u8 tunnel_protocol(__u8 inner_family)
{
	return inner_family == WEIR_IPV4 ? IPPROTO_IPIP : IPPROTO_IPV6;
}

static __always_inline __sum16 ipv4_checksum(const struct iphdr *ip)
{
	const __u16 *word = (const __u16 *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < (int)(sizeof(*ip) / 2); i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/*
 * Put an Ethernet header and room for an outer IP header of `size` bytes in front of
 * the packet. Returns where the outer header goes, or NULL with the reason in drop.
 */
static __always_inline void *push(struct packet *packet, const struct weir_next_hop *hop,
				  __u32 size, __be16 type)
{
	struct ethhdr *ethernet;

	packet->drop = WEIR_DROP_too_big;
	if (packet->length + size > hop->mtu)
		return NULL;
	packet->drop = WEIR_DROP_no_headroom;
	if (bpf_xdp_adjust_head(packet->ctx, -(int)size))
		return NULL;
	ethernet = (void *)(long)packet->ctx->data;
	if ((void *)(ethernet + 1) + size > (void *)(long)packet->ctx->data_end)
		return NULL;
	write_ethernet(ethernet, hop, type);
	return ethernet + 1;
}

static __always_inline enum verdict tunnel_ipv4(struct packet *packet,
						const struct weir_next_hop *hop)
{
	const __be32 source = packet->settings->source_v4;
	struct iphdr *outer;

	if (!source)
		return drop(packet, WEIR_DROP_no_source);
	outer = push(packet, hop, sizeof(*outer), bpf_htons(ETH_P_IP));
	if (!outer)
		return VERDICT_DROP;

	*outer = (struct iphdr){
		.version = 4,
		.ihl = sizeof(*outer) / 4,
		.tos = packet->tos,
		.tot_len = bpf_htons(packet->length + sizeof(*outer)),
		.frag_off = bpf_htons(IPV4_DONT_FRAGMENT),
		.ttl = TUNNEL_TTL,
		.protocol = tunnel_protocol(packet->destination.family),
		.saddr = source,
		.daddr = packet->backend->address[0],
	};
	outer->check = ipv4_checksum(outer);
	return VERDICT_NEXT;
}

static __always_inline enum verdict tunnel_ipv6(struct packet *packet,
						const struct weir_next_hop *hop)
{
	const __be32 *source = packet->settings->source_v6;
	struct ipv6hdr *outer;

	if (!source[0])	/* no unicast address starts with 32 zero bits */
		return drop(packet, WEIR_DROP_no_source);
	outer = push(packet, hop, sizeof(*outer), bpf_htons(ETH_P_IPV6));
	if (!outer)
		return VERDICT_DROP;

	/* The flow label carries the flow's hash, for routers that spread by it (RFC 6438). */
	*(__be32 *)outer = bpf_htonl(6u << 28 | (__u32)packet->tos << 20 |
				     ((__u32)packet->hash & IPV6_FLOW_LABEL));
	outer->payload_len = bpf_htons(packet->length);
	outer->nexthdr = tunnel_protocol(packet->destination.family);
	outer->hop_limit = TUNNEL_TTL;
	__builtin_memcpy(&outer->saddr, source, sizeof(outer->saddr));
	__builtin_memcpy(&outer->daddr, packet->backend->address, sizeof(outer->daddr));
	return VERDICT_NEXT;
}

static __always_inline enum verdict rewrite_l2(struct packet *packet,
					       const struct weir_next_hop *hop)
{
	struct ethhdr *ethernet = (void *)(long)packet->ctx->data;

	if (packet->length > hop->mtu)
		return drop(packet, WEIR_DROP_too_big);
	if ((void *)(ethernet + 1) > (void *)(long)packet->ctx->data_end)
		return drop(packet, WEIR_DROP_truncated);	/* parse saw it; for the verifier */
	write_ethernet(ethernet, hop, ethernet_type(packet->destination.family));
	return VERDICT_NEXT;
}

/*
 * A frame that is addressed to where we would send it was balanced already, and reached
 * us because a bridge floods or the interface is promiscuous. Sent again, it could circle
 * between two balancers for ever.
 */
static __always_inline bool is_underway(const struct packet *packet,
					const struct weir_next_hop *hop)
{
	const __u16 *half = (const __u16 *)hop->destination;

	return packet->sent_to[0] == half[0] && packet->sent_to[1] == half[1] &&
	       packet->sent_to[2] == half[2];
}

static __always_inline enum verdict forward(struct packet *packet)
{
	const struct weir_backend *backend = packet->backend;
	const struct weir_next_hop *hop = &backend->hop[backend->active_hop & 1];
	enum verdict verdict;

	if (!hop->ifindex)
		return drop(packet, WEIR_DROP_no_next_hop);
	if (is_underway(packet, hop))
		return VERDICT_PASS;

	if (backend->forward == WEIR_FORWARD_L2)
		verdict = rewrite_l2(packet, hop);
	else if (backend->family == WEIR_IPV4)
		verdict = tunnel_ipv4(packet, hop);
	else
		verdict = tunnel_ipv6(packet, hop);
	if (verdict != VERDICT_NEXT)
		return verdict;

	if (hop->ifindex == packet->ctx->ingress_ifindex)
		return VERDICT_TRANSMIT;
	bpf_redirect(hop->ifindex, 0);
	return VERDICT_REDIRECT;
}

#endif
