// SPDX-License-Identifier: BSD-2-Clause
/* suggest.c - see suggest.h. A pure function. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "suggest.h"

#define WORD_MAX 63	/* nobody mistypes a longer word */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

static int same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/*
 * Optimal string alignment: insertions, deletions, substitutions and swaps of
 * neighbours that turn a into b. Both are at most WORD_MAX long.
 */
static size_t edit_distance(const char *a, const char *b)
{
	size_t rows[3][WORD_MAX + 1];
	size_t *before = rows[0], *above = rows[1], *row = rows[2], *spare;
	size_t length = strlen(b);
	size_t i, j;

	for (j = 0; j <= length; j++)
		above[j] = j;
	for (i = 1; a[i - 1]; i++) {
		row[0] = i;
		for (j = 1; j <= length; j++) {
			row[j] = least(least(above[j], row[j - 1]) + 1,
				       above[j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[length];
}

const char *suggest(const char *word, const void *table, size_t stride)
{
	const char *nearest = NULL, *name;
	size_t length = strlen(word), best = WORD_MAX, distance, longer;

	for (; (name = *(const char *const *)table); table = (const char *)table + stride) {
		longer = strlen(name) > length ? strlen(name) : length;
		if (longer > WORD_MAX)
			continue;
		distance = edit_distance(word, name);
		if (length >= 2 && !strncasecmp(word, name, length))
			distance = least(distance, 1);
		if (distance * 3 <= longer && distance < best) {
			best = distance;
			nearest = name;
		}
	}
	return nearest;
}
