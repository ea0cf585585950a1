// SPDX-License-Identifier: BSD-2-Clause
/* store.c - see store.h. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/store.h"
#include "compiler.h"
#include "file.h"
#include "log.h"

/*
 * Editors write in several steps: look at the file when its folder has been quiet for
 * this long, but do not put that off for ever, for others may be busy there.
 */
static const struct timeval settle_time = { .tv_usec = 50 * 1000 };
#define POSTPONEMENTS 20

/* A folder that cannot be watched, perhaps because it is gone: look this often. */
static const struct timeval poll_time = { .tv_sec = 1 };

struct store {
	char path[PATH_MAX];
	struct store_callbacks callbacks;
	char *text;		/* what root was read from */
	size_t length;
	json_t *root;
	struct config *config;
	time_t loaded_at;
	struct error error;	/* text[0] == 0: none */
	int inotify;
	struct event *notified, *settled;
	int postponed;		/* so often since `settled` came last */
	bool polled;		/* for want of a watch */
};

static const uint32_t watched_events = IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM |
				       IN_CREATE | IN_DELETE | IN_ATTRIB | IN_MOVE_SELF;

static bool watch_folder_of(struct store *store, const char *path)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	if (inotify_add_watch(store->inotify, dirname(copy), watched_events) >= 0)
		return true;
	if (!store->polled)
		log_warning("cannot watch the folder of %s: %s: looking every second", path,
			    strerror(errno));
	return false;
}

/* The folder of the name and, through symbolic links, the folder of the file itself. */
static void watch(struct store *store)
{
	bool watched = watch_folder_of(store, store->path);
	char target[PATH_MAX];

	if (realpath(store->path, target) && strcmp(target, store->path))
		watched = watch_folder_of(store, target) && watched;
	store->polled = !watched;
	if (store->polled)
		event_add(store->settled, &poll_time);
}

/* A pipe would stop the agent until somebody writes. */
static int read_file(const struct store *store, char **text, size_t *length,
		     struct error *error)
{
	struct stat info;

	if (!stat(store->path, &info) && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
		return error_set(error, EINVAL, "%s is not a regular file", store->path);
	return file_read(store->path, text, length, error);
}

static int accept_config(struct store *store, const struct config *config,
			 struct error *error)
{
	const struct store_callbacks *callbacks = &store->callbacks;

	return callbacks->accept ? callbacks->accept(callbacks->arg, config, error) : 0;
}

/* Takes text, root and config. */
static void replace(struct store *store, char *text, size_t length, json_t *root,
		    struct config *config)
{
	free(store->text);
	json_decref(store->root);
	config_free(store->config);
	store->text = text;
	store->length = length;
	store->root = root;
	store->config = config;
	store->loaded_at = time(NULL);
	store->error.text[0] = '\0';
}

/* Takes text. */
static int load_text(struct store *store, char *text, size_t length, struct error *error)
{
	struct config *config = NULL;
	json_t *root = NULL;
	int err = config_parse_text(text, length, store->path, &root, error);

	if (!err)
		err = config_build(root, text, store->path, &config, error);
	if (!err)
		err = accept_config(store, config, error);
	if (!err) {
		replace(store, text, length, root, config);
		return 0;
	}
	config_free(config);
	json_decref(root);
	free(text);
	return err;
}

static bool is_loaded(const struct store *store, const char *text, size_t length)
{
	return store->text && length == store->length && !memcmp(text, store->text, length);
}

void store_reload(struct store *store)
{
	struct error error = {};
	size_t length;
	char *text;
	int err;

	watch(store);
	err = read_file(store, &text, &length, &error);
	if (!err && is_loaded(store, text, length)) {
		free(text);
		if (!store->error.text[0])
			return;
		log_info("%s is good again, as it was", store->path);
	} else if (!err) {
		err = load_text(store, text, length, &error);
	}
	if (!err)
		error.text[0] = '\0';
	else if (!strcmp(error.text, store->error.text))
		return;
	else
		log_error("%s: the last good configuration stays in force", error.text);
	store->error = error;
	if (store->callbacks.changed)
		store->callbacks.changed(store->callbacks.arg);
}

static void on_settled(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct store *store = arg;

	store->postponed = 0;
	store_reload(store);
}

static void on_notified(evutil_socket_t fd, short what UNUSED, void *arg)
{
	struct store *store = arg;
	char events[4096];

	while (read(fd, events, sizeof(events)) > 0)
		;	/* which file it was does not matter: contents are compared */
	if (store->postponed++ < POSTPONEMENTS)
		event_add(store->settled, &settle_time);
}

static int start_watching(struct store *store, struct event_base *base, struct error *error)
{
	store->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (store->inotify < 0)
		return error_set(error, errno, "inotify: %s", strerror(errno));
	store->notified = event_new(base, store->inotify, EV_READ | EV_PERSIST, on_notified,
				    store);
	store->settled = evtimer_new(base, on_settled, store);
	if (!store->notified || !store->settled || event_add(store->notified, NULL))
		return error_set(error, ENOMEM, "out of memory");
	watch(store);
	return 0;
}

int store_open(struct event_base *base, const char *path, struct store **out,
	       struct error *error)
{
	struct store *store = calloc(1, sizeof(*store));
	size_t length;
	char *text;
	int err;

	if (!store)
		return error_set(error, ENOMEM, "out of memory");
	store->inotify = -1;
	snprintf(store->path, sizeof(store->path), "%s", path);
	err = start_watching(store, base, error);	/* first, so that no edit is missed */
	if (!err)
		err = read_file(store, &text, &length, error);
	if (!err)
		err = load_text(store, text, length, error);
	if (err)
		store_close(store);
	else
		*out = store;
	return err;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->notified)
		event_free(store->notified);
	if (store->settled)
		event_free(store->settled);
	if (store->inotify >= 0)
		close(store->inotify);
	replace(store, NULL, 0, NULL, NULL);
	free(store);
}

void store_set_callbacks(struct store *store, const struct store_callbacks *callbacks)
{
	store->callbacks = *callbacks;
}

const struct config *store_config(const struct store *store)
{
	return store->config;
}

const char *store_path(const struct store *store)
{
	return store->path;
}

const char *store_error(const struct store *store)
{
	return store->error.text[0] ? store->error.text : NULL;
}

time_t store_loaded_at(const struct store *store)
{
	return store->loaded_at;
}

json_t *store_copy(const struct store *store)
{
	return json_deep_copy(store->root);
}

/* Somebody's edit that is not in force yet, or a bad one, must not be overwritten. */
static int check_on_disk(void *arg, struct error *error)
{
	struct store *store = arg;
	size_t length;
	char *text;
	bool same;
	int err = read_file(store, &text, &length, error);

	if (err)
		return err;
	same = is_loaded(store, text, length);
	free(text);
	if (same)
		return 0;
	if (store->error.text[0]) {
		*error = store->error;
		return error_prefix(error, -EBUSY, "correct the configuration file first");
	}
	return error_set(error, EBUSY, "%s has just been edited: try again in a moment",
			 store->path);
}

/* Takes root, and text on success. */
static int commit_text(struct store *store, json_t *root, char *text, struct error *error)
{
	struct config *config = NULL;
	size_t length = strlen(text);
	int err = config_build(root, NULL, "refused", &config, error);

	if (!err)
		err = accept_config(store, config, error);
	if (!err)
		err = check_on_disk(store, error);
	if (!err)
		err = file_write(store->path, text, length, check_on_disk, store, error);
	if (err) {
		config_free(config);
		json_decref(root);
		return err;
	}
	replace(store, text, length, root, config);
	return 0;
}

int store_commit(struct store *store, json_t *root, struct error *error)
{
	char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
	char *line = text ? realloc(text, strlen(text) + 2) : NULL;
	int err;

	if (!line) {
		json_decref(root);
		free(text);
		return error_set(error, ENOMEM, "out of memory");
	}
	strcat(line, "\n");
	err = commit_text(store, root, line, error);
	if (err)
		free(line);
	return err;
}
