/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * limit.h - the limiter: one token bucket per source prefix and rule.
 *
 * Buckets live in a set-associative table: a source's hash names a line of four
 * cells, one cache line. A source that is not in its line takes the cell with the
 * least debt. A full bucket (no debt) holds no information, so evicting it loses
 * nothing, and a source that is being limited (most debt) is evicted last.
 */
#ifndef WEIR_LIMIT_H
#define WEIR_LIMIT_H

#include <weir/hash.h>
#include <weir/limiter.h>

#include "maps.h"
#include "packet.h"
#include "stats.h"

/* How often another CPU may win the race for one cell before the packet is refused. */
#define CELL_ATTEMPTS 8

/*
 * The cell of this key, taking over the one with the least debt if it has none, whose
 * owner's debt must not count for us. NULL: another CPU took that one first.
 */
static __always_inline struct weir_limit_cell *claim_cell(struct weir_limit_line *line,
							  __u64 key, __u64 now)
{
	struct weir_limit_cell *victim = &line->cell[0];
	__s64 least = 0x7fffffffffffffffLL;
	__u64 old_key = 0, old_tat = 0;

#pragma unroll
	for (int i = 0; i < WEIR_CELLS_PER_LINE; i++) {
		struct weir_limit_cell *cell = &line->cell[i];
		__u64 owner = *(volatile __u64 *)&cell->key;
		__u64 tat = *(volatile __u64 *)&cell->tat;
		__s64 debt = owner ? (__s64)(tat - now) : -0x7fffffffffffffffLL;

		if (owner == key)
			return cell;
		if (debt < least) {
			least = debt;
			victim = cell;
			old_key = owner;
			old_tat = tat;
		}
	}

	if (__sync_val_compare_and_swap(&victim->key, old_key, key) != old_key)
		return victim->key == key ? victim : NULL;	/* another CPU was faster */
	if (old_key && least > 0)
		count_total(limit_evictions_in_debt);
	__sync_val_compare_and_swap(&victim->tat, old_tat, now);
	return victim;
}

/* Exact on any number of CPUs: each admission is one compare-and-swap of the cell. */
static __always_inline bool admit(struct weir_limit_cell *cell, __u64 now,
				  const struct weir_limit_rule *rule)
{
	__u64 tat = *(volatile __u64 *)&cell->tat;

	for (int i = 0; i < CELL_ATTEMPTS; i++) {
		__u64 next, seen;
		bool ok = weir_bucket_take(tat, now, rule->cost, rule->burst_time, &next);

		if (next == tat)
			return ok;
		seen = __sync_val_compare_and_swap(&cell->tat, tat, next);
		if (seen == tat)
			return ok;
		tat = seen;
	}
	count_total(limit_contended);
	return false;
}

static __always_inline void mask_source(const struct packet *packet,
					const struct weir_limit_rule *rule, __be32 *source)
{
	if (packet->destination.family == WEIR_IPV4) {
		source[0] = packet->source[0] & rule->mask_v4;
		return;
	}
	source[0] = packet->source[0] & rule->mask_v6[0];
	source[1] = packet->source[1] & rule->mask_v6[1];
	source[2] = packet->source[2] & rule->mask_v6[2];
	source[3] = packet->source[3] & rule->mask_v6[3];
}

static __always_inline enum verdict limit(struct packet *packet)
{
	__u32 index = packet->service->limit[0], line_index;
	const struct weir_limit_rule *rule;
	struct weir_limit_cell *cell;
	struct weir_limit_line *line;
	__be32 source[4] = {};
	__u64 now, key;

	if (!index)
		return VERDICT_NEXT;
	rule = bpf_map_lookup_elem(&limit_rules, &index);
	if (!rule || !rule->enabled)
		return VERDICT_NEXT;

	mask_source(packet, rule, source);
	line_index = weir_scale(weir_source_hash(packet->settings->line_key,
						 packet->destination.family, source, index),
				limit_lines);
	line = bpf_map_lookup_elem(&limit_cells, &line_index);
	if (!line)
		return VERDICT_NEXT;

	key = weir_source_hash(packet->settings->cell_key, packet->destination.family, source,
			       index) | 1;
	now = bpf_ktime_get_ns() << 8;
	cell = claim_cell(line, key, now);
	if (!cell)
		cell = claim_cell(line, key, now);
	if (cell && admit(cell, now, rule))
		return VERDICT_NEXT;
	return drop(packet, WEIR_DROP_limited);
}

#endif
