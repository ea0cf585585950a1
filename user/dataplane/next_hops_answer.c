// SPDX-License-Identifier: BSD-2-Clause
/* next_hops_answer.c - see next_hops_answer.h. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "dataplane/next_hops_answer.h"

static void __attribute__((format(printf, 3, 4)))
explain(struct next_hop *answer, enum next_hop_status status, const char *format, ...)
{
	va_list args;

	answer->status = status;
	va_start(args, format);
	vsnprintf(answer->reason, sizeof(answer->reason), format, args);
	va_end(args);
}

/* Routes go with their link: name it if it was the last one used. */
static void explain_no_route(struct next_hop *answer, const struct next_hop_facts *facts)
{
	const struct link *link = facts->last_link;
	char address[ADDRESS_TEXT];

	address_format(facts->address, address);
	if (link && !link->kernel.up)
		explain(answer, NEXT_HOP_FAILED, "no route to %s: %s is down", address,
			link->kernel.name);
	else
		explain(answer, NEXT_HOP_FAILED, "no route to %s", address);
}

/* How the kernel says which type of route it found differs between its versions. */
static void explain_route(struct next_hop *answer, const struct next_hop_facts *facts)
{
	int error = facts->route_error, type = error ? RTN_UNSPEC : facts->route->type;
	char address[ADDRESS_TEXT];

	address_format(facts->address, address);
	if (error == -ENETUNREACH)
		explain_no_route(answer, facts);
	else if (error == -EHOSTUNREACH || type == RTN_UNREACHABLE)
		explain(answer, NEXT_HOP_FAILED, "the route to %s is unreachable", address);
	else if (error == -EACCES || type == RTN_PROHIBIT)
		explain(answer, NEXT_HOP_FAILED, "the route to %s is prohibited", address);
	else if (error == -EINVAL || type == RTN_BLACKHOLE)
		explain(answer, NEXT_HOP_FAILED, "the route to %s is a black hole", address);
	else if (error)
		explain(answer, NEXT_HOP_FAILED, "cannot look up the route to %s: %s", address,
			strerror(-error));
	else if (type == RTN_LOCAL)
		explain(answer, NEXT_HOP_FAILED, "%s is this machine's own address", address);
	else
		explain(answer, NEXT_HOP_FAILED, "%s is not the address of one host", address);
}

static void explain_silence(struct next_hop *answer, const struct neighbour *neighbour)
{
	enum next_hop_status status = neighbour->failed ? NEXT_HOP_FAILED : NEXT_HOP_PENDING;
	char address[ADDRESS_TEXT];

	address_format(&neighbour->kernel.address, address);
	if (neighbour->ask_error == -ENOBUFS)
		explain(answer, status, "the kernel's neighbour table is full: raise "
			"net.ipv%d.neigh.default.gc_thresh3", neighbour->kernel.address.family);
	else if (neighbour->ask_error)
		explain(answer, status, "cannot ask for %s on %s: %s", address, answer->interface,
			strerror(-neighbour->ask_error));
	else if (neighbour->failed)
		explain(answer, status, "no neighbour answers for %s on %s", address,
			answer->interface);
	else
		explain(answer, status, "waiting for %s on %s to answer", address,
			answer->interface);
}

/*
 * Whether a driver can transmit what XDP redirects cannot be asked before Linux 6.3,
 * and frames that it cannot are lost without a trace; these devices never can.
 */
static bool is_deaf_to_xdp(const struct netlink_link *link)
{
	static const char *const kinds[] = {
		"vlan", "bridge", "macvlan", "ipvlan", "team", "vxlan", "geneve", "dummy",
	};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(link->kind, kinds[i]))
			return true;
	return false;
}

static void fill_hop(struct weir_next_hop *hop, const struct next_hop_facts *facts)
{
	const struct netlink_link *link = &facts->link->kernel;
	uint32_t mtu = link->mtu;

	if (facts->route->mtu && facts->route->mtu < mtu)
		mtu = facts->route->mtu;
	hop->ifindex = link->ifindex;
	hop->mtu = mtu < UINT16_MAX ? mtu : UINT16_MAX;
	memcpy(hop->source, link->mac, sizeof(hop->source));
	memcpy(hop->destination, facts->neighbour->kernel.mac, sizeof(hop->destination));
}

static void fill(struct next_hop *answer, const struct next_hop_facts *facts)
{
	const struct neighbour *neighbour = facts->neighbour;
	const struct link *link = facts->link;

	answer->on_link = neighbour && !facts->route->gateway.family;
	answer->interface[0] = '\0';
	answer->reason[0] = '\0';
	if (!neighbour) {
		explain_route(answer, facts);
		return;
	}
	if (!link) {
		explain(answer, NEXT_HOP_FAILED, "interface %u is gone",
			neighbour->kernel.ifindex);
		return;
	}
	memcpy(answer->interface, link->kernel.name, sizeof(answer->interface));
	if (!link->kernel.ethernet) {
		explain(answer, NEXT_HOP_FAILED, "%s is not an Ethernet link", answer->interface);
	} else if (is_deaf_to_xdp(&link->kernel)) {
		explain(answer, NEXT_HOP_FAILED,
			"%s is a %s device, through which XDP cannot send: route it otherwise",
			answer->interface, link->kernel.kind);
	} else if (!link->kernel.up) {
		explain(answer, NEXT_HOP_FAILED, "%s is down", answer->interface);
	} else if (neighbour_is_usable(neighbour)) {
		answer->status = NEXT_HOP_RESOLVED;
		fill_hop(&answer->hop, facts);
	} else {
		explain_silence(answer, neighbour);
	}
}

bool next_hop_answer(struct next_hop *answer, const struct next_hop_facts *facts)
{
	const struct next_hop before = *answer;

	fill(answer, facts);
	return before.status != answer->status || before.on_link != answer->on_link ||
	       memcmp(&before.hop, &answer->hop, sizeof(before.hop));
}
