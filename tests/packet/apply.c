// SPDX-License-Identifier: BSD-2-Clause
/*
 * apply.c - the tables follow the configuration: what stays keeps its index and its
 * counters, what is new starts at zero, what does not fit changes nothing.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

#define SERVICE(name, address, port, backends)					\
	"{'name': '" name "', 'address': '" address "', 'port': " port ","	\
	" 'protocol': 'tcp', 'backends': [" backends "]}"
#define WEB(backends) SERVICE("web", "203.0.113.10", "80", backends)
#define BACKEND(n) "{'address': '10.0.1." #n "'}"
#define DRAINING(n) "{'address': '10.0.1." #n "', 'state': 'draining'}"

static const struct variant *const tcp = &variants[0];

/* A flow to 203.0.113.10. */
static void flow(struct frame *frame, uint16_t port, uint16_t source_port)
{
	struct recipe recipe = request(tcp, port);

	recipe.source_port = source_port;
	frame_build(frame, &recipe);
}

static void send_flows(const struct world *world, uint16_t port, unsigned int flows)
{
	struct frame frame;

	for (unsigned int i = 0; i < flows; i++) {
		flow(&frame, port, 1000 + i);
		check(verdict_of(world, &frame) == XDP_TX, "flow %u is not forwarded", i);
	}
}

static uint64_t packets_of(const struct world *world, const char *service, const char *backend)
{
	struct counters counters;

	counters_read(world, &counters);
	return counters.backend[backend_index(world, service, backend)].packets;
}

/* --- backends --------------------------------------------------------------------------- */

static void backends_come_and_go(void **state)
{
	struct world *world = empty_world();
	struct weir_backend_counters of_two;
	uint32_t one, two, three;
	struct counters counters;
	uint64_t of_one;

	world_serve(world, WEB(BACKEND(1) "," BACKEND(2)));
	send_flows(world, 80, 100);
	one = backend_index(world, "web", "10.0.1.1");
	two = backend_index(world, "web", "10.0.1.2");
	of_one = packets_of(world, "web", "10.0.1.1");
	check(of_one > 0 && of_one < 100, "backend 1 got %ju", (uintmax_t)of_one);

	world_serve(world, WEB(BACKEND(3) "," BACKEND(1)));
	three = backend_index(world, "web", "10.0.1.3");
	check(backend_index(world, "web", "10.0.1.1") == one, "what stayed has a new index");
	check(three != two, "index %u was reused at once", two);
	check(packets_of(world, "web", "10.0.1.1") == of_one, "what stayed lost its counters");
	check(packets_of(world, "web", "10.0.1.3") == 0, "what is new has old counters");
	check(!world->present->backends[two].info.service[0], "what left is still there");

	counters_read(world, &counters);
	of_two = counters.backend[two];
	send_flows(world, 80, 100);
	counters_read(world, &counters);
	check(!memcmp(&of_two, &counters.backend[two], sizeof(of_two)),
	      "what left still gets packets");
	check(packets_of(world, "web", "10.0.1.3") > 0, "what is new gets none");

	world_serve(world, WEB(BACKEND(1) "," BACKEND(2) "," BACKEND(3)));
	check(backend_index(world, "web", "10.0.1.1") == one, "1 has a new index");
	check(backend_index(world, "web", "10.0.1.3") == three, "3 has a new index");
	check(backend_index(world, "web", "10.0.1.2") != two, "what returned has its old index");
	check(packets_of(world, "web", "10.0.1.2") == 0, "what returned has old counters");
}

/* With three indices they soon are used again: each incarnation counts from zero. */
static void reused_indices_count_from_zero(void **state)
{
	struct config_capacity capacity = world_capacity;
	struct world *world;
	bool used[4] = {};

	capacity.backends = 4;
	world = fresh_world(&capacity);
	for (int n = 1; n <= 8; n++) {
		char address[32];
		uint32_t index;

		snprintf(address, sizeof(address), "10.0.1.%d", n);
		world_serve(world, SERVICE("web", "203.0.113.10", "80", "{'address': '%s'}"),
			    address);
		index = backend_index(world, "web", address);
		subject("backend %d, index %u", n, index);
		check(packets_of(world, "web", address) == 0, "it has old counters");
		send_flows(world, 80, 5);
		check(packets_of(world, "web", address) == 5, "its packets are not counted");
		check(n < 4 || used[index], "the index is new");
		used[index] = true;
	}
}

static void draining_and_back(void **state)
{
	struct world *world = empty_world();
	uint32_t index;
	uint64_t count;

	world_serve(world, WEB(BACKEND(1) "," BACKEND(2)));
	send_flows(world, 80, 100);
	index = backend_index(world, "web", "10.0.1.2");
	count = packets_of(world, "web", "10.0.1.2");

	world_serve(world, WEB(BACKEND(1) "," DRAINING(2)));
	send_flows(world, 80, 100);
	check(packets_of(world, "web", "10.0.1.2") == count, "it gets flows while draining");
	world_serve(world, WEB(BACKEND(1) "," BACKEND(2)));
	send_flows(world, 80, 100);
	check(backend_index(world, "web", "10.0.1.2") == index, "it has another index");
	check(packets_of(world, "web", "10.0.1.2") == 2 * count,
	      "not the same flows as before, or not counted on");
}

/* --- services --------------------------------------------------------------------------- */

static void services_come_and_go(void **state)
{
	struct world *world = empty_world();
	struct counters counters;
	uint32_t web;

	world_serve(world, WEB(BACKEND(1)) "," SERVICE("ssh", "203.0.113.10", "22", BACKEND(1)));
	send_flows(world, 80, 7);
	web = service_index(world, "web");

	world_serve(world, SERVICE("dns", "203.0.113.10", "53", BACKEND(1)) "," WEB(BACKEND(1)));
	check(service_index(world, "web") == web, "what stayed has a new index");
	send_flows(world, 80, 1);
	send_flows(world, 53, 2);
	counters_read(world, &counters);
	check(counters.service[web].packets == 8, "what stayed lost its counters");
	check(counters.service[service_index(world, "dns")].packets == 2, "dns is not counted");
	check(packets_of(world, "web", "10.0.1.1") == 8 &&
	      packets_of(world, "dns", "10.0.1.1") == 2,
	      "a backend of two services has one counter");
}

static void reused_service_counts_from_zero(void **state)
{
	struct config_capacity capacity = world_capacity;
	struct counters counters;
	struct world *world;

	capacity.services = 2;
	world = fresh_world(&capacity);
	for (int n = 0; n < 5; n++) {
		char name[16];

		snprintf(name, sizeof(name), "service-%d", n);
		subject("%s", name);
		world_serve(world, "{'name': '%s', 'address': '203.0.113.10', 'port': %d,"
			    " 'protocol': 'tcp', 'backends': [{'address': '10.0.1.1'}]}", name,
			    80 + n);
		send_flows(world, 80 + n, 3);
		counters_read(world, &counters);
		check(counters.service[service_index(world, name)].packets == 3,
		      "%ju packets", (uintmax_t)counters.service[0].packets);
	}
}

struct key_row {
	const char *name;
	const char *address, *port, *protocol;
};

static const struct key_row keys[] = {
	{ "address", "203.0.113.11", "80", "tcp" },
	{ "port", "203.0.113.10", "8080", "tcp" },
	{ "any port", "203.0.113.12", "'any'", "tcp" },
	{ "protocol", "203.0.113.10", "80", "udp" },
	{ "family", "2001:db8:5::10", "80", "tcp" },
};

static void build_for_key(struct frame *frame, const struct key_row *key)
{
	bool udp = !strcmp(key->protocol, "udp"), v6 = strchr(key->address, ':');
	uint16_t port = strtoul(key->port, NULL, 10);
	struct recipe recipe = request(&variants[2 * v6 + udp], port ? port : 4711);

	set_destination(&recipe, key->address);
	frame_build(frame, &recipe);
}

static void serve_key(struct world *world, const struct key_row *key)
{
	world_serve(world, "{'name': 'web', 'address': '%s', 'port': %s, 'protocol': '%s',"
		    " 'backends': [{'address': '10.0.1.1'}]}", key->address, key->port,
		    key->protocol);
}

/* The service moves to another address, port, ... and keeps what was counted. */
static void key_changes(void **state)
{
	static const struct key_row first = { "first", "203.0.113.10", "80", "tcp" };
	static const struct route route = { "web", "10.0.1.1", .l2 = false };
	struct world *world = empty_world();
	const struct key_row *before = &first;
	uint32_t service, backend;

	serve_key(world, before);
	service = service_index(world, "web");
	backend = backend_index(world, "web", "10.0.1.1");
	for (size_t i = 0; i < ROWS(keys); i++) {
		struct counters counted, kept;
		struct frame old, new;

		subject("%s", keys[i].name);
		build_for_key(&old, before);
		build_for_key(&new, &keys[i]);
		expect_pass(world, &new);
		expect_forward(world, &old, &route);
		counters_read(world, &counted);
		serve_key(world, &keys[i]);
		counters_read(world, &kept);
		counters_check(&kept, &counted);
		check(service_index(world, "web") == service &&
		      backend_index(world, "web", "10.0.1.1") == backend, "new index");
		expect_pass(world, &old);
		expect_forward(world, &new, &route);
		before = &keys[i];
	}
}

/* In one step each takes the key that the other had. */
static void keys_are_swapped(void **state)
{
	struct world *world = empty_world();
	struct frame to_80, to_81;

	flow(&to_80, 80, 1000);
	flow(&to_81, 81, 1000);
	for (int i = 0; i < 4; i++) {
		const struct route one = { "one", "10.0.1.1", .l2 = false };
		const struct route two = { "two", "10.0.1.2", .l2 = false };

		subject("swap %d", i);
		if (i % 2)
			world_serve(world, SERVICE("one", "203.0.113.10", "81", BACKEND(1)) ","
				    SERVICE("two", "203.0.113.10", "80", BACKEND(2)));
		else
			world_serve(world, SERVICE("one", "203.0.113.10", "80", BACKEND(1)) ","
				    SERVICE("two", "203.0.113.10", "81", BACKEND(2)));
		expect_forward(world, &to_80, i % 2 ? &two : &one);
		expect_forward(world, &to_81, i % 2 ? &one : &two);
	}
}

static void forward_changes(void **state)
{
	static const char *const ways[] = { "ipip", "l2", "ipip" };
	struct world *world = empty_world();
	struct frame frame;

	flow(&frame, 80, 1000);
	for (size_t i = 0; i < ROWS(ways); i++) {
		const struct route route = { "web", "10.0.1.1", !strcmp(ways[i], "l2") };

		subject("%s", ways[i]);
		world_serve(world, "{'name': 'web', 'address': '203.0.113.10', 'port': 80,"
			    " 'protocol': 'tcp', 'forward': '%s',"
			    " 'backends': [{'address': '10.0.1.1'}]}", ways[i]);
		expect_forward(world, &frame, &route);
	}
}

/* --- rings ------------------------------------------------------------------------------ */

/* Rings of 1,021 and 4,093 slots by turns, in an arena without room for a leak. */
static void ring_grows_and_shrinks(void **state)
{
	struct config_capacity capacity = world_capacity;
	struct world *world;

	capacity.slots = 5120;
	world = fresh_world(&capacity);
	for (int i = 0; i < 6; i++) {
		uint32_t size = i % 2 ? 4093 : 1021;
		const struct table_service *web;

		subject("turn %d", i);
		if (i % 2)
			world_serve(world, WEB(BACKEND(1) "," BACKEND(2) "," BACKEND(3) ","
				    BACKEND(4) "," BACKEND(5) "," BACKEND(6) "," BACKEND(7) ","
				    BACKEND(8) "," BACKEND(9) "," BACKEND(10) "," BACKEND(11)));
		else
			world_serve(world, WEB(BACKEND(1) "," BACKEND(2)));
		web = tables_find_service(world->present, "web");
		check(web->record.ring.size == size, "%u slots", web->record.ring.size);
		send_flows(world, 80, 200);
	}
}

/* --- tables that are too small ---------------------------------------------------------- */

struct full_row {
	const char *name;
	struct config_capacity capacity;
	const char *before, *services;
	const char *message;
};

static const struct full_row full[] = {
	{ "services", { 1, 8, 8192, 4 }, WEB(BACKEND(1)),
	  WEB(BACKEND(1)) "," SERVICE("ssh", "203.0.113.10", "22", BACKEND(1)),
	  "capacity.services (now 1" },
	{ "services for old and new side by side", { 1, 8, 8192, 4 }, WEB(BACKEND(1)),
	  SERVICE("ssh", "203.0.113.10", "22", BACKEND(1)), "capacity.services (now 1" },
	{ "backends", { 4, 3, 8192, 4 }, WEB(BACKEND(1)),
	  WEB(BACKEND(1) "," BACKEND(2) "," BACKEND(3)), "capacity.backends (now 3" },
	{ "backends for old and new side by side", { 4, 4, 8192, 4 },
	  WEB(BACKEND(1) "," DRAINING(2)), WEB(BACKEND(3) "," BACKEND(4)),
	  "capacity.backends (now 4" },
	{ "slots", { 4, 16, 2048, 4 }, WEB(BACKEND(1)),
	  WEB(BACKEND(1)) "," SERVICE("ssh", "203.0.113.10", "22", BACKEND(1)) ","
	  SERVICE("dns", "203.0.113.10", "53", BACKEND(1)), "capacity.slots (now 2048" },
};

static void run_full(void **state)
{
	static const struct route route = { "web", "10.0.1.1", .l2 = false };
	const struct full_row *row = *state;
	struct world *world = fresh_world(&row->capacity);
	struct tables *next, *after = NULL;
	struct error error;
	struct frame frame;
	int err;

	subject("%s", row->name);
	world_serve(world, "%s", row->before);
	err = world_build(world, &next, &error, row->services);
	check(err == -ENOSPC, "tables_build() returned %d", err);
	check(strstr(error.text, row->message), "message: %s", error.text);

	assert_int_equal(dataplane_read(world->dataplane, &after, &error), 0);
	tables_check(after, world->present);
	tables_free(after);
	flow(&frame, 80, 1000);
	expect_forward(world, &frame, &route);
}

/* --- counters --------------------------------------------------------------------------- */

/* The agent's sums, of packets that came on every CPU there is. */
static void agent_sums_counters(void **state)
{
	struct world *world = empty_world();
	struct weir_service_counters of_service;
	struct weir_backend_counters of_backend;
	uint32_t service, backend;
	struct counters counters;
	struct error error;
	cpu_set_t all, one;

	world_serve(world, WEB(BACKEND(1)));
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (CPU_ISSET(cpu, &all) && !sched_setaffinity(0, sizeof(one), &one))
			send_flows(world, 80, 3);
	}
	sched_setaffinity(0, sizeof(all), &all);

	service = service_index(world, "web");
	backend = backend_index(world, "web", "10.0.1.1");
	counters_read(world, &counters);
	check(counters.service[service].packets == 3u * CPU_COUNT(&all), "%ju packets",
	      (uintmax_t)counters.service[service].packets);
	assert_int_equal(dataplane_service_counters(world->dataplane, service, &of_service,
						    &error), 0);
	assert_memory_equal(&of_service, &counters.service[service], sizeof(of_service));
	assert_int_equal(dataplane_backend_counters(world->dataplane, backend, &of_backend,
						    &error), 0);
	assert_memory_equal(&of_backend, &counters.backend[backend], sizeof(of_backend));
}

static void agent_sums_drops_and_totals(void **state)
{
	struct world *world = empty_world();
	struct weir_drop_counters drops;
	struct weir_totals totals;
	struct counters counters;
	struct error error;
	struct frame frame;

	world_serve(world, "%s", SERVICE("web", "203.0.113.10", "80", ""));
	flow(&frame, 80, 1000);
	expect_drop(world, &frame, WEIR_DROP_no_backend, "web", NULL);
	flow(&frame, 81, 1000);
	expect_pass(world, &frame);
	counters_read(world, &counters);
	assert_int_equal(dataplane_drop_counters(world->dataplane, &drops, &error), 0);
	assert_memory_equal(&drops, &counters.drops, sizeof(drops));
	assert_int_equal(dataplane_totals(world->dataplane, &totals, &error), 0);
	assert_memory_equal(&totals, &counters.totals, sizeof(totals));
}

void apply_tests(struct suite *suite)
{
	add_test(suite, backends_come_and_go, NULL, "apply: backends come and go");
	add_test(suite, reused_indices_count_from_zero, NULL,
		 "apply: a backend's reused index counts from zero");
	add_test(suite, draining_and_back, NULL, "apply: draining and back");
	add_test(suite, services_come_and_go, NULL, "apply: services come and go");
	add_test(suite, reused_service_counts_from_zero, NULL,
		 "apply: a service's reused index counts from zero");
	add_test(suite, key_changes, NULL, "apply: a service's key changes");
	add_test(suite, keys_are_swapped, NULL, "apply: two services swap keys");
	add_test(suite, forward_changes, NULL, "apply: the way of forwarding changes");
	add_test(suite, ring_grows_and_shrinks, NULL, "apply: a ring grows and shrinks");
	for (size_t i = 0; i < ROWS(full); i++)
		add_test(suite, run_full, &full[i], "apply: too few %s", full[i].name);
	add_test(suite, agent_sums_counters, NULL, "apply: the agent sums counters");
	add_test(suite, agent_sums_drops_and_totals, NULL,
		 "apply: the agent sums drops and totals");
}
