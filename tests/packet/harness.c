// SPDX-License-Identifier: BSD-2-Clause
/* harness.c - see harness.h: tests, hosts and packets. world.c has the rest. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include <weir/hash.h>

#include "harness.h"

/* --- tests ------------------------------------------------------------------------------ */

const struct variant variants[VARIANTS] = {
	{ 4, IPPROTO_TCP, "v4-tcp" },
	{ 4, IPPROTO_UDP, "v4-udp" },
	{ 6, IPPROTO_TCP, "v6-tcp" },
	{ 6, IPPROTO_UDP, "v6-udp" },
};

static char current_subject[128];

static int after_test(void **state)
{
	remove_fresh_world();
	subject("no subject");
	return 0;
}

void add_test(struct suite *suite, CMUnitTestFunction run, const void *row,
	      const char *format, ...)
{
	char *name = suite->names[suite->count];
	va_list args;

	assert_true(suite->count < ROWS(suite->tests));
	va_start(args, format);
	vsnprintf(name, sizeof(suite->names[0]), format, args);
	va_end(args);
	suite->tests[suite->count++] = (struct CMUnitTest){
		.name = name,
		.test_func = run,
		.teardown_func = after_test,
		.initial_state = (void *)row,
	};
}

void subject(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(current_subject, sizeof(current_subject), format, args);
	va_end(args);
}

void fail_subject(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	fail_msg("%s: %s", current_subject, text);
}

/* --- hosts ------------------------------------------------------------------------------ */

const char *host(enum host host, uint8_t family)
{
	static const char *const hosts[][2] = {
		[CLIENT] = { "192.0.2.7", "2001:db8:c::7" },
		[VIP] = { "203.0.113.10", "2001:db8:5::10" },
		[ANY_VIP] = { "203.0.113.20", "2001:db8:5::20" },
		[STRANGER] = { "203.0.113.99", "2001:db8:5::99" },
		[BALANCER] = { "198.51.100.1", "2001:db8::1" },
	};

	return hosts[host][family == 6];
}

uint8_t ip_bytes(const char *text, uint8_t bytes[16])
{
	bool v6 = strchr(text, ':');

	memset(bytes, 0, 16);
	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, text, bytes), 1);
	return v6 ? 6 : 4;
}

struct address ip_address(const char *text)
{
	struct address address = {};

	address.family = ip_bytes(text, (uint8_t *)address.word);
	return address;
}

void set_source(struct recipe *recipe, const char *text)
{
	assert_int_equal(ip_bytes(text, recipe->source), recipe->family);
}

void set_destination(struct recipe *recipe, const char *text)
{
	assert_int_equal(ip_bytes(text, recipe->destination), recipe->family);
}

struct recipe request(const struct variant *variant, uint16_t port)
{
	struct recipe recipe = {
		.family = variant->family,
		.protocol = variant->protocol,
		.source_port = 40000,
		.destination_port = port,
		.ttl = 57,
		.id = 0x1234,
		.flow_label = 0x54321,
		.tcp_flags = TCP_ACK,
		.payload = 33,
	};

	set_source(&recipe, host(CLIENT, variant->family));
	set_destination(&recipe, host(VIP, variant->family));
	return recipe;
}

/* xorshift64* (Vigna 2016). */
uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dULL;
}

/* --- run -------------------------------------------------------------------------------- */

int run_frame_as(const struct world *world, const struct frame *frame,
		 const struct arrival *arrival, struct result *result)
{
	uint8_t in[FRAME_MAX] = {}, out[FRAME_MAX];
	struct xdp_md context = {
		.data = arrival->metadata,
		.data_end = arrival->metadata + frame->size,
		.ingress_ifindex = arrival->interface,
	};
	LIBBPF_OPTS(bpf_test_run_opts, options,
		.data_in = in,
		.data_size_in = context.data_end,
		.data_out = out,
		.data_size_out = sizeof(out),
	);

	memcpy(in + arrival->metadata, frame->data, frame->size);
	if (arrival->interface || arrival->metadata) {
		options.ctx_in = &context;
		options.ctx_size_in = sizeof(context);
	}
	if (bpf_prog_test_run_opts(world->program, &options))
		return -errno;
	result->verdict = options.retval;
	result->size = options.data_size_out - arrival->metadata;
	memcpy(result->data, out + arrival->metadata, result->size);
	return 0;
}

void run_frame(const struct world *world, const struct frame *frame, struct result *result)
{
	int err = run_frame_as(world, frame, &(struct arrival){}, result);

	check(!err, "test run of %zu bytes: %s", frame->size, strerror(-err));
}

int verdict_of(const struct world *world, const struct frame *frame)
{
	struct result result;

	run_frame(world, frame, &result);
	return result.verdict;
}

const char *verdict_name(int verdict)
{
	static const char *const names[] = {
		[XDP_ABORTED] = "aborted", [XDP_DROP] = "drop", [XDP_PASS] = "pass",
		[XDP_TX] = "tx", [XDP_REDIRECT] = "redirect",
	};

	return verdict >= 0 && verdict < (int)ROWS(names) ? names[verdict] : "unknown";
}

/* --- expectations ----------------------------------------------------------------------- */

static void check_bytes(const struct result *result, const struct frame *expected)
{
	check(result->size == expected->size, "%zu bytes came out, expected %zu", result->size,
	      expected->size);
	for (size_t i = 0; i < expected->size; i++)
		check(result->data[i] == expected->data[i],
		      "byte %zu is 0x%02x, expected 0x%02x", i, result->data[i],
		      expected->data[i]);
}

static void expect_outcome(const struct world *world, const struct frame *frame, int verdict,
			   const struct frame *out, const struct counters *expected)
{
	struct counters after;
	struct result result;

	run_frame(world, frame, &result);
	check(result.verdict == verdict, "verdict %s, expected %s",
	      verdict_name(result.verdict), verdict_name(verdict));
	check_bytes(&result, out);
	counters_read(world, &after);
	counters_check(&after, expected);
}

void expect_pass(const struct world *world, const struct frame *frame)
{
	struct counters expected;

	counters_read(world, &expected);
	expected.totals.passed_packets++;
	expect_outcome(world, frame, XDP_PASS, frame, &expected);
}

static void add_drop(struct weir_drop_counters *drops, enum weir_drop why)
{
	switch (why) {
#define ADD_DROP(name, text) case WEIR_DROP_##name: drops->name++; break;
	WEIR_DROP_REASONS(ADD_DROP)
#undef ADD_DROP
	default:
		fail_subject("no such drop reason: %d", why);
	}
}

/* `backend` is NULL for what is dropped before one was chosen. */
void expect_drop(const struct world *world, const struct frame *frame, enum weir_drop why,
		 const char *service, const char *backend)
{
	struct weir_service_counters *of_service;
	struct counters expected;

	counters_read(world, &expected);
	expected.totals.dropped_packets++;
	add_drop(&expected.drops, why);
	of_service = &expected.service[service_index(world, service)];
	if (why == WEIR_DROP_limited) {
		of_service->limited_packets++;
		of_service->limited_bytes += frame->length;
	} else {
		of_service->dropped_packets++;
	}
	if (backend)
		expected.backend[backend_index(world, service, backend)].dropped_packets++;
	expect_outcome(world, frame, XDP_DROP, frame, &expected);
}

/* RFC 6438: the outer label is the flow's, here its hash. */
static uint32_t flow_label(const struct world *world, const struct frame *frame)
{
	const uint8_t *ip = frame->data + ETHERNET_SIZE;
	bool v4 = ip[0] >> 4 == 4;
	__be32 source[4] = {}, destination[4] = {};
	uint32_t ports;

	memcpy(source, ip + (v4 ? 12 : 8), v4 ? 4 : 16);
	memcpy(destination, ip + (v4 ? 16 : 24), v4 ? 4 : 16);
	memcpy(&ports, frame->data + frame->transport, sizeof(ports));
	return weir_flow_hash(&world->present->settings, v4 ? WEIR_IPV4 : WEIR_IPV6, source,
			      destination, ports, v4 ? ip[9] : ip[6]) & 0xfffff;
}

int frame_on_route(const struct world *world, const struct frame *frame,
		   const struct route *route, struct frame *out)
{
	struct outer outer = { .flow_label = flow_label(world, frame) };
	struct weir_next_hop hop;

	outer.family = ip_bytes(route->backend, outer.destination);
	ip_bytes(host(BALANCER, outer.family), outer.source);
	hop = world_hop(outer.destination, outer.family);
	if (world->moved && !strcmp(world->moved, route->backend))
		hop = world->moved_hop.hop;

	if (route->l2)
		*out = *frame;
	else
		frame_encapsulate(out, frame, &outer);
	frame_set_macs(out, hop.destination, hop.source);
	return hop.ifindex == 1 ? XDP_TX : XDP_REDIRECT;
}

void expect_forward(const struct world *world, const struct frame *frame,
		    const struct route *route)
{
	struct weir_service_counters *service;
	struct weir_backend_counters *backend;
	struct counters expected;
	struct frame out;
	int verdict = frame_on_route(world, frame, route, &out);

	counters_read(world, &expected);
	service = &expected.service[service_index(world, route->service)];
	backend = &expected.backend[backend_index(world, route->service, route->backend)];
	service->packets++;
	service->bytes += frame->length;
	service->new_flows += frame_opens_flow(frame);
	backend->packets++;
	backend->bytes += frame->length;
	backend->new_flows += frame_opens_flow(frame);
	expected.totals.forwarded_packets++;
	expect_outcome(world, frame, verdict, &out, &expected);
}
