/* SPDX-License-Identifier: BSD-2-Clause */
/* suggest.h - "did you mean": the word that a mistyped one was meant to be. */
#ifndef WEIR_SUGGEST_H
#define WEIR_SUGGEST_H

#include <stddef.h>

/*
 * The nearest to `word` among the names of a table, or NULL when none is near: a
 * third of the letters may be wrong, and an abbreviation is near to what it begins.
 * The table is an array of structs of `stride` bytes; each begins with its name, and
 * a NULL name ends it.
 */
const char *suggest(const char *word, const void *table, size_t stride);

#endif
