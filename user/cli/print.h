/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * print.h - the one printer: the agent's JSON as it is, or as lines for people.
 * Missing members print as nothing; nothing is coloured or abbreviated.
 */
#ifndef WEIR_PRINT_H
#define WEIR_PRINT_H

#include <jansson.h>
#include <stdbool.h>

#define PRINT_CELL 160

struct column {
	const char *title;
	const char *key;	/* the row's member, a text or an integer; or */
	const char *(*text)(const json_t *row, char *out);	/* out[PRINT_CELL] */
	bool right;		/* align right: numbers */
};

void print_json(const json_t *value);

/* An object with one member. */
void print_json_text(const char *key, const char *text);

/*
 * A line of titles and one line for each row, columns as wide as they must be; the
 * line `none` where there are no rows. The columns end with one without a title.
 */
void print_table(const json_t *rows, const struct column *columns, const char *none);

/* "name        text"; an empty name continues the one above. */
void print_pair(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An object's member: "" or 0 where it has none. */
const char *json_text(const json_t *object, const char *key);
json_int_t json_number(const json_t *object, const char *key);

/* "203.0.113.10:80/tcp", "[2001:db8::1]:any/udp" of a service's object; a cell's text(). */
const char *print_endpoint(const json_t *service, char *out);

#endif
