/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edit.h - changes of the configuration through the API: each changes a copy of the
 * document, commits it to the file and has it applied. 0, or -errno with one line in
 * *error; then nothing has changed, neither the file nor the kernel.
 */
#ifndef WEIR_EDIT_H
#define WEIR_EDIT_H

#include <jansson.h>

#include "agent/agent.h"

int edit_service_add(struct agent *agent, json_t *body, struct error *error);
int edit_service_set(struct agent *agent, const char *name, json_t *body,
		     struct error *error);
int edit_service_del(struct agent *agent, const char *name, struct error *error);

int edit_backend_add(struct agent *agent, const char *service, json_t *body,
		     struct error *error);
int edit_backend_set(struct agent *agent, const char *service, const char *address,
		     json_t *body, struct error *error);
int edit_backend_del(struct agent *agent, const char *service, const char *address,
		     struct error *error);

int edit_limit_add(struct agent *agent, const char *service, json_t *body,
		   struct error *error);
int edit_limit_set(struct agent *agent, const char *service, const char *number,
		   json_t *body, struct error *error);
int edit_limit_del(struct agent *agent, const char *service, const char *number,
		   struct error *error);

#endif
