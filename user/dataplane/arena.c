// SPDX-License-Identifier: BSD-2-Clause
/* arena.c - see arena.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/arena.h"

void arena_init(struct arena *arena, uint32_t slots)
{
	*arena = (struct arena){ .slots = slots };
}

void arena_free(struct arena *arena)
{
	free(arena->taken);
}

/* Where the first region at or behind `offset` stands in the list. */
static size_t find(const struct arena *arena, uint32_t offset)
{
	size_t low = 0, high = arena->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (arena->taken[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int insert(struct arena *arena, size_t at, struct weir_ring region)
{
	if (arena->count == arena->room) {
		size_t room = arena->room ? arena->room * 2 : 64;
		void *taken = realloc(arena->taken, room * sizeof(*arena->taken));

		if (!taken)
			return -ENOMEM;
		arena->taken = taken;
		arena->room = room;
	}
	memmove(&arena->taken[at + 1], &arena->taken[at],
		(arena->count - at) * sizeof(*arena->taken));
	arena->taken[at] = region;
	arena->count++;
	return 0;
}

int arena_take(struct arena *arena, struct weir_ring region)
{
	size_t at = find(arena, region.offset);

	if (!region.size || (at < arena->count && arena->taken[at].offset == region.offset))
		return 0;
	return insert(arena, at, region);
}

static uint32_t line_up(uint32_t slot)
{
	return (slot + WEIR_SLOTS_PER_LINE - 1) / WEIR_SLOTS_PER_LINE * WEIR_SLOTS_PER_LINE;
}

int arena_allocate(struct arena *arena, uint32_t size, struct weir_ring *region)
{
	uint32_t start = 0;

	for (size_t i = 0; i <= arena->count; i++) {
		uint32_t end = i < arena->count ? arena->taken[i].offset : arena->slots;

		if (start <= end && end - start >= size) {
			*region = (struct weir_ring){ .offset = start, .size = size };
			return insert(arena, i, *region);
		}
		if (i < arena->count)
			start = line_up(end + arena->taken[i].size);
	}
	return -ENOSPC;
}
