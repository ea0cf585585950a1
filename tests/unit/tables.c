// SPDX-License-Identifier: BSD-2-Clause
/*
 * tables.c - from configuration and next hops to the kernel's tables: what each record
 * says, what stays where it is when the configuration changes, what is refused, and
 * that balancers agree. No kernel is asked. In the rows ' stands for ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include <weir/hash.h>
#include <weir/limiter.h>

#include "dataplane/ring.h"
#include "dataplane/tables.h"
#include "random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SEED "00112233445566778899aabbccddeeff"
#define SOURCE "192.0.2.1"
#define SOURCE_V6 "2001:db8::1"

static const struct config_capacity roomy = {
	.services = 64, .backends = 1024, .slots = 1 << 20, .limit_cells = 1024,
};

/* --- configurations ------------------------------------------------------------------- */

/* A configuration's text while it grows. */
struct text {
	char *start;
	size_t length;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
	char *line;
	va_list args;
	int length;

	va_start(args, format);
	length = vasprintf(&line, format, args);
	va_end(args);
	assert_true(length >= 0);
	text->start = realloc(text->start, text->length + length + 1);
	assert_non_null(text->start);
	memcpy(text->start + text->length, line, length + 1);
	text->length += length;
	free(line);
}

static struct config *parse(const char *seed, const char *source, const char *services)
{
	struct text text = {};
	struct config *config = NULL;
	struct error error;
	json_t *root;

	add(&text, "{'hash_seed': '%s', 'source_address': '%s', 'source_address_v6': '" SOURCE_V6
	    "', 'services': [%s]}", seed, source, services);
	for (char *quote = text.start; (quote = strchr(quote, '\'')); )
		*quote = '"';
	if (config_parse_text(text.start, text.length, "t", &root, &error) ||
	    config_build(root, NULL, "t", &config, &error))
		fail_msg("%s", error.text);
	json_decref(root);
	free(text.start);
	return config;
}

/* "web" at 203.0.113.10:80, and "dns" at 2001:db8:1::53, any port. */
#define SERVICE(name, address, rest) \
	"{'name': '" name "', 'address': '" address "', 'port': 80, 'protocol': 'tcp'" rest "}"
#define BACKENDS(list) ", 'backends': [" list "]"
#define AT(address) "{'address': '" address "'}"
#define WEB(list) SERVICE("web", "203.0.113.10", BACKENDS(list))
#define DNS(list) "{'name': 'dns', 'address': '2001:db8:1::53', 'port': 'any', " \
		  "'protocol': 'udp'" BACKENDS(list) "}"
#define B1 AT("10.0.0.1")
#define B2 AT("10.0.0.2")
#define B3 AT("10.0.0.3")
#define B4 AT("10.0.0.4")
#define V1 AT("2001:db8:2::1")
#define V2 AT("2001:db8:2::2")

/* --- next hops ------------------------------------------------------------------------ */

/* The one address whose next hop is not the default one: resolved and on the link. */
static struct {
	struct address address;
	struct next_hop hop;
	bool unknown;
} special;

static struct next_hop resolved_hop(uint8_t last)
{
	return (struct next_hop){
		.status = NEXT_HOP_RESOLVED,
		.on_link = true,
		.hop = { .ifindex = 7, .destination = { 2, 0, 0, 0, 0, last },
			 .source = { 2, 1, 1, 1, 1, 1 }, .mtu = 1500 },
	};
}

static const struct next_hop *find_hop(void *arg, const struct address *address)
{
	static struct next_hop hop;

	assert_ptr_equal(arg, &special);
	if (!address_compare(address, &special.address))
		return special.unknown ? NULL : &special.hop;
	hop = resolved_hop(ntohl(address->word[address->family == WEIR_IPV6 ? 3 : 0]));
	return &hop;
}

static void set_special(const char *address, struct next_hop hop)
{
	assert_int_equal(address_parse(address, &special.address), 0);
	special.hop = hop;
}

static int forget_special(void **state)
{
	memset(&special, 0, sizeof(special));
	return 0;
}

/* --- building ------------------------------------------------------------------------- */

static struct tables *empty(const struct config_capacity *capacity)
{
	struct tables *tables = tables_new(capacity);

	assert_non_null(tables);
	return tables;
}

/* The tables after `present`, which is freed. */
static struct tables *next(struct tables *present, struct config *config)
{
	struct tables *tables = NULL;
	struct error error;

	if (tables_build(config, find_hop, &special, present, &tables, &error))
		fail_msg("%s", error.text);
	tables_free(present);
	config_free(config);
	return tables;
}

static struct tables *step(struct tables *present, const char *services)
{
	return next(present, parse(SEED, SOURCE, services));
}

static struct tables *first(const char *services)
{
	return step(empty(&roomy), services);
}

static const struct table_service *service(const struct tables *tables, const char *name)
{
	const struct table_service *found = tables_find_service(tables, name);

	if (!found)
		fail_msg("no service %s", name);
	assert_ptr_equal(found, &tables->services[found->record.index]);
	return found;
}

/* 0: there is none. */
static uint32_t backend_index(const struct tables *tables, const char *service, const char *text)
{
	const struct table_backend *found;
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	found = tables_find_backend(tables, service, &address);
	return found ? found - tables->backends : 0;
}

static uint32_t slots_of(const struct table_service *service, uint32_t index)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < service->record.ring.size; i++) {
		assert_int_equal(WEIR_SLOT_PREVIOUS(service->slots[i]), 0);
		count += WEIR_SLOT_CURRENT(service->slots[i]) == index;
	}
	return count;
}

/* --- one configuration ---------------------------------------------------------------- */

static void a_service_is_as_configured(void **state)
{
	struct tables *tables = first(WEB(B1 "," B2) "," DNS(V1));
	const struct table_service *web = service(tables, "web"), *dns = service(tables, "dns");
	const struct weir_service_key *key = &dns->record.key;

	assert_string_equal(web->info.address, "203.0.113.10:80/tcp");
	assert_string_equal(dns->info.address, "[2001:db8:1::53]:any/udp");
	assert_int_equal(web->record.key.address[0], inet_addr("203.0.113.10"));
	assert_int_equal(web->record.key.port, htons(80));
	assert_int_equal(web->record.key.protocol, IPPROTO_TCP);
	assert_int_equal(web->record.key.family, WEIR_IPV4);
	assert_memory_equal(key->address, "\x20\x01\x0d\xb8\0\1\0\0\0\0\0\0\0\0\0\x53", 16);
	assert_int_equal(key->port, 0);
	assert_int_equal(key->protocol, IPPROTO_UDP);
	assert_int_equal(key->family, WEIR_IPV6);
	assert_int_equal(web->record.state, WEIR_SERVICE_USED);
	assert_int_not_equal(web->record.index, dns->record.index);
	assert_int_equal(web->record.ring.size, 1021);
	assert_int_equal(tables->service_count, 2);
	assert_int_equal(tables_slots_used(tables), 2 * 1021);
	assert_null(tables_find_service(tables, "we"));
	tables_free(tables);
}

static void a_backend_is_as_configured(void **state)
{
	struct tables *tables = first(WEB(B1 "," B2) ","
		SERVICE("l2", "203.0.113.11", ", 'forward': 'l2'" BACKENDS(B2 "," V2)));
	const struct table_backend *v2 = &tables->backends[backend_index(tables, "l2",
									 "2001:db8:2::2")];
	const struct weir_next_hop *hop = &v2->record.hop[v2->record.active_hop];
	struct next_hop wanted = resolved_hop(2);

	assert_int_equal(tables->backend_count, 4);
	assert_string_equal(v2->info.service, "l2");
	assert_string_equal(v2->info.address, "2001:db8:2::2");
	assert_memory_equal(v2->record.address, "\x20\x01\x0d\xb8\0\2\0\0\0\0\0\0\0\0\0\2", 16);
	assert_int_equal(v2->record.family, WEIR_IPV6);
	assert_int_equal(v2->record.forward, WEIR_FORWARD_L2);
	assert_int_equal(v2->record.service, service(tables, "l2")->record.index);
	assert_memory_equal(hop, &wanted.hop, sizeof(*hop));
	/* one address in two services is two backends */
	assert_int_not_equal(backend_index(tables, "l2", "10.0.0.2"),
			     backend_index(tables, "web", "10.0.0.2"));
	assert_int_equal(backend_index(tables, "web", "2001:db8:2::2"), 0);
	assert_false(tables->backends[0].info.service[0]);
	tables_free(tables);
}

struct limit_row {
	const char *name;
	const char *json;
	uint64_t cost, burst_time;
	const char *mask_v4, *mask_v6;
};

#define ONE_MS (WEIR_TICKS_PER_SECOND / 1000)

static const struct limit_row limit_rows[] = {
	{ "defaults", "'rate': 1000", ONE_MS, 100 * ONE_MS, "255.255.255.255",
	  "ffff:ffff:ffff:ffff::" },
	{ "burst", "'rate': 1000, 'burst': 7", ONE_MS, 7 * ONE_MS, "255.255.255.255",
	  "ffff:ffff:ffff:ffff::" },
	{ "rate that does not divide", "'rate': 3, 'burst': 1", 85333333333, 85333333333,
	  "255.255.255.255", "ffff:ffff:ffff:ffff::" },
	{ "largest rate", "'rate': 4294967295, 'burst': 4294967295", 59, 59 * 4294967295ULL,
	  "255.255.255.255", "ffff:ffff:ffff:ffff::" },
	{ "largest burst", "'rate': 1, 'burst': 1000000", WEIR_TICKS_PER_SECOND,
	  1000000 * WEIR_TICKS_PER_SECOND, "255.255.255.255", "ffff:ffff:ffff:ffff::" },
	{ "everybody", "'rate': 1000, 'prefix_v4': 0, 'prefix_v6': 0", ONE_MS, 100 * ONE_MS,
	  "0.0.0.0", "::" },
	{ "1 bit", "'rate': 1000, 'prefix_v4': 1, 'prefix_v6': 1", ONE_MS, 100 * ONE_MS,
	  "128.0.0.0", "8000::" },
	{ "networks", "'rate': 1000, 'prefix_v4': 24, 'prefix_v6': 48", ONE_MS, 100 * ONE_MS,
	  "255.255.255.0", "ffff:ffff:ffff::" },
	{ "hosts", "'rate': 1000, 'prefix_v4': 32, 'prefix_v6': 128", ONE_MS, 100 * ONE_MS,
	  "255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
	{ "between words", "'rate': 1000, 'prefix_v4': 31, 'prefix_v6': 95", ONE_MS, 100 * ONE_MS,
	  "255.255.255.254", "ffff:ffff:ffff:ffff:ffff:fffe::" },
	{ "on a word", "'rate': 1000, 'prefix_v4': 8, 'prefix_v6': 96", ONE_MS, 100 * ONE_MS,
	  "255.0.0.0", "ffff:ffff:ffff:ffff:ffff:ffff::" },
};

static bool is_limit(const struct weir_limit_rule *rule, const struct limit_row *row)
{
	struct address v4, v6;

	assert_int_equal(address_parse(row->mask_v4, &v4) | address_parse(row->mask_v6, &v6), 0);
	return rule->cost == row->cost && rule->burst_time == row->burst_time && rule->enabled &&
	       rule->mask_v4 == v4.word[0] && !memcmp(rule->mask_v6, v6.word, sizeof(v6.word));
}

/* All rows as services of one configuration; then the same without any limit. */
static void limits_are_as_configured(void **state)
{
	static const struct weir_limit_rule none;
	struct tables *tables = NULL;
	struct text with = {}, without = {};

	for (size_t i = 0; i < COUNT(limit_rows); i++) {
		const char *format = "%s{'name': 's%zu', 'address': '203.0.113.%zu', 'port': 80, "
				     "'protocol': 'tcp', 'limits': [%s%s%s]}";

		add(&with, format, i ? "," : "", i, i, "{", limit_rows[i].json, "}");
		add(&without, format, i ? "," : "", i, i, "", "", "");
	}
	tables = first(with.start);
	for (uint32_t i = 0; i < COUNT(limit_rows); i++) {
		const struct table_service *service = &tables->services[i];

		if (!is_limit(&service->limits[0], &limit_rows[i]))
			fail_msg("%s", limit_rows[i].name);
		assert_int_equal(service->record.limit[0], 1 + 4 * i);
		assert_int_equal(service->record.limit[1], 0);
	}
	tables = step(tables, without.start);
	for (uint32_t i = 0; i < COUNT(limit_rows); i++) {
		assert_int_equal(tables->services[i].record.limit[0], 0);
		assert_memory_equal(&tables->services[i].limits[0], &none, sizeof(none));
	}
	tables_free(tables);
	free(with.start);
	free(without.start);
}

/* --- next hops and states ------------------------------------------------------------- */

enum hop_kind { UNKNOWN, PENDING, RESOLVED, GATEWAY, FAILED };

/* 10.0.0.1 beside a backend that is ready: what there is, and what becomes of it. */
static const struct usable_row {
	const char *name;
	const char *forward;
	bool known_before;	/* it was resolved when the tables were built last */
	enum hop_kind hop;
	const char *backend;
	bool usable;
	const char *status, *reason;
} usable_rows[] = {
	{ "resolved", "ipip", false, RESOLVED, "", true, "ready", "" },
	{ "resolved, l2", "l2", false, RESOLVED, "", true, "ready", "" },
	{ "gateway", "ipip", false, GATEWAY, "", true, "ready", "" },
	{ "gateway, l2", "l2", false, GATEWAY, "", false, "no next hop",
	  "behind a gateway: l2 needs the backend on the balancer's own link" },
	{ "a gateway since, l2", "l2", true, GATEWAY, "", false, "no next hop",
	  "behind a gateway: l2 needs the backend on the balancer's own link" },
	{ "not asked yet", "ipip", false, UNKNOWN, "", false, "no next hop", "" },
	{ "not asked any more", "ipip", true, UNKNOWN, "", false, "no next hop", "" },
	{ "pending", "ipip", false, PENDING, "", false, "resolving", "asked 1 of 3 times" },
	{ "pending again", "ipip", true, PENDING, "", true, "ready", "" },
	{ "pending again, l2", "l2", true, PENDING, "", true, "ready", "" },
	{ "failed", "ipip", false, FAILED, "", false, "no next hop", "no route" },
	{ "failed since", "ipip", true, FAILED, "", false, "no next hop", "no route" },
	{ "failed and draining", "ipip", true, FAILED, ", 'state': 'draining'", false,
	  "no next hop", "no route" },
	{ "draining", "ipip", true, RESOLVED, ", 'state': 'draining'", false, "draining", "" },
	{ "draining of weight 0", "ipip", true, RESOLVED, ", 'state': 'draining', 'weight': 0",
	  false, "draining", "" },
	{ "pending and draining", "ipip", false, PENDING, ", 'state': 'draining'", false,
	  "resolving", "asked 1 of 3 times" },
	{ "weight 0", "ipip", true, RESOLVED, ", 'weight': 0", false, "weight 0", "" },
	{ "active by name", "l2", false, RESOLVED, ", 'state': 'active'", true, "ready", "" },
};

static void set_hop_kind(enum hop_kind kind)
{
	struct next_hop hop = resolved_hop(1);

	if (kind == FAILED || kind == PENDING) {
		hop = (struct next_hop){ .status = NEXT_HOP_PENDING };
		strcpy(hop.reason, "asked 1 of 3 times");
	}
	if (kind == FAILED) {
		hop.status = NEXT_HOP_FAILED;
		strcpy(hop.reason, "no route");
	}
	hop.on_link = kind == RESOLVED;
	set_special("10.0.0.1", hop);
	special.unknown = kind == UNKNOWN;
}

static struct config *usable_config(const struct usable_row *row)
{
	struct text text = {};
	struct config *config;

	add(&text, "{'name': 'web', 'address': '203.0.113.10', 'port': 80, 'protocol': 'tcp', "
	    "'forward': '%s', 'backends': [{'address': '10.0.0.1'%s}, " B2 "]}",
	    row->forward, row->backend);
	config = parse(SEED, SOURCE, text.start);
	free(text.start);
	return config;
}

static void check_usable(const struct usable_row *row, const struct config *config,
			 const struct tables *tables)
{
	uint32_t index = backend_index(tables, "web", "10.0.0.1");
	const struct backend *backend = &config->services[0].embedded.backends[0];
	const char *status = "none", *reason = "none";
	uint32_t slots = slots_of(service(tables, "web"), index);
	bool usable = backend_usable(backend, config->services[0].forward,
				     special.unknown ? NULL : &special.hop,
				     &tables->backends[index].record, &status, &reason);

	if (usable != row->usable || strcmp(status, row->status) || strcmp(reason, row->reason))
		fail_msg("%s: %d, %s, %s", row->name, usable, status, reason);
	if (slots != (usable ? 511 : 0) && slots != (usable ? 510 : 0))
		fail_msg("%s: %u slots", row->name, slots);
	assert_int_equal(slots_of(service(tables, "web"), 0), 0);
}

static void only_usable_backends_have_slots(void **state)
{
	for (size_t i = 0; i < COUNT(usable_rows); i++) {
		const struct usable_row *row = &usable_rows[i];
		struct tables *tables = empty(&roomy);
		struct config *config;

		if (row->known_before) {
			set_hop_kind(RESOLVED);
			tables = next(tables, usable_config(row));
		}
		set_hop_kind(row->hop);
		tables = next(tables, usable_config(row));
		config = usable_config(row);
		check_usable(row, config, tables);
		config_free(config);
		tables_free(tables);
	}
}

/* Packets may be reading the hop in use: a new one goes beside it, then one byte. */
static void a_next_hop_never_changes_in_place(void **state)
{
	struct next_hop failed = { .status = NEXT_HOP_FAILED };
	struct tables *tables = first(WEB(B1 "," B2));
	struct weir_backend before, after;
	uint32_t index = backend_index(tables, "web", "10.0.0.1");

	for (int change = 0; change < 4; change++) {
		before = tables->backends[index].record;
		set_special("10.0.0.1", resolved_hop(100 + change));
		tables = step(tables, WEB(B1 "," B2));
		after = tables->backends[index].record;
		assert_int_equal(after.active_hop, !before.active_hop);
		assert_memory_equal(&after.hop[before.active_hop], &before.hop[before.active_hop],
				    sizeof(after.hop[0]));
		assert_memory_equal(&after.hop[after.active_hop], &special.hop.hop,
				    sizeof(after.hop[0]));

		tables = step(tables, WEB(B1 "," B2));	/* the same once more */
		assert_memory_equal(&tables->backends[index].record, &after, sizeof(after));
		set_special("10.0.0.1", failed);	/* what was known stays */
		tables = step(tables, WEB(B1 "," B2));
		assert_memory_equal(&tables->backends[index].record, &after, sizeof(after));
	}
	tables_free(tables);
}

/* --- rings ---------------------------------------------------------------------------- */

/* `count` backends of which the first `ready` have weight. */
static void add_backends(struct text *text, uint32_t count, uint32_t ready)
{
	add(text, ", 'backends': [");
	for (uint32_t i = 0; i < count; i++)
		add(text, "%s{'address': '10.%u.%u.1', 'weight': %d}", i ? "," : "", i / 256,
		    i % 256, i < ready);
	add(text, "]");
}

static struct config *with_backends(uint32_t count, uint32_t ready)
{
	struct text text = {};
	struct config *config;

	add(&text, "{'name': 'web', 'address': '203.0.113.10', 'port': 80, 'protocol': 'tcp'");
	add_backends(&text, count, ready);
	add(&text, "}");
	config = parse(SEED, SOURCE, text.start);
	free(text.start);
	return config;
}

/* Balancers that see different backends ready must still agree on the slots' number. */
static void ring_size_follows_configured_backends(void **state)
{
	static const struct {
		const char *name;
		uint32_t configured, ready, size;
	} rows[] = {
		{ "none", 0, 0, 0 }, { "one", 1, 1, 1021 }, { "one, not ready", 1, 0, 1021 },
		{ "10", 10, 10, 1021 }, { "11", 11, 11, 4093 }, { "11, 10 ready", 11, 10, 4093 },
		{ "11, none ready", 11, 0, 4093 }, { "164, one ready", 164, 1, 65537 },
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct tables *tables = next(empty(&roomy),
					     with_backends(rows[i].configured, rows[i].ready));
		const struct table_service *web = service(tables, "web");

		if (web->record.ring.size != rows[i].size || !web->slots != !rows[i].size)
			fail_msg("%s: %u slots", rows[i].name, web->record.ring.size);
		assert_int_equal(slots_of(web, 0), rows[i].ready ? 0 : rows[i].size);
		tables_free(tables);
	}
}

static void a_ring_keeps_its_place_while_it_has_its_size(void **state)
{
	struct tables *tables = next(empty(&roomy), with_backends(10, 10));
	struct weir_ring small = service(tables, "web")->record.ring, large, again;

	tables = next(tables, with_backends(3, 2));
	assert_memory_equal(&service(tables, "web")->record.ring, &small, sizeof(small));
	tables = next(tables, with_backends(11, 11));
	large = service(tables, "web")->record.ring;
	assert_int_equal(large.size, 4093);
	assert_true(large.offset >= small.offset + small.size);
	tables = next(tables, with_backends(10, 10));
	again = service(tables, "web")->record.ring;
	assert_memory_equal(&again, &small, sizeof(small));	/* nobody had it since */
	tables = next(tables, with_backends(0, 0));
	assert_int_equal(tables_slots_used(tables), 0);
	tables_free(tables);
}

/* Draining the last backend leaves its service, which then drops and says why. */
static void a_service_without_backends_has_no_owner(void **state)
{
	struct tables *tables = first(WEB("{'address': '10.0.0.1', 'state': 'draining'}"));

	assert_int_equal(slots_of(service(tables, "web"), 0), 1021);
	tables = step(tables, WEB(""));
	assert_int_equal(service(tables, "web")->record.ring.size, 0);
	tables = step(tables, WEB(B1));
	assert_int_equal(slots_of(service(tables, "web"), 0), 0);
	tables_free(tables);
}

static void churn_is_that_of_the_last_change(void **state)
{
	struct tables *tables = first(WEB(B1 "," B2));
	const struct table_service *web = service(tables, "web");
	uint32_t changed, excess, third;

	assert_int_equal(web->churn_changed, 1021);
	assert_int_equal(web->churn_excess, 0);

	tables = step(tables, WEB(B1 "," B2 "," B3));
	web = service(tables, "web");
	changed = web->churn_changed;
	excess = web->churn_excess;
	third = slots_of(web, backend_index(tables, "web", "10.0.0.3"));
	assert_int_equal(changed, third + excess);
	assert_in_range(third, 340, 341);
	assert_in_range(excess, 0, 40);

	tables = step(tables, WEB(B3 "," B2 "," B1) "," DNS(V1));	/* not of web's ring */
	assert_int_equal(service(tables, "web")->churn_changed, changed);
	assert_int_equal(service(tables, "web")->churn_excess, excess);

	/* read from the kernel: what the slots were made of is not known, but the same */
	tables->services[service(tables, "web")->record.index].ring_inputs = 0;
	tables = step(tables, WEB(B1 "," B2 "," B3) "," DNS(V1));
	assert_int_equal(service(tables, "web")->churn_changed, 0);
	tables_free(tables);
}

/* --- what stays ----------------------------------------------------------------------- */

static void what_stays_keeps_its_index(void **state)
{
	struct tables *tables = first(WEB(B1 "," B2 "," B3) "," DNS(V1 "," V2));
	uint32_t web = service(tables, "web")->record.index;
	uint32_t dns = service(tables, "dns")->record.index, mail;
	uint32_t position = service(tables, "web")->position;
	uint32_t b1 = backend_index(tables, "web", "10.0.0.1");
	uint32_t b3 = backend_index(tables, "web", "10.0.0.3");

	tables = step(tables, SERVICE("mail", "203.0.113.25", BACKENDS(B2)) "," WEB(B4 "," B3));
	mail = service(tables, "mail")->record.index;
	assert_int_equal(service(tables, "web")->record.index, web);
	assert_int_equal(service(tables, "web")->position, position);
	assert_true(mail != dns && mail != web);	/* dns's may be in a packet's hands */
	assert_null(tables_find_service(tables, "dns"));
	assert_int_equal(backend_index(tables, "web", "10.0.0.3"), b3);
	assert_int_equal(backend_index(tables, "web", "10.0.0.1"), 0);
	assert_int_not_equal(backend_index(tables, "web", "10.0.0.4"), b1);

	/* by now it is not, and indices of services are taken from the lowest on */
	tables = step(tables, WEB(B4 "," B3) "," SERVICE("mail", "203.0.113.25", BACKENDS(B2)) ","
		      DNS(V1));
	assert_int_equal(service(tables, "dns")->record.index, dns);
	assert_int_equal(service(tables, "mail")->record.index, mail);

	/* another address is another record, but the same service */
	tables = step(tables, SERVICE("web", "203.0.113.99", BACKENDS(B3)));
	assert_int_equal(service(tables, "web")->record.index, web);
	assert_int_not_equal(service(tables, "web")->position, position);
	assert_int_equal(backend_index(tables, "web", "10.0.0.3"), b3);
	tables_free(tables);
}

static void backend_indices_are_given_out_round(void **state)
{
	static const struct config_capacity small = {
		.services = 2, .backends = 6, .slots = 4096, .limit_cells = 1024,
	};
	static const char *const one_new[] = {
		WEB(B1 "," B2), WEB(B1 "," B3), WEB(B1 "," B4), WEB(B1 "," B2), WEB(B1 "," B3),
	};
	static const char *const addresses[] = {
		"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.2", "10.0.0.3",
	};
	static const uint32_t wanted[] = { 2, 3, 4, 5, 2 };
	struct tables *tables = empty(&small);

	for (size_t i = 0; i < COUNT(one_new); i++) {
		tables = step(tables, one_new[i]);
		assert_int_equal(backend_index(tables, "web", "10.0.0.1"), 1);
		assert_int_equal(backend_index(tables, "web", addresses[i]), wanted[i]);
	}
	tables_free(tables);
}

/* Also when it is the only one that is free, and the last to be looked at. */
static void every_backend_index_can_be_had(void **state)
{
	static const struct config_capacity small = {
		.services = 2, .backends = 41, .slots = 16384, .limit_cells = 1024,
	};
	struct tables *tables = next(empty(&small), with_backends(40, 40));

	for (uint32_t i = 1; i <= 40; i++)
		assert_string_equal(tables->backends[i].info.service, "web");
	tables = next(tables, with_backends(39, 39));
	tables = next(tables, with_backends(40, 40));
	assert_int_equal(backend_index(tables, "web", "10.0.39.1"), 40);
	tables_free(tables);
}

static void the_same_again_is_the_same(void **state)
{
	const char *services = WEB(B1 "," B2) "," DNS(V1);
	struct tables *tables = first(services), *again;
	struct config *config = parse(SEED, SOURCE, services);
	struct error error;

	assert_int_equal(tables_build(config, find_hop, &special, tables, &again, &error), 0);
	assert_memory_equal(&again->settings, &tables->settings, sizeof(tables->settings));
	assert_int_equal(again->settings_entry, tables->settings_entry);
	assert_memory_equal(again->backends, tables->backends,
			    roomy.backends * sizeof(*tables->backends));
	for (uint32_t i = 0; i < roomy.services; i++) {
		struct table_service copy = again->services[i];
		const struct table_service *old = &tables->services[i];

		if (old->slots)
			assert_memory_equal(copy.slots, old->slots, 1021 * sizeof(*old->slots));
		copy.slots = old->slots;
		assert_memory_equal(&copy, old, sizeof(copy));
	}
	config_free(config);
	tables_free(again);
	tables_free(tables);
}

static void the_settings_entry_changes_with_the_settings(void **state)
{
	static const struct {
		const char *name, *seed, *source, *services;
		bool change;
	} rows[] = {
		{ "the same", SEED, SOURCE, WEB(B1) "," DNS(V1), false },
		{ "services", SEED, SOURCE, WEB(B2), false },
		{ "services back", SEED, SOURCE, WEB(B1) "," DNS(V1), false },
		{ "seed", "10112233445566778899aabbccddeeff", SOURCE, WEB(B1) "," DNS(V1), true },
		{ "seed back", SEED, SOURCE, WEB(B1) "," DNS(V1), true },
		{ "source", SEED, "192.0.2.2", WEB(B1) "," DNS(V1), true },
		{ "source and services", SEED, SOURCE, WEB(B1), true },
		{ "no service", SEED, SOURCE, "", false },
		{ "no service, source", SEED, "192.0.2.2", "", true },
	};
	struct tables *tables = first(WEB(B1) "," DNS(V1));

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint8_t before = tables->settings_entry;

		tables = next(tables, parse(rows[i].seed, rows[i].source, rows[i].services));
		assert_in_range(tables->settings_entry, 0, 1);
		if ((tables->settings_entry != before) != rows[i].change)
			fail_msg("%s", rows[i].name);
		for (size_t s = 0; s < tables->service_count; s++)
			assert_int_equal(tables->service_list[s]->record.settings,
					 tables->settings_entry);
		assert_int_equal(tables->settings.source_v4, inet_addr(rows[i].source));
	}
	tables_free(tables);
}

static int compare_words(const void *a, const void *b)
{
	const uint32_t *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* All balancers of a fleet derive the same keys, whatever their versions. */
static void keys_are_derived_from_the_seed(void **state)
{
	struct tables *tables = first(WEB(B1));
	struct weir_settings *settings = &tables->settings;
	uint32_t keys[WEIR_FLOW_KEYS + 2 * WEIR_SOURCE_KEYS];

	memcpy(keys, settings, sizeof(keys));	/* they come first, and side by side */
	assert_int_equal(offsetof(struct weir_settings, source_v4), sizeof(keys));
	assert_int_equal(XXH64(keys, sizeof(keys), 0), 0x55dfab0e4d28f47f);
	assert_int_equal(settings->source_v4, inet_addr(SOURCE));
	assert_memory_equal(settings->source_v6, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);

	qsort(keys, COUNT(keys), sizeof(*keys), compare_words);
	for (size_t i = 1; i < COUNT(keys); i++)
		assert_int_not_equal(keys[i - 1], keys[i]);
	tables_free(tables);
}

/* --- what is refused ------------------------------------------------------------------ */

static void add_service(struct text *text, const char *prefix, uint32_t n, uint32_t backends)
{
	add(text, "%s{'name': '%s%u', 'address': '203.0.%u.%u', 'port': 80, 'protocol': 'tcp'",
	    text->length ? "," : "", prefix, n, n / 256, n % 256);
	add_backends(text, backends, backends);
	add(text, "}");
}

#define TWO_STEPS ", takes effect on a new data plane), or make the change in two steps"

static const struct refused_row {
	const char *name;
	struct config_capacity capacity;
	uint32_t present[3], wanted[3];	/* backends of each service */
	const char *prefix;		/* of the wanted services' names */
	bool in_two_steps;
	const char *line;
} refused_rows[] = {
	{ "services", { 2, 64, 4096, 1024 }, { 1, 1 }, { 1, 1, 1 }, "s", false,
	  "s2: no free service index beside the present ones: raise capacity.services (now 2"
	  TWO_STEPS },
	{ "other services", { 2, 64, 4096, 1024 }, { 1, 1 }, { 1, 1 }, "t", true,
	  "t0: no free service index beside the present ones: raise capacity.services (now 2"
	  TWO_STEPS },
	{ "backends", { 4, 5, 1 << 16, 1024 }, { 1 }, { 3, 2 }, "s", false,
	  "s1: no free backend index beside the present ones: raise capacity.backends (now 5"
	  TWO_STEPS },
	{ "other backends", { 4, 5, 1 << 16, 1024 }, { 3 }, { 2 }, "t", true,
	  "t0: no free backend index beside the present ones: raise capacity.backends (now 5"
	  TWO_STEPS },
	{ "slots", { 4, 64, 4096, 1024 }, { 1, 1 }, { 1, 1, 11 }, "s", false,
	  "s2: no room for a ring of 4093 slots beside the present ones: raise capacity.slots "
	  "(now 4096" TWO_STEPS },
	{ "a larger ring", { 4, 64, 4096, 1024 }, { 1 }, { 11 }, "s", true,
	  "s0: no room for a ring of 4093 slots beside the present ones: raise capacity.slots "
	  "(now 4096" TWO_STEPS },
};

static char *services_text(const uint32_t *backends, const char *prefix)
{
	struct text text = {};

	add(&text, "%s", "");
	for (uint32_t i = 0; i < 3 && backends[i]; i++)
		add_service(&text, prefix, i, backends[i]);
	return text.start;
}

static void assert_refused(const char *name, const struct tables *present, const char *services,
			   const char *line)
{
	struct config *config = parse(SEED, SOURCE, services);
	struct tables *untouched = NULL;
	struct error error;
	int err = tables_build(config, find_hop, &special, present, &untouched, &error);

	config_free(config);
	if (err != -ENOSPC || strcmp(error.text, line))
		fail_msg("%s: %d, %s", name, err, error.text);
	assert_null(untouched);
}

/* A refusal leaves nothing behind: the present tables go on as if nobody had asked. */
static void what_does_not_fit_is_refused(void **state)
{
	for (size_t i = 0; i < COUNT(refused_rows); i++) {
		const struct refused_row *row = &refused_rows[i];
		char *present = services_text(row->present, "s");
		char *wanted = services_text(row->wanted, row->prefix);
		struct tables *tables = step(empty(&row->capacity), present);

		assert_refused(row->name, tables, wanted, row->line);
		tables = step(tables, present);
		if (row->in_two_steps)
			tables = step(step(tables, ""), wanted);
		tables_free(tables);
		free(present);
		free(wanted);
	}
}

/* The nth of the services that are all looked for from the table's last position on. */
static uint32_t crowding(uint32_t n, uint32_t mask)
{
	struct weir_service_key key = { .port = htons(80), .protocol = IPPROTO_TCP,
					.family = WEIR_IPV4 };

	for (uint32_t i = 0; ; i++) {
		key.address[0] = inet_addr("203.0.0.0") + htonl(i);
		if ((weir_service_hash(&key) & mask) == mask && !n--)
			return i;
	}
}

static void a_crowded_place_is_refused(void **state)
{
	static const struct config_capacity capacity = {
		.services = 64, .backends = 2, .slots = 4096, .limit_cells = 1024,
	};
	uint32_t mask = service_positions(capacity.services) - 1, last;
	struct tables *tables = empty(&capacity);
	struct text services = {};
	char line[256];

	for (uint32_t n = 0; n < WEIR_SERVICE_PROBES; n++)
		add_service(&services, "s", crowding(n, mask), 0);
	tables = step(tables, services.start);
	for (uint32_t n = 0; n < WEIR_SERVICE_PROBES; n++)
		assert_int_equal(tables->services[n].position, (mask + n) & mask);

	last = crowding(WEIR_SERVICE_PROBES, mask);
	add_service(&services, "s", last, 0);
	snprintf(line, sizeof(line), "s%u: no free place in the service table: "
		 "raise capacity.services (now 64" TWO_STEPS, last);
	assert_refused("crowded", tables, services.start, line);
	tables_free(tables);
	free(services.start);
}

/* Left by an agent that was killed: not free before it is deleted. */
static void a_stray_record_is_not_overwritten(void **state)
{
	struct tables *tables = first(WEB(B1));
	uint32_t position = service(tables, "web")->position;

	tables_free(tables);
	tables = empty(&roomy);
	tables->strays = malloc(sizeof(*tables->strays));
	tables->strays[0] = position;
	tables->stray_count = 1;
	tables = step(tables, WEB(B1));
	assert_int_not_equal(service(tables, "web")->position, position);
	assert_int_equal(tables->stray_count, 0);
	tables_free(tables);
}

/* A configuration that config.c accepts must not fail for where its addresses hash to. */
static void services_up_to_capacity_find_a_position(void **state)
{
	static const struct {
		const char *name, *format;
	} rows[] = {
		{ "hosts", "203.0.%u.%u" }, { "/16 networks", "%u.%u.0.1" },
		{ "/24 networks", "10.%u.%u.1" },
		{ "IPv6 hosts", "2001:db8::%x:%x" }, { "IPv6 networks", "2001:db8:%x:%x::1" },
		{ "IPv6 by MAC", "2001:db8::211:22ff:fe%02x:%x" },
	};
	static const struct config_capacity capacity = {
		.services = 2048, .backends = 2, .slots = 4096, .limit_cells = 1024,
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct text text = {};

		for (uint32_t n = 0; n < capacity.services; n++) {
			char address[64];

			snprintf(address, sizeof(address), rows[i].format, 1 + n / 256, n % 256);
			add(&text, "%s{'name': '%u', 'address': '%s', 'port': 80, "
			    "'protocol': 'tcp'}", n ? "," : "", n, address);
		}
		tables_free(step(empty(&capacity), text.start));
		free(text.start);
	}
}

/* --- balancers agree ------------------------------------------------------------------ */

/* The backend's address for a packet, as bpf/select.h finds it. */
static const char *owner(const struct tables *tables, const char *name, uint32_t source,
			 uint16_t port)
{
	const struct table_service *to = service(tables, name);
	const struct weir_service_key *key = &to->record.key;
	__be32 address[4] = { htonl(source) };
	uint16_t pair[] = { htons(port), key->port };
	uint32_t ports, slot;
	uint64_t hash;

	if (key->family == WEIR_IPV6)
		address[3] = htonl(port);
	memcpy(&ports, pair, sizeof(ports));
	hash = weir_flow_hash(&tables->settings, key->family, address, key->address, ports,
			      key->protocol);
	slot = to->slots[weir_scale(hash, to->record.ring.size)];
	return tables->backends[WEIR_SLOT_CURRENT(slot)].info.address;
}

/* They were told the same in another order, and one has a past that the other has not. */
static void two_balancers_agree_on_10000_flows(void **state)
{
	const char *heavy = "{'address': '10.0.0.9', 'weight': 7}";
	struct tables *one, *other;
	struct text a = {}, b = {};

	add(&a, WEB(B1 "," B2 "," B3 "," V1 "," "%s") "," DNS(V1 "," V2), heavy);
	add(&b, DNS(V2 "," V1) "," WEB("%s," V1 "," B3 "," B1 "," B2), heavy);
	one = first(a.start);
	other = first(SERVICE("mail", "203.0.113.25", BACKENDS(B1 "," B2)) "," WEB(B4 "," B3));
	other = step(other, WEB(V2 "," B2) "," DNS(V1));
	other = step(other, b.start);
	assert_int_not_equal(backend_index(one, "web", "10.0.0.1"),
			     backend_index(other, "web", "10.0.0.1"));
	for (uint32_t i = 0; i < 10000; i++) {
		const char *name = i % 2 ? "web" : "dns";
		uint32_t source = 0xc6336400 + i / 100;
		const char *chosen = owner(one, name, source, 1024 + i);

		assert_string_equal(chosen, owner(other, name, source, 1024 + i));
		assert_true(chosen[0]);
	}
	tables_free(one);
	tables_free(other);
	free(a.start);
	free(b.start);
}

/* --- any change ----------------------------------------------------------------------- */

static bool overlap(struct weir_ring a, struct weir_ring b)
{
	return a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}

static bool same_place(struct weir_ring a, struct weir_ring b)
{
	return a.offset == b.offset && a.size == b.size;
}

/* Rings lie apart, and away from what packets may be reading until the change is complete. */
static void check_place(const struct tables *present, const struct tables *tables, uint32_t index)
{
	const struct table_service *new = &tables->services[index];
	struct weir_ring ring = new->record.ring;

	assert_int_equal(ring.offset % WEIR_SLOTS_PER_LINE, 0);
	assert_true(ring.offset + ring.size <= tables->capacity.slots);
	for (uint32_t i = 0; i < tables->capacity.services; i++) {
		const struct table_service *other = &tables->services[i];
		const struct table_service *old = &present->services[i];

		if (i != index && ring.size && other->info.name[0])
			assert_false(overlap(ring, other->record.ring));
		if (ring.size && old->info.name[0] &&
		    (i != index || !same_place(ring, old->record.ring)))
			assert_false(overlap(ring, old->record.ring));
		if (i != index)
			assert_true(!other->info.name[0] || other->position != new->position);
		if (old->info.name[0] && old->position == new->position)
			assert_memory_equal(&old->record.key, &new->record.key,
					    sizeof(new->record.key));
	}
}

/* Every slot is what the ring builder says, in terms of addresses. */
static void check_slots(const struct config_service *config, const struct tables *tables,
			const uint8_t *seed)
{
	const struct table_service *new = service(tables, config->name);
	uint32_t size = ring_size(config->embedded.count);
	struct ring_backend members[64];
	uint16_t owner[4093];
	size_t count = config->embedded.count;

	assert_int_equal(new->record.ring.size, count ? size : 0);
	if (!count)
		return;
	for (size_t i = 0; i < count; i++) {
		const struct backend *backend = &config->embedded.backends[i];
		bool active = backend->state == BACKEND_ACTIVE;

		members[i] = (struct ring_backend){
			.address = backend->address,
			.index = tables_find_backend(tables, config->name, &backend->address) -
				 tables->backends,
			.weight = active ? backend->weight : 0,
		};
	}
	assert_int_equal(ring_build_maglev(members, count, seed, owner, size), 0);
	for (uint32_t i = 0; i < size; i++)
		assert_int_equal(new->slots[i], WEIR_SLOT(owner[i], 0));
}

static void check_service(const struct config *config, const struct config_service *wanted,
			  const struct tables *present, const struct tables *tables)
{
	const struct table_service *new = service(tables, wanted->name);
	const struct table_service *old = tables_find_service(present, wanted->name);
	uint32_t index = new->record.index;

	if (old)
		assert_int_equal(index, old->record.index);
	else
		assert_false(present->services[index].info.name[0]);
	for (size_t i = 0; i < wanted->embedded.count; i++) {
		const struct address *address = &wanted->embedded.backends[i].address;
		const struct table_backend *was, *is;

		is = tables_find_backend(tables, wanted->name, address);
		was = tables_find_backend(present, wanted->name, address);
		assert_non_null(is);
		assert_int_equal(is->record.service, index);
		if (was)
			assert_int_equal(is - tables->backends, was - present->backends);
		else
			assert_false(present->backends[is - tables->backends].info.service[0]);
	}
	check_place(present, tables, index);
	check_slots(wanted, tables, config->hash_seed);
}

static void add_random_backend(struct text *text, struct random *random, uint32_t service,
			       uint32_t n, bool more)
{
	uint32_t weight = random_below(random, 4);

	add(text, "%s{'address': '10.0.%u.%u', 'weight': %u, 'state': '%s'}", more ? "," : "",
	    service, n, weight, random_below(random, 5) ? "active" : "draining");
}

static struct config *random_config(struct random *random)
{
	struct text text = {};
	struct config *config;

	add(&text, "%s", "");
	for (uint32_t n = 0; n < 6; n++) {
		if (!random_below(random, 3))
			continue;
		add(&text, "%s{'name': 's%u', 'address': '203.0.113.%u', 'port': 80, "
		    "'protocol': 'tcp', 'backends': [", text.length ? "," : "", n,
		    n + 10 * (uint32_t)random_below(random, 2));
		for (uint32_t i = 0, some = 0, all = random_below(random, 40); i < all; i++)
			if (random_below(random, 4))
				add_random_backend(&text, random, n, i, some++);
		add(&text, "]}");
	}
	config = parse(SEED, SOURCE, text.start);
	free(text.start);
	return config;
}

/* Hundreds of random changes, the arena and the backends so scarce that some are refused. */
static void any_change_keeps_what_packets_read(void **state)
{
	static const struct config_capacity scarce = {
		.services = 12, .backends = 200, .slots = 24 * 1024, .limit_cells = 1024,
	};
	struct tables *present = empty(&scarce), *tables;
	struct random random = { 15 };
	int refused = 0, done = 0;

	while (done < 300) {
		struct config *config = random_config(&random);
		size_t backends = 0;
		struct error error;

		if (tables_build(config, find_hop, &special, present, &tables, &error)) {
			refused++;
			config_free(config);
			continue;
		}
		for (size_t i = 0; i < config->service_count; i++) {
			check_service(config, &config->services[i], present, tables);
			backends += config->services[i].embedded.count;
		}
		assert_int_equal(tables->service_count, config->service_count);
		assert_int_equal(tables->backend_count, backends);
		tables_free(present);
		present = tables;
		config_free(config);
		done++;
	}
	tables_free(present);
	print_message("%d changes, %d refused\n", done, refused);
	assert_true(refused > 10);
}

#define TEST(name) cmocka_unit_test_setup(name, forget_special)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_service_is_as_configured),
		TEST(a_backend_is_as_configured),
		TEST(limits_are_as_configured),
		TEST(only_usable_backends_have_slots),
		TEST(a_next_hop_never_changes_in_place),
		TEST(ring_size_follows_configured_backends),
		TEST(a_ring_keeps_its_place_while_it_has_its_size),
		TEST(a_service_without_backends_has_no_owner),
		TEST(churn_is_that_of_the_last_change),
		TEST(what_stays_keeps_its_index),
		TEST(backend_indices_are_given_out_round),
		TEST(every_backend_index_can_be_had),
		TEST(the_same_again_is_the_same),
		TEST(the_settings_entry_changes_with_the_settings),
		TEST(keys_are_derived_from_the_seed),
		TEST(what_does_not_fit_is_refused),
		TEST(a_crowded_place_is_refused),
		TEST(a_stray_record_is_not_overwritten),
		TEST(services_up_to_capacity_find_a_position),
		TEST(two_balancers_agree_on_10000_flows),
		TEST(any_change_keeps_what_packets_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
