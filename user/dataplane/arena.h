/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arena.h - which runs of slots are taken. Pure bookkeeping, first fit; regions
 * start on a line of WEIR_SLOTS_PER_LINE.
 */
#ifndef WEIR_ARENA_H
#define WEIR_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include <weir/abi.h>

struct arena {
	uint32_t slots;			/* size of the whole */
	struct weir_ring *taken;	/* by offset, not overlapping */
	size_t count, room;
};

void arena_init(struct arena *arena, uint32_t slots);
void arena_free(struct arena *arena);

/* Mark a region as taken; one that is marked already is left alone. 0 or -ENOMEM. */
int arena_take(struct arena *arena, struct weir_ring region);

/* Find and take `size` free slots. 0, -ENOSPC or -ENOMEM. */
int arena_allocate(struct arena *arena, uint32_t size, struct weir_ring *region);

#endif
