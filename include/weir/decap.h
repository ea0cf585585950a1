/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * decap.h - what the decapsulator and userspace share. It lives on backends and has
 * nothing in common with the tables of abi.h but their way of writing addresses.
 */
#ifndef WEIR_DECAP_H
#define WEIR_DECAP_H

#include <weir/abi.h>

#define WEIR_DECAP_ADDRESSES 64

/* Map `decap_addresses`: the outer destinations that are accepted, with counters. */
struct weir_decap_key {
	__be32 address[4];
	__u32 family;		/* enum weir_family */
};

struct weir_decap_counters {
	__u64 packets;
	__u64 bytes;		/* of inner packets */
};

WEIR_ASSERT_SIZE(struct weir_decap_key, 20);
WEIR_ASSERT_SIZE(struct weir_decap_counters, 16);

#endif
