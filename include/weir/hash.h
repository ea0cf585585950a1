/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * hash.h - the keyed hash of flows and sources, the same code in the kernel, in
 * `weir route` and in the tests.
 *
 * NH, the universal hash of UMAC (RFC 4418, section 5.2): the sum over pairs of
 * 32-bit words of (a + key_a mod 2^32) x (b + key_b mod 2^32), modulo 2^64. Over
 * a random key two different inputs of one shape are equal with probability at
 * most 2^-32, whoever chose them, for two multiplications a v4 tuple. A fixed
 * bijection (the finaliser of MurmurHash3) then spreads it over all bits.
 */
#ifndef WEIR_HASH_H
#define WEIR_HASH_H

#include <weir/abi.h>

#define WEIR_INLINE static inline __attribute__((always_inline))

WEIR_INLINE __u64 weir_nh(__u32 a, __u32 b, const __u32 *key)
{
	return (__u64)(__u32)(a + key[0]) * (__u32)(b + key[1]);
}

WEIR_INLINE __u64 weir_mix(__u64 h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 33;
}

/*
 * Hash of a flow's 5-tuple. Addresses and ports in network order as they are in
 * the packet; ports is the 32-bit word that starts a TCP or UDP header.
 */
WEIR_INLINE __u64 weir_flow_hash(const struct weir_settings *settings, __u8 family,
				 const __be32 *source, const __be32 *destination,
				 __u32 ports, __u8 protocol)
{
	const __u32 *key = settings->flow_key;
	__u64 h = weir_nh(ports, (__u32)family << 8 | protocol, key);

	h += weir_nh(source[0], destination[0], key + 2);
	if (family == WEIR_IPV6) {
		h += weir_nh(source[1], destination[1], key + 4);
		h += weir_nh(source[2], destination[2], key + 6);
		h += weir_nh(source[3], destination[3], key + 8);
	}
	return weir_mix(h);
}

/*
 * Hash of a limited source under one rule, with one of two independent keys:
 * line_key chooses the line, cell_key names the cell in it, so that two sources
 * share a bucket only if both agree. address is masked already.
 */
WEIR_INLINE __u64 weir_source_hash(const __u32 *key, __u8 family, const __be32 *address,
				   __u32 rule)
{
	__u64 h = weir_nh(address[0], rule << 8 | family, key);

	if (family == WEIR_IPV6) {
		h += weir_nh(address[1], address[2], key + 2);
		h += weir_nh(address[3], 0, key + 4);
	}
	return weir_mix(h);
}

/* Where a service's record is looked for first. Not keyed: operators choose services. */
WEIR_INLINE __u32 weir_service_hash(const struct weir_service_key *key)
{
	__u64 low = (__u64)key->address[1] << 32 | key->address[0];
	__u64 high = (__u64)key->address[3] << 32 | key->address[2];
	__u64 rest = (__u64)key->family << 24 | (__u64)key->protocol << 16 | key->port;
	__u64 h = (low ^ rest << 32) * 0xff51afd7ed558ccdULL +
		  (high ^ rest) * 0xc4ceb9fe1a85ec53ULL;

	/* What differs most, an address's last byte, stands in the top bits: once more. */
	return (h ^ h >> 32) * 0x9e3779b97f4a7c15ULL >> 32;
}

/* Scale a hash to 0..size-1 without a division. size is below 2^32. */
WEIR_INLINE __u32 weir_scale(__u64 hash, __u32 size)
{
	return (hash >> 32) * size >> 32;
}

#endif
