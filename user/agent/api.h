/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * api.h - the HTTP/JSON interface on a unix socket (mode 0660, group weir). The CLI is
 * a client of it, and so is curl --unix-socket.
 */
#ifndef WEIR_API_H
#define WEIR_API_H

#include "error.h"

struct agent;
struct api;

/* Listen on `path`. -EADDRINUSE when somebody already answers there. */
int api_open(struct agent *agent, const char *path, struct api **out, struct error *error);
void api_close(struct api *api);	/* removes the socket */

#endif
