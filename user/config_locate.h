/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * config_locate.h - where in a JSON text a value is.
 *
 * jansson forgets positions, so a message finds them again in the text. The text
 * must have been parsed without an error; nothing is checked here. Members are
 * told by number, which is jansson's order of iteration too: keys, however they
 * are escaped, need no comparison.
 */
#ifndef WEIR_CONFIG_LOCATE_H
#define WEIR_CONFIG_LOCATE_H

#include <stddef.h>

struct position {
	unsigned int line, column;	/* from 1; a column is a character, a tab is one */
};

/* The document's first character. */
const char *locate_root(const char *text);

/* The nth member of an object (its key, then what is after the colon) or element of an array. */
const char *locate_key(const char *object, size_t n);
const char *locate_member(const char *object, size_t n);
const char *locate_element(const char *array, size_t n);

/* Line and column of a place in text. */
struct position locate_position(const char *text, const char *place);

#endif
