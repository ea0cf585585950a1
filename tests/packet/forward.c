// SPDX-License-Identifier: BSD-2-Clause
/*
 * forward.c - what leaves: tunnels of each pair of families and l2, to the same and to
 * another interface; every byte of it; and when nothing may leave.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "site.h"

/* --- every lane forwards every kind of packet ------------------------------------------- */

struct row {
	const char *name;
	unsigned int in;	/* these variants; 0: all */
	struct recipe change;	/* to the request, where not 0 */
	bool no_payload;
};

static const struct row rows[] = {
	{ "request", .in = 0 },
	{ "no payload", .no_payload = true },
	{ "odd payload", .change = { .payload = 1 } },
	{ "1,400 bytes of payload", .change = { .payload = 1400 } },
	{ "short frame, padded", .no_payload = true, .change = { .pad_to = 60 } },
	{ "padded to 64", .change = { .payload = 2, .pad_to = 64 } },
	{ "more padding than packet", .change = { .pad_to = 300 } },
	{ "TOS, traffic class", .change = { .tos = 0xb8 } },
	{ "ECN: capable", .change = { .tos = 0x02 } },
	{ "ECN: congestion experienced", .change = { .tos = 0x03 } },
	{ "TOS of all ones", .change = { .tos = 0xff } },
	{ "TOS 0x0f", .change = { .tos = 0x0f } },
	{ "TOS 0xf0", .change = { .tos = 0xf0 } },
	{ "TTL 1", .change = { .ttl = 1 } },
	{ "TTL 255", .change = { .ttl = 255 } },
	{ "don't fragment", .in = V4, .change = { .fragment = 0x4000 } },
	{ "IPv4 id", .in = V4, .change = { .id = 0xfffe } },
	{ "4 bytes of IPv4 options", .in = V4, .change = { .ip_options = 4 } },
	{ "40 bytes of IPv4 options", .in = V4, .change = { .ip_options = 40 } },
	{ "IPv4 options, padded", .in = V4, .no_payload = true,
	  .change = { .ip_options = 8, .pad_to = 70 } },
	{ "flow label of all ones", .in = V6, .change = { .flow_label = 0xfffff } },
	{ "SYN", .in = TCP, .change = { .tcp_flags = TCP_SYN } },
	{ "SYN with data and options", .in = TCP,
	  .change = { .tcp_flags = TCP_SYN, .tcp_options = 20 } },
	{ "SYN and ACK", .in = TCP, .change = { .tcp_flags = TCP_SYN | TCP_ACK } },
	{ "FIN", .in = TCP, .change = { .tcp_flags = TCP_FIN } },
	{ "RST", .in = TCP, .change = { .tcp_flags = TCP_RST } },
	{ "40 bytes of TCP options", .in = TCP, .change = { .tcp_options = 40 } },
};

static void build(struct frame *frame, const struct row *row, struct recipe recipe)
{
	recipe.ip_options = row->change.ip_options;
	recipe.tcp_options = row->change.tcp_options;
	recipe.pad_to = row->change.pad_to;
	recipe.tos = row->change.tos;
	recipe.fragment = row->change.fragment;
	recipe.ttl = row->change.ttl ? row->change.ttl : recipe.ttl;
	recipe.id = row->change.id ? row->change.id : recipe.id;
	recipe.flow_label = row->change.flow_label ? row->change.flow_label : recipe.flow_label;
	recipe.tcp_flags = row->change.tcp_flags ? row->change.tcp_flags : recipe.tcp_flags;
	recipe.payload = row->change.payload ? row->change.payload : recipe.payload;
	if (row->no_payload)
		recipe.payload = 0;
	frame_build(frame, &recipe);
	assert_null(frame_fault(frame->data, frame->size));
}

static void run_row(void **state)
{
	const struct row *row = *state;

	for (int lane = 0; lane < LANE_FORWARDS; lane++) {
		for_each_variant(variant, row->in) {
			struct route route = lane_route(lane, variant);
			struct result result;
			struct frame frame;
			const char *fault;

			subject("%s", route.service);
			build(&frame, row, lane_request(lane, variant));
			expect_forward(site(), &frame, &route);

			run_frame(site(), &frame, &result);
			fault = frame_fault(result.data, result.size);
			check(!fault, "wrong %s in what came out", fault);
		}
	}
}

/*
 * The outer checksum's sum passes through all its values: with these addresses and this
 * length some of them carry once more after their carries were added.
 */
static void every_tos(void **state)
{
	for_each_variant(variant, 0) {
		struct recipe recipe = lane_request(LANE_IPIP_V4, variant);
		struct route route = lane_route(LANE_IPIP_V4, variant);
		struct frame frame;

		recipe.payload = 1420;
		for (int tos = 0; tos <= 0xff; tos++) {
			subject("%s, 0x%02x", variant->name, tos);
			recipe.tos = tos;
			frame_build(&frame, &recipe);
			expect_forward(site(), &frame, &route);
		}
	}
}

/* --- and drops what cannot leave -------------------------------------------------------- */

/* The largest packet that still fits, then one byte more. */
static void too_big(void **state)
{
	for (int lane = 0; lane < LANE_FORWARDS; lane++) {
		for_each_variant(variant, 0) {
			struct recipe recipe = lane_request(lane, variant);
			struct route route = lane_route(lane, variant);
			struct frame frame;

			subject("%s", route.service);
			recipe.payload = 0;
			frame_build(&frame, &recipe);
			recipe.payload = WORLD_MTU - lane_overhead(lane, variant) - frame.length;
			frame_build(&frame, &recipe);
			expect_forward(site(), &frame, &route);

			/* Padding is no part of the packet. */
			recipe.pad_to = frame.size + 8;
			frame_build(&frame, &recipe);
			expect_forward(site(), &frame, &route);

			recipe.payload++;
			frame_build(&frame, &recipe);
			expect_drop(site(), &frame, WEIR_DROP_too_big, route.service,
				    route.backend);
		}
	}
}

static void drop_in_lane(enum lane_id lane, enum weir_drop why, bool chosen)
{
	for_each_variant(variant, 0) {
		struct recipe recipe = lane_request(lane, variant);
		struct frame frame;

		subject("%s", variant->name);
		recipe.tcp_flags = TCP_SYN;
		frame_build(&frame, &recipe);
		expect_drop(site(), &frame, why, lane_service(lane, variant),
			    chosen ? lane_backend(lane, variant) : NULL);
	}
}

static void no_backend(void **state)
{
	drop_in_lane(LANE_EMPTY, WEIR_DROP_no_backend, false);
}

static void only_draining_backends(void **state)
{
	drop_in_lane(LANE_DRAINING, WEIR_DROP_no_backend, false);
}

static void no_next_hop(void **state)
{
	drop_in_lane(LANE_NO_HOP, WEIR_DROP_no_next_hop, true);
}

/*
 * A frame that is addressed to the next hop was balanced already and is only seen here:
 * it passes. A MAC that differs in any byte is another one.
 */
static void already_underway(void **state)
{
	for (int lane = 0; lane < LANE_FORWARDS; lane++) {
		for_each_variant(variant, 0) {
			struct recipe recipe = lane_request(lane, variant);
			struct route route = lane_route(lane, variant);
			struct frame frame, out;

			subject("%s", route.service);
			frame_build(&frame, &recipe);
			frame_on_route(site(), &frame, &route, &out);
			memcpy(frame.data, out.data, 6);
			expect_pass(site(), &frame);
			for (int byte = 0; byte < 6; byte++) {
				frame.data[byte] ^= 0x04;
				expect_forward(site(), &frame, &route);
				frame.data[byte] ^= 0x04;
			}
		}
	}
}

#define BOTH_TUNNELS							\
	"{'name': '4', 'address': '203.0.113.10', 'port': 81, 'protocol': 'tcp',"	\
	" 'backends': [{'address': '10.0.1.11'}]},"				\
	"{'name': '6', 'address': '203.0.113.10', 'port': 82, 'protocol': 'tcp',"	\
	" 'backends': [{'address': 'fd00::1:11'}]}"

/* The configuration's parser does not let this through; a table written wrong may. */
static void no_source(void **state)
{
	struct world *world = empty_world();
	struct recipe v4 = request(&variants[0], 81), v6 = request(&variants[0], 82);
	const struct route by_v4 = { "4", "10.0.1.11", .l2 = false };
	const struct route by_v6 = { "6", "fd00::1:11", .l2 = false };
	struct frame to_v4, to_v6;
	struct tables *next;
	struct error error;

	frame_build(&to_v4, &v4);
	frame_build(&to_v6, &v6);
	assert_int_equal(world_build(world, &next, &error, BOTH_TUNNELS), 0);
	next->settings.source_v4 = 0;
	world_apply(world, next);
	expect_drop(world, &to_v4, WEIR_DROP_no_source, by_v4.service, by_v4.backend);
	expect_forward(world, &to_v6, &by_v6);

	assert_int_equal(world_build(world, &next, &error, BOTH_TUNNELS), 0);
	memset(next->settings.source_v6, 0, sizeof(next->settings.source_v6));
	world_apply(world, next);
	expect_forward(world, &to_v4, &by_v4);
	expect_drop(world, &to_v6, WEIR_DROP_no_source, by_v6.service, by_v6.backend);
}

/*
 * Metadata in front of the frame takes all the headroom that the kernel does not need
 * itself (256 bytes less struct xdp_frame). Before 6.3 there could be 32 bytes of it.
 */
static void no_headroom(void **state)
{
	const struct arrival arrival = { .metadata = 216 };

	for (int lane = 0; lane < LANE_FORWARDS; lane++) {
		for_each_variant(variant, 0) {
			struct recipe recipe = lane_request(lane, variant);
			struct route route = lane_route(lane, variant);
			struct counters before, after;
			struct result result;
			struct frame frame;
			int err;

			subject("%s", route.service);
			frame_build(&frame, &recipe);
			counters_read(site(), &before);
			err = run_frame_as(site(), &frame, &arrival, &result);
			if (err == -EINVAL) {
				print_error("this kernel takes less metadata in a test run\n");
				skip();
			}
			check(!err, "test run: %s", strerror(-err));
			counters_read(site(), &after);
			if (route.l2) {
				check(result.verdict != XDP_DROP, "dropped, but l2 adds nothing");
				continue;
			}
			check(result.verdict == XDP_DROP, "verdict %s",
			      verdict_name(result.verdict));
			check(after.drops.no_headroom == before.drops.no_headroom + 1,
			      "not counted as no_headroom");
			check(!memcmp(result.data, frame.data, frame.size), "bytes changed");
		}
	}
}

/* --- next hops -------------------------------------------------------------------------- */

#define L2_SERVICE								\
	"{'name': 'web', 'address': '203.0.113.10', 'port': 80, 'protocol': 'tcp',"	\
	" 'forward': 'l2', 'backends': [{'address': '10.0.1.11'}]}"

/* Each change goes into the idle half of the record, so both halves are seen in use. */
static void next_hop_changes(void **state)
{
	const struct route route = { "web", "10.0.1.11", true };
	struct world *world = empty_world();
	struct recipe recipe = request(&variants[0], 80);
	struct frame frame;

	frame_build(&frame, &recipe);
	world_serve(world, L2_SERVICE);
	expect_forward(world, &frame, &route);

	world->moved = route.backend;
	for (uint8_t change = 1; change < 4; change++) {
		world->moved_hop = (struct next_hop){
			.status = NEXT_HOP_RESOLVED,
			.hop = {
				.ifindex = 1 + change % 2,
				.destination = { 2, 0xcc, 0, 0, 0, change },
				.source = { 2, 0xdd, 0, 0, 0, change },
				.mtu = frame.length,
			},
			.on_link = true,
		};
		subject("change %u", change);
		world_serve(world, L2_SERVICE);
		expect_forward(world, &frame, &route);
	}

	subject("smaller MTU");
	world->moved_hop.hop.mtu--;
	world_serve(world, L2_SERVICE);
	expect_drop(world, &frame, WEIR_DROP_too_big, "web", route.backend);

	subject("lost");
	world->moved_hop = (struct next_hop){ .status = NEXT_HOP_FAILED };
	world_serve(world, L2_SERVICE);
	expect_drop(world, &frame, WEIR_DROP_no_backend, "web", NULL);
}

/* --- interfaces ------------------------------------------------------------------------- */

#define TAPS 2

/* An interface of this test's own network namespace whose sent frames the test reads. */
struct tap {
	int fd;
	struct ifreq request;
	uint32_t index;
};

static struct tap taps[TAPS];

static void set_up_tap(struct tap *tap, int control)
{
	tap->request = (struct ifreq){ .ifr_flags = IFF_TAP | IFF_NO_PI };
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	check(tap->fd >= 0, "/dev/net/tun: %s", strerror(errno));
	check(!ioctl(tap->fd, TUNSETIFF, &tap->request), "TUNSETIFF: %s", strerror(errno));
	tap->index = if_nametoindex(tap->request.ifr_name);
	tap->request.ifr_flags = IFF_UP;
	check(!ioctl(control, SIOCSIFFLAGS, &tap->request), "%s up: %s",
	      tap->request.ifr_name, strerror(errno));
}

static int open_taps(void **state)
{
	int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	check(control >= 0, "socket: %s", strerror(errno));
	for (int i = 0; i < TAPS; i++)
		set_up_tap(&taps[i], control);
	close(control);
	return 0;
}

static void close_taps(void)
{
	for (int i = 0; i < TAPS; i++)
		close(taps[i].fd);
}

/* The frame itself, sent by a driver as if received on taps[0]. */
static int send_live(const struct world *world, const struct frame *frame)
{
	struct xdp_md context = {
		.data_end = frame->size,
		.ingress_ifindex = taps[0].index,
	};
	LIBBPF_OPTS(bpf_test_run_opts, options,
		.data_in = frame->data,
		.data_size_in = frame->size,
		.ctx_in = &context,
		.ctx_size_in = sizeof(context),
		.repeat = 1,
		.flags = BPF_F_TEST_XDP_LIVE_FRAMES,
	);

	return bpf_prog_test_run_opts(world->program, &options) ? -errno : 0;
}

/* Wait until the frame leaves by the tap; the kernel's own IPv6 chatter may come before. */
static bool left_by(const struct tap *tap, const struct frame *expected)
{
	struct pollfd ready = { .fd = tap->fd, .events = POLLIN };
	uint8_t data[FRAME_MAX];
	ssize_t size;

	while (poll(&ready, 1, 2000) > 0) {
		size = read(tap->fd, data, sizeof(data));
		if (size == (ssize_t)expected->size && !memcmp(data, expected->data, size))
			return true;
	}
	return false;
}

/* A test run only says "redirect"; live frames show where to. */
static void leaves_by_its_interface(void **state)
{
	struct world *world = empty_world();
	struct recipe recipe = request(&variants[0], 80);
	const struct route route = { "web", "10.0.1.11", true };
	struct result result;
	struct frame frame, out;
	int err;

	frame_build(&frame, &recipe);
	world->moved = route.backend;
	world->moved_hop = (struct next_hop){ .status = NEXT_HOP_RESOLVED, .on_link = true };
	for (int i = 0; i < TAPS; i++) {
		const struct arrival arrival = { .interface = taps[0].index };
		int verdict = i ? XDP_REDIRECT : XDP_TX;

		subject("tap %d", i);
		world->moved_hop.hop = (struct weir_next_hop){
			.ifindex = taps[i].index,
			.destination = { 2, 0xcc, 0, 0, 0, i },
			.source = { 2, 0xdd, 0, 0, 0, i },
			.mtu = WORLD_MTU,
		};
		world_serve(world, L2_SERVICE);
		frame_on_route(world, &frame, &route, &out);

		err = run_frame_as(world, &frame, &arrival, &result);
		check(!err, "test run: %s", strerror(-err));
		check(result.verdict == verdict, "verdict %s", verdict_name(result.verdict));
		err = send_live(world, &frame);
		check(!err, "live frame: %s", strerror(-err));
		check(left_by(&taps[i], &out), "the frame did not leave");
	}
	close_taps();
}

void forward_tests(struct suite *suite)
{
	for (size_t i = 0; i < ROWS(rows); i++)
		add_test(suite, run_row, &rows[i], "forward: %s", rows[i].name);
	add_test(suite, every_tos, NULL, "forward: every TOS");
	add_test(suite, too_big, NULL, "forward: too big");
	add_test(suite, already_underway, NULL, "forward: already underway");
	add_test(suite, no_backend, NULL, "forward: no backend");
	add_test(suite, only_draining_backends, NULL, "forward: only draining backends");
	add_test(suite, no_next_hop, NULL, "forward: no next hop");
	add_test(suite, no_source, NULL, "forward: no tunnel source");
	add_test(suite, no_headroom, NULL, "forward: no headroom");
	add_test(suite, next_hop_changes, NULL, "forward: the next hop changes");
	add_test(suite, leaves_by_its_interface, NULL, "forward: leaves by its interface");
	suite->tests[suite->count - 1].setup_func = open_taps;
}
