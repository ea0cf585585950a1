/* SPDX-License-Identifier: BSD-2-Clause */
/* random.h - numbers that are the same in every run of a test (SplitMix64). */
#ifndef WEIR_TEST_RANDOM_H
#define WEIR_TEST_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state;
};

static inline uint64_t random_bits(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* 0..bound-1 */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
	return (unsigned __int128)random_bits(random) * bound >> 64;
}

#endif
