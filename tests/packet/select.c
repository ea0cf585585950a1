// SPDX-License-Identifier: BSD-2-Clause
/*
 * select.c - which backend: the one whose slot the flow's hash falls on, by the same
 * hash in C and the slots that the tables hold.
 */
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>

#include <weir/hash.h>

#include "harness.h"

#define FLOWS 10000
#define FEW_FLOWS 500
#define BACKENDS 3

static const char *const backends[BACKENDS] = { "10.0.1.11", "10.0.1.12", "10.0.1.13" };
static const unsigned int weights[BACKENDS] = { 1, 2, 3 };

/* A service of all ports for each variant, all with the same backends, in this order. */
static void serve(struct world *world, const int order[BACKENDS])
{
	char list[256] = "", text[VARIANTS][512];
	size_t length = 0;

	for (int i = 0; i < BACKENDS; i++)
		length += snprintf(list + length, sizeof(list) - length,
				   "%s{'address': '%s', 'weight': %u}", i ? ", " : "",
				   backends[order[i]], weights[order[i]]);
	for_each_variant(variant, 0)
		snprintf(text[variant - variants], sizeof(text[0]),
			 "{'name': '%s', 'address': '%s', 'port': 'any', 'protocol': '%s',"
			 " 'backends': [%s]}", variant->name, host(VIP, variant->family),
			 variant->name + strlen("v4-"), list);
	world_serve(world, "%s, %s, %s, %s", text[0], text[1], text[2], text[3]);
}

static struct world *new_world(void)
{
	struct world *world = empty_world();

	serve(world, (int[]){ 0, 1, 2 });
	return world;
}

static struct recipe random_flow(const struct variant *variant, uint64_t *state)
{
	struct recipe recipe = request(variant, random_next(state));

	for (size_t i = 0; i < sizeof(recipe.source); i += 8)
		put32(recipe.source + i, random_next(state));
	if (variant->family == 4)
		memset(recipe.source + 4, 0, sizeof(recipe.source) - 4);
	recipe.source_port = random_next(state);
	recipe.payload = random_next(state) % 64;
	return recipe;
}

static int number_of(const uint8_t address[4])
{
	uint8_t bytes[16];

	for (int i = 0; i < BACKENDS; i++) {
		ip_bytes(backends[i], bytes);
		if (!memcmp(address, bytes, 4))
			return i;
	}
	fail_subject("no backend's address in the outer header");
	return -1;
}

/* The backend that the packet went to. */
static int chosen(const struct world *world, const struct recipe *recipe)
{
	struct result result;
	struct frame frame;

	frame_build(&frame, recipe);
	run_frame(world, &frame, &result);
	check(result.verdict == XDP_TX, "verdict %s", verdict_name(result.verdict));
	return number_of(result.data + ETHERNET_SIZE + 16);
}

/* The backend that it must go to. */
static int computed(const struct world *world, const struct recipe *recipe, const char *name)
{
	const struct table_service *service = tables_find_service(world->present, name);
	__be32 source[4], destination[4];
	uint8_t port_bytes[4];
	uint32_t ports, slot, index;
	uint64_t hash;

	memcpy(source, recipe->source, sizeof(source));
	memcpy(destination, recipe->destination, sizeof(destination));
	put16(port_bytes, recipe->source_port);
	put16(port_bytes + 2, recipe->destination_port);
	memcpy(&ports, port_bytes, sizeof(ports));
	hash = weir_flow_hash(&world->present->settings, recipe->family, source, destination,
			      ports, recipe->protocol);
	slot = service->slots[weir_scale(hash, service->record.ring.size)];
	index = WEIR_SLOT_CURRENT(slot);
	return number_of((const uint8_t *)world->present->backends[index].record.address);
}

/* Share of flows that go the same way in both. */
static double agreement(const int *one, const int *other)
{
	int same = 0;

	for (int i = 0; i < FEW_FLOWS; i++)
		same += one[i] == other[i];
	return (double)same / FEW_FLOWS;
}

static void choose_few(const struct world *world, const struct variant *variant, int *choice)
{
	uint64_t state = 7;

	for (int i = 0; i < FEW_FLOWS; i++) {
		struct recipe recipe = random_flow(variant, &state);

		choice[i] = chosen(world, &recipe);
		check(choice[i] == computed(world, &recipe, variant->name), "flow %d went to %s",
		      i, backends[choice[i]]);
	}
}

/* --- tests ------------------------------------------------------------------------------ */

static void random_flows(void **state)
{
	struct world *world = new_world();
	uint64_t numbers = 1;

	for_each_variant(variant, 0) {
		int count[BACKENDS] = {};
		struct counters counters;

		subject("%s", variant->name);
		for (int i = 0; i < FLOWS; i++) {
			struct recipe recipe = random_flow(variant, &numbers);
			int backend = chosen(world, &recipe);

			check(backend == computed(world, &recipe, variant->name),
			      "flow %d went to %s", i, backends[backend]);
			count[backend]++;
		}
		counters_read(world, &counters);
		for (int i = 0; i < BACKENDS; i++) {
			uint32_t index = backend_index(world, variant->name, backends[i]);
			double share = (double)count[i] / FLOWS, due = weights[i] / 6.0;

			check(share > due - 0.02 && share < due + 0.02, "%s got %f of the flows",
			      backends[i], share);
			check(counters.backend[index].packets == (uint64_t)count[i],
			      "%s is counted %ju packets, not %d", backends[i],
			      (uintmax_t)counters.backend[index].packets, count[i]);
		}
	}
}

/* Nothing but the 5-tuple has a say. */
static void flow_stays(void **state)
{
	struct world *world = new_world();
	uint64_t numbers = 2;

	for_each_variant(variant, 0)
		for (int i = 0; i < FEW_FLOWS; i++) {
			struct recipe recipe = random_flow(variant, &numbers);
			int first = chosen(world, &recipe);

			subject("%s, flow %d", variant->name, i);
			for (int packet = 0; packet < 8; packet++) {
				recipe.payload = random_next(&numbers) % 1000;
				recipe.tos = random_next(&numbers);
				recipe.ttl = random_next(&numbers);
				recipe.id = random_next(&numbers);
				recipe.flow_label = random_next(&numbers) & 0xfffff;
				recipe.tcp_flags = packet ? random_next(&numbers) : TCP_SYN;
				if (variant->family == 4)
					recipe.ip_options = random_next(&numbers) % 11 * 4;
				check(chosen(world, &recipe) == first, "packet %d strayed",
				      packet);
			}
		}
}

/* All but one byte of the tuple fixed: its 256 values spread over all backends. */
static void every_byte_counts(void **state)
{
	struct world *world = new_world();

	for_each_variant(variant, 0) {
		size_t size = variant->family == 4 ? 4 : 16;

		for (size_t byte = 0; byte < size + 4; byte++) {
			struct recipe recipe = request(variant, 443);
			int count[BACKENDS] = {};

			subject("%s, byte %zu", variant->name, byte);
			for (int value = 0; value < 256; value++) {
				if (byte < size)
					recipe.source[byte] = value;
				else if (byte < size + 2)
					recipe.source_port = value << 8 * (byte - size);
				else
					recipe.destination_port = value << 8 * (byte - size - 2);
				count[chosen(world, &recipe)]++;
			}
			check(count[0] > 15 && count[1] > 45 && count[2] > 80,
			      "backends got %d, %d, %d of 256", count[0], count[1], count[2]);
		}
	}
}

/* Chance lets 14 of 36 flows go the same way, by the weights. */
static void check_unrelated(const int *one, const int *other)
{
	double same = agreement(one, other);

	check(same > 0.32 && same < 0.46, "%f of the flows go the same way", same);
}

static void protocol_counts(void **state)
{
	int tcp[FEW_FLOWS], udp[FEW_FLOWS];
	struct world *world = new_world();

	for (int family = 0; family < 2; family++) {
		subject("%s and %s", variants[2 * family].name, variants[2 * family + 1].name);
		choose_few(world, &variants[2 * family], tcp);
		choose_few(world, &variants[2 * family + 1], udp);
		check_unrelated(tcp, udp);
	}
}

/* The idle half of the settings takes the new keys, each time the other one. */
static void seed_changes(void **state)
{
	static const char *const seeds[] = {
		"10112233445566778899aabbccddeeff", "00112233445566778899aabbccddeefe",
		"00112233445566778899aabbccddeeff",
	};
	static int choice[ROWS(seeds)][VARIANTS][FEW_FLOWS];
	struct world *world = new_world();
	uint8_t entry = world->present->settings_entry;

	for (size_t i = 0; i < ROWS(seeds); i++) {
		world->seed = seeds[i];
		serve(world, (int[]){ 0, 1, 2 });
		check(world->present->settings_entry != entry, "settings entry %u again", entry);
		entry = world->present->settings_entry;
		for_each_variant(variant, 0) {
			size_t v = variant - variants;

			subject("%s, seed %zu", variant->name, i);
			choose_few(world, variant, choice[i][v]);
			if (i)
				check_unrelated(choice[i - 1][v], choice[i][v]);
		}
	}
}

/* Two balancers that were told of the backends in different orders. */
static void order_does_not_matter(void **state)
{
	static int choice[2][VARIANTS][FEW_FLOWS];

	for (int i = 0; i < 2; i++) {
		struct world *world = empty_world();

		serve(world, i ? (int[]){ 2, 0, 1 } : (int[]){ 0, 1, 2 });
		for_each_variant(variant, 0)
			choose_few(world, variant, choice[i][variant - variants]);
	}
	for_each_variant(variant, 0) {
		size_t v = variant - variants;

		subject("%s", variant->name);
		check(agreement(choice[0][v], choice[1][v]) == 1, "they disagree");
	}
}

/* Rewrite every slot of every service, and put it into the kernel. */
static void change_slots(struct world *world, uint32_t (*change)(uint32_t slot, uint32_t at))
{
	const struct tables *present = world->present;
	struct tables *next = NULL;
	struct error error;

	assert_int_equal(dataplane_read(world->dataplane, &next, &error), 0);
	for (size_t i = 0; i < present->capacity.services; i++)
		for (uint32_t at = 0; at < present->services[i].record.ring.size; at++)
			next->services[i].slots[at] =
				change(present->services[i].slots[at], at);
	world_apply(world, next);
}

/* Moved to another backend and pinned by turns. */
static uint32_t move_or_pin(uint32_t slot, uint32_t at)
{
	uint32_t current = WEIR_SLOT_CURRENT(slot);

	return WEIR_SLOT(current, at % 2 ? current : current % 12 + 1);
}

static void moved_and_pinned_slots(void **state)
{
	struct world *world = new_world();
	int before[FEW_FLOWS], after[FEW_FLOWS];

	for_each_variant(variant, 0) {
		subject("%s", variant->name);
		serve(world, (int[]){ 0, 1, 2 });
		choose_few(world, variant, before);
		change_slots(world, move_or_pin);
		choose_few(world, variant, after);
		check(agreement(before, after) == 1, "a slot's previous backend was chosen");
	}
}

static uint32_t to_nobody(uint32_t slot, uint32_t at)
{
	return WEIR_SLOT(0, WEIR_SLOT_CURRENT(slot));
}

static uint32_t beyond_the_table(uint32_t slot, uint32_t at)
{
	return WEIR_SLOT(WORLD_BACKENDS + at, WEIR_SLOT_CURRENT(slot));
}

static void slots_without_backend(void **state)
{
	struct world *world = new_world();

	for (int i = 0; i < 2; i++) {
		change_slots(world, i ? beyond_the_table : to_nobody);
		for_each_variant(variant, 0) {
			struct recipe recipe = request(variant, 443);
			struct frame frame;

			subject("%s, %s", variant->name, i ? "beyond the table" : "nobody");
			frame_build(&frame, &recipe);
			expect_drop(world, &frame, WEIR_DROP_no_backend, variant->name, NULL);
		}
	}
}

void select_tests(struct suite *suite)
{
	add_test(suite, random_flows, NULL, "select: random flows");
	add_test(suite, flow_stays, NULL, "select: a flow stays");
	add_test(suite, every_byte_counts, NULL, "select: every byte of the tuple counts");
	add_test(suite, protocol_counts, NULL, "select: the protocol counts");
	add_test(suite, seed_changes, NULL, "select: the seed changes");
	add_test(suite, order_does_not_matter, NULL,
		 "select: the order of backends does not matter");
	add_test(suite, moved_and_pinned_slots, NULL, "select: moved and pinned slots");
	add_test(suite, slots_without_backend, NULL, "select: slots without a backend");
}
