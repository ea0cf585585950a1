/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * abi.h - everything that the kernel side and userspace share.
 *
 * The contract: the agent writes these tables, the XDP program reads them and
 * writes only counters and limiter cells. Each table is a BPF map pinned under
 * /sys/fs/bpf/weir with the name given here. A packet sees either the old or the
 * new state of each decision, never a mixture, because
 *
 *   - a service record is one cache line, written whole before `state` says that it
 *     is there; of what changes later each decision is one word that the agent stores
 *     atomically, above all the ring: {offset, size} in 8 bytes;
 *   - a ring is a run of slots in one arena, each slot one 32-bit word that the
 *     agent stores atomically through a memory mapping;
 *   - a backend record holds two next hops; the agent fills the idle one, then
 *     stores `active_hop`;
 *   - there are two settings entries; the agent fills the idle one, then
 *     switches the service records, which say which one they use.
 *
 * A limit rule is written in place: a packet may meet its new cost with the old burst
 * time, once, and the bucket's debt stays within what either allows.
 *
 * Memory that a packet in flight may still read (ring regions, backend indices,
 * service records, the idle settings) is reused only after an RCU grace period.
 *
 * Addresses are four 32-bit words in network order; IPv4 uses the first and
 * leaves the others zero. Index 0 of backends and limit rules means "none".
 * Any change of a layout below is a new WEIR_ABI_VERSION.
 */
#ifndef WEIR_ABI_H
#define WEIR_ABI_H

#include <linux/types.h>

#define WEIR_ABI_VERSION	1

#define WEIR_NAME_SIZE		64	/* a service's name, with its NUL */
#define WEIR_ADDRESS_SIZE	64	/* "[address]:port/protocol", with its NUL */
#define WEIR_SLOTS_PER_LINE	16
#define WEIR_CELLS_PER_LINE	4
#define WEIR_SERVICE_LIMITS	4	/* limit rules a service can hold */

/* Default capacities; the configuration may choose others at first load. */
#define WEIR_SERVICES		4096
#define WEIR_BACKENDS		16384	/* at most 65536: a slot names one in 16 bits */
#define WEIR_SLOTS		(4 << 20)
#define WEIR_LIMIT_CELLS	(1 << 20)

enum weir_family {
	WEIR_IPV4 = 4,
	WEIR_IPV6 = 6,
};

enum weir_forward {
	WEIR_FORWARD_IPIP = 1,
	WEIR_FORWARD_L2 = 2,
};

/* Map `abi`, one element: what the agent checks before it adopts the rest. */
struct weir_abi {
	__u32 version;
	__u32 padding;
};

/* What a packet's destination is compared with. Port 0 is "any". */
struct weir_service_key {
	__be32 address[4];
	__be16 port;
	__u8 protocol;		/* IPPROTO_TCP, IPPROTO_UDP */
	__u8 family;		/* enum weir_family */
};

struct weir_ring {
	__u32 offset;		/* first slot in the arena */
	__u32 size;		/* slots; 0: no backend at all */
} __attribute__((aligned(8)));

enum weir_service_state {
	WEIR_SERVICE_EMPTY,	/* nothing here, nor further along a probe */
	WEIR_SERVICE_USED,
	WEIR_SERVICE_DELETED,	/* nothing here, but look further */
};

/*
 * Map `services`: an array used as an open-addressing hash table, a power of two long
 * and at least four times as large as the number of services it may hold. A key is
 * found within WEIR_SERVICE_PROBES positions from weir_service_hash(key), or is not
 * there. (A BPF hash map would cost half of what the whole program does.)
 */
#define WEIR_SERVICE_PROBES 16

struct weir_service {
	struct weir_service_key key;
	__u32 index;		/* into service_info and service_counters */
	struct weir_ring ring;
	__u32 limit[WEIR_SERVICE_LIMITS];	/* into limit_rules, first 0 ends the list */
	__u8 state;		/* enum weir_service_state */
	__u8 settings;		/* which of the two settings entries */
	__u8 padding[14];
};

/*
 * Map `slots`: the arena, an array of lines. A slot is {current, previous}:
 *   previous == 0          stable:  every packet goes to current
 *   previous != current    moved:   flows that began before the move are at previous
 *   previous == current    pinned:  recorded flows may be elsewhere
 * This version writes stable slots only; the words' meaning is final.
 */
struct weir_slot_line {
	__u32 slot[WEIR_SLOTS_PER_LINE];
};

#define WEIR_SLOT(current, previous) ((__u32)(current) | (__u32)(previous) << 16)
#define WEIR_SLOT_CURRENT(slot)	((slot) & 0xffff)
#define WEIR_SLOT_PREVIOUS(slot) ((slot) >> 16)

/* Where a frame leaves and to whom. ifindex 0: not resolved. */
struct weir_next_hop {
	__u32 ifindex;
	__u8 destination[6];
	__u8 source[6];
	__u16 mtu;		/* largest IP packet that the link takes */
	__u16 vlan;		/* reserved, 0 */
};

/* Map `backends`: array by backend index; one cache line each. */
struct weir_backend {
	__be32 address[4];
	__u8 family;		/* of address; 0: unused record */
	__u8 forward;		/* enum weir_forward */
	__u8 active_hop;	/* 0 or 1 */
	__u8 padding;
	__be16 port;		/* reserved for port mapping, 0 */
	__u16 service;		/* service index */
	struct weir_next_hop hop[2];
};

/* Map `settings`: array of two. Hash keys are derived from hash_seed. */
#define WEIR_FLOW_KEYS		10	/* 4 + 4 address words, ports, protocol */
#define WEIR_SOURCE_KEYS	6	/* 4 address words, rule, family */

struct weir_settings {
	__u32 flow_key[WEIR_FLOW_KEYS];
	__u32 line_key[WEIR_SOURCE_KEYS];
	__u32 cell_key[WEIR_SOURCE_KEYS];
	__be32 source_v4;	/* outer source of tunnels; 0: none */
	__be32 source_v6[4];
	__u32 padding;
};

/*
 * Map `limit_rules`: array by rule index. Times are in units of 1/256 ns.
 * A service's nth rule is 1 + service index * WEIR_SERVICE_LIMITS + n.
 */
struct weir_limit_rule {
	__u64 cost;		/* of one packet */
	__u64 burst_time;	/* cost x burst */
	__be32 mask_v4;
	__be32 mask_v6[4];
	__u32 enabled;
};

/*
 * Map `limit_cells`: array of lines. key 0 is an empty cell. `tat` is GCRA's
 * theoretical arrival time, modulo 2^64; one that has passed is a full bucket.
 */
struct weir_limit_cell {
	__u64 key;
	__u64 tat;
};

struct weir_limit_line {
	struct weir_limit_cell cell[WEIR_CELLS_PER_LINE];
};

/* Maps `service_info`, `backend_info`: what each index is, as text. */
struct weir_service_info {
	char name[WEIR_NAME_SIZE];
	char address[WEIR_ADDRESS_SIZE];
};

struct weir_backend_info {
	char service[WEIR_NAME_SIZE];
	char address[WEIR_ADDRESS_SIZE];
};

/*
 * Counters are per CPU and only ever grow. `packets` and `bytes` (layer 3, as
 * received) count what was forwarded; new_flows counts TCP SYNs among them.
 * Every packet of a service is in exactly one of packets, limited_packets and
 * dropped_packets, but for a frame that was balanced already and passes.
 */
struct weir_service_counters {
	__u64 packets;
	__u64 bytes;
	__u64 new_flows;
	__u64 limited_packets;
	__u64 limited_bytes;
	__u64 dropped_packets;
};

struct weir_backend_counters {
	__u64 packets;
	__u64 bytes;
	__u64 new_flows;
	__u64 dropped_packets;
};

/*
 * Drop reasons: numbered by position, append only. Only a packet whose
 * destination is a service is ever dropped; what is not ours passes untouched.
 */
#define WEIR_DROP_REASONS(X)						\
	X(truncated,	"the frame ends before a length it announces")	\
	X(malformed,	"a header contradicts itself")			\
	X(fragment,	"a fragment, which this version does not forward") \
	X(limited,	"the source is over its limit")			\
	X(no_backend,	"the service has no usable backend")		\
	X(no_next_hop,	"the backend's next hop is not resolved")	\
	X(no_source,	"no tunnel source address of the backend's family") \
	X(too_big,	"too big for the next hop's link")		\
	X(no_headroom,	"the driver left no room for a tunnel header")

enum weir_drop {
#define WEIR_DROP_ENUM(name, text) WEIR_DROP_##name,
	WEIR_DROP_REASONS(WEIR_DROP_ENUM)
#undef WEIR_DROP_ENUM
	WEIR_DROPS,
};

/* Map `drop_counters`: one element, a named field for each reason. */
struct weir_drop_counters {
#define WEIR_DROP_FIELD(name, text) __u64 name;
	WEIR_DROP_REASONS(WEIR_DROP_FIELD)
#undef WEIR_DROP_FIELD
};

/* Map `totals`: one element. passed + forwarded + dropped = received. */
struct weir_totals {
	__u64 passed_packets;
	__u64 forwarded_packets;
	__u64 dropped_packets;
	__u64 limit_evictions_in_debt;	/* buckets forgotten before they were full again */
	__u64 limit_contended;		/* refused because the cell could not be updated */
};

#define WEIR_ASSERT_SIZE(type, size) \
	_Static_assert(sizeof(type) == (size), "layout of " #type)
#define WEIR_ASSERT_OFFSET(type, field, offset) \
	_Static_assert(__builtin_offsetof(type, field) == (offset), \
		       "layout of " #type "." #field)

WEIR_ASSERT_SIZE(struct weir_abi, 8);
WEIR_ASSERT_SIZE(struct weir_service_key, 20);
WEIR_ASSERT_OFFSET(struct weir_service_key, port, 16);
WEIR_ASSERT_SIZE(struct weir_ring, 8);
WEIR_ASSERT_SIZE(struct weir_service, 64);
WEIR_ASSERT_OFFSET(struct weir_service, ring, 24);
WEIR_ASSERT_OFFSET(struct weir_service, limit, 32);
WEIR_ASSERT_OFFSET(struct weir_service, state, 48);
WEIR_ASSERT_SIZE(struct weir_slot_line, 64);
WEIR_ASSERT_SIZE(struct weir_next_hop, 20);
WEIR_ASSERT_OFFSET(struct weir_next_hop, mtu, 16);
WEIR_ASSERT_SIZE(struct weir_backend, 64);
WEIR_ASSERT_OFFSET(struct weir_backend, active_hop, 18);
WEIR_ASSERT_OFFSET(struct weir_backend, hop, 24);
WEIR_ASSERT_SIZE(struct weir_settings, 112);
WEIR_ASSERT_OFFSET(struct weir_settings, source_v4, 88);
WEIR_ASSERT_SIZE(struct weir_limit_rule, 40);
WEIR_ASSERT_OFFSET(struct weir_limit_rule, mask_v4, 16);
WEIR_ASSERT_SIZE(struct weir_limit_line, 64);
WEIR_ASSERT_SIZE(struct weir_service_info, 128);
WEIR_ASSERT_SIZE(struct weir_backend_info, 128);
WEIR_ASSERT_SIZE(struct weir_service_counters, 48);
WEIR_ASSERT_SIZE(struct weir_backend_counters, 32);
WEIR_ASSERT_SIZE(struct weir_drop_counters, 8 * WEIR_DROPS);
WEIR_ASSERT_SIZE(struct weir_totals, 40);

#endif
