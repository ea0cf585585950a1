/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * site.h - one world whose services the tables of rows share. A lane is a way to be
 * treated; it is there once for each variant, as service "v4-tcp-TAG" and so on.
 */
#ifndef WEIR_TESTS_SITE_H
#define WEIR_TESTS_SITE_H

#include "harness.h"

enum lane_id {
	/* forwarded; the first six differ in how */
	LANE_IPIP_V4, LANE_IPIP_V6, LANE_L2,
	LANE_IPIP_V4_REDIRECT, LANE_IPIP_V6_REDIRECT, LANE_L2_REDIRECT,
	LANE_FORWARDS,
	LANE_ANY = LANE_FORWARDS,	/* all ports of ANY_VIP, */
	LANE_EXACT,			/* but this one */
	LANE_TCP_ONLY, LANE_UDP_ONLY,

	/* dropped */
	LANE_EMPTY, LANE_DRAINING, LANE_NO_HOP,
	LANES,
};

struct lane {
	const char *tag;
	const char *forward;
	enum host host;
	uint16_t port;			/* 0: any */
	unsigned int variants;		/* 0: all */
	const char *backend[2];		/* of the IPv4 and the IPv6 service; NULL: none */
	bool draining;
};

extern const struct lane lanes[LANES];

/* The site, made when first asked for. */
struct world *site(void);

/* "v4-tcp-TAG", and its backend's address. */
const char *lane_service(enum lane_id lane, const struct variant *variant);
const char *lane_backend(enum lane_id lane, const struct variant *variant);

/* A request to the lane, and where it must go. */
struct recipe lane_request(enum lane_id lane, const struct variant *variant);
struct route lane_route(enum lane_id lane, const struct variant *variant);

/* Bytes that the lane puts in front of a packet. */
size_t lane_overhead(enum lane_id lane, const struct variant *variant);

#endif
