// SPDX-License-Identifier: BSD-2-Clause
/*
 * next_hops.c - the pure parts of next hops: rtnetlink messages, whole, cut off and
 * corrupted; what is no business of ours; answers; the hash table.
 * tests/e2e/next_hops.c has the rest, on a kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <endian.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/netlink.h"
#include "dataplane/next_hops_answer.h"
#include "dataplane/next_hops_hash.h"

#define ENTRIES 100000

static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
static const uint8_t v4[4] = { 10, 0, 0, 1 };
static const uint8_t v6[16] = { 0xfd, [15] = 1 };

struct message {
	union {
		struct nlmsghdr header;
		char bytes[512];
	};
};

static void *start(struct message *message, uint16_t type, size_t header)
{
	memset(message, 0, sizeof(*message));
	mnl_nlmsg_put_header(message->bytes)->nlmsg_type = type;
	return mnl_nlmsg_put_extra_header(&message->header, header);
}

static struct ifinfomsg *link_message(struct message *message, uint16_t type)
{
	struct ifinfomsg *info = start(message, type, sizeof(*info));

	info->ifi_index = 7;
	info->ifi_type = ARPHRD_ETHER;
	info->ifi_flags = IFF_UP | IFF_LOWER_UP;
	mnl_attr_put_strz(&message->header, IFLA_IFNAME, "eth7");
	mnl_attr_put(&message->header, IFLA_ADDRESS, sizeof(mac), mac);
	mnl_attr_put_u32(&message->header, IFLA_MTU, 1500);
	return info;
}

static struct ndmsg *neighbour_message(struct message *message, uint16_t type)
{
	struct ndmsg *info = start(message, type, sizeof(*info));

	info->ndm_family = AF_INET6;
	info->ndm_ifindex = 7;
	info->ndm_state = NUD_STALE;
	mnl_attr_put(&message->header, NDA_LLADDR, sizeof(mac), mac);
	mnl_attr_put(&message->header, NDA_DST, sizeof(v6), v6);
	return info;
}

/* 10.x over a v6 gateway; `expires` marks an MTU learned from ICMP. */
static void route_message(struct message *message, uint32_t expires)
{
	struct rtmsg *info = start(message, RTM_NEWROUTE, sizeof(*info));
	struct rta_cacheinfo cache = { .rta_expires = expires };
	uint8_t via[18] = {};
	struct nlattr *metrics;

	memcpy(via, &(uint16_t){ AF_INET6 }, 2);
	memcpy(via + 2, v6, sizeof(v6));
	info->rtm_family = AF_INET;
	info->rtm_type = RTN_UNICAST;
	info->rtm_flags = RTM_F_CLONED;
	mnl_attr_put_u32(&message->header, RTA_OIF, 7);
	mnl_attr_put(&message->header, RTA_VIA, sizeof(via), via);
	metrics = mnl_attr_nest_start(&message->header, RTA_METRICS);
	mnl_attr_put_u32(&message->header, RTAX_MTU, 1400);
	mnl_attr_nest_end(&message->header, metrics);
	mnl_attr_put(&message->header, RTA_CACHEINFO, sizeof(cache), &cache);
}

static void parses_links(void **state)
{
	struct netlink_event event;
	struct message message;

	link_message(&message, RTM_NEWLINK);
	assert_true(netlink_parse_event(&message.header, &event));
	assert_int_equal(event.type, NETLINK_LINK);
	assert_int_equal(event.link.ifindex, 7);
	assert_int_equal(event.link.mtu, 1500);
	assert_string_equal(event.link.name, "eth7");
	assert_memory_equal(event.link.mac, mac, sizeof(mac));
	assert_true(event.link.ethernet && event.link.up);

	link_message(&message, RTM_NEWLINK)->ifi_flags = IFF_UP;
	assert_true(netlink_parse_event(&message.header, &event));
	assert_false(event.link.up);
	link_message(&message, RTM_NEWLINK)->ifi_type = ARPHRD_NONE;
	assert_true(netlink_parse_event(&message.header, &event));
	assert_false(event.link.ethernet);
	link_message(&message, RTM_DELLINK);
	assert_true(netlink_parse_event(&message.header, &event));
	assert_int_equal(event.type, NETLINK_LINK_GONE);

	/* A port that leaves a bridge is no link that goes away. */
	link_message(&message, RTM_DELLINK)->ifi_family = AF_BRIDGE;
	assert_false(netlink_parse_event(&message.header, &event));
	/* Nor is this the name of a link. */
	link_message(&message, RTM_NEWLINK);
	mnl_attr_put_strz(&message.header, IFLA_IFNAME, "sixteen-letters.");
	assert_false(netlink_parse_event(&message.header, &event));
}

static void parses_neighbours(void **state)
{
	struct netlink_event event;
	struct message message;

	neighbour_message(&message, RTM_NEWNEIGH);
	assert_true(netlink_parse_event(&message.header, &event));
	assert_int_equal(event.type, NETLINK_NEIGHBOUR);
	assert_int_equal(event.neighbour.ifindex, 7);
	assert_int_equal(event.neighbour.state, NUD_STALE);
	assert_int_equal(event.neighbour.address.family, WEIR_IPV6);
	assert_memory_equal(event.neighbour.address.word, v6, sizeof(v6));
	assert_memory_equal(event.neighbour.mac, mac, sizeof(mac));
	assert_true(event.neighbour.has_mac);
	assert_false(event.neighbour.owned);

	neighbour_message(&message, RTM_DELNEIGH)->ndm_flags = NTF_EXT_LEARNED;
	assert_true(netlink_parse_event(&message.header, &event));
	assert_int_equal(event.type, NETLINK_NEIGHBOUR_GONE);
	assert_true(event.neighbour.owned);

	neighbour_message(&message, RTM_NEWNEIGH)->ndm_flags = NTF_PROXY;
	assert_false(netlink_parse_event(&message.header, &event));
	neighbour_message(&message, RTM_NEWNEIGH)->ndm_family = AF_BRIDGE;
	assert_false(netlink_parse_event(&message.header, &event));
	/* An address of another size than its family's. */
	neighbour_message(&message, RTM_NEWNEIGH)->ndm_family = AF_INET;
	assert_false(netlink_parse_event(&message.header, &event));
	mnl_attr_put(&message.header, NDA_DST, sizeof(v4), v4);
	assert_true(netlink_parse_event(&message.header, &event));
	assert_int_equal(event.neighbour.address.family, WEIR_IPV4);
}

static void parses_routes(void **state)
{
	struct netlink_event event;
	struct netlink_route route;
	struct message message;

	route_message(&message, 0);
	assert_true(netlink_parse_route(&message.header, &route));
	assert_int_equal(route.type, RTN_UNICAST);
	assert_int_equal(route.ifindex, 7);
	assert_int_equal(route.gateway.family, WEIR_IPV6);
	assert_memory_equal(route.gateway.word, v6, sizeof(v6));
	assert_int_equal(route.mtu, 1400);
	assert_true(netlink_parse_event(&message.header, &event));
	assert_int_equal(event.type, NETLINK_ROUTING);

	route_message(&message, 600);
	assert_true(netlink_parse_route(&message.header, &route));
	assert_int_equal(route.mtu, 0);
	mnl_attr_put(&message.header, RTA_GATEWAY, sizeof(v4), v4);
	assert_true(netlink_parse_route(&message.header, &route));
	assert_int_equal(route.gateway.family, WEIR_IPV4);
}

/* In a buffer of just its length: the sanitizer sees a byte read too far. */
static void parse_exactly(const struct message *message, size_t length)
{
	struct nlmsghdr *copy = malloc(length);
	struct netlink_event event;
	struct netlink_route route;

	assert_non_null(copy);
	memcpy(copy, message, length);
	copy->nlmsg_len = length;
	netlink_parse_event(copy, &event);
	netlink_parse_route(copy, &route);
	free(copy);
}

static void survives_damage(void **state)
{
	static const uint8_t values[] = { 0, 1, 3, 4, 5, 0x40, 0x7f, 0x80, 0xff };
	struct message messages[3];

	link_message(&messages[0], RTM_NEWLINK);
	neighbour_message(&messages[1], RTM_NEWNEIGH);
	route_message(&messages[2], 0);
	for (size_t kind = 0; kind < 3; kind++) {
		size_t length = messages[kind].header.nlmsg_len;

		for (size_t cut = sizeof(struct nlmsghdr); cut <= length; cut++)
			parse_exactly(&messages[kind], cut);
		for (size_t at = sizeof(struct nlmsghdr); at < length; at++)
			for (size_t i = 0; i < sizeof(values); i++) {
				struct message damaged = messages[kind];

				damaged.bytes[at] = values[i];
				parse_exactly(&damaged, length);
			}
	}
}

/* A link's MTU has 32 bits, a next hop's 16. */
static void answers_with_the_smallest_mtu(void **state)
{
	static const struct row {
		uint32_t link, route, mtu;
	} rows[] = {
		{ 1500, 0, 1500 }, { 1500, 1400, 1400 }, { 1500, 9000, 1500 },
		{ 65535, 0, 65535 }, { 65536, 0, 65535 }, { 100000, 70000, 65535 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct address address = { .family = WEIR_IPV4 };
		struct netlink_route route = { .type = RTN_UNICAST, .mtu = rows[i].route };
		struct neighbour neighbour = {
			.kernel = { .state = NUD_REACHABLE, .has_mac = true },
		};
		struct link link = {
			.kernel = { .mtu = rows[i].link, .ethernet = true, .up = true },
		};
		struct next_hop_facts facts = {
			.address = &address, .route = &route, .neighbour = &neighbour,
			.link = &link,
		};
		struct next_hop answer = {};

		assert_true(next_hop_answer(&answer, &facts));
		assert_int_equal(answer.hop.mtu, rows[i].mtu);
		assert_false(next_hop_answer(&answer, &facts));
	}
}

static void hashes_evenly(void **state)
{
	struct hash_entry *entries = calloc(ENTRIES, sizeof(*entries)), *entry = NULL;
	struct hash_table table;
	size_t walked = 0;

	assert_non_null(entries);
	assert_int_equal(hash_table_init(&table), 0);
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct address address = { .word = { htobe32(10 << 24 | i) }, .family = WEIR_IPV4 };

		hash_table_add(&table, &entries[i], hash_address(&address, 1));
	}
	for (uint32_t i = 0; i < ENTRIES; i++) {
		size_t length = 0;

		for (entry = hash_table_chain(&table, entries[i].hash); entry; entry = entry->next)
			length++;
		assert_in_range(length, 1, 16);
	}
	for (uint32_t i = 0; i < ENTRIES; i += 2)
		hash_table_remove(&table, &entries[i]);
	while ((entry = hash_table_next(&table, entry))) {
		assert_int_equal((entry - entries) % 2, 1);
		walked++;
	}
	assert_int_equal(walked, ENTRIES / 2);
	for (uint32_t i = 1; i < ENTRIES; i += 2)
		hash_table_remove(&table, &entries[i]);
	hash_table_free_all(&table);
	free(entries);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_links),
		cmocka_unit_test(parses_neighbours),
		cmocka_unit_test(parses_routes),
		cmocka_unit_test(survives_damage),
		cmocka_unit_test(answers_with_the_smallest_mtu),
		cmocka_unit_test(hashes_evenly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
