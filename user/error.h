/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * error.h - how a function says what went wrong: it returns -errno and leaves one
 * line in *error that says what is wrong and what to do, ready to print.
 */
#ifndef WEIR_ERROR_H
#define WEIR_ERROR_H

struct error {
	char text[512];
};

/* Set the line and return -code, so that callers can `return error_set(...)`. */
int error_set(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "context: " in front of a line that a callee left. Returns code unchanged. */
int error_prefix(struct error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
