/* SPDX-License-Identifier: BSD-2-Clause */
/* limited.h - services with limits, and packets of theirs: what limit.c and cells.c share. */
#ifndef WEIR_TESTS_LIMITED_H
#define WEIR_TESTS_LIMITED_H

#include "harness.h"

/* Worlds whose cells are all empty: so many that no source meets another; just one line. */
struct world *many_cells(void);
struct world *four_cells(void);

/*
 * A service for each variant, named after it, all with these limits. Forwarding is l2:
 * the packet can be sent again and again, because it stays addressed to the service.
 */
void serve_limits(struct world *world, const char *limits);
void serve_limit(struct world *world, unsigned int rate, unsigned int burst);
struct route limit_route(const struct variant *variant);

/* A packet to the variant's service. source NULL: CLIENT. */
void limit_request(struct frame *frame, const struct variant *variant, const char *source);

/* Now, on the clock of bpf_ktime_get_ns(). */
double seconds(void);

/* Send once, or often; what does not go through must be limited. */
bool admitted(const struct world *world, const struct frame *frame);
unsigned int count_admitted(const struct world *world, const struct frame *frame,
			    unsigned int packets);

/*
 * Exactly `expected` more go through, or as many more as time may have brought, `rate` a
 * second, since the world's cells were emptied. (A busy machine stops a test for a second.)
 */
void expect_admitted(const struct world *world, const struct frame *frame,
		     unsigned int expected, unsigned int rate);

/* What so many packets change in the counters. */
void add_forwarded(struct counters *counters, const struct world *world,
		   const struct route *route, const struct frame *frame, uint64_t packets);
void add_limited(struct counters *counters, const struct world *world,
		 const struct route *route, const struct frame *frame, uint64_t packets);

#endif
