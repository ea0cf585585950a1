/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_check.h - what must hold between values that are right each by itself:
 * names and addresses that are unique, capacities that suffice, tunnels that have
 * a source address.
 */
#ifndef WEIR_CONFIG_CHECK_H
#define WEIR_CONFIG_CHECK_H

#include "config.h"
#include "config_reader.h"

/* `root` is the place of the document that config was read from. 0 or -errno. */
int config_check(struct reader *reader, const struct place *root, const struct config *config);

#endif
