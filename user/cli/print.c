// SPDX-License-Identifier: BSD-2-Clause
/* print.c - see print.h. Writes to stdout only. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/print.h"

#define PAIR_WIDTH 12
#define PRINT_COLUMNS 12

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

json_int_t json_number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void print_json(const json_t *value)
{
	json_dumpf(value, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));	/* shares */
	putchar('\n');
}

void print_json_text(const char *key, const char *text)
{
	json_t *object = json_pack("{ss}", key, text);

	print_json(object);
	json_decref(object);
}

void print_pair(const char *name, const char *format, ...)
{
	va_list args;

	printf("%-*s", PAIR_WIDTH, name);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

const char *print_endpoint(const json_t *service, char *out)
{
	const char *address = json_text(service, "address");
	const json_t *port = json_object_get(service, "port");
	char number[24] = "any";

	if (json_is_integer(port))
		snprintf(number, sizeof(number), "%lld", json_integer_value(port));
	snprintf(out, PRINT_CELL, strchr(address, ':') ? "[%s]:%s/%s" : "%s:%s/%s", address,
		 number, json_text(service, "protocol"));
	return out;
}

static const char *cell(const struct column *column, const json_t *row, char *out)
{
	const json_t *value;

	if (column->text)
		return column->text(row, out);
	value = json_object_get(row, column->key);
	if (!json_is_integer(value))
		return json_text(row, column->key);
	snprintf(out, PRINT_CELL, "%lld", json_integer_value(value));
	return out;
}

static int width(const struct column *column, const json_t *rows)
{
	size_t widest = strlen(column->title);
	char out[PRINT_CELL];
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		size_t length = strlen(cell(column, row, out));

		if (length > widest)
			widest = length;
	}
	return (int)widest;
}

/* A row, or the titles where row is NULL. Spaces are held back until text follows them. */
static void print_row(const struct column *columns, const int *widths, const json_t *row)
{
	char out[PRINT_CELL];
	int held = 0;
	size_t i;

	for (i = 0; columns[i].title; i++) {
		const char *text = row ? cell(&columns[i], row, out) : columns[i].title;
		int space = widths[i] - (int)strlen(text);
		int before = columns[i].right ? space : 0;

		if (*text) {
			printf("%*s%s", held + before, "", text);
			held = space - before;
		} else {
			held += space;
		}
		held += 2;
	}
	putchar('\n');
}

void print_table(const json_t *rows, const struct column *columns, const char *none)
{
	int widths[PRINT_COLUMNS];
	const json_t *row;
	size_t i;

	if (!json_array_size(rows)) {
		puts(none);
		return;
	}
	for (i = 0; columns[i].title; i++) {
		assert(i < PRINT_COLUMNS);
		widths[i] = width(&columns[i], rows);
	}
	print_row(columns, widths, NULL);
	json_array_foreach(rows, i, row)
		print_row(columns, widths, row);
}
