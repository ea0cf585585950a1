/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tables.h - all that the kernel's tables hold, or should hold, as one value.
 *
 * tables_build() compiles configuration, snapshots and next hops into the desired
 * tables: a pure function of its arguments. It takes the present tables so that what
 * exists keeps its index, its ring's place and its counters. dataplane.h reads the
 * present tables out of the kernel and writes the difference between two of these.
 */
#ifndef WEIR_TABLES_H
#define WEIR_TABLES_H

#include <stdbool.h>
#include <stdint.h>

#include <weir/abi.h>

#include "config.h"
#include "dataplane/next_hops.h"
#include "error.h"

struct table_service {
	struct weir_service_info info;	/* name[0] == 0: the index is free */
	struct weir_service record;
	uint32_t position;	/* of the record in map services */
	struct weir_limit_rule limits[WEIR_SERVICE_LIMITS];
	uint32_t *slots;	/* record.ring.size words, owned; NULL when 0 */
	uint64_t ring_inputs;	/* fingerprint of what slots were built from; 0: not known */
	uint32_t churn_changed;	/* slots that the last rebuild changed, */
	uint32_t churn_excess;	/* and how many more than it had to */
};

struct table_backend {
	struct weir_backend_info info;	/* service[0] == 0: the index is free */
	struct weir_backend record;
};

struct tables {
	struct config_capacity capacity;
	struct weir_settings settings;
	uint8_t settings_entry;		/* which of the two holds `settings` */
	struct table_service *services;	/* [capacity.services] */
	struct table_backend *backends;	/* [capacity.backends]; [0] stays free */
	uint32_t *strays;		/* positions read from the kernel, to be deleted */
	size_t stray_count;
	uint32_t backend_cursor;	/* indices are given out round, so that one rests long */

	/* What is in use, sorted for look-up: tables_index() fills these. */
	const struct table_service **service_list;	/* by name */
	const struct table_backend **backend_list;	/* by service, then address */
	size_t service_count, backend_count;
};

/* Where frames for a backend leave; NULL when nothing is known. */
typedef const struct next_hop *(*next_hop_fn)(void *arg, const struct address *address);

/* Empty tables of this capacity. NULL when out of memory. */
struct tables *tables_new(const struct config_capacity *capacity);
void tables_free(struct tables *tables);

/* Sort what is in use, after services and backends were filled in. */
void tables_index(struct tables *tables);

/*
 * The tables that the configuration asks for. *out is the caller's (tables_free);
 * `present` is not changed. 0, -ENOMEM, or -ENOSPC with one line in *error.
 */
int tables_build(const struct config *config, next_hop_fn next_hop, void *arg,
		 const struct tables *present, struct tables **out, struct error *error);

/* Whether a backend takes new flows through this next hop, and if not, why (may be NULL). */
bool backend_usable(const struct backend *backend, uint8_t forward, const struct next_hop *hop,
		    const struct weir_backend *record, const char **status, const char **reason);

/* What is in use under this name, or NULL. */
const struct table_service *tables_find_service(const struct tables *tables,
						const char *name);
const struct table_backend *tables_find_backend(const struct tables *tables,
						const char *service,
						const struct address *address);

uint32_t tables_slots_used(const struct tables *tables);
uint32_t limit_rule_index(uint32_t service, uint32_t n);

/* How long map services is for so many services: a power of two, four times as many. */
uint32_t service_positions(uint32_t services);

#endif
