// SPDX-License-Identifier: BSD-2-Clause
/*
 * file.c - reading whole files, and replacing them: the content, what stays of the
 * old file, and that a failure leaves the old file and nothing beside it.
 * Each test has a folder of its own, which is the working directory.
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
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define NOBODY 65534

static int enter_folder(void **state)
{
	char *folder = strdup("/tmp/weir-unit-file.XXXXXX");

	*state = mkdtemp(folder);
	return *state ? chdir(folder) : -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
	return remove(path);
}

static int leave_folder(void **state)
{
	int err = chdir("/") || nftw(*state, remove_entry, 8, FTW_DEPTH | FTW_PHYS);

	free(*state);
	return err;
}

static void put(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void assert_content(const char *path, const char *wanted)
{
	struct error error;
	size_t length;
	char *text;

	assert_int_equal(file_read(path, &text, &length, &error), 0);
	assert_int_equal(length, strlen(wanted));
	assert_string_equal(text, wanted);
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

static mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode;
}

static void assert_not_written(const char *path, int code, const char *line)
{
	struct error error = { "" };

	assert_int_equal(file_write(path, "new", 3, NULL, NULL, &error), -code);
	assert_string_equal(error.text, line);
}

static void assert_not_read(const char *path, int code, const char *line)
{
	struct error error = { "" };
	size_t length = 1;
	char *text = "";

	assert_int_equal(file_read(path, &text, &length, &error), -code);
	assert_null(text);
	assert_int_equal(length, 0);
	assert_string_equal(error.text, line);
}

/* ---- reading ---- */

static void reads_sizes_around_the_buffers(void **state)
{
	static const size_t sizes[] = { 0, 1, 4094, 4095, 4096, 4097, 8191, 8192, 1000000 };
	struct error error;
	size_t i, length;
	char *text, *copy;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		text = malloc(sizes[i] + 1);
		memset(text, 'a' + (int)i, sizes[i]);
		assert_int_equal(file_write("f", text, sizes[i], NULL, NULL, &error), 0);
		assert_int_equal(file_read("f", &copy, &length, &error), 0);
		assert_int_equal(length, sizes[i]);
		assert_memory_equal(copy, text, length);
		assert_int_equal(copy[length], '\0');
		free(text);
		free(copy);
	}
}

static void reads_a_pipe(void **state)
{
	char path[32], *text;
	struct error error;
	size_t length;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "a\0b", 3), 3);
	close(ends[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	assert_int_equal(file_read(path, &text, &length, &error), 0);
	assert_int_equal(length, 3);
	assert_memory_equal(text, "a\0b", 4);
	free(text);
	close(ends[0]);
}

static void reads_no_folder(void **state)
{
	assert_not_read(".", EISDIR, "cannot read .: Is a directory");
}

static void reads_nothing_that_is_missing(void **state)
{
	assert_not_read("f", ENOENT, "cannot open f: No such file or directory");
}

static void reads_64_mib_and_no_more(void **state)
{
	struct error error;
	size_t length;
	char *text;

	put("f", "x", 0600);
	assert_int_equal(truncate("f", FILE_SIZE_MAX), 0);
	assert_int_equal(file_read("f", &text, &length, &error), 0);
	assert_int_equal(length, FILE_SIZE_MAX);
	free(text);
	assert_int_equal(truncate("f", FILE_SIZE_MAX + 1), 0);
	assert_not_read("f", EFBIG, "cannot read f: it is larger than 64 MiB");
	assert_int_equal(truncate("f", 1L << 40), 0);
	assert_not_read("f", EFBIG, "cannot read f: it is larger than 64 MiB");
}

/* ---- writing ---- */

static void makes_a_file(void **state)
{
	struct error error;

	umask(0);
	assert_int_equal(file_write("f", "new", 3, NULL, NULL, &error), 0);
	assert_content("f", "new");
	assert_int_equal(mode_of("f"), S_IFREG | 0600);
	assert_int_equal(count_entries("."), 1);
}

static void replaces_a_file(void **state)
{
	struct stat before, after;
	struct error error;

	umask(077);
	put("f", "the old one", 0644);
	stat("f", &before);
	assert_int_equal(file_write("f", "new", 3, NULL, NULL, &error), 0);
	stat("f", &after);
	assert_content("f", "new");
	assert_int_equal(mode_of("f"), S_IFREG | 0644);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(count_entries("."), 1);
}

/* Who has the old file open goes on reading the old content. */
static void leaves_readers_the_old_content(void **state)
{
	struct error error;
	char text[16] = "";
	int fd;

	put("f", "the old one", 0600);
	fd = open("f", O_RDONLY);
	assert_int_equal(file_write("f", "new", 3, NULL, NULL, &error), 0);
	assert_int_equal(read(fd, text, sizeof(text)), 11);
	assert_string_equal(text, "the old one");
	close(fd);
}

static void keeps_owner_and_mode(void **state)
{
	struct error error;
	struct stat status;

	if (geteuid())
		skip();
	put("f", "old", 0600);
	assert_int_equal(chown("f", NOBODY, 7), 0);
	assert_int_equal(chmod("f", 04751), 0);
	assert_int_equal(file_write("f", "new", 3, NULL, NULL, &error), 0);
	assert_int_equal(stat("f", &status), 0);
	assert_int_equal(status.st_uid, NOBODY);
	assert_int_equal(status.st_gid, 7);
	assert_int_equal(status.st_mode, S_IFREG | 04751);
}

/* a -> b/c -> ../d/f: only the file at the end changes. */
static void follows_symbolic_links(void **state)
{
	struct error error;

	assert_int_equal(mkdir("b", 0700) | mkdir("d", 0700), 0);
	put("d/f", "old", 0640);
	assert_int_equal(symlink("../d/f", "b/c") | symlink("b/c", "a"), 0);
	assert_int_equal(file_write("a", "new", 3, NULL, NULL, &error), 0);
	assert_true(S_ISLNK(mode_of("a")));
	assert_true(S_ISLNK(mode_of("b/c")));
	assert_int_equal(mode_of("d/f"), S_IFREG | 0640);
	assert_content("d/f", "new");
	assert_int_equal(count_entries("."), 3);
	assert_int_equal(count_entries("b"), 1);
	assert_int_equal(count_entries("d"), 1);
}

static void writes_no_dangling_link(void **state)
{
	assert_int_equal(symlink("nowhere", "a"), 0);
	assert_not_written("a", ENOENT, "cannot write a: it is a symbolic link to a file that "
			   "does not exist");
	assert_int_equal(count_entries("."), 1);
}

static void writes_no_folder_or_pipe(void **state)
{
	assert_int_equal(mkdir("d", 0700) | mkfifo("p", 0600), 0);
	assert_not_written("d", EINVAL, "cannot write d: it is not a regular file");
	assert_not_written("p", EINVAL, "cannot write p: it is not a regular file");
	assert_true(S_ISDIR(mode_of("d")));
	assert_true(S_ISFIFO(mode_of("p")));
	assert_int_equal(count_entries("."), 2);
}

static void writes_into_no_missing_folder(void **state)
{
	assert_not_written("d/f", ENOENT, "cannot write d/f: No such file or directory");
	assert_int_equal(count_entries("."), 0);
}

/* A disk that is full, by way of the limit of a file's size. */
static void leaves_nothing_when_the_disk_is_full(void **state)
{
	struct rlimit old, small;

	put("f", "old", 0600);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ .rlim_cur = 2, .rlim_max = old.rlim_max };
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_not_written("f", EFBIG, "cannot write f: File too large");
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
	assert_content("f", "old");
	assert_int_equal(count_entries("."), 1);
}

/* Someone who may write the folder, but cannot give a file to root. */
static void leaves_nothing_when_the_owner_cannot_stay(void **state)
{
	struct error error = { "" };
	int err;

	if (geteuid())
		skip();
	put("f", "old", 0644);
	assert_int_equal(chmod(".", 0777), 0);
	assert_int_equal(seteuid(NOBODY), 0);
	err = file_write("f", "new", 3, NULL, NULL, &error);
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(err, -EPERM);
	assert_string_equal(error.text, "cannot write f: Operation not permitted");
	assert_content("f", "old");
	assert_int_equal(count_entries("."), 1);
}

/* A file that is a mount point, as files of containers are, cannot be renamed over. */
static void leaves_nothing_when_it_cannot_rename(void **state)
{
	put("f", "old", 0600);
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("f", "f", NULL, MS_BIND, NULL))
		skip();
	assert_not_written("f", EBUSY, "cannot write f: Device or resource busy");
	assert_content("f", "old");
	assert_int_equal(count_entries("."), 1);
	assert_int_equal(umount("f"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter_folder, leave_folder)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(reads_sizes_around_the_buffers),
		TEST(reads_a_pipe),
		TEST(reads_no_folder),
		TEST(reads_nothing_that_is_missing),
		TEST(reads_64_mib_and_no_more),
		TEST(makes_a_file),
		TEST(replaces_a_file),
		TEST(leaves_readers_the_old_content),
		TEST(keeps_owner_and_mode),
		TEST(follows_symbolic_links),
		TEST(writes_no_dangling_link),
		TEST(writes_no_folder_or_pipe),
		TEST(writes_into_no_missing_folder),
		TEST(leaves_nothing_when_the_disk_is_full),
		TEST(leaves_nothing_when_the_owner_cannot_stay),
		TEST(leaves_nothing_when_it_cannot_rename),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
