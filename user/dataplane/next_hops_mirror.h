/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * next_hops_mirror.h - the kernel's links and neighbours as next_hops.c knows them,
 * found by key. It owns the records; what they say is written by next_hops.c.
 */
#ifndef WEIR_NEXT_HOPS_MIRROR_H
#define WEIR_NEXT_HOPS_MIRROR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "address.h"
#include "dataplane/netlink.h"
#include "dataplane/next_hops_hash.h"

struct link {
	struct hash_entry entry;
	struct netlink_link kernel;
	unsigned int read;		/* the resync that last saw it */
};

struct neighbour {
	struct hash_entry entry;
	struct netlink_neighbour kernel;	/* state NUD_NONE: the kernel has no entry */
	LIST_HEAD(, target) users;
	LIST_ENTRY(neighbour) dirty_list;
	bool dirty;
	bool failed;			/* until it answers */
	int ask_error;			/* -errno of the last ask */
	unsigned int asks;		/* one a second, none answered; 0: not asked yet */
	unsigned int read;
};

struct mirror {
	struct hash_table links;
	struct hash_table neighbours;
};

/* 0 or -ENOMEM. A zeroed mirror may be freed. */
int mirror_init(struct mirror *mirror);
void mirror_free(struct mirror *mirror);

/* get: find, or add zeroed but for its key; NULL without memory. */
struct link *mirror_find_link(const struct mirror *mirror, uint32_t ifindex);
struct link *mirror_get_link(struct mirror *mirror, uint32_t ifindex);
void mirror_remove_link(struct mirror *mirror, struct link *link);

struct neighbour *mirror_find_neighbour(const struct mirror *mirror, uint32_t ifindex,
					const struct address *address);
struct neighbour *mirror_get_neighbour(struct mirror *mirror, uint32_t ifindex,
				       const struct address *address);
void mirror_remove_neighbour(struct mirror *mirror, struct neighbour *neighbour);

/* Walks as hash_table_next does. */
struct link *mirror_next_link(const struct mirror *mirror, const struct link *link);
struct neighbour *mirror_next_neighbour(const struct mirror *mirror,
					const struct neighbour *neighbour);

/* Up and of a kind that has MACs. */
bool link_is_usable(const struct link *link);

/* Has a MAC that the kernel would send to. */
bool neighbour_is_usable(const struct neighbour *neighbour);

#endif
