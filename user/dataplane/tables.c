// SPDX-License-Identifier: BSD-2-Clause
/* tables.c - see tables.h: from configuration to the kernel's desired tables. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <weir/hash.h>
#include <weir/limiter.h>

#include "dataplane/arena.h"
#include "dataplane/ring.h"
#include "dataplane/tables.h"

/*
 * What is present stays until the change is complete, so a change needs room for both
 * what goes and what comes.
 */
#define ENLARGE "takes effect on a new data plane), or make the change in two steps"

/* What a build carries from step to step. */
struct build {
	const struct config *config;
	const struct tables *present;
	struct tables *next;
	next_hop_fn next_hop;
	void *next_hop_arg;
	struct arena arena;
	bool *taken;		/* positions of map services, present and next */
	struct error *error;
};

struct tables *tables_new(const struct config_capacity *capacity)
{
	struct tables *tables = calloc(1, sizeof(*tables));

	if (!tables)
		return NULL;
	tables->capacity = *capacity;
	tables->services = calloc(capacity->services, sizeof(*tables->services));
	tables->backends = calloc(capacity->backends, sizeof(*tables->backends));
	tables->service_list = calloc(capacity->services, sizeof(*tables->service_list));
	tables->backend_list = calloc(capacity->backends, sizeof(*tables->backend_list));
	if (!tables->services || !tables->backends || !tables->service_list ||
	    !tables->backend_list) {
		tables_free(tables);
		return NULL;
	}
	return tables;
}

void tables_free(struct tables *tables)
{
	if (!tables)
		return;
	for (uint32_t i = 0; tables->services && i < tables->capacity.services; i++)
		free(tables->services[i].slots);
	free(tables->services);
	free(tables->backends);
	free(tables->service_list);
	free(tables->backend_list);
	free(tables->strays);
	free(tables);
}

uint32_t limit_rule_index(uint32_t service, uint32_t n)
{
	return 1 + service * WEIR_SERVICE_LIMITS + n;
}

uint32_t service_positions(uint32_t services)
{
	uint32_t positions = 4;

	while (positions < 4 * services)
		positions *= 2;
	return positions;
}

uint32_t tables_slots_used(const struct tables *tables)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < tables->capacity.services; i++)
		used += tables->services[i].record.ring.size;
	return used;
}

/* --- look-up ---------------------------------------------------------------------------- */

static int compare_services(const void *a, const void *b)
{
	const struct table_service *const *left = a, *const *right = b;

	return strcmp((*left)->info.name, (*right)->info.name);
}

static int compare_backends(const void *a, const void *b)
{
	const struct table_backend *const *left = a, *const *right = b;
	int order = strcmp((*left)->info.service, (*right)->info.service);

	if (!order)
		order = (*left)->record.family - (*right)->record.family;
	if (!order)
		order = memcmp((*left)->record.address, (*right)->record.address,
			       sizeof((*left)->record.address));
	return order;
}

void tables_index(struct tables *tables)
{
	size_t services = 0, backends = 0;

	for (uint32_t i = 0; i < tables->capacity.services; i++)
		if (tables->services[i].info.name[0])
			tables->service_list[services++] = &tables->services[i];
	for (uint32_t i = 1; i < tables->capacity.backends; i++)
		if (tables->backends[i].info.service[0])
			tables->backend_list[backends++] = &tables->backends[i];

	qsort(tables->service_list, services, sizeof(void *), compare_services);
	qsort(tables->backend_list, backends, sizeof(void *), compare_backends);
	tables->service_count = services;
	tables->backend_count = backends;
}

const struct table_service *tables_find_service(const struct tables *tables,
						const char *name)
{
	struct table_service wanted = {};
	const struct table_service *key = &wanted, **found;

	snprintf(wanted.info.name, sizeof(wanted.info.name), "%s", name);
	found = bsearch(&key, tables->service_list, tables->service_count, sizeof(void *),
			compare_services);
	return found ? *found : NULL;
}

const struct table_backend *tables_find_backend(const struct tables *tables,
						const char *service,
						const struct address *address)
{
	struct table_backend wanted = { .record.family = address->family };
	const struct table_backend *key = &wanted, **found;

	snprintf(wanted.info.service, sizeof(wanted.info.service), "%s", service);
	memcpy(wanted.record.address, address->word, sizeof(wanted.record.address));
	found = bsearch(&key, tables->backend_list, tables->backend_count, sizeof(void *),
			compare_backends);
	return found ? *found : NULL;
}

/* --- settings --------------------------------------------------------------------------- */

static uint32_t derive_key(const struct config *config, uint64_t purpose, uint64_t n)
{
	return XXH64(config->hash_seed, sizeof(config->hash_seed), purpose << 32 | n);
}

static void build_settings(struct build *build)
{
	const struct config *config = build->config;
	struct weir_settings *settings = &build->next->settings;

	for (int i = 0; i < WEIR_FLOW_KEYS; i++)
		settings->flow_key[i] = derive_key(config, 1, i);
	for (int i = 0; i < WEIR_SOURCE_KEYS; i++) {
		settings->line_key[i] = derive_key(config, 2, i);
		settings->cell_key[i] = derive_key(config, 3, i);
	}
	settings->source_v4 = config->source_v4.word[0];
	memcpy(settings->source_v6, config->source_v6.word, sizeof(settings->source_v6));

	build->next->settings_entry = build->present->settings_entry;
	if (memcmp(settings, &build->present->settings, sizeof(*settings)))
		build->next->settings_entry ^= 1;
}

/* --- backends --------------------------------------------------------------------------- */

bool backend_usable(const struct backend *backend, uint8_t forward, const struct next_hop *hop,
		    const struct weir_backend *record, const char **status, const char **reason)
{
	const char *ignored;

	status = status ? status : &ignored;
	reason = reason ? reason : &ignored;
	*reason = hop ? hop->reason : "";

	if (!hop || hop->status == NEXT_HOP_FAILED) {
		*status = "no next hop";
		return false;
	}
	if (forward == WEIR_FORWARD_L2 && hop->status == NEXT_HOP_RESOLVED && !hop->on_link) {
		*status = "no next hop";
		*reason = "behind a gateway: l2 needs the backend on the balancer's own link";
		return false;
	}
	if (!record->hop[record->active_hop].ifindex) {
		*status = "resolving";
		return false;
	}
	*reason = "";
	if (backend->state == BACKEND_DRAINING)
		*status = "draining";
	else
		*status = backend->weight ? "ready" : "weight 0";
	return backend->state == BACKEND_ACTIVE && backend->weight;
}

static uint32_t free_backend_index(struct build *build)
{
	uint32_t capacity = build->next->capacity.backends;

	for (uint32_t tries = 1; tries < capacity; tries++) {
		uint32_t index = build->next->backend_cursor % (capacity - 1) + 1;

		build->next->backend_cursor = index;
		if (!build->next->backends[index].info.service[0] &&
		    !build->present->backends[index].info.service[0])
			return index;
	}
	return 0;
}

/* A new next hop goes into the idle half; switching over is one byte. */
static void set_hop(struct weir_backend *record, const struct next_hop *hop)
{
	if (!hop || hop->status != NEXT_HOP_RESOLVED ||
	    !memcmp(&record->hop[record->active_hop], &hop->hop, sizeof(hop->hop)))
		return;
	record->active_hop ^= 1;
	record->hop[record->active_hop] = hop->hop;
}

/* Returns the backend's index, or 0 when the table is full. */
static uint32_t build_backend(struct build *build, uint32_t service,
			      const struct config_service *config,
			      const struct backend *backend)
{
	const struct table_backend *old = tables_find_backend(build->present, config->name,
							      &backend->address);
	struct table_backend *new;
	uint32_t index;

	index = old ? (uint32_t)(old - build->present->backends) : free_backend_index(build);
	if (!index)
		return 0;

	new = &build->next->backends[index];
	if (old)
		*new = *old;
	snprintf(new->info.service, sizeof(new->info.service), "%s", config->name);
	address_format(&backend->address, new->info.address);
	memcpy(new->record.address, backend->address.word, sizeof(new->record.address));
	new->record.family = backend->address.family;
	new->record.forward = config->forward;
	new->record.service = service;
	set_hop(&new->record, build->next_hop(build->next_hop_arg, &backend->address));
	return index;
}

/* --- rings ------------------------------------------------------------------------------ */

/* Of what a ring is built from, in whatever order it comes. */
static uint64_t fingerprint(const struct build *build, const struct ring_backend *members,
			    size_t count, uint32_t size)
{
	uint64_t sum = XXH64(build->config->hash_seed, sizeof(build->config->hash_seed), size);

	for (size_t i = 0; i < count; i++) {
		uint64_t identity = XXH64(members[i].address.word,
					  sizeof(members[i].address.word),
					  members[i].address.family);
		uint64_t values[] = { identity, members[i].index, members[i].weight };

		sum += XXH64(values, sizeof(values), 0);
	}
	return sum | 1;
}

/* The owners that the slots had before, or none where the ring has another size now. */
static void note_churn(struct table_service *new, const struct table_service *old,
		       const uint16_t *owner, uint32_t size)
{
	uint16_t *before = calloc(size, sizeof(*before));

	new->churn_changed = size;
	new->churn_excess = 0;
	if (before && old && old->record.ring.size == size) {
		for (uint32_t i = 0; i < size; i++)
			before[i] = WEIR_SLOT_CURRENT(old->slots[i]);
		if (ring_churn(before, owner, size, &new->churn_changed, &new->churn_excess))
			new->churn_changed = size;
	}
	free(before);
}

static int fill_slots(struct build *build, struct table_service *new,
		      const struct table_service *old, struct ring_backend *members,
		      size_t count, uint32_t size)
{
	uint16_t *owner = calloc(size, sizeof(*owner));
	int err = -ENOMEM;

	new->slots = calloc(size, sizeof(*new->slots));
	if (!owner || !new->slots)
		goto out;
	err = ring_build_maglev(members, count, build->config->hash_seed, owner, size);
	if (err)
		goto out;
	for (uint32_t i = 0; i < size; i++)
		new->slots[i] = WEIR_SLOT(owner[i], 0);
	note_churn(new, old, owner, size);
out:
	free(owner);
	return err;
}

static int place_ring(struct build *build, struct table_service *new,
		      const struct table_service *old, uint32_t size)
{
	int err;

	if (old && old->record.ring.size == size) {
		new->record.ring = old->record.ring;
		return 0;
	}
	err = arena_allocate(&build->arena, size, &new->record.ring);
	if (err == -ENOSPC)
		return error_set(build->error, ENOSPC,
				 "%s: no room for a ring of %u slots beside the present ones: raise capacity.slots (now %u, " ENLARGE,
				 new->info.name, size, build->next->capacity.slots);
	return err;
}

/*
 * The size depends on the configured backends, not on those that are usable here and
 * now, so that all balancers of a fleet agree on it.
 */
static int build_ring(struct build *build, struct table_service *new,
		      const struct table_service *old, struct ring_backend *members,
		      size_t count, size_t configured)
{
	uint32_t size = ring_size(configured);
	int err;

	if (!configured)
		return 0;
	err = place_ring(build, new, old, size);
	if (err)
		return err;

	new->ring_inputs = fingerprint(build, members, count, size);
	if (!old || old->ring_inputs != new->ring_inputs || old->record.ring.size != size)
		return fill_slots(build, new, old, members, count, size);

	new->churn_changed = old->churn_changed;
	new->churn_excess = old->churn_excess;
	new->slots = malloc(size * sizeof(*new->slots));
	if (!new->slots)
		return -ENOMEM;
	memcpy(new->slots, old->slots, size * sizeof(*new->slots));
	return 0;
}

static int build_members(struct build *build, uint32_t service,
			 const struct config_service *config, struct ring_backend *members,
			 size_t *count)
{
	for (size_t i = 0; i < config->embedded.count; i++) {
		const struct backend *backend = &config->embedded.backends[i];
		uint32_t index = build_backend(build, service, config, backend);
		const struct next_hop *hop;

		if (!index)
			return error_set(build->error, ENOSPC,
					 "%s: no free backend index beside the present ones: raise capacity.backends (now %u, " ENLARGE,
					 config->name, build->next->capacity.backends);
		hop = build->next_hop(build->next_hop_arg, &backend->address);
		if (!backend_usable(backend, config->forward, hop,
				    &build->next->backends[index].record, NULL, NULL))
			continue;
		members[(*count)++] = (struct ring_backend){
			.address = backend->address,
			.index = index,
			.weight = backend->weight,
		};
	}
	return 0;
}

/* --- services --------------------------------------------------------------------------- */

static __be32 mask_word(int bits)
{
	if (bits <= 0)
		return 0;
	return bits >= 32 ? htonl(~0u) : htonl(~0u << (32 - bits));
}

static void build_limit(struct weir_limit_rule *rule, const struct config_limit *limit)
{
	rule->cost = WEIR_TICKS_PER_SECOND / limit->rate;
	rule->burst_time = rule->cost * limit->burst;
	rule->mask_v4 = mask_word(limit->prefix_v4);
	for (int i = 0; i < 4; i++)
		rule->mask_v6[i] = mask_word(limit->prefix_v6 - 32 * i);
	rule->enabled = 1;
}

static struct table_service *new_service(struct build *build,
					 const struct table_service *old)
{
	if (old)
		return &build->next->services[old - build->present->services];
	for (uint32_t i = 0; i < build->next->capacity.services; i++)
		if (!build->next->services[i].info.name[0] &&
		    !build->present->services[i].info.name[0])
			return &build->next->services[i];
	return NULL;
}

static void describe_service(struct build *build, struct table_service *new,
			     const struct config_service *config)
{
	struct weir_service_key *key = &new->record.key;
	uint32_t index = new - build->next->services;

	snprintf(new->info.name, sizeof(new->info.name), "%s", config->name);
	address_format_service(&config->address, config->port, config->protocol,
			       new->info.address);
	memcpy(key->address, config->address.word, sizeof(key->address));
	key->port = htons(config->port);
	key->protocol = config->protocol;
	key->family = config->address.family;

	new->record.index = index;
	new->record.state = WEIR_SERVICE_USED;
	new->record.settings = build->next->settings_entry;
	for (size_t i = 0; i < config->limit_count; i++) {
		new->record.limit[i] = limit_rule_index(index, i);
		build_limit(&new->limits[i], &config->limits[i]);
	}
}

/* A record that packets may be reading is never overwritten with another service's. */
static int place_record(struct build *build, struct table_service *new,
			const struct table_service *old)
{
	uint32_t mask = service_positions(build->next->capacity.services) - 1;
	uint32_t first = weir_service_hash(&new->record.key);

	if (old && !memcmp(&old->record.key, &new->record.key, sizeof(new->record.key))) {
		new->position = old->position;
		return 0;
	}
	for (uint32_t i = 0; i < WEIR_SERVICE_PROBES; i++) {
		new->position = (first + i) & mask;
		if (!build->taken[new->position]) {
			build->taken[new->position] = true;
			return 0;
		}
	}
	return error_set(build->error, ENOSPC,
			 "%s: no free place in the service table: raise capacity.services (now %u, " ENLARGE,
			 new->info.name, build->next->capacity.services);
}

static int build_service(struct build *build, const struct config_service *config)
{
	const struct table_service *old = tables_find_service(build->present, config->name);
	struct table_service *new = new_service(build, old);
	struct ring_backend *members;
	size_t count = 0;
	int err;

	if (!new)
		return error_set(build->error, ENOSPC,
				 "%s: no free service index beside the present ones: raise capacity.services (now %u, " ENLARGE,
				 config->name, build->next->capacity.services);
	describe_service(build, new, config);
	err = place_record(build, new, old);
	if (err)
		return err;

	members = calloc(config->embedded.count + 1, sizeof(*members));
	if (!members)
		return -ENOMEM;
	err = build_members(build, new->record.index, config, members, &count);
	if (!err)
		err = build_ring(build, new, old, members, count, config->embedded.count);
	free(members);
	return err;
}

/* Present places stay taken: packets may read them until the change is complete. */
static int take_present_places(struct build *build)
{
	const struct tables *present = build->present;

	build->taken = calloc(service_positions(present->capacity.services), sizeof(bool));
	if (!build->taken)
		return -ENOMEM;
	for (size_t i = 0; i < present->stray_count; i++)
		build->taken[present->strays[i]] = true;
	for (size_t i = 0; i < present->service_count; i++) {
		const struct table_service *service = present->service_list[i];
		int err = arena_take(&build->arena, service->record.ring);

		if (err)
			return err;
		build->taken[service->position] = true;
	}
	return 0;
}

static int build_all(struct build *build)
{
	int err = take_present_places(build);

	if (err)
		return err;
	build_settings(build);
	for (size_t i = 0; i < build->config->service_count && !err; i++)
		err = build_service(build, &build->config->services[i]);
	if (!err)
		tables_index(build->next);
	return err;
}

int tables_build(const struct config *config, next_hop_fn next_hop, void *arg,
		 const struct tables *present, struct tables **out, struct error *error)
{
	struct build build = {
		.config = config,
		.present = present,
		.next = tables_new(&present->capacity),
		.next_hop = next_hop,
		.next_hop_arg = arg,
		.error = error,
	};
	int err = -ENOMEM;

	error_set(error, ENOMEM, "out of memory");
	if (!build.next)
		return err;
	build.next->backend_cursor = present->backend_cursor;
	arena_init(&build.arena, present->capacity.slots);
	err = build_all(&build);
	arena_free(&build.arena);
	free(build.taken);
	if (err)
		tables_free(build.next);
	else
		*out = build.next;
	return err;
}
