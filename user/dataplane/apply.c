// SPDX-License-Identifier: BSD-2-Clause
/*
 * apply.c - between the kernel's tables and struct tables: read them, and write the
 * difference of two.
 *
 * Order of writing: what nobody refers to yet comes first (settings, backends, limit
 * rules, new rings), then the words that refer to it (slots, service records), then,
 * after a grace period, what nobody refers to any more is cleared. An agent that is
 * killed between any two of these writes leaves tables that forward, and that the next
 * agent can read: an index is taken only once its info (backends) or its record
 * (services) is there.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "dataplane/kernel.h"

static int map_error(enum map map, uint32_t index, const char *verb, struct error *error)
{
	return error_set(error, errno, "cannot %s map %s, element %u: %s", verb, map_names[map],
			 index, strerror(errno));
}

static int get(struct dataplane *dataplane, enum map map, uint32_t index, void *value,
	       struct error *error)
{
	if (bpf_map_lookup_elem(dataplane->map[map], &index, value))
		return map_error(map, index, "read", error);
	return 0;
}

static int put(struct dataplane *dataplane, enum map map, uint32_t index, const void *value,
	       struct error *error)
{
	if (bpf_map_update_elem(dataplane->map[map], &index, value, BPF_ANY))
		return map_error(map, index, "write", error);
	return 0;
}

/* --- read ------------------------------------------------------------------------------- */

static int read_slots(struct dataplane *dataplane, struct table_service *service)
{
	struct weir_ring ring = service->record.ring;

	if (!ring.size)
		return 0;
	if (ring.size > dataplane->capacity.slots ||
	    ring.offset > dataplane->capacity.slots - ring.size)
		return -EPROTO;
	service->slots = malloc(ring.size * sizeof(*service->slots));
	if (!service->slots)
		return -ENOMEM;
	memcpy(service->slots, dataplane->slots + ring.offset,
	       ring.size * sizeof(*service->slots));
	return 0;
}

/* An agent was killed while a service went from one address to another. */
static int add_stray(struct tables *tables, uint32_t position, struct error *error)
{
	void *larger = realloc(tables->strays,
			       (tables->stray_count + 1) * sizeof(*tables->strays));

	if (!larger)
		return error_set(error, ENOMEM, "out of memory");
	tables->strays = larger;
	tables->strays[tables->stray_count++] = position;
	return 0;
}

static int read_service(struct dataplane *dataplane, uint32_t position,
			struct tables *tables, struct error *error)
{
	const struct weir_service record = dataplane->services[position];
	struct table_service *service;
	int err;

	if (record.index >= tables->capacity.services)
		return error_set(error, EPROTO, "map services: index %u is out of range",
				 record.index);
	service = &tables->services[record.index];
	if (service->info.name[0])
		return add_stray(tables, position, error);

	service->record = record;
	service->position = position;
	tables->settings_entry = record.settings & 1;
	err = get(dataplane, MAP_service_info, record.index, &service->info, error);
	for (int n = 0; n < WEIR_SERVICE_LIMITS && !err; n++)
		err = get(dataplane, MAP_limit_rules, limit_rule_index(record.index, n),
			  &service->limits[n], error);
	if (err)
		return err;
	err = read_slots(dataplane, service);
	if (err)
		return error_set(error, -err, "%s: cannot read its ring: %s", service->info.name,
				 strerror(-err));
	return 0;
}

static int read_services(struct dataplane *dataplane, struct tables *tables,
			 struct error *error)
{
	uint32_t positions = service_positions(tables->capacity.services);
	int err = 0;

	for (uint32_t i = 0; i < positions && !err; i++)
		if (dataplane->services[i].state == WEIR_SERVICE_USED)
			err = read_service(dataplane, i, tables, error);
	return err;
}

/* Name and rules of services whose record was never written, or is deleted already. */
static int clear_leftovers(struct dataplane *dataplane, const struct tables *tables,
			   struct error *error)
{
	const struct weir_service_info nobody = {};
	const struct weir_limit_rule none = {};
	struct weir_service_info info;
	int err = 0;

	for (uint32_t i = 0; i < tables->capacity.services && !err; i++) {
		if (tables->services[i].info.name[0])
			continue;
		err = get(dataplane, MAP_service_info, i, &info, error);
		if (err || !info.name[0])
			continue;
		for (int n = 0; n < WEIR_SERVICE_LIMITS && !err; n++)
			err = put(dataplane, MAP_limit_rules, limit_rule_index(i, n), &none,
				  error);
		if (!err)
			err = put(dataplane, MAP_service_info, i, &nobody, error);
	}
	return err;
}

static int read_backends(struct dataplane *dataplane, struct tables *tables,
			 struct error *error)
{
	for (uint32_t i = 1; i < tables->capacity.backends; i++) {
		struct table_backend *backend = &tables->backends[i];
		int err;

		backend->record = dataplane->backends[i];
		if (!backend->record.family)
			continue;
		err = get(dataplane, MAP_backend_info, i, &backend->info, error);
		if (err)
			return err;
		tables->backend_cursor = i;
	}
	return 0;
}

int dataplane_read(struct dataplane *dataplane, struct tables **out, struct error *error)
{
	struct tables *tables = tables_new(&dataplane->capacity);
	int err;

	if (!tables)
		return error_set(error, ENOMEM, "out of memory");
	err = read_services(dataplane, tables, error);
	if (!err)
		err = clear_leftovers(dataplane, tables, error);
	if (!err)
		err = read_backends(dataplane, tables, error);
	if (!err)
		err = get(dataplane, MAP_settings, tables->settings_entry, &tables->settings,
			  error);
	if (err) {
		tables_free(tables);
		return err;
	}
	tables_index(tables);
	*out = tables;
	return 0;
}

/* --- write what is new or changed ------------------------------------------------------- */

static int zero_counters(struct dataplane *dataplane, enum map map, uint32_t index,
			 size_t size, struct error *error)
{
	void *zeros = calloc(dataplane->cpus, size);
	int err;

	if (!zeros)
		return error_set(error, ENOMEM, "out of memory");
	err = put(dataplane, map, index, zeros, error);
	free(zeros);
	return err;
}

static int write_settings(struct dataplane *dataplane, const struct tables *present,
			  const struct tables *next, struct error *error)
{
	if (!memcmp(&present->settings, &next->settings, sizeof(next->settings)))
		return 0;
	return put(dataplane, MAP_settings, next->settings_entry, &next->settings, error);
}

/* Packets may be reading the record: all but the idle hop and single bytes must stay. */
static void update_record(struct weir_backend *shared, const struct weir_backend *next)
{
	shared->hop[next->active_hop] = next->hop[next->active_hop];
	__atomic_store_n(&shared->forward, next->forward, __ATOMIC_RELEASE);
	__atomic_store_n(&shared->service, next->service, __ATOMIC_RELEASE);
	__atomic_store_n(&shared->active_hop, next->active_hop, __ATOMIC_RELEASE);
}

static int write_backend(struct dataplane *dataplane, uint32_t index,
			 const struct table_backend *present, const struct table_backend *next,
			 struct error *error)
{
	bool fresh = !present->info.service[0];
	int err = 0;

	if (!memcmp(present, next, sizeof(*next)))
		return 0;
	if (fresh)
		err = zero_counters(dataplane, MAP_backend_counters, index,
				    sizeof(struct weir_backend_counters), error);
	if (err)
		return err;
	if (fresh)
		dataplane->backends[index] = next->record;
	else
		update_record(&dataplane->backends[index], &next->record);
	if (memcmp(&present->info, &next->info, sizeof(next->info)))
		err = put(dataplane, MAP_backend_info, index, &next->info, error);
	return err;
}

static int write_backends(struct dataplane *dataplane, const struct tables *present,
			  const struct tables *next, struct error *error)
{
	int err = 0;

	for (uint32_t i = 1; i < next->capacity.backends && !err; i++)
		if (next->backends[i].info.service[0])
			err = write_backend(dataplane, i, &present->backends[i],
					    &next->backends[i], error);
	return err;
}

static int write_limits(struct dataplane *dataplane, const struct table_service *present,
			const struct table_service *next, struct error *error)
{
	int err = 0;

	for (int n = 0; n < WEIR_SERVICE_LIMITS && next->record.limit[n] && !err; n++)
		if (memcmp(&present->limits[n], &next->limits[n], sizeof(next->limits[n])))
			err = put(dataplane, MAP_limit_rules, next->record.limit[n],
				  &next->limits[n], error);
	return err;
}

static void write_slots(struct dataplane *dataplane, const struct table_service *next)
{
	uint32_t *shared = dataplane->slots + next->record.ring.offset;

	for (uint32_t i = 0; i < next->record.ring.size; i++)
		if (__atomic_load_n(&shared[i], __ATOMIC_RELAXED) != next->slots[i])
			__atomic_store_n(&shared[i], next->slots[i], __ATOMIC_RELEASE);
}

/* A new record is complete before its state says so; an old one changes word by word. */
static void write_record(struct weir_service *shared, const struct weir_service *next,
			 bool fresh)
{
	struct weir_ring ring = next->ring;

	if (fresh) {
		struct weir_service hidden = *next;

		hidden.state = shared->state;	/* empty or deleted */
		*shared = hidden;
		__atomic_store_n(&shared->state, next->state, __ATOMIC_RELEASE);
		return;
	}
	for (int n = 0; n < WEIR_SERVICE_LIMITS; n++)
		__atomic_store_n(&shared->limit[n], next->limit[n], __ATOMIC_RELEASE);
	__atomic_store(&shared->ring, &ring, __ATOMIC_RELEASE);
	__atomic_store_n(&shared->settings, next->settings, __ATOMIC_RELEASE);
}

static int write_service(struct dataplane *dataplane, const struct table_service *present,
			 const struct table_service *next, struct error *error)
{
	bool fresh = !present->info.name[0];
	uint32_t index = next->record.index;
	int err = 0;

	if (fresh)
		err = zero_counters(dataplane, MAP_service_counters, index,
				    sizeof(struct weir_service_counters), error);
	if (!err && memcmp(&present->info, &next->info, sizeof(next->info)))
		err = put(dataplane, MAP_service_info, index, &next->info, error);
	if (!err)
		err = write_limits(dataplane, present, next, error);
	if (err)
		return err;

	write_slots(dataplane, next);
	write_record(&dataplane->services[next->position], &next->record,
		     fresh || present->position != next->position);
	return 0;
}

static int write_services(struct dataplane *dataplane, const struct tables *present,
			  const struct tables *next, struct error *error)
{
	int err = 0;

	for (uint32_t i = 0; i < next->capacity.services && !err; i++)
		if (next->services[i].info.name[0])
			err = write_service(dataplane, &present->services[i],
					    &next->services[i], error);
	return err;
}

/* --- remove what is gone ---------------------------------------------------------------- */

static void delete_record(struct dataplane *dataplane, uint32_t position)
{
	__atomic_store_n(&dataplane->services[position].state, WEIR_SERVICE_DELETED,
			 __ATOMIC_RELEASE);
}

/* A service's new record is in place already where it moved to another position. */
static void delete_records(struct dataplane *dataplane, const struct tables *present,
			   const struct tables *next)
{
	for (size_t i = 0; i < present->stray_count; i++)
		delete_record(dataplane, present->strays[i]);
	for (uint32_t i = 0; i < present->capacity.services; i++) {
		const struct table_service *old = &present->services[i];

		if (old->info.name[0] && (!next->services[i].info.name[0] ||
					  next->services[i].position != old->position))
			delete_record(dataplane, old->position);
	}
}

/* A deleted record that an empty one follows ends no probe: it can be empty as well. */
static void tidy_records(struct dataplane *dataplane)
{
	uint32_t positions = service_positions(dataplane->capacity.services);

	for (uint32_t i = 2 * positions; i-- > 0;) {
		struct weir_service *record = &dataplane->services[i & (positions - 1)];
		struct weir_service *follower = &dataplane->services[(i + 1) & (positions - 1)];

		if (record->state == WEIR_SERVICE_DELETED &&
		    follower->state == WEIR_SERVICE_EMPTY)
			__atomic_store_n(&record->state, WEIR_SERVICE_EMPTY, __ATOMIC_RELEASE);
	}
}

/* Something that packets in flight may be reading is about to be reused or cleared. */
static bool needs_grace(const struct tables *present, const struct tables *next)
{
	if (present->settings_entry != next->settings_entry || present->stray_count)
		return true;
	for (uint32_t i = 0; i < next->capacity.services; i++)
		if (memcmp(&present->services[i].record, &next->services[i].record,
			   sizeof(next->services[i].record)))
			return true;
	for (uint32_t i = 1; i < next->capacity.backends; i++)
		if (memcmp(&present->backends[i].record, &next->backends[i].record,
			   sizeof(next->backends[i].record)))
			return true;
	return false;
}

/* XDP programs run in RCU read sections; MEMBARRIER_CMD_GLOBAL is synchronize_rcu(). */
static void wait_for_packets_in_flight(void)
{
	const struct timespec ample = { .tv_nsec = 50 * 1000 * 1000 };

	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0))
		nanosleep(&ample, NULL);	/* nohz_full kernels refuse the call */
}

static int clear_backends(struct dataplane *dataplane, const struct tables *present,
			  const struct tables *next, struct error *error)
{
	const struct weir_backend_info nobody = {};
	int err = 0;

	for (uint32_t i = 1; i < next->capacity.backends && !err; i++) {
		if (!present->backends[i].info.service[0] || next->backends[i].info.service[0])
			continue;
		err = put(dataplane, MAP_backend_info, i, &nobody, error);
		if (!err)
			dataplane->backends[i] = (struct weir_backend){};
	}
	return err;
}

static int clear_services(struct dataplane *dataplane, const struct tables *present,
			  const struct tables *next, struct error *error)
{
	const struct weir_service_info nobody = {};
	const struct weir_limit_rule none = {};
	int err = 0;

	for (uint32_t i = 0; i < next->capacity.services && !err; i++) {
		const struct table_service *old = &present->services[i];

		if (!old->info.name[0])
			continue;
		for (int n = 0; n < WEIR_SERVICE_LIMITS && !err; n++)
			if (old->limits[n].enabled && !next->services[i].record.limit[n])
				err = put(dataplane, MAP_limit_rules, limit_rule_index(i, n),
					  &none, error);
		if (!err && !next->services[i].info.name[0])
			err = put(dataplane, MAP_service_info, i, &nobody, error);
	}
	return err;
}

int dataplane_apply(struct dataplane *dataplane, const struct tables *present,
		    const struct tables *next, struct error *error)
{
	int err = write_settings(dataplane, present, next, error);

	if (!err)
		err = write_backends(dataplane, present, next, error);
	if (!err)
		err = write_services(dataplane, present, next, error);
	if (err)
		return err;
	delete_records(dataplane, present, next);

	if (needs_grace(present, next))
		wait_for_packets_in_flight();
	tidy_records(dataplane);
	err = clear_backends(dataplane, present, next, error);
	if (!err)
		err = clear_services(dataplane, present, next, error);
	return err;
}
