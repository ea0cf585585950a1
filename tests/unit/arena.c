// SPDX-License-Identifier: BSD-2-Clause
/*
 * arena.c - runs of slots: first fit on whole lines, nothing overlaps, nothing that fits
 * is refused. A plain map of lines says where each run should be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/arena.h"
#include "random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LINE WEIR_SLOTS_PER_LINE
#define NOWHERE UINT32_MAX

static uint32_t allocate(struct arena *arena, uint32_t size)
{
	struct weir_ring region = { 12345, 67890 };
	int err = arena_allocate(arena, size, &region);

	if (err) {
		assert_int_equal(err, -ENOSPC);
		assert_int_equal(region.offset, 12345);
		return NOWHERE;
	}
	assert_int_equal(region.size, size);
	return region.offset;
}

static void take(struct arena *arena, uint32_t offset, uint32_t size)
{
	assert_int_equal(arena_take(arena, (struct weir_ring){ offset, size }), 0);
}

/* What is taken, then what is asked for, and where it is put. */
struct fit {
	const char *name;
	uint32_t slots;
	struct weir_ring taken[4];
	uint32_t size, offset;
};

static const struct fit fits[] = {
	{ "one slot of nothing", 160, {}, 1, 0 },
	{ "all", 160, {}, 160, 0 },
	{ "more than all", 160, {}, 161, NOWHERE },
	{ "an arena of none", 0, {}, 1, NOWHERE },
	{ "behind a whole line", 160, { { 0, 16 } }, 1, 16 },
	{ "behind one slot", 160, { { 0, 1 } }, 1, 16 },
	{ "behind a line and a slot", 160, { { 0, 17 } }, 1, 32 },
	{ "all that is left", 160, { { 0, 17 } }, 128, 32 },
	{ "more than is left", 160, { { 0, 17 } }, 129, NOWHERE },
	{ "before the first", 160, { { 32, 16 } }, 32, 0 },
	{ "too big for before the first", 160, { { 32, 16 } }, 33, 48 },
	{ "the first of two gaps", 160, { { 0, 16 }, { 48, 16 } }, 16, 16 },
	{ "a gap filled to the slot", 160, { { 0, 16 }, { 48, 16 } }, 32, 16 },
	{ "the gap that is large enough", 160, { { 16, 16 }, { 64, 16 } }, 20, 32 },
	{ "taken in any order", 160, { { 64, 16 }, { 16, 16 }, { 0, 16 } }, 32, 32 },
	{ "part of a line is no gap", 32, { { 0, 17 } }, 1, NOWHERE },
	{ "not even a whole line left", 20, { { 0, 17 } }, 1, NOWHERE },
	{ "a last line that is not whole", 40, { { 0, 32 } }, 8, 32 },
	{ "more than that line", 40, { { 0, 32 } }, 9, NOWHERE },
	{ "gaps too small, space enough", 160, { { 32, 32 }, { 96, 32 } }, 33, NOWHERE },
	{ "full", 160, { { 0, 160 } }, 1, NOWHERE },
	{ "the largest arena", 1u << 28, { { 0, (1u << 28) - 4194304 } }, 4194301,
	  (1u << 28) - 4194304 },
};

static void takes_the_first_place_that_fits(void **state)
{
	for (size_t i = 0; i < COUNT(fits); i++) {
		struct arena arena;
		uint32_t offset;

		arena_init(&arena, fits[i].slots);
		for (size_t n = 0; n < COUNT(fits[i].taken); n++)
			take(&arena, fits[i].taken[n].offset, fits[i].taken[n].size);
		offset = allocate(&arena, fits[i].size);
		if (offset != fits[i].offset)
			fail_msg("%s: at %u, not %u", fits[i].name, offset, fits[i].offset);
		arena_free(&arena);
	}
}

static void takes_a_place_once(void **state)
{
	struct arena arena;

	arena_init(&arena, 160);
	for (int i = 0; i < 3; i++) {
		take(&arena, 32, 16);
		take(&arena, 0, 0);	/* the ring of a service without backends */
	}
	assert_int_equal(arena.count, 1);
	assert_int_equal(allocate(&arena, 32), 0);
	assert_int_equal(allocate(&arena, 64), 48);
	take(&arena, 0, 32);		/* what was allocated is taken as well */
	assert_int_equal(arena.count, 3);
	arena_free(&arena);
}

static void fills_up_and_refuses(void **state)
{
	struct arena arena;

	arena_init(&arena, 1000 * LINE);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(allocate(&arena, LINE - i % LINE), i * LINE);
	for (uint32_t size = 1; size <= 2 * LINE; size++)
		assert_int_equal(allocate(&arena, size), NOWHERE);
	arena_free(&arena);
}

/* --- against a plain map of lines ----------------------------------------------------- */

#define LINES 512

struct plain {
	uint32_t lines;
	bool taken[LINES];
};

static uint32_t lines_of(uint32_t slots)
{
	return (slots + LINE - 1) / LINE;
}

static bool is_free(const struct plain *plain, uint32_t at, uint32_t lines)
{
	for (uint32_t i = at; i < at + lines; i++)
		if (i >= plain->lines || plain->taken[i])
			return false;
	return true;
}

static void plain_take(struct plain *plain, uint32_t offset, uint32_t size)
{
	memset(&plain->taken[offset / LINE], true, lines_of(size));
}

static uint32_t plain_allocate(struct plain *plain, uint32_t size)
{
	for (uint32_t at = 0; at < plain->lines; at++)
		if (is_free(plain, at, lines_of(size))) {
			plain_take(plain, at * LINE, size);
			return at * LINE;
		}
	return NOWHERE;
}

/* Small runs mostly, now and then one that hardly fits. */
static uint32_t random_size(struct random *random)
{
	return 1 + random_below(random, random_below(random, 4) ? 4 * LINE : LINES * LINE / 4);
}

/*
 * One generation of rings: some of those before it stay where they are, taken in any
 * order, and new ones are put between them. Returns how many there are now.
 */
static size_t generation(struct random *random, uint32_t slots, struct weir_ring *rings,
			 size_t count, int *refused)
{
	struct plain plain = { .lines = lines_of(slots) };
	struct arena arena;
	size_t kept = 0;

	arena_init(&arena, slots);
	for (size_t i = 0; i < count; i++) {
		if (!random_below(random, 3))
			continue;
		rings[kept++] = rings[i];
		take(&arena, rings[i].offset, rings[i].size);
		plain_take(&plain, rings[i].offset, rings[i].size);
	}
	for (size_t tries = random_below(random, 40); tries; tries--) {
		uint32_t size = random_size(random), offset = allocate(&arena, size);

		assert_int_equal(offset, plain_allocate(&plain, size));
		*refused += offset == NOWHERE;
		if (offset != NOWHERE)
			rings[kept++] = (struct weir_ring){ offset, size };
	}
	arena_free(&arena);
	for (size_t i = kept; i > 1; i--) {
		size_t j = random_below(random, i);
		struct weir_ring swapped = rings[i - 1];

		rings[i - 1] = rings[j];
		rings[j] = swapped;
	}
	return kept;
}

static void does_as_a_plain_map_does(void **state)
{
	struct weir_ring rings[LINES];
	struct random random = { 14 };
	size_t count = 0, most = 0;
	int refused = 0;

	for (int i = 0; i < 5000; i++) {
		if (i % 500 == 0)
			count = 0;
		count = generation(&random, LINES * LINE, rings, count, &refused);
		most = count > most ? count : most;
	}
	print_message("at most %zu rings, %d refused\n", most, refused);
	assert_true(most > 64 && refused > 1000);	/* more than the list's first room */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_the_first_place_that_fits),
		cmocka_unit_test(takes_a_place_once),
		cmocka_unit_test(fills_up_and_refuses),
		cmocka_unit_test(does_as_a_plain_map_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
