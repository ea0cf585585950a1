/* SPDX-License-Identifier: BSD-2-Clause */
/* decap.h - the decapsulator on a backend's interfaces. 0 or -errno with one line in *error. */
#ifndef WEIR_DATAPLANE_DECAP_H
#define WEIR_DATAPLANE_DECAP_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "error.h"

/* Attach; it stays until decap_detach(). -EEXIST when the interface has one already. */
int decap_attach(const char *interface, bool generic, const struct address *addresses,
		 size_t count, struct error *error);
int decap_detach(const char *interface, struct error *error);

#endif
