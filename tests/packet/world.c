// SPDX-License-Identifier: BSD-2-Clause
/* world.c - see harness.h: the data plane under test, its tables and its counters. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

#define SEED "00112233445566778899aabbccddeeff"
#define KEPT_WORLDS 4
#define FOLDERS_OPEN 8	/* at once, for nftw() */

const struct config_capacity world_capacity = {
	.services = WORLD_SERVICES,
	.backends = WORLD_BACKENDS,
	.slots = 1 << 17,
	.limit_cells = 1024,
};

const char *worlds_dir(void)
{
	static char dir[64];

	if (!dir[0])
		snprintf(dir, sizeof(dir), "/sys/fs/bpf/weir-packet-%d", getpid());
	return dir;
}

int open_pin(const struct world *world, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", world->dir, name);
	fd = bpf_obj_get(path);
	check(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

static const char *const counter_names[COUNTER_MAPS] = {
	[SERVICE_COUNTERS] = "service_counters",
	[BACKEND_COUNTERS] = "backend_counters",
	[DROP_COUNTERS] = "drop_counters",
	[TOTALS] = "totals",
};

/* --- open and close --------------------------------------------------------------------- */

static void adopt_or_make(struct world *world, bool adopt)
{
	struct error error;
	bool adopted;
	int err;

	err = dataplane_open(world->dir, &world->capacity, &world->dataplane, &adopted, &error);
	check(!err, "cannot open the data plane: %s", error.text);
	check(adopted == adopt, "adopted is %d", adopted);
	err = dataplane_read(world->dataplane, &world->present, &error);
	check(!err, "cannot read the tables: %s", error.text);
	world->program = open_pin(world, "weir");
	for (int i = 0; i < COUNTER_MAPS; i++)
		world->counter_maps[i] = open_pin(world, counter_names[i]);
}

static void world_open(struct world *world, const char *name,
		       const struct config_capacity *capacity)
{
	*world = (struct world){
		.seed = SEED,
		.capacity = *capacity,
		.program = -1,
		.counter_maps = { -1, -1, -1, -1 },
	};
	snprintf(world->name, sizeof(world->name), "%s", name);
	snprintf(world->dir, sizeof(world->dir), "%s/%s", worlds_dir(), name);
	adopt_or_make(world, false);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void world_let_go(struct world *world)
{
	close_fd(&world->program);
	for (int i = 0; i < COUNTER_MAPS; i++)
		close_fd(&world->counter_maps[i]);
	tables_free(world->present);
	dataplane_close(world->dataplane);
	world->present = NULL;
	world->dataplane = NULL;
}

void world_adopt(struct world *world)
{
	world_let_go(world);
	adopt_or_make(world, true);
}

static int remove_entry(const char *path, const struct stat *info, int type,
			struct FTW *position)
{
	return remove(path);
}

void remove_tree(const char *dir)
{
	nftw(dir, remove_entry, FOLDERS_OPEN, FTW_DEPTH | FTW_PHYS);
}

static void world_close(struct world *world)
{
	world_let_go(world);
	remove_tree(world->dir);
	world->name[0] = '\0';
}

static struct world fresh, kept[KEPT_WORLDS];

struct world *fresh_world(const struct config_capacity *capacity)
{
	remove_fresh_world();
	world_open(&fresh, "fresh", capacity);
	return &fresh;
}

void remove_fresh_world(void)
{
	if (fresh.name[0])
		world_close(&fresh);
}

struct world *kept_world(const char *name, const struct config_capacity *capacity)
{
	size_t i = 0;

	while (kept[i].name[0] && strcmp(kept[i].name, name))
		assert_true(++i < KEPT_WORLDS);
	if (!kept[i].name[0])
		world_open(&kept[i], name, capacity);
	return &kept[i];
}

struct world *empty_world(void)
{
	struct world *world = kept_world("empty", &world_capacity);

	world->seed = SEED;
	world->moved = NULL;
	world_serve(world, "%s", "");
	return world;
}

void remove_kept_worlds(void)
{
	for (size_t i = 0; i < KEPT_WORLDS && kept[i].name[0]; i++)
		world_close(&kept[i]);
}

/* --- tables ----------------------------------------------------------------------------- */

struct weir_next_hop world_hop(const uint8_t address[16], uint8_t family)
{
	uint8_t subnet = address[family == 4 ? 2 : 13], last = address[family == 4 ? 3 : 15];

	return (struct weir_next_hop){
		.ifindex = subnet,
		.destination = { 2, 0xbb, 0, 0, subnet, last },
		.source = { 2, 0xaa, 0, 0, 0, subnet },
		.mtu = WORLD_MTU,
	};
}

static const struct next_hop *find_hop(void *arg, const struct address *address)
{
	static struct next_hop hop;
	const struct world *world = arg;
	struct address moved;

	if (world->moved) {
		moved = ip_address(world->moved);
		if (!memcmp(&moved, address, sizeof(moved)))
			return &world->moved_hop;
	}
	hop = (struct next_hop){
		.status = NEXT_HOP_RESOLVED,
		.hop = world_hop((const uint8_t *)address->word, address->family),
		.on_link = true,
	};
	return &hop;
}

static struct config *parse_config(const struct world *world, const char *services)
{
	struct config *config = NULL;
	struct error error;
	json_t *root = NULL;
	char *text;
	int err;

	err = asprintf(&text, "{'hash_seed': '%s', 'source_address': '%s', "
		       "'source_address_v6': '%s', 'services': [%s]}", world->seed,
		       host(BALANCER, 4), host(BALANCER, 6), services);
	assert_true(err > 0);
	for (char *at = text; (at = strchr(at, '\'')); at++)
		*at = '"';
	err = config_parse_text(text, strlen(text), "test", &root, &error);
	if (!err)
		err = config_build(root, text, "test", &config, &error);
	json_decref(root);
	free(text);
	check(!err, "configuration: %s", error.text);
	return config;
}

int world_build(struct world *world, struct tables **next, struct error *error,
		const char *services)
{
	struct config *config = parse_config(world, services);
	int err = tables_build(config, find_hop, world, world->present, next, error);

	config_free(config);
	return err;
}

void world_apply(struct world *world, struct tables *next)
{
	struct tables *present = world->present;
	struct error error;
	int err = dataplane_apply(world->dataplane, present, next, &error);

	world->present = next;
	tables_free(present);
	check(!err, "cannot apply: %s", error.text);
}

void world_serve(struct world *world, const char *services, ...)
{
	struct tables *next;
	struct error error;
	va_list args;
	char *text;
	int err;

	va_start(args, services);
	err = vasprintf(&text, services, args);
	va_end(args);
	assert_true(err >= 0);
	err = world_build(world, &next, &error, text);
	free(text);
	check(!err, "cannot build tables: %s", error.text);
	world_apply(world, next);
}

static void check_same(const char *what, size_t index, const void *actual, const void *expected,
		       size_t size)
{
	check(!memcmp(actual, expected, size), "%s %zu differs", what, index);
}

void tables_check(const struct tables *actual, const struct tables *expected)
{
	check_same("capacity", 0, &actual->capacity, &expected->capacity,
		   sizeof(actual->capacity));
	check_same("settings", 0, &actual->settings, &expected->settings,
		   sizeof(actual->settings));
	check(actual->settings_entry == expected->settings_entry, "settings entry %u",
	      actual->settings_entry);
	for (size_t i = 0; i < actual->capacity.services; i++) {
		const struct table_service *is = &actual->services[i];
		const struct table_service *must = &expected->services[i];

		check_same("service info", i, &is->info, &must->info, sizeof(is->info));
		check_same("service", i, &is->record, &must->record, sizeof(is->record));
		check_same("limits", i, is->limits, must->limits, sizeof(is->limits));
		check(is->position == must->position, "service %zu is elsewhere", i);
		if (is->record.ring.size)
			check_same("ring", i, is->slots, must->slots,
				   is->record.ring.size * sizeof(*is->slots));
	}
	for (size_t i = 0; i < actual->capacity.backends; i++) {
		check_same("backend info", i, &actual->backends[i].info,
			   &expected->backends[i].info, sizeof(actual->backends[i].info));
		check_same("backend", i, &actual->backends[i].record,
			   &expected->backends[i].record, sizeof(actual->backends[i].record));
	}
}

uint32_t service_index(const struct world *world, const char *service)
{
	const struct table_service *found = tables_find_service(world->present, service);

	check(found, "there is no service %s", service);
	return found - world->present->services;
}

uint32_t backend_index(const struct world *world, const char *service, const char *address)
{
	const struct address wanted = ip_address(address);
	const struct table_backend *found;

	found = tables_find_backend(world->present, service, &wanted);
	check(found, "%s has no backend %s", service, address);
	return found - world->present->backends;
}

/* --- counters --------------------------------------------------------------------------- */

/*
 * One system call for a whole map: tests read all counters around each packet. All
 * values are structs of nothing but __u64 fields, one a CPU.
 */
static void sum_map(int map, void *sums, size_t size, uint32_t count)
{
	size_t fields = size / sizeof(uint64_t), cpus = libbpf_num_possible_cpus();
	uint32_t keys[WORLD_SERVICES + WORLD_BACKENDS], next, read = count;
	uint64_t *values = calloc(count * cpus, size), *sum = sums;
	int err;

	assert_non_null(values);
	err = bpf_map_lookup_batch(map, NULL, &next, keys, values, &read, NULL);
	memset(sums, 0, count * size);
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < fields * cpus; j++)
			sum[i * fields + j % fields] += values[i * fields * cpus + j];
	free(values);
	check((!err || err == -ENOENT) && read == count, "cannot read counters: %s",
	      strerror(-err));
}

void counters_read(const struct world *world, struct counters *counters)
{
	const int *maps = world->counter_maps;

	memset(counters, 0, sizeof(*counters));
	sum_map(maps[SERVICE_COUNTERS], counters->service, sizeof(counters->service[0]),
		world->capacity.services);
	sum_map(maps[BACKEND_COUNTERS], counters->backend, sizeof(counters->backend[0]),
		world->capacity.backends);
	sum_map(maps[DROP_COUNTERS], &counters->drops, sizeof(counters->drops), 1);
	sum_map(maps[TOTALS], &counters->totals, sizeof(counters->totals), 1);
}

/* The fields are named here in their order. */
static void check_fields(const char *what, size_t index, const char *const *names,
			 const void *actual, const void *expected, size_t size)
{
	const uint64_t *is = actual, *must = expected;

	for (size_t i = 0; i < size / sizeof(*is); i++)
		check(is[i] == must[i], "%s %zu: %s is %ju, expected %ju", what, index, names[i],
		      (uintmax_t)is[i], (uintmax_t)must[i]);
}

void counters_check(const struct counters *actual, const struct counters *expected)
{
	static const char *const of_service[] = {
		"packets", "bytes", "new_flows", "limited_packets", "limited_bytes",
		"dropped_packets",
	};
	static const char *const of_backend[] = {
		"packets", "bytes", "new_flows", "dropped_packets",
	};
	static const char *const of_drops[] = {
#define DROP_NAME(name, text) #name,
		WEIR_DROP_REASONS(DROP_NAME)
#undef DROP_NAME
	};
	static const char *const of_totals[] = {
		"passed_packets", "forwarded_packets", "dropped_packets",
		"limit_evictions_in_debt", "limit_contended",
	};

	check_fields("totals", 0, of_totals, &actual->totals, &expected->totals,
		     sizeof(actual->totals));
	check_fields("drops", 0, of_drops, &actual->drops, &expected->drops,
		     sizeof(actual->drops));
	for (size_t i = 0; i < WORLD_SERVICES; i++)
		check_fields("service", i, of_service, &actual->service[i],
			     &expected->service[i], sizeof(actual->service[i]));
	for (size_t i = 0; i < WORLD_BACKENDS; i++)
		check_fields("backend", i, of_backend, &actual->backend[i],
			     &expected->backend[i], sizeof(actual->backend[i]));
}
