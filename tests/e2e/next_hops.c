// SPDX-License-Identifier: BSD-2-Clause
/*
 * next_hops.c - next hops against a real kernel: routes, neighbours and links that
 * change while an event loop runs. Each test gets two fresh namespaces:
 *
 *   this process                                            a child
 *   eth1 02:00:00:00:01:01 -------------- veth -- far1 02:00:00:00:01:02
 *        10.1.0.1/16  fd01::1/64                       10.1.0.2, .11  fd01::2, ::11
 *   eth2 02:00:00:00:02:01 -------------- veth -- far2 02:00:00:00:02:02
 *        10.2.0.1/16  fd02::1/64                       10.2.0.2, .11  fd02::2, ::11
 *
 *   10.3.0.0/16, fd03::/64 -> 10.1.0.2, fd01::2          nobody is at 10.x.0.99
 *
 * Needs root, iproute2 and nsenter. Nothing survives the process.
 */
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "address.h"
#include "dataplane/next_hops.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define BACKENDS 10000
#define CALM 0.2	/* seconds: what earlier changes set off is over, so the next one acts alone */

struct world {
	pid_t far;
	struct event_base *base;
	struct event *clock;
	struct next_hops *hops;
	const char *followed;		/* an address whose statuses are noted in `seen` */
	unsigned int seen;		/* bits by enum next_hop_status, at each change */
	unsigned int changes;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec * 1e-9;
}

/* Shell commands in this namespace; the first that fails, fails the test. */
static void __attribute__((format(printf, 1, 2))) run(const char *format, ...)
{
	char command[2048] = "set -e\n";
	size_t head = strlen(command);
	va_list args;

	va_start(args, format);
	assert_in_range(vsnprintf(command + head, sizeof(command) - head, format, args), 1,
			sizeof(command) - head - 1);
	va_end(args);
	if (system(command))
		fail_msg("%s", command);
}

/* The same in the far namespace. */
static void __attribute__((format(printf, 2, 3)))
run_far(struct world *world, const char *format, ...)
{
	char command[1024];
	va_list args;

	va_start(args, format);
	assert_in_range(vsnprintf(command, sizeof(command), format, args), 1,
			sizeof(command) - 1);
	va_end(args);
	run("nsenter -t %d -n sh -ec '%s'", world->far, command);
}

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

static const struct next_hop *find(struct world *world, const char *text)
{
	struct address address = address_of(text);
	const struct next_hop *hop = next_hops_find(world->hops, &address);

	assert_non_null(hop);
	return hop;
}

static void watch(struct world *world, const char *first, const char *second)
{
	struct address addresses[2] = { address_of(first) };

	if (second)
		addresses[1] = address_of(second);
	assert_int_equal(next_hops_watch(world->hops, addresses, second ? 2 : 1), 0);
}

static void on_changed(void *arg)
{
	struct world *world = arg;

	world->changes++;
	if (world->followed)
		world->seen |= 1u << find(world, world->followed)->status;
}

static void on_clock(evutil_socket_t fd, short what, void *arg)
{
}

/* Run the loop for one event; a clock makes that at most 20 ms. */
static void turn(struct world *world)
{
	assert_int_not_equal(event_base_loop(world->base, EVLOOP_ONCE), -1);
}

static void run_loop_for(struct world *world, double seconds)
{
	double end = now() + seconds;

	while (now() < end)
		turn(world);
}

typedef bool (*condition)(const struct next_hop *hop, const void *wanted);

static const struct next_hop *await(struct world *world, const char *address, double seconds,
				    condition holds, const void *wanted)
{
	static const char *const names[] = { "pending", "resolved", "failed" };
	double end = now() + seconds;
	const struct next_hop *hop;

	while (!holds(find(world, address), wanted) && now() < end)
		turn(world);
	hop = find(world, address);
	if (!holds(hop, wanted))
		fail_msg("%s is %s after %.0f s, interface '%s', mtu %u, reason '%s'", address,
			 names[hop->status], seconds, hop->interface, hop->hop.mtu, hop->reason);
	return hop;
}

static bool is_resolved_on(const struct next_hop *hop, const void *interface)
{
	return hop->status == NEXT_HOP_RESOLVED && !strcmp(hop->interface, interface);
}

static bool is_failed_for(const struct next_hop *hop, const void *reason)
{
	return hop->status == NEXT_HOP_FAILED && !strcmp(hop->reason, reason);
}

static bool is_pending(const struct next_hop *hop, const void *unused)
{
	return hop->status == NEXT_HOP_PENDING;
}

static bool has_mtu(const struct next_hop *hop, const void *mtu)
{
	return hop->status == NEXT_HOP_RESOLVED && hop->hop.mtu == *(const int *)mtu;
}

static bool leads_to(const struct next_hop *hop, const void *mac)
{
	return hop->status == NEXT_HOP_RESOLVED && !memcmp(hop->hop.destination, mac, 6);
}

static bool comes_from(const struct next_hop *hop, const void *mac)
{
	return hop->status == NEXT_HOP_RESOLVED && !memcmp(hop->hop.source, mac, 6);
}

/* Run the loop until a shell command says true. */
static void await_true(struct world *world, const char *command, double seconds)
{
	double end = now() + seconds;

	while (system(command)) {
		if (now() >= end)
			fail_msg("not true after %.0f s: %s", seconds, command);
		turn(world);
	}
}

/* A far end that lives as long as this process and holds a namespace. */
static pid_t start_far(void)
{
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_int_not_equal(pid, -1);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || write(ready[1], &byte, 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

/* Link-local addresses by hand: the kernel's own way of getting them is heard for seconds. */
static void build(struct world *world)
{
	run("ip link set lo up\n"
	    "for n in 1 2; do\n"
	    "    ip link add eth$n address 02:00:00:00:0$n:01 type veth peer name far$n"
	    "        address 02:00:00:00:0$n:02 netns %d\n"
	    "    ip addr add 10.$n.0.1/16 dev eth$n\n"
	    "    ip link set eth$n addrgenmode none\n"
	    "    ip addr add fe80::1/64 dev eth$n nodad\n"
	    "    ip addr add fd0$n::1/64 dev eth$n nodad\n"
	    "    ip link set eth$n up\n"
	    "done", world->far);
	run_far(world, "for n in 1 2; do\n"
		"    ip link set far$n addrgenmode none\n"
		"    ip addr add fe80::2/64 dev far$n nodad\n"
		"    for host in 2 11; do\n"
		"        ip addr add 10.$n.0.$host/16 dev far$n\n"
		"        ip addr add fd0$n::$host/64 dev far$n nodad\n"
		"    done\n"
		"    ip link set far$n up\n"
		"done");
	run("ip route add 10.3.0.0/16 via 10.1.0.2\n"
	    "ip route add fd03::/64 via fd01::2");
}

static int setup(void **state)
{
	static const struct timeval interval = { .tv_usec = 20000 };
	struct world *world = calloc(1, sizeof(*world));
	struct error error;

	assert_non_null(world);
	*state = world;
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	world->far = start_far();
	build(world);
	world->base = event_base_new();
	assert_non_null(world->base);
	world->clock = event_new(world->base, -1, EV_PERSIST, on_clock, NULL);
	assert_int_equal(event_add(world->clock, &interval), 0);
	assert_int_equal(next_hops_open(world->base, on_changed, world, &world->hops, &error), 0);
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	next_hops_close(world->hops);
	event_free(world->clock);
	event_base_free(world->base);
	kill(world->far, SIGKILL);
	waitpid(world->far, NULL, 0);
	free(world);
	return 0;
}

/* Every kind of route that leads to a neighbour. */
static void resolves(void **state)
{
	static const struct row {
		const char *name, *route, *address, *interface;
		bool on_link;
		uint8_t link;		/* last but one byte of the MACs */
		int mtu;
	} rows[] = {
		{ "on link", "true", "10.1.0.11", "eth1", true, 1, 1500 },
		{ "on link, v6", "true", "fd02::11", "eth2", true, 2, 1500 },
		{ "gateway", "true", "10.3.0.7", "eth1", false, 1, 1500 },
		{ "gateway, v6", "true", "fd03::7", "eth1", false, 1, 1500 },
		{ "v4 over a v6 gateway", "ip route add 10.4.0.0/24 via inet6 fd02::2",
		  "10.4.0.7", "eth2", false, 2, 1500 },
		{ "the route's MTU is smaller", "ip route add 10.4.1.0/24 via 10.2.0.2 mtu 1400",
		  "10.4.1.7", "eth2", false, 2, 1400 },
		{ "the link's MTU is smaller", "ip route add fd04::/64 via fd02::2 mtu 9000",
		  "fd04::7", "eth2", false, 2, 1500 },
		{ "several paths", "ip route add 10.4.2.0/24 nexthop via 10.2.0.2 dev eth2"
		  " nexthop via 10.2.0.11 dev eth2", "10.4.2.7", "eth2", false, 2, 1500 },
		{ "the largest MTU", "ip link add big type veth"
		  " peer name peer; ip link set big mtu 65535 address 02:00:00:00:09:01 up;"
		  " ip link set peer up; ip addr add 10.9.0.1/24 dev big;"
		  " ip neigh add 10.9.0.7 dev big lladdr 02:00:00:00:09:02 nud permanent",
		  "10.9.0.7", "big", true, 9, 65535 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t source[6] = { 2, 0, 0, 0, rows[i].link, 1 };
		uint8_t destination[6] = { 2, 0, 0, 0, rows[i].link, 2 };
		const struct next_hop *hop;

		print_message("  %s\n", rows[i].name);
		run("%s", rows[i].route);
		watch(*state, rows[i].address, NULL);
		hop = await(*state, rows[i].address, 5, is_resolved_on, rows[i].interface);
		assert_int_equal(hop->on_link, rows[i].on_link);
		assert_int_not_equal(hop->hop.ifindex, 0);
		assert_memory_equal(hop->hop.source, source, 6);
		assert_memory_equal(hop->hop.destination, destination, 6);
		assert_int_equal(hop->hop.mtu, rows[i].mtu);
		assert_int_equal(hop->hop.vlan, 0);
		assert_string_equal(hop->reason, "");
	}
}

/* What is known to be hopeless is said at once, by watch itself. */
static void fails_at_once(void **state)
{
	static const struct weir_next_hop none;
	static const struct row {
		const char *route, *address, *reason;
	} rows[] = {
		{ "true", "10.99.0.7", "no route to 10.99.0.7" },
		{ "true", "fd99::7", "no route to fd99::7" },
		{ "true", "10.1.0.1", "10.1.0.1 is this machine's own address" },
		{ "true", "fd01::1", "fd01::1 is this machine's own address" },
		{ "true", "10.1.255.255", "10.1.255.255 is not the address of one host" },
		{ "ip route add blackhole 10.5.1.0/24", "10.5.1.7",
		  "the route to 10.5.1.7 is a black hole" },
		{ "ip route add blackhole fd05:1::/64", "fd05:1::7",
		  "the route to fd05:1::7 is a black hole" },
		{ "ip route add unreachable 10.5.2.0/24", "10.5.2.7",
		  "the route to 10.5.2.7 is unreachable" },
		{ "ip route add unreachable fd05:2::/64", "fd05:2::7",
		  "the route to fd05:2::7 is unreachable" },
		{ "ip route add prohibit 10.5.3.0/24", "10.5.3.7",
		  "the route to 10.5.3.7 is prohibited" },
		{ "ip route add prohibit fd05:3::/64", "fd05:3::7",
		  "the route to fd05:3::7 is prohibited" },
		{ "ip route add 10.5.4.0/24 dev lo", "10.5.4.7", "lo is not an Ethernet link" },
		{ "ip tuntap add tun0 mode tun; ip link set tun0 up;"
		  " ip route add 10.5.5.0/24 dev tun0", "10.5.5.7",
		  "tun0 is not an Ethernet link" },
		{ "ip link add br0 type bridge; ip link set br0 up;"
		  " ip route add 10.5.7.0/24 dev br0", "10.5.7.7",
		  "br0 is a bridge device, through which XDP cannot send: route it otherwise" },
		{ "ip link add vx0 type vxlan id 5 dstport 4789; ip link set vx0 up;"
		  " ip route add 10.5.8.0/24 dev vx0", "10.5.8.7",
		  "vx0 is a vxlan device, through which XDP cannot send: route it otherwise" },
		{ "ip link add eth5 type veth peer name down; ip link set eth5 up;"
		  " ip route add 10.5.6.0/24 dev eth5", "10.5.6.7", "eth5 is down" },
	};
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct next_hop *hop;

		print_message("  %s\n", rows[i].reason);
		run("%s", rows[i].route);
		watch(world, rows[i].address, NULL);
		hop = find(world, rows[i].address);
		assert_int_equal(hop->status, NEXT_HOP_FAILED);
		assert_string_equal(hop->reason, rows[i].reason);
		assert_memory_equal(&hop->hop, &none, sizeof(none));
	}
}

/* Every way in which the path of an address can move to eth2. */
static void follows_routing(void **state)
{
	static const struct row {
		const char *name, *address, *before, *change;
	} rows[] = {
		{ "route replaced", "10.3.0.7", "true",
		  "ip route replace 10.3.0.0/16 via 10.2.0.2" },
		{ "route replaced, v6", "fd03::7", "true",
		  "ip route replace fd03::/64 via fd02::2" },
		{ "narrower route", "10.4.0.7", "ip route add 10.4.0.0/16 via 10.1.0.2",
		  "ip route add 10.4.0.0/24 via 10.2.0.2" },
		{ "better metric, v6", "fd04::7", "ip route add fd04::/64 via fd01::2 metric 9",
		  "ip route add fd04::/64 via fd02::2 metric 8" },
		{ "rule", "10.1.0.11", "ip route add 10.1.0.0/16 via 10.2.0.2 table 7",
		  "ip rule add to 10.1.0.11 lookup 7" },
		{ "rule, v6", "fd01::11", "ip -6 route add default via fd02::2 table 7",
		  "ip -6 rule add to fd01::11 lookup 7" },
		{ "next-hop object", "10.6.0.7", "echo 0 > /proc/sys/net/ipv4/nexthop_compat_mode;"
		  " ip nexthop add id 1 via 10.1.0.2 dev eth1; ip route add 10.6.0.0/24 nhid 1",
		  "ip nexthop replace id 1 via 10.2.0.2 dev eth2" },
		{ "address added", "10.7.0.7", "ip route add 10.7.0.0/16 via 10.1.0.2;"
		  " ip neigh add 10.7.0.7 dev eth2 lladdr 02:00:00:00:02:02 nud permanent",
		  "ip addr add 10.7.0.1/24 dev eth2" },
		{ "address removed", "10.1.0.2", "ip route add 10.1.0.2 via 10.2.0.2 metric 1;"
		  " ip route add 10.1.0.2 dev eth1 src 10.1.0.1 metric 0",
		  "ip addr del 10.1.0.1/16 dev eth1" },
	};
	static const uint8_t mac[6] = { 2, 0, 0, 0, 2, 2 };
	struct world *world = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		print_message("  %s\n", rows[i].name);
		run("%s", rows[i].before);
		watch(world, rows[i].address, NULL);
		await(world, rows[i].address, 5, is_resolved_on, "eth1");
		run_loop_for(world, CALM);
		run("%s", rows[i].change);
		await(world, rows[i].address, 5, is_resolved_on, "eth2");
		assert_true(leads_to(find(world, rows[i].address), mac));
	}
}

/* A neighbour that the kernel knows needs no loop; what is not watched is not known. */
static void known_neighbour_is_immediate(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x99 };
	struct address other = address_of("10.1.0.98");
	struct world *world = *state;

	run("ip neigh add 10.1.0.99 dev eth1 lladdr 02:00:00:00:00:99 nud permanent");
	watch(world, "10.1.0.99", "10.1.0.98");
	assert_true(leads_to(find(world, "10.1.0.99"), mac));
	assert_int_equal(find(world, "10.1.0.98")->status, NEXT_HOP_PENDING);
	assert_string_equal(find(world, "10.1.0.98")->reason,
			    "waiting for 10.1.0.98 on eth1 to answer");
	watch(world, "10.1.0.99", NULL);
	assert_null(next_hops_find(world->hops, &other));
	run("ip neigh show dev eth1 10.1.0.99 | grep -q PERMANENT");
	assert_int_equal(world->changes, 0);
}

static void link_goes_down_and_comes_back(void **state)
{
	static const struct row {
		const char *down, *reason, *up;
	} far = { "ip link set far1 down", "eth1 is down", "ip link set far1 up" },
	near = { "ip link set eth1 down", "no route to 10.1.0.11: eth1 is down",
		 "ip link set eth1 up" };
	struct world *world = *state;
	struct weir_next_hop before;

	watch(world, "10.1.0.11", "10.2.0.11");
	await(world, "10.2.0.11", 5, is_resolved_on, "eth2");
	before = await(world, "10.1.0.11", 5, is_resolved_on, "eth1")->hop;
	run_far(world, "%s", far.down);
	await(world, "10.1.0.11", 5, is_failed_for, far.reason);
	assert_memory_equal(&find(world, "10.1.0.11")->hop, &before, sizeof(before));
	run_far(world, "%s", far.up);
	await(world, "10.1.0.11", 5, is_resolved_on, "eth1");
	run("%s", near.down);
	await(world, "10.1.0.11", 5, is_failed_for, near.reason);
	run("%s", near.up);
	await(world, "10.1.0.11", 5, is_resolved_on, "eth1");
	assert_int_equal(find(world, "10.2.0.11")->status, NEXT_HOP_RESOLVED);
}

static void link_changes(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x77 };
	static const int small = 1400, large = 1500;
	struct world *world = *state;

	watch(world, "10.1.0.11", NULL);
	await(world, "10.1.0.11", 5, is_resolved_on, "eth1");
	run_loop_for(world, CALM);
	run("ip link set eth1 mtu %d", small);
	await(world, "10.1.0.11", 5, has_mtu, &small);
	run("ip link set eth1 mtu %d", large);
	await(world, "10.1.0.11", 5, has_mtu, &large);
	run_loop_for(world, CALM);
	run("ip link set eth1 address 02:00:00:00:00:77");
	await(world, "10.1.0.11", 5, comes_from, mac);
}

static void link_is_deleted(void **state)
{
	struct world *world = *state;

	watch(world, "10.1.0.11", "10.3.0.7");
	await(world, "10.1.0.11", 5, is_resolved_on, "eth1");
	await(world, "10.3.0.7", 5, is_resolved_on, "eth1");
	run("ip link del eth1");
	await(world, "10.1.0.11", 5, is_failed_for, "no route to 10.1.0.11");
	await(world, "10.3.0.7", 5, is_failed_for, "no route to 10.3.0.7");
	run("ip route add 10.1.0.0/16 via 10.2.0.2");
	await(world, "10.1.0.11", 5, is_resolved_on, "eth2");
}

/* The peer says so itself, as machines that take over an address do. */
static void announced_mac_change(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x88 };
	struct world *world = *state;

	world->followed = "10.1.0.11";
	watch(world, "10.1.0.11", NULL);
	await(world, "10.1.0.11", 5, is_resolved_on, "eth1");
	world->seen = 0;
	run_far(world, "echo 1 > /proc/sys/net/ipv4/conf/far1/arp_notify\n"
		"ip link set far1 address 02:00:00:00:00:88");
	await(world, "10.1.0.11", 5, leads_to, mac);
	assert_int_equal(world->seen, 1u << NEXT_HOP_RESOLVED);
}

/* Nobody says so: stale entries are verified although no packet of the kernel uses them. */
static void silent_mac_change_and_death(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x88 };
	struct world *world = *state;

	run("cd /proc/sys/net/ipv4/neigh/eth1\n"
	    "echo 2500 > base_reachable_time_ms\n"
	    "echo 1 > delay_first_probe_time\n"
	    "echo 100 > retrans_time_ms");
	watch(world, "10.1.0.11", "10.1.0.2");
	await(world, "10.1.0.11", 5, is_resolved_on, "eth1");
	await(world, "10.1.0.2", 5, is_resolved_on, "eth1");
	await_true(world, "test $(ip neigh show dev eth1 to 10.1.0.0/16 nud stale | wc -l) = 2", 9);
	run_far(world, "echo 1 > /proc/sys/net/ipv4/conf/far1/promote_secondaries\n"
		"ip addr del 10.1.0.2/16 dev far1\n"
		"ip link set far1 address 02:00:00:00:00:88");
	await(world, "10.1.0.11", 25, leads_to, mac);
	await(world, "10.1.0.2", 25, is_failed_for, "no neighbour answers for 10.1.0.2 on eth1");
}

/* IPv6: the kernel gives up early. IPv4: it never does, so we do, after 3 s. */
static void silent_neighbour(void **state)
{
	static const struct weir_next_hop none;
	struct world *world = *state;
	double start = now();

	run("ip route add fd07::/64 via fd01::99\n"
	    "echo 100 > /proc/sys/net/ipv6/neigh/eth1/retrans_time_ms\n"
	    "echo 100 > /proc/sys/net/ipv4/neigh/eth1/mcast_solicit");
	watch(world, "10.1.0.99", "fd07::7");
	assert_int_equal(find(world, "10.1.0.99")->status, NEXT_HOP_PENDING);
	assert_memory_equal(&find(world, "10.1.0.99")->hop, &none, sizeof(none));
	await(world, "fd07::7", 2, is_failed_for, "no neighbour answers for fd01::99 on eth1");
	await(world, "10.1.0.99", 6, is_failed_for, "no neighbour answers for 10.1.0.99 on eth1");
	assert_true(now() - start > 2.5);
	run_loop_for(world, 1.5);
	assert_int_equal(find(world, "fd07::7")->status, NEXT_HOP_FAILED);
	assert_int_equal(find(world, "10.1.0.99")->status, NEXT_HOP_FAILED);
	assert_memory_equal(&find(world, "10.1.0.99")->hop, &none, sizeof(none));
	run_far(world, "ip addr add 10.1.0.99/16 dev far1\n"
		"ip addr add fd01::99/64 dev far1 nodad");
	await(world, "10.1.0.99", 4, is_resolved_on, "eth1");
	await(world, "fd07::7", 4, is_resolved_on, "eth1");
}

/* An entry that vanishes is asked for, and traffic goes on meanwhile. */
static void deleted_neighbour(void **state)
{
	struct world *world = *state;
	struct weir_next_hop before;

	run("ip neigh add 10.1.0.99 dev eth1 lladdr 02:00:00:00:00:99 nud permanent");
	watch(world, "10.1.0.99", "10.1.0.11");
	before = find(world, "10.1.0.99")->hop;
	await(world, "10.1.0.11", 5, is_resolved_on, "eth1");
	world->followed = "10.1.0.11";
	world->seen = 0;
	run("ip neigh del 10.1.0.11 dev eth1; ip neigh del 10.1.0.99 dev eth1");
	await(world, "10.1.0.99", 2, is_pending, NULL);
	assert_memory_equal(&find(world, "10.1.0.99")->hop, &before, sizeof(before));
	await(world, "10.1.0.11", 5, is_resolved_on, "eth1");
	await(world, "10.1.0.99", 6, is_failed_for, "no neighbour answers for 10.1.0.99 on eth1");
	assert_false(world->seen & 1u << NEXT_HOP_FAILED);
}

/* A managed entry is the kernel's to keep: asking would end that. */
static void managed_neighbour_is_left_alone(void **state)
{
	struct world *world = *state;

	if (system("ip neigh add 10.1.0.99 dev eth1 managed")) {
		print_message("  skipped: needs Linux 5.16 and its iproute2\n");
		skip();
	}
	watch(world, "10.1.0.99", NULL);
	run_loop_for(world, 1.5);
	run("ip neigh show dev eth1 10.1.0.99 | grep -q managed");
	run_far(world, "ip addr add 10.1.0.99/16 dev far1");
	await(world, "10.1.0.99", 10, is_resolved_on, "eth1");
}

/* While the loop runs: changes that do not matter, then some hundred that do. */
static void burst_is_one_change(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x98 };
	struct world *world = *state;

	run("ip neigh add 10.1.0.99 dev eth1 lladdr 02:00:00:00:00:99 nud permanent\n"
	    "ip neigh add 10.2.0.99 dev eth2 lladdr 02:00:00:00:00:98 nud permanent\n"
	    "ip route add 10.7.0.0/16 via 10.1.0.99");
	watch(world, "10.7.0.1", "10.7.0.2");
	assert_int_equal(find(world, "10.7.0.1")->status, NEXT_HOP_RESOLVED);
	run("seq -f 'route add 10.8.%%g.0/24 via 10.1.0.99' 0 250 | ip -batch -\n"
	    "seq -f 'neigh add 10.1.8.%%g dev eth1 lladdr 02:00:00:00:00:01' 1 250 | ip -batch -");
	run_loop_for(world, CALM);
	assert_int_equal(world->changes, 0);
	run("for i in $(seq 200); do\n"
	    "    echo route replace 10.7.0.0/16 via 10.1.0.99\n"
	    "    echo route replace 10.7.0.0/16 via 10.2.0.99\n"
	    "done | ip -batch - &");
	await(world, "10.7.0.1", 5, leads_to, mac);
	run_loop_for(world, CALM);
	assert_true(leads_to(find(world, "10.7.0.2"), mac));
	/* Once, unless this machine is so busy that the burst takes longer than we wait. */
	assert_in_range(world->changes, 1, 5);
}

/* Sum of the drops of all netlink sockets of this namespace. */
static unsigned int netlink_drops(void)
{
	FILE *file = fopen("/proc/self/net/netlink", "re");
	unsigned int drops, sum = 0;
	char line[256];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %*s %u", &drops) == 1)
			sum += drops;
	fclose(file);
	return sum;
}

/* More notifications than the socket holds: links, neighbours and routes are read anew. */
static void lost_notifications(void **state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 0x98 };
	static const int mtu = 1400;
	struct world *world = *state;

	run("ip neigh add 10.1.0.99 dev eth1 lladdr 02:00:00:00:00:99 nud permanent\n"
	    "ip neigh add 10.1.0.98 dev eth1 lladdr 02:00:00:00:00:99 nud permanent");
	watch(world, "10.1.0.99", "10.1.0.98");
	for (int round = 0; round < 20 && !netlink_drops(); round++)
		run("for verb in add del; do\n"
		    "    seq -f \"neigh $verb 10.1.9.%%g dev eth1 lladdr 02:00:00:00:00:01"
		    " nud permanent\" 0 255\n"
		    "    seq -f \"neigh $verb 10.1.10.%%g dev eth1 lladdr 02:00:00:00:00:01"
		    " nud permanent\" 0 255\n"
		    "    for i in $(seq 20); do\n"
		    "        seq -f \"neigh replace 10.1.0.97 dev eth1 nud permanent"
		    " lladdr 02:00:00:00:$i:%%g\" 10 99\n"
		    "    done\n"
		    "done | ip -batch -");
	assert_int_not_equal(netlink_drops(), 0);
	run("ip neigh replace 10.1.0.99 dev eth1 lladdr 02:00:00:00:00:98 nud permanent\n"
	    "ip neigh del 10.1.0.98 dev eth1\n"
	    "ip link set eth1 mtu %d", mtu);
	await(world, "10.1.0.99", 5, leads_to, mac);
	await(world, "10.1.0.99", 5, has_mtu, &mtu);
	await(world, "10.1.0.98", 5, is_failed_for, "no neighbour answers for 10.1.0.98 on eth1");
}

static struct address backend(unsigned int number)
{
	char text[ADDRESS_TEXT];

	snprintf(text, sizeof(text), "10.1.%u.%u", 100 + number / 250, 1 + number % 250);
	return address_of(text);
}

static void ten_thousand(void **state)
{
	struct address *addresses = calloc(BACKENDS, sizeof(*addresses));
	struct world *world = *state;
	double start;

	assert_non_null(addresses);
	for (unsigned int i = 0; i < BACKENDS; i++)
		addresses[i] = backend(i);
	run("for net in $(seq 100 139); do\n"
	    "    seq -f \"neigh add 10.1.$net.%%g dev eth1 lladdr 02:00:00:00:00:01 nud permanent\""
	    " 1 250\n"
	    "done | ip -batch -");
	start = now();
	assert_int_equal(next_hops_watch(world->hops, addresses, BACKENDS), 0);
	for (unsigned int i = 0; i < BACKENDS; i++)
		assert_int_equal(next_hops_find(world->hops, &addresses[i])->status,
				 NEXT_HOP_RESOLVED);
	print_message("  watched in %.0f ms", 1e3 * (now() - start));
	assert_true(now() - start < 1);
	start = now();
	assert_int_equal(next_hops_watch(world->hops, addresses, BACKENDS), 0);
	print_message(", again in %.0f ms", 1e3 * (now() - start));
	start = now();
	run("ip link set eth1 down");
	await(world, "10.1.139.250", 5, is_failed_for, "no route to 10.1.139.250: eth1 is down");
	print_message(", noticed that the link is down in %.0f ms\n", 1e3 * (now() - start));
	assert_int_equal(world->changes, 1);
	free(addresses);
}

/* An argument names the tests to run, as a pattern: silent_*. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(resolves, setup, teardown),
		cmocka_unit_test_setup_teardown(fails_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(follows_routing, setup, teardown),
		cmocka_unit_test_setup_teardown(known_neighbour_is_immediate, setup, teardown),
		cmocka_unit_test_setup_teardown(link_goes_down_and_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(link_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(link_is_deleted, setup, teardown),
		cmocka_unit_test_setup_teardown(announced_mac_change, setup, teardown),
		cmocka_unit_test_setup_teardown(silent_mac_change_and_death, setup, teardown),
		cmocka_unit_test_setup_teardown(silent_neighbour, setup, teardown),
		cmocka_unit_test_setup_teardown(deleted_neighbour, setup, teardown),
		cmocka_unit_test_setup_teardown(managed_neighbour_is_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(burst_is_one_change, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_notifications, setup, teardown),
		cmocka_unit_test_setup_teardown(ten_thousand, setup, teardown),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
