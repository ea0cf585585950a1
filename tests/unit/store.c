// SPDX-License-Identifier: BSD-2-Clause
/*
 * store.c - the configuration file of a running agent, with a real event loop: every
 * way to edit it is seen, a bad one changes nothing, and edits through the agent are
 * written whole and durably or not at all. Each test has a folder of its own, which is
 * the working directory. In the rows ' stands for ".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/store.h"
#include "file.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOBODY 65534
#define FILE_NAME "etc/weir.json"
#define SEED "'hash_seed': '00112233445566778899aabbccddeeff'"
#define WITH(names) "{" SEED ", 'services': [" names "]}"
#define NAMED(name, port) \
	"{'name': '" name "', 'address': '203.0.113.10', 'port': " port ", 'protocol': 'tcp'}"
#define OLD WITH(NAMED("old", "80"))
#define NEW WITH(NAMED("new", "80"))

static const struct timeval patience = { .tv_sec = 5 };

/* --- what is written to disk, and in which order -------------------------------------- */

static char disk[256];

static void note(const char *what)
{
	strncat(disk, what, sizeof(disk) - strlen(disk) - 1);
}

int fsync(int fd)
{
	struct stat info;

	note(fstat(fd, &info) == 0 && S_ISDIR(info.st_mode) ? "folder " : "file ");
	return syscall(SYS_fsync, fd);
}

int rename(const char *from, const char *to)
{
	note("rename ");
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

/* --- a store in a folder -------------------------------------------------------------- */

struct agent {
	char folder[64];
	struct event_base *base;
	struct store *store;
	int changed, expired;
	const char *refusal;	/* what accept() says, NULL: yes */
};

static char *quoted(const char *row)
{
	char *text = strdup(row);

	for (char *quote = text; (quote = strchr(quote, '\'')); )
		*quote = '"';
	return text;
}

static void assert_line(const char *name, const char *line, const char *row)
{
	char *plain = strdup(line ? line : "none");

	for (char *quote = plain; (quote = strchr(quote, '"')); )
		*quote = '\'';
	if (strcmp(plain, row))
		fail_msg("%s: %s", name, plain);
	free(plain);
}

/* In place, as `cat >` does. */
static void put(const char *path, const char *row)
{
	char *text = quoted(row);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	free(text);
}

static void link_to(const char *target, const char *path)
{
	assert_int_equal(symlink(target, path), 0);
}

static void make_folder(const char *path)
{
	assert_int_equal(mkdir(path, 0755), 0);
}

static void move(const char *from, const char *to)
{
	assert_int_equal(renameat(AT_FDCWD, from, AT_FDCWD, to), 0);
}

static void delete(const char *path)
{
	assert_int_equal(remove(path), 0);
}

static void on_changed(void *arg)
{
	struct agent *agent = arg;

	agent->changed++;
}

static int on_accept(void *arg, const struct config *config, struct error *error)
{
	struct agent *agent = arg;

	return agent->refusal ? error_set(error, ENOSPC, "%s", agent->refusal) : 0;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
	return remove(path);
}

static int set_up(void **state)
{
	struct agent *agent = calloc(1, sizeof(*agent));

	strcpy(agent->folder, "/tmp/weir-unit-store.XXXXXX");
	agent->base = event_base_new();
	*state = agent;
	disk[0] = '\0';
	if (!agent->base || !mkdtemp(agent->folder) || chdir(agent->folder))
		return -1;
	make_folder("etc");
	return 0;
}

static int tear_down(void **state)
{
	struct agent *agent = *state;
	int err;

	store_close(agent->store);
	event_base_free(agent->base);
	err = chdir("/") || nftw(agent->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(agent);
	return err;
}

static void start(struct agent *agent)
{
	struct store_callbacks callbacks = { on_accept, on_changed, agent };
	struct error error;

	if (store_open(agent->base, FILE_NAME, &agent->store, &error))
		fail_msg("%s", error.text);
	store_set_callbacks(agent->store, &callbacks);
}

static void on_expired(evutil_socket_t fd, short what, void *arg)
{
	struct agent *agent = arg;

	agent->expired = 1;
}

static struct event *set_expiry(struct agent *agent)
{
	struct event *expiry = evtimer_new(agent->base, on_expired, agent);

	agent->expired = 0;
	assert_int_equal(evtimer_add(expiry, &patience), 0);
	return expiry;
}

/* Run the loop until changed() was called so often. */
static void await(struct agent *agent, int changed, const char *name)
{
	struct event *expiry = set_expiry(agent);

	while (agent->changed < changed && !agent->expired)
		event_base_loop(agent->base, EVLOOP_ONCE);
	event_free(expiry);
	if (agent->changed != changed)
		fail_msg("%s: %d changes, not %d", name, agent->changed, changed);
}

static void assert_in_force(const struct agent *agent, const char *name)
{
	const struct config *config = store_config(agent->store);

	assert_int_equal(config->service_count, 1);
	assert_string_equal(config->services[0].name, name);
}

/* The folder holds one file, with this text. */
static void assert_on_disk(const char *path, const char *row)
{
	char *wanted = quoted(row), *text;
	struct error error;
	size_t length;

	assert_int_equal(file_read(path, &text, &length, &error), 0);
	assert_string_equal(text, wanted);
	free(wanted);
	free(text);
}

static size_t count_entries(const char *path)
{
	DIR *folder = opendir(path);
	struct dirent *entry;
	size_t count = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

/* --- opening -------------------------------------------------------------------------- */

static void loads_a_file(void **state)
{
	struct agent *agent = *state;
	time_t before = time(NULL);

	put(FILE_NAME, OLD);
	start(agent);
	assert_in_force(agent, "old");
	assert_null(store_error(agent->store));
	assert_string_equal(store_path(agent->store), FILE_NAME);
	assert_in_range(store_loaded_at(agent->store), before, time(NULL));
	assert_int_equal(agent->changed, 0);
}

struct bad {
	const char *name, *text;	/* NULL: no file */
	int code;
	const char *line;
};

static const struct bad bad[] = {
	{ "missing", NULL, ENOENT, "cannot open etc/weir.json: No such file or directory" },
	{ "empty", "", EINVAL, "etc/weir.json:1:1: not valid JSON: '[' or '{' expected near end "
	  "of file" },
	{ "half written", "{" SEED ", 'services'", EINVAL, "etc/weir.json:1:60: not valid JSON: "
	  "':' expected near end of file" },
	{ "value", WITH(NAMED("x", "0")), EINVAL, "etc/weir.json:1:113: services[0].port: is 0, "
	  "allowed are 1 to 65535 or 'any'" },
};

static void opens_no_bad_file(void **state)
{
	struct agent *agent = *state;

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct error error = { "" };

		if (bad[i].text)
			put(FILE_NAME, bad[i].text);
		assert_int_equal(store_open(agent->base, FILE_NAME, &agent->store, &error),
				 -bad[i].code);
		assert_line(bad[i].name, error.text, bad[i].line);
		assert_null(agent->store);
	}
}

/* --- edits by hand -------------------------------------------------------------------- */

static void plain_file(void)
{
	put(FILE_NAME, OLD);
}

static void write_in_place(void)
{
	put(FILE_NAME, NEW);
}

static void write_in_pieces(void)
{
	char *text = quoted(NEW);
	int fd = open(FILE_NAME, O_WRONLY | O_TRUNC);

	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(write(fd, text + i, 1), 1);
	close(fd);
	free(text);
}

/* sed -i, and most editors */
static void rename_over(void)
{
	put("etc/.weir.json.swp", NEW);
	move("etc/.weir.json.swp", FILE_NAME);
}

/* vim with backupcopy=no, emacs */
static void keep_a_backup(void)
{
	move(FILE_NAME, "etc/weir.json~");
	put(FILE_NAME, NEW);
	delete("etc/weir.json~");
}

static void move_in_from_elsewhere(void)
{
	put("elsewhere", NEW);
	move("elsewhere", FILE_NAME);
}

static void remove_and_create(void)
{
	delete(FILE_NAME);
	put(FILE_NAME, NEW);
}

static void hard_link(void)
{
	put("other", OLD);
	assert_int_equal(link("other", FILE_NAME), 0);
}

static void link_another(void)
{
	put("another", NEW);
	delete(FILE_NAME);
	assert_int_equal(link("another", FILE_NAME), 0);
}

static void symlink_in_folder(void)
{
	put("etc/old.json", OLD);
	put("etc/new.json", NEW);
	link_to("old.json", FILE_NAME);
}

static void swap_symlink(void)
{
	link_to("new.json", "etc/next");
	move("etc/next", FILE_NAME);
}

static void replace_symlink(void)
{
	delete(FILE_NAME);
	put(FILE_NAME, NEW);
}

static void symlink_elsewhere(void)
{
	make_folder("srv");
	put("srv/weir.json", OLD);
	link_to("../srv/weir.json", FILE_NAME);
}

static void write_elsewhere(void)
{
	put("srv/weir.json", NEW);
}

static void rename_elsewhere(void)
{
	put("srv/temporary", NEW);
	move("srv/temporary", "srv/weir.json");
}

/* A ConfigMap: etc/weir.json -> ..data/weir.json, and ..data -> ..1, then ..2 */
static void config_map(void)
{
	make_folder("etc/..1");
	put("etc/..1/weir.json", OLD);
	link_to("..1", "etc/..data");
	link_to("..data/weir.json", FILE_NAME);
}

static void update_config_map(void)
{
	make_folder("etc/..2");
	put("etc/..2/weir.json", NEW);
	link_to("..2", "etc/..data_tmp");
	move("etc/..data_tmp", "etc/..data");
	delete("etc/..1/weir.json");
	delete("etc/..1");
}

static void swap_folders(void)
{
	make_folder("etc.new");
	put("etc.new/weir.json", NEW);
	move("etc", "etc.old");
	move("etc.new", "etc");
}

static const struct {
	const char *name;
	void (*prepare)(void), (*edit)(void);
} edits[] = {
	{ "written in place", plain_file, write_in_place },
	{ "written in pieces", plain_file, write_in_pieces },
	{ "renamed over", plain_file, rename_over },
	{ "with a backup", plain_file, keep_a_backup },
	{ "moved in", plain_file, move_in_from_elsewhere },
	{ "removed and created", plain_file, remove_and_create },
	{ "another hard link", hard_link, link_another },
	{ "symbolic link swapped", symlink_in_folder, swap_symlink },
	{ "symbolic link replaced", symlink_in_folder, replace_symlink },
	{ "written behind a link", symlink_elsewhere, write_elsewhere },
	{ "renamed over behind a link", symlink_elsewhere, rename_elsewhere },
	{ "ConfigMap", config_map, update_config_map },
	{ "another folder", plain_file, swap_folders },
};

static void sees_every_edit(void **ignored)
{
	for (size_t i = 0; i < COUNT(edits); i++) {
		void *state;

		assert_int_equal(set_up(&state), 0);
		edits[i].prepare();
		start(state);
		assert_in_force(state, "old");
		edits[i].edit();
		await(state, 1, edits[i].name);
		assert_in_force(state, "new");
		assert_null(store_error(((struct agent *)state)->store));
		assert_int_equal(tear_down(&state), 0);
	}
}

/* A symbolic link that was swapped is watched where it leads to now. */
static void sees_edits_behind_a_new_link(void **state)
{
	make_folder("srv");
	put("srv/weir.json", OLD);
	plain_file();
	start(*state);
	delete(FILE_NAME);
	link_to("../srv/weir.json", FILE_NAME);
	store_reload(((struct agent *)*state)->store);
	write_elsewhere();
	await(*state, 1, "behind a new link");
	assert_in_force(*state, "new");
}

static void the_same_text_again_is_no_change(void **state)
{
	struct agent *agent = *state;
	const struct config *config;

	put(FILE_NAME, OLD);
	start(agent);
	config = store_config(agent->store);
	put(FILE_NAME, OLD);
	store_reload(agent->store);
	assert_int_equal(chmod(FILE_NAME, 0600), 0);
	store_reload(agent->store);
	assert_int_equal(agent->changed, 0);
	assert_ptr_equal(store_config(agent->store), config);
}

/* Somebody who writes to the folder all the time, as long as the loop runs. */
static void on_busy(evutil_socket_t fd, short what, void *arg)
{
	put("etc/log", "");
	delete("etc/log");
}

static void sees_an_edit_in_a_busy_folder(void **state)
{
	static const struct timeval often = { .tv_usec = 5000 };
	struct agent *agent = *state;
	struct event *busy = event_new(agent->base, -1, EV_PERSIST, on_busy, NULL);

	put(FILE_NAME, OLD);
	start(agent);
	event_add(busy, &often);
	put(FILE_NAME, NEW);
	await(agent, 1, "busy folder");
	assert_in_force(agent, "new");
	put(FILE_NAME, OLD);
	await(agent, 2, "busy folder");
	event_free(busy);
}

static void finds_a_folder_that_was_made_anew(void **state)
{
	struct agent *agent = *state;

	put(FILE_NAME, OLD);
	start(agent);
	delete(FILE_NAME);
	delete("etc");
	await(agent, 1, "folder removed");
	assert_string_equal(store_error(agent->store),
			    "cannot open etc/weir.json: No such file or directory");
	assert_in_force(agent, "old");
	store_reload(agent->store);	/* the same error is no change */
	make_folder("etc");
	put(FILE_NAME, NEW);
	await(agent, 2, "folder made anew");
	assert_null(store_error(agent->store));
	assert_in_force(agent, "new");
	put(FILE_NAME, OLD);
	await(agent, 3, "edited in the new folder");
}

/* --- bad edits ------------------------------------------------------------------------ */

static void set_bad(const struct bad *row)
{
	if (row->text)
		put(FILE_NAME, row->text);
	else
		delete(FILE_NAME);
}

static void a_bad_edit_changes_nothing_but_the_error(void **state)
{
	struct agent *agent = *state;
	const struct config *config;

	put(FILE_NAME, OLD);
	start(agent);
	config = store_config(agent->store);
	for (size_t i = 0; i < COUNT(bad); i++) {
		set_bad(&bad[i]);
		await(agent, 2 * i + 1, bad[i].name);
		assert_line(bad[i].name, store_error(agent->store), bad[i].line);
		assert_ptr_equal(store_config(agent->store), config);

		put(FILE_NAME, OLD);	/* good again, as it was */
		await(agent, 2 * i + 2, bad[i].name);
		assert_null(store_error(agent->store));
		assert_ptr_equal(store_config(agent->store), config);
	}
}

static void a_good_edit_after_a_bad_one_comes_into_force(void **state)
{
	struct agent *agent = *state;

	put(FILE_NAME, OLD);
	start(agent);
	for (size_t i = 0; i < COUNT(bad); i++) {
		set_bad(&bad[i]);
		await(agent, 2 * i + 1, bad[i].name);
		put(FILE_NAME, i % 2 ? OLD : NEW);
		await(agent, 2 * i + 2, bad[i].name);
		assert_null(store_error(agent->store));
		assert_in_force(agent, i % 2 ? "old" : "new");
	}
}

static void a_refused_edit_changes_nothing_but_the_error(void **state)
{
	struct agent *agent = *state;
	const struct config *config;

	put(FILE_NAME, OLD);
	start(agent);
	config = store_config(agent->store);
	agent->refusal = "no room";
	put(FILE_NAME, NEW);
	await(agent, 1, "refused");
	assert_string_equal(store_error(agent->store), "no room");
	assert_ptr_equal(store_config(agent->store), config);
	agent->refusal = NULL;
	store_reload(agent->store);	/* SIGHUP */
	assert_null(store_error(agent->store));
	assert_in_force(agent, "new");
}

/* --- edits through the agent ---------------------------------------------------------- */

static json_t *first_service(json_t *root)
{
	return json_array_get(json_object_get(root, "services"), 0);
}

static json_t *renamed(const struct agent *agent, const char *name)
{
	json_t *root = store_copy(agent->store);

	assert_non_null(root);
	json_object_set_new(first_service(root), "name", json_string(name));
	return root;
}

static void assert_committed(struct agent *agent, const char *name)
{
	struct error error;

	if (store_commit(agent->store, renamed(agent, name), &error))
		fail_msg("%s", error.text);
	assert_in_force(agent, name);
	assert_null(store_error(agent->store));
}

/* Odd formatting goes, the order of keys stays. */
static void a_commit_is_written_in_one_format(void **state)
{
	struct agent *agent = *state;
	struct stat info;

	put(FILE_NAME, " {'services'\n:[{'port' :80,\t'protocol':'tcp','name':'\\u006fld',"
	    "\r\n'address':'203.0.113.10'}]," SEED "}\n\n\n");
	start(agent);
	assert_in_force(agent, "old");
	assert_committed(agent, "new");
	assert_on_disk(FILE_NAME,
		       "{\n"
		       "  'services': [\n"
		       "    {\n"
		       "      'port': 80,\n"
		       "      'protocol': 'tcp',\n"
		       "      'name': 'new',\n"
		       "      'address': '203.0.113.10'\n"
		       "    }\n"
		       "  ],\n"
		       "  " SEED "\n"
		       "}\n");
	assert_int_equal(count_entries("etc"), 1);
	assert_int_equal(stat(FILE_NAME, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0640);
}

static void a_commit_is_on_disk_before_it_is_in_force(void **state)
{
	put(FILE_NAME, OLD);
	start(*state);
	assert_committed(*state, "new");
	assert_string_equal(disk, "file rename folder ");
}

/* The agent's own writing wakes it up, but is what it has. */
static void a_commit_is_no_change(void **state)
{
	struct agent *agent = *state;

	put(FILE_NAME, OLD);
	start(agent);
	assert_committed(agent, "new");
	store_reload(agent->store);
	assert_int_equal(agent->changed, 0);
	put(FILE_NAME, OLD);
	await(agent, 1, "an edit after a commit");
	assert_in_force(agent, "old");
}

static void another_agent_sees_a_commit(void **state)
{
	struct agent *agent = *state, other = { .base = agent->base };

	put(FILE_NAME, OLD);
	start(agent);
	start(&other);
	assert_committed(agent, "new");
	await(&other, 1, "a commit");
	assert_in_force(&other, "new");
	assert_committed(&other, "newer");
	await(agent, 1, "the other's commit");
	assert_in_force(agent, "newer");
	assert_int_equal(other.changed, 1);
	store_close(other.store);
}

static void a_commit_leaves_links_as_they_are(void **state)
{
	struct agent *agent = *state;
	struct stat info;

	symlink_elsewhere();
	start(agent);
	assert_committed(agent, "newer");
	assert_int_equal(lstat(FILE_NAME, &info), 0);
	assert_true(S_ISLNK(info.st_mode));
	assert_int_equal(lstat("srv/weir.json", &info), 0);
	assert_true(S_ISREG(info.st_mode));
	assert_int_equal(count_entries("etc") + count_entries("srv"), 2);
	write_elsewhere();
	await(agent, 1, "an edit behind a link after a commit");
	assert_in_force(agent, "new");
	assert_committed(agent, "newest");
}

/* A copy is the caller's: what becomes of it does not matter to the store. */
static void a_copy_is_a_copy(void **state)
{
	struct agent *agent = *state;
	json_t *copy;

	put(FILE_NAME, OLD);
	start(agent);
	copy = store_copy(agent->store);
	json_object_clear(first_service(copy));
	json_decref(copy);
	assert_committed(agent, "new");
}

/* --- refused commits ------------------------------------------------------------------ */

static json_t *good_edit(struct agent *agent)
{
	return renamed(agent, "edited");
}

static json_t *bad_edit(struct agent *agent)
{
	json_t *root = good_edit(agent);

	json_object_set_new(first_service(root), "port", json_integer(0));
	return root;
}

static json_t *no_edit(struct agent *agent)
{
	return NULL;
}

static json_t *refuse(struct agent *agent)
{
	agent->refusal = "no room";
	return good_edit(agent);
}

static json_t *edit_by_hand(struct agent *agent)
{
	put(FILE_NAME, NEW);
	return good_edit(agent);
}

static json_t *break_by_hand(struct agent *agent)
{
	put(FILE_NAME, "{");
	store_reload(agent->store);
	agent->changed = 0;
	return good_edit(agent);
}

static json_t *remove_file(struct agent *agent)
{
	delete(FILE_NAME);
	return good_edit(agent);
}

static json_t *remove_folder(struct agent *agent)
{
	delete(FILE_NAME);
	delete("etc");
	return good_edit(agent);
}

/* Somebody who may read the file, but not write to its folder. */
static json_t *lose_permission(struct agent *agent)
{
	assert_int_equal(chmod(FILE_NAME, 0644) | chmod("etc", 0555) | chmod(".", 0755), 0);
	if (!geteuid())
		assert_int_equal(seteuid(NOBODY), 0);
	return good_edit(agent);
}

static const struct {
	const char *name;
	json_t *(*prepare)(struct agent *agent);
	int code;
	const char *line;
	const char *on_disk;	/* NULL: no file */
} refused[] = {
	{ "no memory for a copy", no_edit, ENOMEM, "out of memory", OLD },
	{ "bad", bad_edit, EINVAL, "services[0].port: is 0, allowed are 1 to 65535 or "
	  "'any'", OLD },
	{ "not accepted", refuse, ENOSPC, "no room", OLD },
	{ "edited by hand meanwhile", edit_by_hand, EBUSY,
	  "etc/weir.json has just been edited: try again in a moment", NEW },
	{ "the file is bad", break_by_hand, EBUSY, "correct the configuration file first: "
	  "etc/weir.json:1:1: not valid JSON: string or '}' expected near end of file", "{" },
	{ "the file is gone", remove_file, ENOENT,
	  "cannot open etc/weir.json: No such file or directory", NULL },
	{ "the folder is gone", remove_folder, ENOENT,
	  "cannot open etc/weir.json: No such file or directory", NULL },
	{ "unwritable folder", lose_permission, EACCES,
	  "cannot write etc/weir.json: Permission denied", OLD },
};

static void check_refused(struct agent *agent, size_t i)
{
	const struct config *config;
	struct error error = { "" };
	int err;

	put(FILE_NAME, OLD);
	start(agent);
	config = store_config(agent->store);
	err = store_commit(agent->store, refused[i].prepare(agent), &error);
	assert_int_equal(seteuid(getuid()), 0);
	chmod("etc", 0755);
	assert_line(refused[i].name, error.text, refused[i].line);
	assert_int_equal(err, -refused[i].code);
	assert_ptr_equal(store_config(agent->store), config);
	assert_int_equal(agent->changed, 0);
	if (refused[i].on_disk) {
		assert_on_disk(FILE_NAME, refused[i].on_disk);
		assert_int_equal(count_entries("etc"), 1);
	}
	assert_string_equal(disk, "");
}

static void a_refused_commit_changes_nothing(void **ignored)
{
	for (size_t i = 0; i < COUNT(refused); i++) {
		void *state;

		assert_int_equal(set_up(&state), 0);
		check_refused(state, i);
		assert_int_equal(tear_down(&state), 0);
	}
}

/* What was refused for a moment's reason works when the moment is over. */
static void a_commit_works_after_a_refusal(void **state)
{
	struct agent *agent = *state;
	struct error error;

	put(FILE_NAME, OLD);
	start(agent);
	assert_int_equal(store_commit(agent->store, edit_by_hand(agent), &error), -EBUSY);
	await(agent, 1, "edited by hand");
	assert_committed(agent, "edited");
	assert_int_equal(store_commit(agent->store, break_by_hand(agent), &error), -EBUSY);
	put(FILE_NAME, NEW);
	await(agent, 1, "corrected");
	assert_committed(agent, "edited-again");
}

/* The bad edit was taken back, but the agent has not looked yet. */
static void a_commit_clears_an_error_that_is_gone(void **state)
{
	struct agent *agent = *state;

	put(FILE_NAME, OLD);
	start(agent);
	put(FILE_NAME, "{");
	await(agent, 1, "bad");
	put(FILE_NAME, OLD);
	assert_committed(agent, "new");
}

/* --- the end -------------------------------------------------------------------------- */

static void closes_with_a_look_ahead(void **state)
{
	struct agent *agent = *state;
	struct event *expiry;

	put(FILE_NAME, OLD);
	start(agent);
	put(FILE_NAME, NEW);
	expiry = set_expiry(agent);
	event_base_loop(agent->base, EVLOOP_ONCE);	/* notified, but not settled */
	event_free(expiry);
	store_close(agent->store);
	agent->store = NULL;
	assert_int_equal(event_base_loop(agent->base, 0), 1);	/* nothing to wait for */
	assert_false(agent->changed || agent->expired);
	store_close(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(loads_a_file),
		TEST(opens_no_bad_file),
		cmocka_unit_test(sees_every_edit),
		TEST(sees_edits_behind_a_new_link),
		TEST(the_same_text_again_is_no_change),
		TEST(sees_an_edit_in_a_busy_folder),
		TEST(finds_a_folder_that_was_made_anew),
		TEST(a_bad_edit_changes_nothing_but_the_error),
		TEST(a_good_edit_after_a_bad_one_comes_into_force),
		TEST(a_refused_edit_changes_nothing_but_the_error),
		TEST(a_commit_is_written_in_one_format),
		TEST(a_commit_is_on_disk_before_it_is_in_force),
		TEST(a_commit_is_no_change),
		TEST(another_agent_sees_a_commit),
		TEST(a_commit_leaves_links_as_they_are),
		TEST(a_copy_is_a_copy),
		cmocka_unit_test(a_refused_commit_changes_nothing),
		TEST(a_commit_works_after_a_refusal),
		TEST(a_commit_clears_an_error_that_is_gone),
		TEST(closes_with_a_look_ahead),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
