// SPDX-License-Identifier: BSD-2-Clause
/* next_hops_hash.c - see next_hops_hash.h. */
#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "dataplane/next_hops_hash.h"

#define FIRST_SIZE 64

static struct hash_entry **slot(const struct hash_table *table, uint64_t hash)
{
	return &table->bucket[hash & (table->size - 1)];
}

static void push(struct hash_table *table, struct hash_entry *entry)
{
	struct hash_entry **head = slot(table, entry->hash);

	entry->next = *head;
	*head = entry;
}

int hash_table_init(struct hash_table *table)
{
	table->bucket = calloc(FIRST_SIZE, sizeof(*table->bucket));
	table->size = FIRST_SIZE;
	table->count = 0;
	return table->bucket ? 0 : -ENOMEM;
}

void hash_table_free_all(struct hash_table *table)
{
	struct hash_entry *entry, *next;

	for (entry = hash_table_next(table, NULL); entry; entry = next) {
		next = hash_table_next(table, entry);
		free(entry);
	}
	free(table->bucket);
	*table = (struct hash_table){};
}

static void grow(struct hash_table *table)
{
	struct hash_table bigger = { .size = table->size * 2, .count = table->count };
	struct hash_entry *entry, *next;

	bigger.bucket = calloc(bigger.size, sizeof(*bigger.bucket));
	if (!bigger.bucket)
		return;
	for (entry = hash_table_next(table, NULL); entry; entry = next) {
		next = hash_table_next(table, entry);
		push(&bigger, entry);
	}
	free(table->bucket);
	*table = bigger;
}

void hash_table_add(struct hash_table *table, struct hash_entry *entry, uint64_t hash)
{
	if (table->count >= table->size)
		grow(table);
	entry->hash = hash;
	push(table, entry);
	table->count++;
}

void hash_table_remove(struct hash_table *table, struct hash_entry *entry)
{
	struct hash_entry **link = slot(table, entry->hash);

	while (*link != entry)
		link = &(*link)->next;
	*link = entry->next;
	table->count--;
}

struct hash_entry *hash_table_chain(const struct hash_table *table, uint64_t hash)
{
	return *slot(table, hash);
}

struct hash_entry *hash_table_next(const struct hash_table *table,
				   const struct hash_entry *entry)
{
	struct hash_entry **head = table->bucket;

	if (entry) {
		if (entry->next)
			return entry->next;
		head = slot(table, entry->hash) + 1;
	}
	while (head < table->bucket + table->size && !*head)
		head++;
	return head < table->bucket + table->size ? *head : NULL;
}

uint64_t hash_address(const struct address *address, uint32_t ifindex)
{
	return XXH3_64bits_withSeed(address->word, sizeof(address->word),
				    (uint64_t)ifindex << 8 | address->family);
}
