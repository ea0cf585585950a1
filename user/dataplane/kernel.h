/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.h - private to user/dataplane: the open maps and the BPF object.
 */
#ifndef WEIR_KERNEL_H
#define WEIR_KERNEL_H

#include <bpf/libbpf.h>
#include <linux/limits.h>

#include "dataplane/dataplane.h"

/* Every map of bpf/maps.h. `abi` comes last: its pin says that all others are there. */
#define DATAPLANE_MAPS(X)						\
	X(services) X(settings) X(slots) X(backends) X(limit_rules)	\
	X(limit_cells) X(service_info) X(backend_info)			\
	X(service_counters) X(backend_counters) X(drop_counters)	\
	X(totals) X(abi)

enum map {
#define MAP_ENUM(name) MAP_##name,
	DATAPLANE_MAPS(MAP_ENUM)
#undef MAP_ENUM
	MAPS,
};

struct dataplane {
	char dir[PATH_MAX / 2];
	int lock;
	int map[MAPS];
	int cpus;
	struct config_capacity capacity;
	uint32_t *slots;		/* the arena, mapped */
	struct weir_backend *backends;	/* mapped */
	struct weir_service *services;	/* mapped, service_positions() long */
	size_t slots_size, backends_size, services_size;
};

struct weir_bpf;

extern const char *const map_names[MAPS];

/*
 * The BPF object, opened but not loaded, its maps being those that the data plane has
 * open, or of its capacity where it has none yet. weir_bpf__destroy() frees it.
 */
int object_open(struct dataplane *dataplane, struct weir_bpf **out, struct error *error);

/* Pins of running programs are DIR/weir_INTERFACE-INDEX; DIR/weir is attached nowhere. */
#define RUNNING_PIN "weir_"

/* What libxdp's refusal to attach means to the operator: sets the line, returns err. */
int attach_error(const char *interface, bool generic, int err, struct error *error);

/*
 * Without libxdp, where no other program is; `fd` was loaded as an XDP program. What is
 * left when libxdp says EINVAL: Linux 6.13, and stable ones since, let only a
 * dispatcher that declares it call a program that moves the start of packets, and the one
 * of libxdp before 1.5.5 does not.
 */
int attach_alone(const char *interface, unsigned int index, int fd, bool generic,
		 struct error *error);
int no_interface(const char *name, struct error *error);

/* Log libbpf's and libxdp's messages, and keep the last warning for error lines. */
void capture_messages(void);
const char *last_message(void);
void forget_message(void);

#endif
