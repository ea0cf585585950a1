/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cursor.h - reading a frame front to back without leaving it.
 */
#ifndef WEIR_CURSOR_H
#define WEIR_CURSOR_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define IPV4_FRAGMENT_OFFSET	0x1fff
#define IPV4_MORE_FRAGMENTS	0x2000

struct cursor {
	void *at;
	void *end;
};

/* The next `size` bytes, or NULL when the frame is too short. size is constant. */
static __always_inline void *take(struct cursor *cursor, __u32 size)
{
	void *header = cursor->at;

	if (header + size > cursor->end)
		return NULL;
	cursor->at = header + size;
	return header;
}

static __always_inline struct cursor frame(const struct xdp_md *ctx)
{
	return (struct cursor){
		.at = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
}

#endif
