// SPDX-License-Identifier: BSD-2-Clause
/* file.c - see file.h. Holds no state. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

/* Make room for more than *size bytes; false when memory or the limit does not allow. */
static bool grow(char **text, size_t *size)
{
	size_t larger = *size ? *size * 2 : 4096;
	char *copy;

	if (*size > FILE_SIZE_MAX) {
		errno = EFBIG;
		return false;
	}
	copy = realloc(*text, larger);
	if (!copy)
		return false;
	*text = copy;
	*size = larger;
	return true;
}

static int read_all(int fd, char **text, size_t *length)
{
	size_t size = 0;
	ssize_t got;

	for (;;) {
		if (*length + 1 >= size && !grow(text, &size))
			return -errno;
		got = read(fd, *text + *length, size - *length - 1);
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			break;
		if (got > 0)
			*length += got;
	}
	(*text)[*length] = '\0';
	return *length > FILE_SIZE_MAX ? -EFBIG : 0;
}

int file_read(const char *path, char **text, size_t *length, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	*text = NULL;
	*length = 0;
	if (fd < 0)
		return error_set(error, errno, "cannot open %s: %m", path);
	err = read_all(fd, text, length);
	close(fd);
	if (!err)
		return 0;
	free(*text);
	*text = NULL;
	*length = 0;
	if (err == -EFBIG)
		return error_set(error, EFBIG, "cannot read %s: it is larger than %d MiB", path,
				 FILE_SIZE_MAX >> 20);
	return error_set(error, -err, "cannot read %s: %s", path, strerror(-err));
}

/* The file to replace: its path without symbolic links, and its attributes. */
struct target {
	char *path;
	bool exists;
	struct stat old;
	int (*look)(void *arg, struct error *error);	/* NULL: none */
	void *look_arg;
	bool refused;		/* by look, which has said why */
};

static int find_target(const char *path, struct target *target, struct error *error)
{
	struct stat link;

	target->path = realpath(path, NULL);
	if (!target->path && errno == ENOENT && lstat(path, &link) == 0)
		return error_set(error, ENOENT, "cannot write %s: it is a symbolic link to "
				 "a file that does not exist", path);
	if (!target->path && errno == ENOENT)
		target->path = strdup(path);
	if (!target->path)
		return error_set(error, errno, "cannot write %s: %m", path);
	target->exists = stat(target->path, &target->old) == 0;
	if (target->exists && !S_ISREG(target->old.st_mode))
		return error_set(error, EINVAL, "cannot write %s: it is not a regular file", path);
	return 0;
}

static int write_all(int fd, const char *text, size_t length)
{
	ssize_t done;

	while (length) {
		done = write(fd, text, length);
		if (done < 0 && errno != EINTR)
			return -errno;
		if (done > 0) {
			text += done;
			length -= done;
		}
	}
	return 0;
}

/* Owner before mode: a change of owner may clear bits of the mode. */
static int copy_attributes(int fd, const struct target *target)
{
	if (!target->exists)
		return 0;
	if (fchown(fd, target->old.st_uid, target->old.st_gid) < 0 ||
	    fchmod(fd, target->old.st_mode & 07777) < 0)
		return -errno;
	return 0;
}

/* Fill the new file and bring it to the disk. Closes fd. */
static int fill(int fd, const struct target *target, const char *text, size_t length)
{
	int err = write_all(fd, text, length);

	if (!err)
		err = copy_attributes(fd, target);
	if (!err && fsync(fd) < 0)
		err = -errno;
	if (close(fd) < 0 && !err)
		err = -errno;
	return err;
}

/* The folder a path is in, opened; -errno. */
static int open_folder(const char *path)
{
	char *copy = strdup(path);
	int fd;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	free(copy);
	return fd;
}

static int last_look(struct target *target, struct error *error)
{
	int err = target->look ? target->look(target->look_arg, error) : 0;

	target->refused = err;
	return err;
}

static int replace(struct target *target, const char *text, size_t length, int folder,
		   struct error *error)
{
	char *temporary;
	int fd, err;

	if (asprintf(&temporary, "%s.XXXXXX", target->path) < 0)
		return -ENOMEM;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0) {
		err = -errno;
		free(temporary);
		return err;
	}
	err = fill(fd, target, text, length);
	if (!err)
		err = last_look(target, error);
	if (!err && rename(temporary, target->path) < 0)
		err = -errno;
	if (err)
		unlink(temporary);
	else if (fsync(folder) < 0)
		err = -errno;
	free(temporary);
	return err;
}

int file_write(const char *path, const char *text, size_t length,
	       int (*look)(void *arg, struct error *error), void *arg, struct error *error)
{
	struct target target = { .look = look, .look_arg = arg };
	int folder, err = find_target(path, &target, error);

	if (err)
		goto out;
	folder = open_folder(target.path);
	err = folder < 0 ? folder : replace(&target, text, length, folder, error);
	if (folder >= 0)
		close(folder);
	if (err && !target.refused)
		error_set(error, -err, "cannot write %s: %s", path, strerror(-err));
out:
	free(target.path);
	return err;
}
