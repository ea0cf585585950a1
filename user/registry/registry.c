// SPDX-License-Identifier: BSD-2-Clause
/* registry.c - see registry.h: what all registries share. */
#include "registry/registry.h"

const struct choice backend_states[] = {
	{ "active", BACKEND_ACTIVE },
	{ "draining", BACKEND_DRAINING },
	{ NULL, 0 },
};

const char *backend_state_name(enum backend_state state)
{
	return choice_name(backend_states, state);
}
