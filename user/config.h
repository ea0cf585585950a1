/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config.h - the configuration file: JSON text -> a checked, immutable struct.
 *
 * Pure functions: no file is opened here. The JSON document itself (json_t) stays
 * the master copy, because the CLI's edits change it and write it back; struct
 * config is what the rest of the agent reads.
 */
#ifndef WEIR_CONFIG_H
#define WEIR_CONFIG_H

#include <jansson.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "error.h"
#include "registry/registry.h"

#define CONFIG_FILE "/etc/weir/weir.json"
#define CONFIG_SEED_SIZE 16
#define CONFIG_SERVICE_LIMITS 1	/* rules a service may have in this version */

enum select_policy {
	SELECT_MAGLEV,
};

enum hash_key {
	HASH_5_TUPLE,
};

/* A token bucket per source prefix, in packets. */
struct config_limit {
	uint32_t rate;		/* packets a second, >= 1 */
	uint32_t burst;		/* packets, >= 1 */
	uint8_t prefix_v4;	/* 0..32, default 32 */
	uint8_t prefix_v6;	/* 0..128, default 64 */
};

struct config_service {
	char name[WEIR_NAME_SIZE];
	struct address address;
	uint16_t port;		/* host order; 0 is any */
	uint8_t protocol;	/* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t forward;	/* enum weir_forward */
	enum select_policy select;
	enum hash_key hash;
	struct config_limit limits[CONFIG_SERVICE_LIMITS];
	size_t limit_count;
	struct snapshot embedded;	/* "backends" */
};

struct config_interface {
	char name[IFNAMSIZ];
	bool generic;		/* mode "generic"; else native */
};

/* Sizes of the kernel's tables; they take effect when the tables are made anew. */
struct config_capacity {
	uint32_t services;
	uint32_t backends;
	uint32_t slots;
	uint32_t limit_cells;
};

struct config {
	uint8_t hash_seed[CONFIG_SEED_SIZE];
	struct address source_v4;	/* family 0: not given */
	struct address source_v6;
	struct config_capacity capacity;
	struct config_interface *interfaces;
	size_t interface_count;
	struct config_service *services;	/* in the file's order, names unique */
	size_t service_count;
};

/*
 * Text -> JSON document. `file` is only for messages. Duplicate keys and
 * everything after the document are errors. The caller owns *root (json_decref).
 * 0, or -EINVAL with "FILE:LINE:COLUMN: ..." in *error.
 */
int config_parse_text(const char *text, size_t length, const char *file,
		      json_t **root, struct error *error);

/*
 * JSON document -> checked configuration. `text` is what root was parsed from, to
 * find lines and columns for messages, or NULL: then they give the JSON path only.
 * The caller owns *config (config_free). 0, -EINVAL or -ENOMEM with one line in *error:
 *   FILE:LINE:COLUMN: services[0].port: is 70000, allowed are 1 to 65535 or "any"
 *   FILE:LINE:COLUMN: services[0].forwrd: unknown key, did you mean "forward"?
 */
int config_build(json_t *root, const char *text, const char *file,
		 struct config **config, struct error *error);

void config_free(struct config *config);

const struct config_service *config_service_find(const struct config *config,
						 const char *name);

const char *forward_name(uint8_t forward);

#endif
