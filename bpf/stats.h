/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * stats.h - counters. Per CPU, so a plain addition is enough; userspace sums them.
 */
#ifndef WEIR_STATS_H
#define WEIR_STATS_H

#include "maps.h"
#include "packet.h"

static __always_inline struct weir_totals *cpu_totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&totals, &zero);
}

#define count_total(field)				\
	do {						\
		struct weir_totals *totals_ = cpu_totals();	\
							\
		if (totals_)				\
			totals_->field++;		\
	} while (0)

static __always_inline void count_forwarded(const struct packet *packet)
{
	struct weir_service_counters *service;
	struct weir_backend_counters *backend;

	service = bpf_map_lookup_elem(&service_counters, &packet->service->index);
	backend = bpf_map_lookup_elem(&backend_counters, &packet->backend_index);
	if (!service || !backend)
		return;
	service->packets++;
	service->bytes += packet->length;
	service->new_flows += packet->opens_flow;
	backend->packets++;
	backend->bytes += packet->length;
	backend->new_flows += packet->opens_flow;
	count_total(forwarded_packets);
}

static __always_inline void count_reason(enum weir_drop why)
{
	struct weir_drop_counters *drops;
	__u32 zero = 0;

	drops = bpf_map_lookup_elem(&drop_counters, &zero);
	if (!drops)
		return;
	switch (why) {
#define COUNT_REASON(name, text)		\
	case WEIR_DROP_##name:			\
		drops->name++;			\
		break;
	WEIR_DROP_REASONS(COUNT_REASON)
#undef COUNT_REASON
	default:
		break;
	}
}

static __always_inline void count_dropped(const struct packet *packet)
{
	struct weir_service_counters *service;
	struct weir_backend_counters *backend;

	count_total(dropped_packets);
	count_reason(packet->drop);

	service = bpf_map_lookup_elem(&service_counters, &packet->service->index);
	if (service && packet->drop == WEIR_DROP_limited) {
		service->limited_packets++;
		service->limited_bytes += packet->length;
	} else if (service) {
		service->dropped_packets++;
	}

	backend = bpf_map_lookup_elem(&backend_counters, &packet->backend_index);
	if (backend && packet->backend_index)
		backend->dropped_packets++;
}

#endif
