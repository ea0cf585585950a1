// SPDX-License-Identifier: BSD-2-Clause
/* config_reader.c - see config_reader.h. Pure functions. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_locate.h"
#include "config_reader.h"
#include "suggest.h"

#define PATH_SIZE 256
#define QUOTE_SIZE 80
#define ALLOWED_SIZE 160

struct place place_key(const struct place *object, const char *key)
{
	return (struct place){
		.parent = object,
		.value = json_object_get(object->value, key),
		.key = key,
	};
}

struct place place_index(const struct place *list, size_t index)
{
	return (struct place){
		.parent = list,
		.value = json_array_get(list->value, index),
		.index = index,
	};
}

void replace_controls(char *text)
{
	for (; *text; text++)
		if (iscntrl((unsigned char)*text))
			*text = '?';
}

/* A value as a message shows it: one line of printable ASCII, cut when it is long. */
static const char *quote(const json_t *value, char *out)
{
	char *text;

	if (json_is_object(value))
		return "an object";
	if (json_is_array(value))
		return "a list";
	text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(6));
	snprintf(out, QUOTE_SIZE, "%.48s%s%s", text ? text : "?",
		 text && strlen(text) > 48 ? "..." : "",
		 json_is_real(value) ? " (not an integer)" : "");
	free(text);
	replace_controls(out);	/* jansson escapes all but DEL */
	return out;
}

/* A key as a path shows it: like a value unless it is a plain word. */
static const char *quote_key(const char *key, char *out)
{
	const char *plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t length = strspn(key, plain);
	json_t *text;

	if (length && !key[length] && length <= 48)
		return key;
	text = json_string(key);
	quote(text, out);
	json_decref(text);
	return out;
}

/* "services[0].port". Returns its length. */
static size_t format_path(const struct place *at, char *out)
{
	char key[QUOTE_SIZE];
	size_t used;

	if (!at->parent)
		return 0;
	used = format_path(at->parent, out);
	if (at->key)
		used += snprintf(out + used, PATH_SIZE - used, "%s%s", used ? "." : "",
				 quote_key(at->key, key));
	else
		used += snprintf(out + used, PATH_SIZE - used, "[%zu]", at->index);
	return used;
}

static const char *path_text(const struct place *at, char *out)
{
	strcpy(out, "configuration");
	format_path(at, out);
	return out;
}

/* A key's number among its object's, in the order of the text. */
static size_t key_number(const struct place *at)
{
	const char *key;
	json_t *value;
	size_t n = 0;

	json_object_foreach(at->parent->value, key, value) {
		if (!strcmp(key, at->key))
			break;
		n++;
	}
	return n;
}

/* Where a value is in the text; of a missing one, where its object is. */
static const char *locate(const char *text, const struct place *at)
{
	const char *parent;

	if (!at->parent)
		return locate_root(text);
	parent = locate(text, at->parent);
	if (!at->value)
		return parent;
	if (at->key)
		return locate_member(parent, key_number(at));
	return locate_element(parent, at->index);
}

static int report(struct reader *reader, const struct place *at, const char *where,
		  const char *message)
{
	char path[PATH_SIZE];
	struct position position;

	path_text(at, path);
	if (!reader->text)
		return error_set(reader->error, EINVAL, "%s: %s", path, message);
	position = locate_position(reader->text, where);
	return error_set(reader->error, EINVAL, "%s:%u:%u: %s: %s", reader->file, position.line,
			 position.column, path, message);
}

int reject(struct reader *reader, const struct place *at, const char *format, ...)
{
	char message[sizeof(reader->error->text)];
	va_list args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	return report(reader, at, reader->text ? locate(reader->text, at) : NULL, message);
}

/* 'are "ipip", "l2"' */
static void format_choices(const struct choice *choices, char *out)
{
	size_t used = snprintf(out, ALLOWED_SIZE, "%s", choices[1].name ? "are" : "is");

	for (; choices->name && used < ALLOWED_SIZE; choices++)
		used += snprintf(out + used, ALLOWED_SIZE - used, " \"%s\"%s", choices->name,
				 choices[1].name ? "," : "");
}

static const char *allowed_text(const struct field *field, char *out)
{
	if (field->allowed)
		return field->allowed;
	if (field->choices)
		format_choices(field->choices, out);
	else
		snprintf(out, ALLOWED_SIZE, "are %" PRId64 " to %" PRId64, field->min,
			 field->max);
	return out;
}

int reject_value(struct reader *reader, const struct place *at, const struct field *field)
{
	char allowed[ALLOWED_SIZE], value[QUOTE_SIZE];

	if (!at->value)
		return reject(reader, at, "is missing, allowed %s", allowed_text(field, allowed));
	return reject(reader, at, "is %s, allowed %s", quote(at->value, value),
		      allowed_text(field, allowed));
}

int out_of_memory(struct reader *reader)
{
	return error_set(reader->error, ENOMEM, "out of memory");
}

static int reject_key(struct reader *reader, const struct place *at, const struct field *fields)
{
	const char *near = suggest(at->key, fields, sizeof(*fields));
	const char *where = NULL;
	char message[128];

	snprintf(message, sizeof(message), "unknown key%s%s%s", near ? ", did you mean \"" : "",
		 near ? near : "", near ? "\"?" : "");
	if (reader->text)
		where = locate_key(locate(reader->text, at->parent), key_number(at));
	return report(reader, at, where, message);
}

static int check_keys(struct reader *reader, const struct place *object,
		      const struct field *fields)
{
	const struct field *field;
	struct place at;
	const char *key;
	json_t *value;

	json_object_foreach(object->value, key, value) {
		for (field = fields; field->key; field++)
			if (!strcmp(field->key, key))
				break;
		if (field->key)
			continue;
		at = place_key(object, key);
		return reject_key(reader, &at, fields);
	}
	return 0;
}

int read_object(struct reader *reader, const struct place *at, const struct field *fields,
		void *out)
{
	static const struct field object = { .allowed = "is an object" };
	struct place member;
	int err;

	if (!json_is_object(at->value))
		return reject_value(reader, at, &object);
	err = check_keys(reader, at, fields);
	for (; !err && fields->key; fields++) {
		member = place_key(at, fields->key);
		if (member.value)
			err = fields->read(reader, &member, fields, (char *)out + fields->offset);
		else if (fields->required)
			err = reject_value(reader, &member, fields);
	}
	return err;
}

static void store(void *out, size_t size, uint32_t value)
{
	switch (size) {
	case 1:
		*(uint8_t *)out = value;
		break;
	case 2:
		*(uint16_t *)out = value;
		break;
	case 4:
		*(uint32_t *)out = value;
		break;
	}
}

int read_number(struct reader *reader, const struct place *at, const struct field *field,
		void *out)
{
	json_int_t value = json_integer_value(at->value);

	if (!json_is_integer(at->value) || value < field->min || value > field->max)
		return reject_value(reader, at, field);
	store(out, field->size, value);
	return 0;
}

int read_choice(struct reader *reader, const struct place *at, const struct field *field,
		void *out)
{
	const char *word = json_string_value(at->value);
	int value = word ? choice_value(field->choices, word) : -EINVAL;

	if (value < 0)
		return reject_value(reader, at, field);
	store(out, field->size, value);
	return 0;
}

int check_list(struct reader *reader, const struct place *at, const struct field *field)
{
	return json_is_array(at->value) ? 0 : reject_value(reader, at, field);
}

int check_unique(struct reader *reader, const struct place *at, const struct place *element,
		 json_t *seen, const char *word)
{
	json_t *earlier = json_object_get(seen, word);
	char path[PATH_SIZE];
	struct place other;

	if (earlier) {
		other = place_index(element->parent, json_integer_value(earlier));
		return reject(reader, at, "\"%s\" is used by %s already", word,
			      path_text(&other, path));
	}
	if (json_object_set_new(seen, word, json_integer(element->index)) < 0)
		return out_of_memory(reader);
	return 0;
}
