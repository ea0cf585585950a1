// SPDX-License-Identifier: GPL-2.0-only
/*
 * decap.bpf.c - the other end of `ipip`: on a backend without a tunnel device, take the
 * outer header off and let the network stack see the packet as the client sent it.
 *
 * Only tunnelled packets for an address in `decap_addresses` are touched; all else,
 * and what is not a whole, unfragmented tunnel packet, passes as it came.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <stdbool.h>

#include <weir/decap.h>

#include "cursor.h"

/* Whose tunnels we end, and what came through them. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, WEIR_DECAP_ADDRESSES);
	__type(key, struct weir_decap_key);
	__type(value, struct weir_decap_counters);
} decap_addresses SEC(".maps");

struct tunnel {
	struct weir_decap_key key;	/* the outer destination */
	__u32 outer;			/* bytes of outer header */
	__u32 length;			/* bytes of inner packet */
	__u8 protocol;			/* IPPROTO_IPIP, IPPROTO_IPV6 */
};

static __always_inline bool read_outer_ipv4(struct cursor *cursor, struct tunnel *tunnel)
{
	const struct iphdr *ip = take(cursor, sizeof(*ip));

	if (!ip || ip->version != 4 || ip->ihl != 5 ||
	    ip->frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET | IPV4_MORE_FRAGMENTS))
		return false;
	tunnel->key.family = WEIR_IPV4;
	tunnel->key.address[0] = ip->daddr;
	tunnel->protocol = ip->protocol;
	tunnel->outer = sizeof(*ip);
	tunnel->length = bpf_ntohs(ip->tot_len) - sizeof(*ip);
	return bpf_ntohs(ip->tot_len) > sizeof(*ip);
}

static __always_inline bool read_outer_ipv6(struct cursor *cursor, struct tunnel *tunnel)
{
	const struct ipv6hdr *ip = take(cursor, sizeof(*ip));

	if (!ip || ip->version != 6)
		return false;
	tunnel->key.family = WEIR_IPV6;
	__builtin_memcpy(tunnel->key.address, &ip->daddr, sizeof(tunnel->key.address));
	tunnel->protocol = ip->nexthdr;
	tunnel->outer = sizeof(*ip);
	tunnel->length = bpf_ntohs(ip->payload_len);
	return true;
}

static __always_inline bool read_outer(struct cursor *cursor, __be16 type,
				       struct tunnel *tunnel)
{
	switch (type) {
	case bpf_htons(ETH_P_IP):
		return read_outer_ipv4(cursor, tunnel);
	case bpf_htons(ETH_P_IPV6):
		return read_outer_ipv6(cursor, tunnel);
	default:
		return false;
	}
}

/* The inner packet's ethertype; 0 if what is inside is not what the outer header says. */
static __always_inline __be16 inner_type(struct cursor *cursor, const struct tunnel *tunnel)
{
	void *at = cursor->at;
	const __u8 *version;

	if (tunnel->protocol == IPPROTO_IPIP) {
		version = take(cursor, sizeof(struct iphdr));
		return version && *version >> 4 == 4 && at + tunnel->length <= cursor->end ?
		       bpf_htons(ETH_P_IP) : 0;
	}
	if (tunnel->protocol == IPPROTO_IPV6) {
		version = take(cursor, sizeof(struct ipv6hdr));
		return version && *version >> 4 == 6 && at + tunnel->length <= cursor->end ?
		       bpf_htons(ETH_P_IPV6) : 0;
	}
	return 0;
}

/* Is it addressed to us? Then count it. */
static __always_inline bool accept(const struct tunnel *tunnel)
{
	struct weir_decap_counters *counters;

	counters = bpf_map_lookup_elem(&decap_addresses, &tunnel->key);
	if (!counters)
		return false;
	counters->packets++;
	counters->bytes += tunnel->length;
	return true;
}

/* Move the Ethernet header over the outer one. */
static __always_inline int strip(struct xdp_md *ctx, struct ethhdr ethernet, __u32 outer)
{
	struct cursor cursor;
	struct ethhdr *moved;

	if (bpf_xdp_adjust_head(ctx, outer))
		return XDP_DROP;
	cursor = frame(ctx);
	moved = take(&cursor, sizeof(*moved));
	if (!moved)
		return XDP_DROP;
	*moved = ethernet;
	return XDP_PASS;
}

SEC("xdp")
int weir_decap(struct xdp_md *ctx)
{
	struct cursor cursor = frame(ctx);
	const struct ethhdr *start = take(&cursor, sizeof(*start));
	struct tunnel tunnel = {};
	struct ethhdr ethernet;

	if (!start)
		return XDP_PASS;
	ethernet = *start;
	if (!read_outer(&cursor, start->h_proto, &tunnel))
		return XDP_PASS;

	ethernet.h_proto = inner_type(&cursor, &tunnel);
	if (!ethernet.h_proto || !accept(&tunnel))
		return XDP_PASS;
	return strip(ctx, ethernet, tunnel.outer);
}

char gpl[] SEC("license") = "GPL";
