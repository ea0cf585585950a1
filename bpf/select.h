/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * select.h - pick the backend: hash the flow, read its slot, fetch the record.
 * Why a slot points where it does is the agent's business alone.
 */
#ifndef WEIR_SELECT_H
#define WEIR_SELECT_H

#include <weir/hash.h>

#include "maps.h"
#include "packet.h"

/* Offset and size change together: one load, which the compiler may not split. */
static __always_inline struct weir_ring read_ring(const struct weir_service *service)
{
	__u64 word = *(const volatile __u64 *)&service->ring;
	struct weir_ring ring;

	__builtin_memcpy(&ring, &word, sizeof(ring));
	return ring;
}

static __always_inline __u32 read_slot(struct weir_ring ring, __u64 hash)
{
	__u32 slot = ring.offset + weir_scale(hash, ring.size);
	__u32 line_index = slot / WEIR_SLOTS_PER_LINE;
	const struct weir_slot_line *line;

	line = bpf_map_lookup_elem(&slots, &line_index);
	if (!line)
		return 0;
	return *(const volatile __u32 *)&line->slot[slot % WEIR_SLOTS_PER_LINE];
}

static __always_inline enum verdict select(struct packet *packet)
{
	const struct weir_ring ring = read_ring(packet->service);

	if (!ring.size)
		return drop(packet, WEIR_DROP_no_backend);

	packet->hash = weir_flow_hash(packet->settings, packet->destination.family,
				      packet->source, packet->destination.address,
				      packet->ports, packet->destination.protocol);
	packet->backend_index = WEIR_SLOT_CURRENT(read_slot(ring, packet->hash));
	if (!packet->backend_index)
		return drop(packet, WEIR_DROP_no_backend);

	packet->backend = bpf_map_lookup_elem(&backends, &packet->backend_index);
	if (!packet->backend)
		return drop(packet, WEIR_DROP_no_backend);
	return VERDICT_NEXT;
}

#endif
