// SPDX-License-Identifier: BSD-2-Clause
/* choice.c - see choice.h. */
#include <errno.h>
#include <string.h>

#include "choice.h"

int choice_value(const struct choice *choices, const char *name)
{
	for (; choices->name; choices++)
		if (!strcmp(choices->name, name))
			return choices->value;
	return -EINVAL;
}

const char *choice_name(const struct choice *choices, int value)
{
	for (; choices->name; choices++)
		if (choices->value == value)
			return choices->name;
	return "?";
}
