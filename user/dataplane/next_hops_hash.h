/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * next_hops_hash.h - a chained hash table of entries embedded in other structures.
 * It owns its buckets and knows no keys: the caller hashes them and walks a chain
 * comparing its own.
 */
#ifndef WEIR_NEXT_HOPS_HASH_H
#define WEIR_NEXT_HOPS_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "address.h"

struct hash_entry {
	struct hash_entry *next;	/* of the chain: may have another hash */
	uint64_t hash;
};

struct hash_table {
	struct hash_entry **bucket;
	size_t size;			/* a power of two */
	size_t count;
};

/* 0 or -ENOMEM. */
int hash_table_init(struct hash_table *table);

/* Free the buckets and every entry, each the start of what malloc gave. May be zeroed. */
void hash_table_free_all(struct hash_table *table);

/* Never fails: without memory to grow, chains get longer. */
void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint64_t hash);
void hash_table_remove(struct hash_table *table, struct hash_entry *entry);

/* The chain that holds every entry of this hash, or NULL. */
struct hash_entry *hash_table_chain(const struct hash_table *table, uint64_t hash);

/*
 * The entry after `entry` in no particular order, the first after NULL. `entry` may be
 * removed once the next one is known; nothing may be added during a walk.
 */
struct hash_entry *hash_table_next(const struct hash_table *table,
				   const struct hash_entry *entry);

/* Of an address on a link, or anywhere (ifindex 0). */
uint64_t hash_address(const struct address *address, uint32_t ifindex);

#endif
