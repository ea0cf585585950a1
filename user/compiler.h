/* SPDX-License-Identifier: BSD-2-Clause */
/* compiler.h - what callbacks say about parameters that their type has and they do not need. */
#ifndef WEIR_COMPILER_H
#define WEIR_COMPILER_H

#define UNUSED __attribute__((unused))

#endif
