/* SPDX-License-Identifier: BSD-2-Clause */
/* file.h - whole files, read into memory and replaced on disk. */
#ifndef WEIR_FILE_H
#define WEIR_FILE_H

#include <stddef.h>

#include "error.h"

#define FILE_SIZE_MAX (64 << 20)

/*
 * Read a file or pipe of at most FILE_SIZE_MAX bytes. The caller frees *text, which
 * ends with a NUL that *length does not count. 0 or -errno with one line in *error.
 */
int file_read(const char *path, char **text, size_t *length, struct error *error);

/*
 * Replace a file's content so that every reader, and the disk after a crash, has the
 * old content or the new one, whole. Where path is a symbolic link, the file that it
 * leads to is replaced. Mode and owner stay; hard links and ACLs do not follow.
 * look(), unless NULL, is asked when the new content is on the disk and only the rename is
 * left: if it returns -errno, with its line in *error, the file is left alone.
 * A new file is 0600. 0 or -errno with one line in *error.
 */
int file_write(const char *path, const char *text, size_t length,
	       int (*look)(void *arg, struct error *error), void *arg, struct error *error);

#endif
