/* SPDX-License-Identifier: BSD-2-Clause */
/* choice.h - the words that a setting allows, and the value that each stands for. */
#ifndef WEIR_CHOICE_H
#define WEIR_CHOICE_H

/* A table of them ends with a NULL name. */
struct choice {
	const char *name;
	int value;
};

/* The value of a word, or -EINVAL; words are never abbreviated and case matters. */
int choice_value(const struct choice *choices, const char *name);

/* The first word of a value, "?" if it has none. */
const char *choice_name(const struct choice *choices, int value);

#endif
