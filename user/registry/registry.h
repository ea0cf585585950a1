/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * registry.h - what a registry says about a service's backends.
 *
 * A registry produces immutable snapshots; the agent compiles the newest one into
 * rings. The configuration's own "backends" lists are the embedded file registry:
 * config.c fills the same snapshots.
 */
#ifndef WEIR_REGISTRY_H
#define WEIR_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "choice.h"

#define BACKEND_WEIGHT_MAX 10000

enum backend_state {
	BACKEND_ACTIVE,
	BACKEND_DRAINING,	/* takes no new flows */
};

struct backend {
	struct address address;
	uint16_t weight;	/* 0..BACKEND_WEIGHT_MAX; 0 takes no new flows */
	enum backend_state state;
};

/* Backends in no particular order, each address once. */
struct snapshot {
	struct backend *backends;
	size_t count;
};

extern const struct choice backend_states[];

const char *backend_state_name(enum backend_state state);

#endif
