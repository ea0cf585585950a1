/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * agent.h - the agent: one event loop that keeps the kernel's tables equal to the
 * configuration, the next hops and what the operator says.
 */
#ifndef WEIR_AGENT_H
#define WEIR_AGENT_H

#include <event2/event.h>
#include <stdbool.h>
#include <time.h>

#include "agent/store.h"
#include "dataplane/dataplane.h"
#include "dataplane/next_hops.h"
#include "error.h"

struct agent_options {
	const char *config;		/* path of the configuration file */
	const char *socket;		/* path of the API's socket */
	bool teardown_on_exit;		/* SIGTERM removes the data plane */
};

struct api;

/* What the agent's modules share. One for a process, owned by agent_run(). */
struct agent {
	const struct agent_options *options;
	struct event_base *base;
	struct store *store;
	struct next_hops *next_hops;
	struct dataplane *dataplane;
	struct tables *tables;		/* what the kernel holds */
	struct api *api;
	struct event *tick;		/* what failed is tried again */
	struct event *signals[3];
	struct config_interface *wanted;	/* what is to be attached, and stay so */
	size_t wanted_count;
	struct config_interface *configured;	/* the configuration's list when it was last read */
	size_t configured_count;
	unsigned int attach_wait, attach_pause;	/* ticks left, ticks next time */
	struct error apply_error;	/* text[0] == 0: the tables are as desired */
	struct error attach_error;	/* of the first wanted interface that is not attached */
	time_t started_at;
	bool adopted;
};

/* Run until SIGTERM or SIGINT. 0 or -errno with one line in *error. */
int agent_run(const struct agent_options *options, struct error *error);

/* Make the kernel's tables what they should be now; failures go to apply_error. */
void agent_reconcile(struct agent *agent);

int agent_attach(struct agent *agent, const char *interface, bool generic,
		 struct error *error);
int agent_detach(struct agent *agent, const char *interface, struct error *error);

#endif
