/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * next_hops.h - where frames for a backend leave, kept fresh through rtnetlink.
 *
 * For each watched address: the kernel's route (egress interface, gateway), the
 * neighbour entry of the gateway or of the address itself (MAC), the link (own MAC,
 * MTU, up). Changes of routes, links, addresses and neighbours arrive as netlink
 * notifications; neighbour entries are re-verified before they can be collected,
 * because XDP traffic does not keep them alive.
 */
#ifndef WEIR_NEXT_HOPS_H
#define WEIR_NEXT_HOPS_H

#include <event2/event.h>
#include <stdbool.h>

#include "address.h"
#include "error.h"

enum next_hop_status {
	NEXT_HOP_PENDING,	/* being resolved; what was known before still holds */
	NEXT_HOP_RESOLVED,
	NEXT_HOP_FAILED,	/* `reason` says why */
};

struct next_hop {
	enum next_hop_status status;
	struct weir_next_hop hop;	/* all zero unless ever RESOLVED */
	bool on_link;			/* no gateway between: what `l2` needs */
	char interface[16];
	char reason[128];		/* one line, for PENDING and FAILED */
};

struct next_hops;

/* Called from the event loop, at most once a burst of notifications, when any answer changed. */
typedef void (*next_hops_changed_fn)(void *arg);

/* Open the sockets and read the kernel's tables. 0 or -errno with one line in *error. */
int next_hops_open(struct event_base *base, next_hops_changed_fn changed, void *arg,
		   struct next_hops **out, struct error *error);
void next_hops_close(struct next_hops *hops);

/*
 * Say which addresses are wanted from now on; others are forgotten. New ones are
 * looked up at once (route, neighbour table) and are PENDING only if the neighbour must be asked.
 * 0 or -ENOMEM.
 */
int next_hops_watch(struct next_hops *hops, const struct address *addresses, size_t count);

/* The answer for a watched address; NULL if it is not watched. Valid until the next watch. */
const struct next_hop *next_hops_find(struct next_hops *hops, const struct address *address);

#endif
