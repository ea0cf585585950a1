/* SPDX-License-Identifier: BSD-2-Clause */
/* client.h - the agent's HTTP/JSON API, called over its unix socket. */
#ifndef WEIR_CLIENT_H
#define WEIR_CLIENT_H

#include <jansson.h>
#include <stdarg.h>

#include "error.h"

/* Which socket client_call() connects to; the text must stay. */
void client_use_socket(const char *path);

/*
 * Send a request, wait at most 30 s. body may be NULL. On success the caller owns
 * *answer, an object. 0, or -errno with one line in *error:
 *   -ECONNREFUSED  no agent listens
 *   -EACCES        not allowed to open the socket
 *   -EREMOTEIO     the agent answered with an error; the line is the agent's
 *   others         the conversation failed
 */
int client_call(const char *method, const char *path, json_t *body, json_t **answer,
		struct error *error);

/*
 * "/v1/services/%s" with every inserted text percent-encoded; %s is the only
 * conversion. The caller frees it. NULL: no memory.
 */
char *client_path(const char *format, va_list texts) __attribute__((format(printf, 1, 0)));

#endif
