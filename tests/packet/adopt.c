// SPDX-License-Identifier: BSD-2-Clause
/*
 * adopt.c - the data plane outlives whoever made it: what the next one finds, takes
 * over as it is, or refuses; and what bpftool shows of it.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <weir/hash.h>

#include "harness.h"

/* The pinned maps, as DESIGN and bpftool name them. The kernel keeps 15 letters. */
static const struct pin {
	const char *name;
	const char *kernel_name;
	const char *value;	/* the type that BTF names */
	bool written_by_call;	/* not through a mapping */
} pins[] = {
	{ "services", "services", "weir_service", false },
	{ "settings", "settings", "weir_settings", true },
	{ "slots", "slots", "weir_slot_line", false },
	{ "backends", "backends", "weir_backend", false },
	{ "limit_rules", "limit_rules", "weir_limit_rule", true },
	{ "limit_cells", "limit_cells", "weir_limit_line", true },
	{ "service_info", "service_info", "weir_service_info", true },
	{ "backend_info", "backend_info", "weir_backend_info", true },
	{ "service_counters", "service_counter", "weir_service_counters", true },
	{ "backend_counters", "backend_counter", "weir_backend_counters", true },
	{ "drop_counters", "drop_counters", "weir_drop_counters", true },
	{ "totals", "totals", "weir_totals", true },
	{ "abi", "abi", "weir_abi", true },
};

#define SERVICES								\
	"{'name': 'web', 'address': '203.0.113.10', 'port': 80, 'protocol': 'tcp',"	\
	" 'limits': [{'rate': 1000000, 'burst': 1000000}],"			\
	" 'backends': [{'address': '10.0.1.11', 'weight': 3}, {'address': 'fd00::1:12'}]},"	\
	"{'name': 'dns', 'address': '2001:db8:5::10', 'port': 'any', 'protocol': 'udp',"	\
	" 'forward': 'l2', 'backends': [{'address': 'fd00::1:13'}]},"		\
	"{'name': 'empty', 'address': '203.0.113.11', 'port': 80, 'protocol': 'tcp'}"

static struct world *serving_world(void)
{
	struct world *world = empty_world();

	world_serve(world, SERVICES);
	return world;
}

/* For tests that spoil it. */
static struct world *fresh_serving_world(void)
{
	struct world *world = fresh_world(&world_capacity);

	world_serve(world, SERVICES);
	return world;
}

static void path_of(const struct world *world, const char *name, char path[256])
{
	snprintf(path, 256, "%s/%s", world->dir, name);
}

/* --- taken over as it is ---------------------------------------------------------------- */

static void forward_one(const struct world *world)
{
	const struct route route = { "dns", "fd00::1:13", .l2 = true };
	struct recipe recipe = request(&variants[3], 53);
	struct frame frame;

	frame_build(&frame, &recipe);
	expect_forward(world, &frame, &route);
}

/* Tables, counters, and the traffic in between. */
static void reads_back_what_was_written(void **state)
{
	struct world *world = serving_world();
	struct tables *written;
	struct counters before, after;
	struct error error;

	world->seed = "ffeeddccbbaa99887766554433221100";	/* the other settings entry */
	world_serve(world, SERVICES);
	assert_int_equal(world_build(world, &written, &error, SERVICES), 0);
	forward_one(world);
	counters_read(world, &before);

	world_adopt(world);
	tables_check(world->present, written);
	counters_read(world, &after);
	counters_check(&after, &before);
	forward_one(world);
	tables_free(written);
}

/* Once the maps are frozen, every write by a system call fails. */
static void applying_again_writes_nothing(void **state)
{
	struct world *world = fresh_serving_world();
	struct tables *next, *after = NULL;
	struct error error;

	world_adopt(world);
	assert_int_equal(world_build(world, &next, &error, SERVICES), 0);
	tables_check(next, world->present);
	for (size_t i = 0; i < ROWS(pins); i++) {
		int fd = open_pin(world, pins[i].name);

		if (pins[i].written_by_call)
			check(!bpf_map_freeze(fd), "freeze %s: %s", pins[i].name,
			      strerror(errno));
		close(fd);
	}
	world_apply(world, next);
	assert_int_equal(dataplane_read(world->dataplane, &after, &error), 0);
	tables_check(after, world->present);
	tables_free(after);
	forward_one(world);
}

/* The data plane forwards while nobody has it open, and counts. */
static void forwards_without_agent(void **state)
{
	const struct route route = { "dns", "fd00::1:13", .l2 = true };
	struct world *world = serving_world();
	struct recipe recipe = request(&variants[3], 53);
	struct counters before, after;
	struct result result;
	struct frame frame, out;

	frame_build(&frame, &recipe);
	frame_on_route(world, &frame, &route, &out);
	counters_read(world, &before);
	world_let_go(world);
	world->program = open_pin(world, "weir");
	run_frame(world, &frame, &result);
	check(result.verdict == XDP_TX && !memcmp(result.data, out.data, out.size),
	      "not forwarded");
	world_adopt(world);
	counters_read(world, &after);
	before.totals.forwarded_packets++;
	check(!memcmp(&after.totals, &before.totals, sizeof(after.totals)), "not counted");
}

/* --- taken over after an agent was killed in the middle ----------------------------------- */

static uint32_t position_of(const struct world *world, const struct weir_service_key *key)
{
	uint32_t positions = service_positions(world->capacity.services);

	return weir_service_hash(key) & (positions - 1);
}

/*
 * A second record of one service, as there is while its key changes. Which of the two
 * is found first depends on the port, so that both ways are seen.
 */
static void half_moved_service(void **state)
{
	const struct route route = { "web", "10.0.1.11", .l2 = false };
	const char *services = "{'name': 'web', 'address': '203.0.113.10', 'port': 80,"
			       " 'protocol': 'tcp', 'backends': [{'address': '10.0.1.11'}]}";
	struct world *world = empty_world();

	for (uint16_t port = 8000; port < 8010; port++) {
		struct recipe to_web = request(&variants[0], 80);
		struct recipe to_stray = request(&variants[0], port);
		struct weir_service record;
		struct frame web, stray;
		uint32_t position;
		int fd;

		subject("port %u", port);
		world_serve(world, "%s", services);
		frame_build(&web, &to_web);
		frame_build(&stray, &to_stray);
		record = tables_find_service(world->present, "web")->record;
		put16((uint8_t *)&record.key.port, port);
		position = position_of(world, &record.key);
		fd = open_pin(world, "services");
		assert_int_equal(bpf_map_update_elem(fd, &position, &record, BPF_ANY), 0);
		close(fd);
		expect_forward(world, &stray, &route);

		world_adopt(world);
		check(world->present->stray_count == 1, "%zu strays", world->present->stray_count);
		world_serve(world, "%s", services);
		expect_forward(world, &web, &route);
		expect_pass(world, &stray);
	}
}

/* A name and a limit that were written before their record, or are left after it. */
static void leftovers(void **state)
{
	const struct weir_service_info ghost = { .name = "ghost", .address = "nowhere" };
	const struct weir_limit_rule limit = { .cost = 1, .burst_time = 1, .enabled = 1 };
	const uint32_t index = 40, rule_index = limit_rule_index(index, 0);
	struct world *world = serving_world();
	int names = open_pin(world, "service_info"), rules = open_pin(world, "limit_rules");
	struct weir_service_info info;
	struct weir_limit_rule rule;

	assert_int_equal(bpf_map_update_elem(names, &index, &ghost, BPF_ANY), 0);
	assert_int_equal(bpf_map_update_elem(rules, &rule_index, &limit, BPF_ANY), 0);
	world_adopt(world);
	assert_int_equal(bpf_map_lookup_elem(names, &index, &info), 0);
	assert_int_equal(bpf_map_lookup_elem(rules, &rule_index, &rule), 0);
	close(names);
	close(rules);
	check(!info.name[0], "the name is still there");
	check(!rule.enabled, "the limit is still there");
	forward_one(world);
}

/* Without `abi`, which is pinned last, nothing was ever in use: made anew. */
static void interrupted_start(void **state)
{
	struct world *world = fresh_serving_world();
	struct error error;
	char path[256];
	bool adopted;
	int err;

	path_of(world, "abi", path);
	unlink(path);
	world_let_go(world);
	err = dataplane_open(world->dir, &world->capacity, &world->dataplane, &adopted, &error);
	check(!err, "%s", error.text);
	check(!adopted, "what has no abi was adopted");
	world_adopt(world);
	check(!world->present->service_count, "%zu services in a new data plane",
	      world->present->service_count);
	world_serve(world, SERVICES);
	forward_one(world);
}

/* --- refused ---------------------------------------------------------------------------- */

static void expect_refusal(const struct world *world, int expected, const char *why)
{
	struct dataplane *dataplane = NULL;
	struct error error;
	bool adopted;
	int err = dataplane_open(world->dir, &world->capacity, &dataplane, &adopted, &error);

	if (!err)
		dataplane_close(dataplane);
	check(err == expected, "dataplane_open() returned %d", err);
	check(strstr(error.text, why), "message: %s", error.text);
	check(!strchr(error.text, '\n'), "more than one line: %s", error.text);
}

static void other_abi_version(void **state)
{
	struct weir_abi abi = { .version = WEIR_ABI_VERSION + 1 };
	struct world *world = fresh_serving_world();
	int fd = open_pin(world, "abi");
	uint32_t zero = 0;
	char why[64];

	assert_int_equal(bpf_map_update_elem(fd, &zero, &abi, BPF_ANY), 0);
	world_let_go(world);
	snprintf(why, sizeof(why), "ABI version %u, this weir has %u", abi.version,
		 WEIR_ABI_VERSION);
	expect_refusal(world, -EPROTO, why);
	expect_refusal(world, -EPROTO, world->dir);
	expect_refusal(world, -EPROTO, "`weir detach --all`");

	abi.version = WEIR_ABI_VERSION;
	assert_int_equal(bpf_map_update_elem(fd, &zero, &abi, BPF_ANY), 0);
	close(fd);
	world_adopt(world);
	forward_one(world);
}

static void incomplete_pins(void **state)
{
	struct world *world = fresh_serving_world();

	world_let_go(world);
	for (size_t i = 0; i < ROWS(pins); i++) {
		int fd = open_pin(world, pins[i].name);
		char path[256];

		subject("%s", pins[i].name);
		if (!strcmp(pins[i].name, "abi")) {
			close(fd);
			continue;	/* see interrupted_start() */
		}
		path_of(world, pins[i].name, path);
		assert_int_equal(unlink(path), 0);
		expect_refusal(world, -ENOENT, path);
		expect_refusal(world, -ENOENT, "incomplete, `weir detach --all` removes it");
		assert_int_equal(bpf_obj_pin(fd, path), 0);
		close(fd);
	}
	world_adopt(world);
	forward_one(world);
}

static void second_agent(void **state)
{
	struct world *world = serving_world();

	expect_refusal(world, -EBUSY, "another weir agent is running");
	forward_one(world);
}

static void no_bpf_file_system(void **state)
{
	const struct world elsewhere = {
		.dir = "/tmp/weir-packet-no-bpf",
		.capacity = world_capacity,
	};

	expect_refusal(&elsewhere, -ENOTSUP, "`mount -t bpf bpf /sys/fs/bpf`");
	check(access(elsewhere.dir, F_OK), "%s was made", elsewhere.dir);
}

/* --- what bpftool shows ----------------------------------------------------------------- */

static void map_info(const struct world *world, const char *name, struct bpf_map_info *info)
{
	int fd = open_pin(world, name);
	uint32_t size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	assert_int_equal(bpf_obj_get_info_by_fd(fd, info, &size), 0);
	close(fd);
}

static void maps_have_names_and_types(void **state)
{
	struct world *world = serving_world();

	for (size_t i = 0; i < ROWS(pins); i++) {
		const struct btf_type *type;
		struct bpf_map_info info;
		struct btf *btf;

		subject("%s", pins[i].name);
		map_info(world, pins[i].name, &info);
		check(!strcmp(info.name, pins[i].kernel_name), "its name is %s", info.name);
		btf = btf__load_from_kernel_by_id(info.btf_id);
		check(btf, "it has no BTF");
		type = btf__type_by_id(btf, info.btf_value_type_id);
		check(!strcmp(btf__name_by_offset(btf, type->name_off), pins[i].value),
		      "its values are %s", btf__name_by_offset(btf, type->name_off));
		btf__free(btf);
	}
}

static void look_up(const struct world *world, const char *map, uint32_t index, void *value)
{
	int fd = open_pin(world, map);

	assert_int_equal(bpf_map_lookup_elem(fd, &index, value), 0);
	close(fd);
}

/* Whose each index is. */
static void info_names_what_is_in_use(void **state)
{
	static const struct { const char *service, *address; } services[] = {
		{ "web", "203.0.113.10:80/tcp" },
		{ "dns", "[2001:db8:5::10]:any/udp" },
		{ "empty", "203.0.113.11:80/tcp" },
	}, backends[] = {
		{ "web", "10.0.1.11" }, { "web", "fd00::1:12" }, { "dns", "fd00::1:13" },
	};
	struct world *world = serving_world();
	struct weir_service_info of_service;
	struct weir_backend_info of_backend;
	uint32_t gone;

	for (size_t i = 0; i < ROWS(services); i++) {
		look_up(world, "service_info", service_index(world, services[i].service),
			&of_service);
		check(!strcmp(of_service.name, services[i].service) &&
		      !strcmp(of_service.address, services[i].address), "service: %s %s",
		      of_service.name, of_service.address);
	}
	for (size_t i = 0; i < ROWS(backends); i++) {
		look_up(world, "backend_info",
			backend_index(world, backends[i].service, backends[i].address),
			&of_backend);
		check(!strcmp(of_backend.service, backends[i].service) &&
		      !strcmp(of_backend.address, backends[i].address), "backend: %s %s",
		      of_backend.service, of_backend.address);
	}

	gone = backend_index(world, "web", "10.0.1.11");
	world_serve(world, "%s", "");
	look_up(world, "backend_info", gone, &of_backend);
	check(!of_backend.service[0], "%s is still there", of_backend.address);
	look_up(world, "service_info", 0, &of_service);
	check(!of_service.name[0], "%s is still there", of_service.name);
}

/* --- removed ---------------------------------------------------------------------------- */

static void removal_leaves_nothing(void **state)
{
	struct world *world = fresh_serving_world();
	struct error error;
	int err = dataplane_remove(world->dataplane, &error);

	check(!err, "%s", error.text);
	check(access(world->dir, F_OK) && errno == ENOENT, "the folder is still there");
}

void adopt_tests(struct suite *suite)
{
	add_test(suite, reads_back_what_was_written, NULL, "adopt: reads back what was written");
	add_test(suite, applying_again_writes_nothing, NULL,
		 "adopt: applying again writes nothing");
	add_test(suite, forwards_without_agent, NULL, "adopt: forwards without an agent");
	add_test(suite, half_moved_service, NULL, "adopt: a half moved service");
	add_test(suite, leftovers, NULL, "adopt: a leftover name and limit");
	add_test(suite, interrupted_start, NULL, "adopt: an interrupted start");
	add_test(suite, other_abi_version, NULL, "adopt: refuses another ABI version");
	add_test(suite, incomplete_pins, NULL, "adopt: refuses incomplete pins");
	add_test(suite, second_agent, NULL, "adopt: refuses a second agent");
	add_test(suite, no_bpf_file_system, NULL, "adopt: refuses other file systems");
	add_test(suite, maps_have_names_and_types, NULL, "adopt: maps have names and types");
	add_test(suite, info_names_what_is_in_use, NULL, "adopt: info names what is in use");
	add_test(suite, removal_leaves_nothing, NULL, "adopt: removal leaves nothing");
}
