// SPDX-License-Identifier: BSD-2-Clause
/* ring.c - see ring.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "config.h"
#include "dataplane/ring.h"

uint32_t ring_size(size_t backends)
{
	static const uint32_t primes[] = {
		1021, 4093, 16381, 65537, 262139, 1048573, 4194301,
	};
	size_t last = sizeof(primes) / sizeof(primes[0]) - 1;

	for (size_t i = 0; i < last; i++)
		if (primes[i] >= 100 * backends)
			return primes[i];
	return primes[last];
}

/*
 * A backend's walk through the slots: position, then position + step, ... mod size.
 * Credit starts at a place of the backend's own, not at 0: hundreds of light backends
 * that all wait for their next whole slot would leave too many to the heavy ones.
 */
struct walk {
	uint32_t position;
	uint32_t step;
	uint32_t credit;	/* weight saved up, < turn_cost */
};

static int compare_backends(const void *a, const void *b)
{
	const struct ring_backend *left = a, *right = b;

	return address_compare(&left->address, &right->address);
}

static struct walk walk_start(const struct ring_backend *backend, const uint8_t *seed,
			      uint32_t size, uint32_t turn_cost)
{
	struct {
		__be32 address[4];
		uint8_t seed[CONFIG_SEED_SIZE];
		uint64_t family;
	} identity = { .family = backend->address.family };

	memcpy(identity.address, backend->address.word, sizeof(identity.address));
	memcpy(identity.seed, seed, sizeof(identity.seed));
	return (struct walk){
		.position = XXH64(&identity, sizeof(identity), 1) % size,
		.step = XXH64(&identity, sizeof(identity), 2) % (size - 1) + 1,
		.credit = (XXH64(&identity, sizeof(identity), 3) >> 32) * turn_cost >> 32,
	};
}

/* The walk's next slot that nobody has. size is prime, so the walk meets every slot. */
static uint32_t walk_to_free(struct walk *walk, const uint16_t *owner, uint32_t size)
{
	uint32_t slot;

	do {
		slot = walk->position;
		walk->position += walk->step;
		if (walk->position >= size)
			walk->position -= size;
	} while (owner[slot]);
	return slot;
}

static uint32_t largest_weight(const struct ring_backend *backends, size_t count)
{
	uint32_t largest = 0;

	for (size_t i = 0; i < count; i++)
		if (backends[i].weight > largest)
			largest = backends[i].weight;
	return largest;
}

int ring_build_maglev(struct ring_backend *backends, size_t count, const uint8_t *seed,
		      uint16_t *owner, uint32_t size)
{
	uint32_t filled = 0, turn_cost = largest_weight(backends, count);
	struct walk *walks;

	memset(owner, 0, size * sizeof(*owner));
	if (!turn_cost)
		return 0;
	walks = calloc(count, sizeof(*walks));
	if (!walks)
		return -ENOMEM;

	qsort(backends, count, sizeof(*backends), compare_backends);
	for (size_t i = 0; i < count; i++)
		walks[i] = walk_start(&backends[i], seed, size, turn_cost);

	while (filled < size) {
		for (size_t i = 0; i < count && filled < size; i++) {
			walks[i].credit += backends[i].weight;
			if (walks[i].credit < turn_cost)
				continue;
			walks[i].credit -= turn_cost;
			owner[walk_to_free(&walks[i], owner, size)] = backends[i].index;
			filled++;
		}
	}
	free(walks);
	return 0;
}

int ring_churn(const uint16_t *before, const uint16_t *after, uint32_t size,
	       uint32_t *changed, uint32_t *excess)
{
	int32_t *growth = calloc(UINT16_MAX + 1, sizeof(*growth));
	uint32_t needed = 0;

	if (!growth)
		return -ENOMEM;
	*changed = 0;
	for (uint32_t i = 0; i < size; i++) {
		*changed += before[i] != after[i];
		growth[before[i]]--;
		growth[after[i]]++;
	}
	for (uint32_t i = 0; i <= UINT16_MAX; i++)
		if (growth[i] > 0)
			needed += growth[i];
	*excess = *changed - needed;
	free(growth);
	return 0;
}
