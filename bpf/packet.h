/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * packet.h - one packet on its way through the pipeline: what parse.h read off it
 * once, and what each stage adds. A later stage never looks at a header again.
 */
#ifndef WEIR_PACKET_H
#define WEIR_PACKET_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <weir/abi.h>

/* What a stage says. One switch in weir.bpf.c turns it into an XDP action. */
enum verdict {
	VERDICT_NEXT,		/* to the next stage */
	VERDICT_PASS,		/* not ours: untouched, to the network stack */
	VERDICT_TRANSMIT,	/* out of the interface it came in by */
	VERDICT_REDIRECT,	/* out of another one */
	VERDICT_DROP,		/* ours and bad: packet->drop says why */
};

struct packet {
	struct xdp_md *ctx;

	/* parse */
	__u16 sent_to[3];	/* the frame's destination */
	__be32 source[4];
	struct weir_service_key destination;	/* the key under which a service is found */
	__u32 ports;		/* source and destination port as they stand in the packet */
	__u32 length;		/* of the IP packet */
	__u8 tos;		/* type of service, traffic class */
	bool opens_flow;	/* TCP SYN without ACK */
	bool defective;		/* drop it if it is ours, for the reason in drop */
	enum weir_drop drop;

	/* classify, select */
	const struct weir_service *service;
	const struct weir_settings *settings;
	const struct weir_backend *backend;
	__u32 backend_index;
	__u64 hash;
};

static __always_inline enum verdict drop(struct packet *packet, enum weir_drop why)
{
	packet->drop = why;
	return VERDICT_DROP;
}

#endif
