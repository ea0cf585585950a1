/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * store.h - the configuration file while the agent runs: loaded, watched, edited.
 *
 * The last good configuration stays in force when the file turns bad. Edits change a
 * copy of the document, which is checked, written durably and only then in force.
 */
#ifndef WEIR_STORE_H
#define WEIR_STORE_H

#include <event2/event.h>
#include <jansson.h>
#include <time.h>

#include "config.h"
#include "error.h"

struct store;

struct store_callbacks {
	/* May this configuration come into force? 0, or -errno with one line in *error. */
	int (*accept)(void *arg, const struct config *config, struct error *error);
	/* The file changed: store_config() is new, or store_error() is. */
	void (*changed)(void *arg);
	void *arg;
};

/* Load `path` and watch it. -errno with one line when there is no good configuration. */
int store_open(struct event_base *base, const char *path, struct store **out,
	       struct error *error);
void store_close(struct store *store);

/* From now on ask and tell these. */
void store_set_callbacks(struct store *store, const struct store_callbacks *callbacks);

const struct config *store_config(const struct store *store);	/* valid until the next change */
const char *store_path(const struct store *store);
const char *store_error(const struct store *store);	/* of the file as it is now, or NULL */
time_t store_loaded_at(const struct store *store);

/* Look at the file now, as if it had changed. */
void store_reload(struct store *store);

/* A copy of the document to edit; the caller's. NULL: out of memory. */
json_t *store_copy(const struct store *store);

/*
 * Check, write and bring into force an edited document (the reference is taken).
 * Refused (-EBUSY) while the file on disk holds something else than was loaded.
 * Does not call changed(). 0 or -errno with one line in *error; then nothing changed.
 */
int store_commit(struct store *store, json_t *root, struct error *error);

#endif
