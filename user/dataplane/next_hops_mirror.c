// SPDX-License-Identifier: BSD-2-Clause
/* next_hops_mirror.c - see next_hops_mirror.h. */
#include <errno.h>
#include <linux/neighbour.h>
#include <stdlib.h>

#include "dataplane/next_hops_mirror.h"

#define USABLE (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP)

/* `entry` is the first member of both. */
static struct link *as_link(struct hash_entry *entry)
{
	return (struct link *)entry;
}

static struct neighbour *as_neighbour(struct hash_entry *entry)
{
	return (struct neighbour *)entry;
}

int mirror_init(struct mirror *mirror)
{
	return hash_table_init(&mirror->links) || hash_table_init(&mirror->neighbours) ?
	       -ENOMEM : 0;
}

void mirror_free(struct mirror *mirror)
{
	hash_table_free_all(&mirror->links);
	hash_table_free_all(&mirror->neighbours);
}

struct link *mirror_find_link(const struct mirror *mirror, uint32_t ifindex)
{
	struct hash_entry *entry = hash_table_chain(&mirror->links, ifindex);

	while (entry && as_link(entry)->kernel.ifindex != ifindex)
		entry = entry->next;
	return as_link(entry);
}

struct link *mirror_get_link(struct mirror *mirror, uint32_t ifindex)
{
	struct link *link = mirror_find_link(mirror, ifindex);

	if (link)
		return link;
	link = calloc(1, sizeof(*link));
	if (!link)
		return NULL;
	link->kernel.ifindex = ifindex;
	hash_table_add(&mirror->links, &link->entry, ifindex);
	return link;
}

void mirror_remove_link(struct mirror *mirror, struct link *link)
{
	hash_table_remove(&mirror->links, &link->entry);
	free(link);
}

static bool is_at(const struct neighbour *neighbour, uint32_t ifindex,
		  const struct address *address)
{
	return neighbour->kernel.ifindex == ifindex &&
	       !address_compare(&neighbour->kernel.address, address);
}

struct neighbour *mirror_find_neighbour(const struct mirror *mirror, uint32_t ifindex,
					const struct address *address)
{
	struct hash_entry *entry;

	entry = hash_table_chain(&mirror->neighbours, hash_address(address, ifindex));
	while (entry && !is_at(as_neighbour(entry), ifindex, address))
		entry = entry->next;
	return as_neighbour(entry);
}

struct neighbour *mirror_get_neighbour(struct mirror *mirror, uint32_t ifindex,
				       const struct address *address)
{
	struct neighbour *neighbour = mirror_find_neighbour(mirror, ifindex, address);

	if (neighbour)
		return neighbour;
	neighbour = calloc(1, sizeof(*neighbour));
	if (!neighbour)
		return NULL;
	neighbour->kernel.ifindex = ifindex;
	neighbour->kernel.address = *address;
	hash_table_add(&mirror->neighbours, &neighbour->entry, hash_address(address, ifindex));
	return neighbour;
}

void mirror_remove_neighbour(struct mirror *mirror, struct neighbour *neighbour)
{
	hash_table_remove(&mirror->neighbours, &neighbour->entry);
	free(neighbour);
}

struct link *mirror_next_link(const struct mirror *mirror, const struct link *link)
{
	return as_link(hash_table_next(&mirror->links, link ? &link->entry : NULL));
}

struct neighbour *mirror_next_neighbour(const struct mirror *mirror,
					const struct neighbour *neighbour)
{
	return as_neighbour(hash_table_next(&mirror->neighbours,
					    neighbour ? &neighbour->entry : NULL));
}

bool link_is_usable(const struct link *link)
{
	return link && link->kernel.up && link->kernel.ethernet;
}

bool neighbour_is_usable(const struct neighbour *neighbour)
{
	return neighbour->kernel.state & USABLE && neighbour->kernel.has_mac;
}
