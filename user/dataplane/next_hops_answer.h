/* SPDX-License-Identifier: BSD-2-Clause */
/* next_hops_answer.h - from what is known about an address to the answer. Pure. */
#ifndef WEIR_NEXT_HOPS_ANSWER_H
#define WEIR_NEXT_HOPS_ANSWER_H

#include "dataplane/netlink.h"
#include "dataplane/next_hops.h"
#include "dataplane/next_hops_mirror.h"

struct next_hop_facts {
	const struct address *address;
	const struct netlink_route *route;
	int route_error;			/* -errno instead of a route */
	const struct neighbour *neighbour;	/* NULL: no usable route */
	const struct link *link;		/* of the neighbour; NULL: gone */
	const struct link *last_link;		/* of the last known hop; NULL: gone, or none */
};

/*
 * Bring *answer up to date. Unless it becomes RESOLVED its `hop` stays as it was.
 * True if status, hop or on_link changed.
 */
bool next_hop_answer(struct next_hop *answer, const struct next_hop_facts *facts);

#endif
