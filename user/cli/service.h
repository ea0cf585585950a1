/* SPDX-License-Identifier: BSD-2-Clause */
/* service.h - the parts of a service's object, as tables; each file shows its noun. */
#ifndef WEIR_CLI_SERVICE_H
#define WEIR_CLI_SERVICE_H

#include <jansson.h>

void show_backends(const json_t *service);
void show_limits(const json_t *service);

#endif
