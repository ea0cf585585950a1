// SPDX-License-Identifier: GPL-2.0-only
/*
 * weir.bpf.c - the data plane: every frame of an attached interface comes through
 * here before the network stack sees it.
 *
 * Not ours: passed untouched. Ours and good: forwarded. Ours and bad: dropped, with
 * one counted reason.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "packet.h"
#include "parse.h"
#include "classify.h"
#include "limit.h"
#include "select.h"
#include "forward.h"
#include "stats.h"

static __always_inline enum verdict pipeline(struct packet *packet)
{
	enum verdict verdict;

	verdict = parse(packet);
	if (verdict == VERDICT_NEXT)
		verdict = classify(packet);
	if (verdict == VERDICT_NEXT)
		verdict = limit(packet);
	if (verdict == VERDICT_NEXT)
		verdict = select(packet);
	if (verdict == VERDICT_NEXT)
		verdict = forward(packet);
	return verdict;
}

SEC("xdp")
int weir(struct xdp_md *ctx)
{
	struct packet packet = { .ctx = ctx };

	switch (pipeline(&packet)) {
	case VERDICT_TRANSMIT:
		count_forwarded(&packet);
		return XDP_TX;
	case VERDICT_REDIRECT:
		count_forwarded(&packet);
		return XDP_REDIRECT;
	case VERDICT_DROP:
		count_dropped(&packet);
		return XDP_DROP;
	default:
		count_total(passed_packets);
		return XDP_PASS;
	}
}

char gpl[] SEC("license") = "GPL";
