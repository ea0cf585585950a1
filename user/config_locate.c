// SPDX-License-Identifier: BSD-2-Clause
/* config_locate.c - see config_locate.h. Pure functions. */
#include <string.h>

#include "config_locate.h"

static const char *skip_space(const char *at)
{
	return at + strspn(at, " \t\r\n");
}

/* From a string's opening quote to behind its closing one. */
static const char *skip_string(const char *at)
{
	for (at++; *at && *at != '"'; at++)
		if (*at == '\\' && at[1])
			at++;
	return *at ? at + 1 : at;
}

/* Behind a value of any depth: where its brackets are closed and a separator follows. */
static const char *skip_value(const char *at)
{
	size_t depth = 0;

	while (*at) {
		if (*at == '"') {
			at = skip_string(at);
			continue;
		}
		if (!depth && strchr(",:]}", *at))
			break;
		if (*at == '{' || *at == '[')
			depth++;
		else if (*at == '}' || *at == ']')
			depth--;
		at++;
	}
	return at;
}

/* Behind a separator, if the text did not end before it. */
static const char *skip_separator(const char *at)
{
	return skip_space(*at ? at + 1 : at);
}

const char *locate_root(const char *text)
{
	return skip_space(text);
}

const char *locate_key(const char *object, size_t n)
{
	const char *key = skip_space(object + 1);

	while (n--)
		key = skip_separator(skip_value(skip_separator(skip_value(key))));
	return key;
}

const char *locate_member(const char *object, size_t n)
{
	return skip_separator(skip_value(locate_key(object, n)));
}

const char *locate_element(const char *array, size_t n)
{
	const char *element = skip_space(array + 1);

	while (n--)
		element = skip_separator(skip_value(element));
	return element;
}

struct position locate_position(const char *text, const char *place)
{
	struct position position = { 1, 1 };

	for (; text < place; text++) {
		if (*text == '\n') {
			position.line++;
			position.column = 1;
		} else if ((*text & 0xc0) != 0x80) {	/* not the rest of a character */
			position.column++;
		}
	}
	return position;
}
