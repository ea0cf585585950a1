/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dataplane.h - the kernel side as userspace sees it: maps and programs pinned under
 * one folder of the BPF file system. Only user/dataplane calls libbpf and libxdp.
 *
 * The data plane outlives the agent: whoever opens the folder next adopts what runs.
 * The folder is locked (flock) while a struct dataplane is open, so that there is one
 * writer. Functions return 0 or -errno with one line in *error.
 */
#ifndef WEIR_DATAPLANE_H
#define WEIR_DATAPLANE_H

#include <net/if.h>
#include <stdbool.h>

#include "dataplane/tables.h"
#include "error.h"

#define DATAPLANE_DIR "/sys/fs/bpf/weir"

struct dataplane;

/* The folder to use: $WEIR_BPF_DIR or DATAPLANE_DIR. */
const char *dataplane_dir(void);

/*
 * Adopt the data plane in `dir`, or make one there of the given capacity (an adopted
 * one keeps its own). *adopted says which. -EBUSY: another agent has it.
 */
int dataplane_open(const char *dir, const struct config_capacity *capacity,
		   struct dataplane **out, bool *adopted, struct error *error);

/* Let go; what is pinned stays and goes on forwarding. */
void dataplane_close(struct dataplane *dataplane);

/* Remove every pin and the folder. Interfaces must be detached before. */
int dataplane_remove(struct dataplane *dataplane, struct error *error);

/*
 * What the kernel's tables hold now, after names and limit rules that a killed agent
 * left half-written were cleared. *out is the caller's (tables_free).
 */
int dataplane_read(struct dataplane *dataplane, struct tables **out, struct error *error);

/*
 * Make the kernel's tables hold `next`, given that they hold `present`: writes the
 * differences only, in an order in which every packet meets a consistent state, and
 * waits for packets in flight before anything is reused. After a failure the tables
 * are between the two: read them again, then apply again.
 */
int dataplane_apply(struct dataplane *dataplane, const struct tables *present,
		    const struct tables *next, struct error *error);

struct interface {
	char name[IFNAMSIZ];
	unsigned int index;
	unsigned int program_id;
	bool generic;
	bool alone;		/* without libxdp's dispatcher */
};

/*
 * Attach the XDP program to an interface through libxdp: beside other programs where
 * the kernel has what the dispatcher needs, else alone. Native mode unless `generic`.
 * Attaching again in the same mode changes nothing.
 */
int dataplane_attach(struct dataplane *dataplane, const char *name, bool generic,
		     struct error *error);
int dataplane_detach(struct dataplane *dataplane, const char *name, struct error *error);

/* Does the interface carry this data plane, in this mode? */
bool dataplane_is_attached(struct dataplane *dataplane, const char *name, bool generic);

/* The interfaces that carry this data plane now; *out is the caller's (free). */
int dataplane_interfaces(struct dataplane *dataplane, struct interface **out, size_t *count,
			 struct error *error);

/*
 * Detach while no agent runs: one interface, or all. When none is left, the pins go
 * too. -EBUSY when an agent runs after all.
 */
int dataplane_detach_offline(const char *name, bool all, struct error *error);

/* Counters, summed over CPUs. */
int dataplane_service_counters(struct dataplane *dataplane, uint32_t index,
			       struct weir_service_counters *out, struct error *error);
int dataplane_backend_counters(struct dataplane *dataplane, uint32_t index,
			       struct weir_backend_counters *out, struct error *error);
int dataplane_drop_counters(struct dataplane *dataplane, struct weir_drop_counters *out,
			    struct error *error);
int dataplane_totals(struct dataplane *dataplane, struct weir_totals *out,
		     struct error *error);

#endif
