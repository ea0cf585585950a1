/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report.h - what the agent tells: its state as JSON objects. Reads only. Each returns
 * 0 and a new reference in *out, or -errno with one line in *error.
 */
#ifndef WEIR_REPORT_H
#define WEIR_REPORT_H

#include <jansson.h>

#include "agent/agent.h"

int report_status(struct agent *agent, json_t **out, struct error *error);
int report_interfaces(struct agent *agent, json_t **out, struct error *error);
int report_interface(struct agent *agent, const char *name, json_t **out,
		     struct error *error);
int report_services(struct agent *agent, json_t **out, struct error *error);
int report_service(struct agent *agent, const char *name, json_t **out, struct error *error);

/* Of one service, or of all when `service` is NULL. */
int report_counters(struct agent *agent, const char *service, json_t **out,
		    struct error *error);

/*
 * Which backend a flow gets and why: what select.h would decide, from the same hash and
 * the same slots. source and destination are "ADDRESS:PORT".
 */
int report_route(struct agent *agent, const char *protocol, const char *source,
		 const char *destination, json_t **out, struct error *error);

#endif
