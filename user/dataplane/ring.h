/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.h - ring builders: backends and weights in, an owner for each slot out.
 * Pure functions; a new selection policy is a new builder here.
 */
#ifndef WEIR_RING_H
#define WEIR_RING_H

#include <stddef.h>
#include <stdint.h>

#include "address.h"

struct ring_backend {
	struct address address;	/* the identity that the ring hashes */
	uint16_t index;		/* what is written into its slots, not 0 */
	uint16_t weight;	/* share of the slots; 0: none */
};

/*
 * Ring size for a number of backends: the smallest prime of a short list that is
 * at least 100 x backends (the largest of the list beyond that). The list is short
 * because a ring that changes its size moves most flows.
 */
uint32_t ring_size(size_t backends);

/*
 * Maglev (Eisenbud et al., NSDI 2016, section 3.4) with weights: in each turn of
 * the table's filling a backend takes a slot as often as its share of the largest
 * weight allows. Fills owner[0..size-1] with indices; all zero when no backend has
 * weight. The order of `backends` does not matter; the array is sorted in place.
 * size is prime and seed is CONFIG_SEED_SIZE bytes. 0 or -ENOMEM.
 */
int ring_build_maglev(struct ring_backend *backends, size_t count, const uint8_t *seed,
		      uint16_t *owner, uint32_t size);

/*
 * How much more than necessary a change of ring moved: slots whose owner changed,
 * beyond the minimum that the change of the owners' slot counts enforces.
 * *changed, *excess are counts of slots. 0 or -ENOMEM.
 */
int ring_churn(const uint16_t *before, const uint16_t *after, uint32_t size,
	       uint32_t *changed, uint32_t *excess);

#endif
