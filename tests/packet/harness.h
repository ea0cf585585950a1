/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness.h - a real data plane in a private folder of the BPF file system, packets
 * through it by BPF_PROG_TEST_RUN, and what must come out: verdict, every byte and
 * every counter. Attached to nothing; no packet of this machine meets it.
 */
#ifndef WEIR_TESTS_HARNESS_H
#define WEIR_TESTS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "dataplane/dataplane.h"
#include "frame.h"

/* --- tests ------------------------------------------------------------------------------ */

/* Every row of a table is run once for each of these that it allows. */
struct variant {
	uint8_t family;
	uint8_t protocol;
	const char *name;	/* "v4-tcp" */
};

enum {
	V4_TCP = 1, V4_UDP = 2, V6_TCP = 4, V6_UDP = 8,
	V4 = V4_TCP | V4_UDP, V6 = V6_TCP | V6_UDP,
	TCP = V4_TCP | V6_TCP, UDP = V4_UDP | V6_UDP,
};

#define VARIANTS 4
extern const struct variant variants[VARIANTS];

/* All variants of the set; 0 stands for all there are. */
#define for_each_variant(v, set)						\
	for (const struct variant *v = variants; v < variants + VARIANTS; v++)	\
		if (in_set(v, set))

static inline bool in_set(const struct variant *variant, unsigned int set)
{
	return !set || set & 1 << (variant - variants);
}

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#define SUITE_MAX 512

struct suite {
	struct CMUnitTest tests[SUITE_MAX];
	char names[SUITE_MAX][96];
	size_t count;
};

/* `run` finds `row` in *state. What it made with fresh_world() is removed behind it. */
void add_test(struct suite *suite, CMUnitTestFunction run, const void *row,
	      const char *format, ...) __attribute__((format(printf, 4, 5)));

/* What of a row is being tried, for messages. */
void subject(const char *format, ...) __attribute__((format(printf, 1, 2)));
void fail_subject(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define check(condition, ...) do { if (!(condition)) fail_subject(__VA_ARGS__); } while (0)

/* The suites, one a file. */
void parse_tests(struct suite *suite);
void classify_tests(struct suite *suite);
void forward_tests(struct suite *suite);
void truncate_tests(struct suite *suite);
void select_tests(struct suite *suite);
void limit_tests(struct suite *suite);
void cells_tests(struct suite *suite);
void services_tests(struct suite *suite);
void apply_tests(struct suite *suite);
void adopt_tests(struct suite *suite);

/* --- hosts ------------------------------------------------------------------------------ */

enum host {
	CLIENT,
	VIP,		/* of most services */
	ANY_VIP,	/* of those on any port */
	STRANGER,	/* no service's */
	BALANCER,	/* source of the tunnels */
};

const char *host(enum host host, uint8_t family);

/* Text to four bytes, or 16; the rest is zero. Returns the family. */
uint8_t ip_bytes(const char *text, uint8_t bytes[16]);
struct address ip_address(const char *text);

/* From CLIENT, port 40000, to a port of VIP. */
struct recipe request(const struct variant *variant, uint16_t port);
void set_source(struct recipe *recipe, const char *text);
void set_destination(struct recipe *recipe, const char *text);

/* A fixed sequence of numbers from each seed. */
uint64_t random_next(uint64_t *state);

/* --- world ------------------------------------------------------------------------------ */

#define WORLD_SERVICES	64
#define WORLD_BACKENDS	64
#define WORLD_MTU	1500

enum { SERVICE_COUNTERS, BACKEND_COUNTERS, DROP_COUNTERS, TOTALS, COUNTER_MAPS };

struct world {
	char name[16];		/* "": closed */
	char dir[128];
	const char *seed;	/* of the next world_build() */
	struct config_capacity capacity;
	struct dataplane *dataplane;
	struct tables *present;
	int program;
	int counter_maps[COUNTER_MAPS];

	/* One backend whose next hop is not as world_hop() has it; NULL: none. */
	const char *moved;
	struct next_hop moved_hop;
};

extern const struct config_capacity world_capacity;

/* The folder that holds those of all worlds; main() removes it whatever happens. */
const char *worlds_dir(void);

/*
 * A world that many tests use, made when first asked for, kept until the last one ends:
 * the kernel takes 0.1 s to verify the program.
 */
struct world *kept_world(const char *name, const struct config_capacity *capacity);
void remove_kept_worlds(void);

/* A kept one, without services. */
struct world *empty_world(void);

/* A new one for one test, of another capacity or to be spoiled; a second call removes it. */
struct world *fresh_world(const struct config_capacity *capacity);
void remove_fresh_world(void);

/* Close the data plane; adopt it again, as a new agent does, closing it first if need be. */
void world_let_go(struct world *world);
void world_adopt(struct world *world);

/* Remove a folder and all that is in it. */
void remove_tree(const char *dir);

/*
 * Where frames for a backend leave: its subnet is the interface's index (10.0.2.11,
 * fd00::2:11: 2), its last byte is the MAC's. In test runs packets come in by 1, lo.
 */
struct weir_next_hop world_hop(const uint8_t address[16], uint8_t family);

/*
 * Tables for these services, JSON objects with ' for ". 0, or what tables_build()
 * returned; what the configuration's parser refuses fails the test.
 */
int world_build(struct world *world, struct tables **next, struct error *error,
		const char *services);

/* Make the kernel's tables hold `next`, which is the world's from now on. */
void world_apply(struct world *world, struct tables *next);

/* Both; the services as by printf. */
void world_serve(struct world *world, const char *services, ...)
	__attribute__((format(printf, 2, 3)));

/* Whether two hold the same, but for what only userspace keeps. */
void tables_check(const struct tables *actual, const struct tables *expected);

uint32_t service_index(const struct world *world, const char *service);
uint32_t backend_index(const struct world *world, const char *service, const char *address);

/* A second file descriptor of a pinned map. The caller closes it. */
int open_pin(const struct world *world, const char *name);

/* --- counters --------------------------------------------------------------------------- */

/* All that is counted, summed over CPUs. */
struct counters {
	struct weir_service_counters service[WORLD_SERVICES];
	struct weir_backend_counters backend[WORLD_BACKENDS];
	struct weir_drop_counters drops;
	struct weir_totals totals;
};

void counters_read(const struct world *world, struct counters *counters);
void counters_check(const struct counters *actual, const struct counters *expected);

/* --- packets ---------------------------------------------------------------------------- */

struct arrival {
	uint32_t interface;	/* 0: 1, lo */
	uint32_t metadata;	/* bytes in front of the frame, taken from the headroom */
};

struct result {
	int verdict;
	size_t size;
	uint8_t data[FRAME_MAX];
};

/* 0, or -errno of a kernel that cannot do this. */
int run_frame_as(const struct world *world, const struct frame *frame,
		 const struct arrival *arrival, struct result *result);
void run_frame(const struct world *world, const struct frame *frame, struct result *result);

/* The verdict alone. */
int verdict_of(const struct world *world, const struct frame *frame);
const char *verdict_name(int verdict);

/* Where a packet must go. */
struct route {
	const char *service;
	const char *backend;
	bool l2;
};

/* What must leave for `frame`, and the route's verdict for it. */
int frame_on_route(const struct world *world, const struct frame *frame,
		   const struct route *route, struct frame *out);

/* Send a frame; check verdict, bytes, and the changes of all counters. */
void expect_pass(const struct world *world, const struct frame *frame);
void expect_drop(const struct world *world, const struct frame *frame, enum weir_drop why,
		 const char *service, const char *backend);
void expect_forward(const struct world *world, const struct frame *frame,
		    const struct route *route);

#endif
