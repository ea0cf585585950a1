/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * maps.h - the tables of abi.h as BPF maps. Userspace resizes them before load
 * and pins each under its own name.
 */
#ifndef WEIR_MAPS_H
#define WEIR_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include <weir/abi.h>

#define WEIR_ARRAY(name_, kind_, value_, entries_, flags_)	\
	struct {						\
		__uint(type, kind_);				\
		__uint(max_entries, entries_);			\
		__uint(map_flags, flags_);			\
		__type(key, __u32);				\
		__type(value, value_);				\
	} name_ SEC(".maps")

WEIR_ARRAY(abi, BPF_MAP_TYPE_ARRAY, struct weir_abi, 1, 0);
WEIR_ARRAY(services, BPF_MAP_TYPE_ARRAY, struct weir_service, WEIR_SERVICES * 4,
	   BPF_F_MMAPABLE);
WEIR_ARRAY(settings, BPF_MAP_TYPE_ARRAY, struct weir_settings, 2, 0);
WEIR_ARRAY(slots, BPF_MAP_TYPE_ARRAY, struct weir_slot_line,
	   WEIR_SLOTS / WEIR_SLOTS_PER_LINE, BPF_F_MMAPABLE);
WEIR_ARRAY(backends, BPF_MAP_TYPE_ARRAY, struct weir_backend, WEIR_BACKENDS, BPF_F_MMAPABLE);
WEIR_ARRAY(limit_rules, BPF_MAP_TYPE_ARRAY, struct weir_limit_rule,
	   1 + WEIR_SERVICES * WEIR_SERVICE_LIMITS, 0);
WEIR_ARRAY(limit_cells, BPF_MAP_TYPE_ARRAY, struct weir_limit_line,
	   WEIR_LIMIT_CELLS / WEIR_CELLS_PER_LINE, 0);

/* Never read here: they tell an operator with bpftool whose an index is. */
WEIR_ARRAY(service_info, BPF_MAP_TYPE_ARRAY, struct weir_service_info, WEIR_SERVICES, 0);
WEIR_ARRAY(backend_info, BPF_MAP_TYPE_ARRAY, struct weir_backend_info, WEIR_BACKENDS, 0);

WEIR_ARRAY(service_counters, BPF_MAP_TYPE_PERCPU_ARRAY, struct weir_service_counters,
	   WEIR_SERVICES, 0);
WEIR_ARRAY(backend_counters, BPF_MAP_TYPE_PERCPU_ARRAY, struct weir_backend_counters,
	   WEIR_BACKENDS, 0);
WEIR_ARRAY(drop_counters, BPF_MAP_TYPE_PERCPU_ARRAY, struct weir_drop_counters, 1, 0);
WEIR_ARRAY(totals, BPF_MAP_TYPE_PERCPU_ARRAY, struct weir_totals, 1, 0);

/*
 * Table sizes that userspace chose, set before load so that the verifier and the
 * JIT see constants.
 */
const volatile __u32 service_mask = WEIR_SERVICES * 4 - 1;
const volatile __u32 limit_lines = WEIR_LIMIT_CELLS / WEIR_CELLS_PER_LINE;

#endif
