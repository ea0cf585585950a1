/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_reader.h - JSON into structs by tables, and messages that say where.
 *
 * The machinery below config.c; it knows nothing of services. An object is read
 * by a table of its keys, which also tells unknown keys and what to suggest for
 * them. Every function returns 0 or -errno with one line in reader->error.
 */
#ifndef WEIR_CONFIG_READER_H
#define WEIR_CONFIG_READER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "choice.h"
#include "error.h"

struct reader {
	const char *text;	/* what the document was parsed from, or NULL */
	const char *file;	/* its name, unused if text is NULL */
	struct error *error;
};

/* A value's place in the document: a chain up to the root, whose parent is NULL. */
struct place {
	const struct place *parent;
	json_t *value;		/* NULL: parent has no such key */
	const char *key;	/* NULL: an element of a list */
	size_t index;
};

struct field {
	const char *key;
	int (*read)(struct reader *reader, const struct place *at, const struct field *field,
		    void *out);
	const char *allowed;	/* "are 1 to 65535"; NULL: made of choices or min and max */
	const struct choice *choices;
	int64_t min, max;
	size_t offset, size;	/* of the struct's member that `out` points to */
	bool required;
};

#define FIELD_INTO(type, member) \
	.offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

struct place place_key(const struct place *object, const char *key);
struct place place_index(const struct place *list, size_t index);

/*
 * Read an object into the struct *out, in the table's order: what is read later may
 * rely on what was read before. Members of keys that are not given stay as they are.
 */
int read_object(struct reader *reader, const struct place *at, const struct field *fields,
		void *out);

/* For tables: an integer min..max and a word of choices, into 1, 2, 4 or (words only) 0 bytes. */
int read_number(struct reader *reader, const struct place *at, const struct field *field,
		void *out);
int read_choice(struct reader *reader, const struct place *at, const struct field *field,
		void *out);

/* An error unless the value is a list. */
int check_list(struct reader *reader, const struct place *at, const struct field *field);

/*
 * A word that must be unique among the elements of a list: an error at `at` when an
 * earlier element has it, else remembered in the JSON object `seen` as the element's.
 */
int check_unique(struct reader *reader, const struct place *at, const struct place *element,
		 json_t *seen, const char *word);

/* "FILE:LINE:COLUMN: path: " and the message; returns -EINVAL. */
int reject(struct reader *reader, const struct place *at, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same: "is VALUE, allowed ..." as the field has it. */
int reject_value(struct reader *reader, const struct place *at, const struct field *field);

int out_of_memory(struct reader *reader);

/* What a message quotes may hold anything: '?' for what is no part of a line. */
void replace_controls(char *text);

#endif
