/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netlink.h - the little of rtnetlink that next hops need: messages in, plain
 * structures out. It owns the two sockets and keeps no state about the network.
 */
#ifndef WEIR_NETLINK_H
#define WEIR_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stdint.h>

#include "address.h"
#include "error.h"

struct netlink_link {		/* no padding: memcmp compares */
	uint32_t ifindex;
	uint32_t mtu;
	char name[16];
	char kind[16];		/* "vlan", "bridge", "veth"...; empty: hardware */
	uint8_t mac[6];
	bool ethernet;		/* else mac is zero */
	bool up;		/* administratively, and the layer below */
};

struct netlink_neighbour {
	uint32_t ifindex;
	struct address address;
	uint16_t state;		/* NUD_... */
	uint8_t mac[6];
	bool has_mac;
	bool owned;		/* kept by a routing daemon or NTF_MANAGED: not ours to touch */
};

struct netlink_event {
	enum netlink_event_type {
		NETLINK_LINK,
		NETLINK_LINK_GONE,	/* only ifindex is set */
		NETLINK_NEIGHBOUR,
		NETLINK_NEIGHBOUR_GONE,
		NETLINK_ROUTING,	/* a route, rule, next-hop object or own address changed */
	} type;
	union {
		struct netlink_link link;
		struct netlink_neighbour neighbour;
	};
};

struct netlink_route {
	uint8_t type;		/* RTN_... */
	uint32_t ifindex;
	struct address gateway;	/* family 0: on link; may be of another family */
	uint32_t mtu;		/* the route's own; 0: none */
};

struct netlink {
	struct mnl_socket *requests;		/* blocking, one request at a time */
	struct mnl_socket *notifications;	/* non-blocking */
	uint32_t sequence;
	char buffer[32768];	/* the kernel fills dumps up to this */
};

/* Must not use the netlink that it is called from. */
typedef void (*netlink_event_fn)(const struct netlink_event *event, void *arg);

/* A zeroed or half-opened struct may be closed. */
int netlink_open(struct netlink *netlink, struct error *error);
void netlink_close(struct netlink *netlink);

/* For the event loop; readable when netlink_receive has something to read. */
int netlink_fd(const struct netlink *netlink);

/*
 * Hand the queued notifications to `each`. 0, or -ENOBUFS when some were lost: then what
 * is known about the network is to be read again with netlink_dump.
 */
int netlink_receive(struct netlink *netlink, netlink_event_fn each, void *arg);

/* Hand all links (RTM_GETLINK) or neighbours (RTM_GETNEIGH) to `each`. 0 or -errno. */
int netlink_dump(struct netlink *netlink, uint16_t type, netlink_event_fn each, void *arg);

/* Which route the kernel takes. 0 or -errno, the kernel's own (-ENETUNREACH: none). */
int netlink_get_route(struct netlink *netlink, const struct address *destination,
		      struct netlink_route *route);

/*
 * Make the kernel find out or verify an address's MAC, as if it had a packet to send.
 * `create`: only if it has no entry (-EEXIST). 0 or -errno.
 * Never for a PERMANENT entry, which Linux >= 5.16 would forget.
 */
int netlink_use_neighbour(struct netlink *netlink, uint32_t ifindex,
			  const struct address *address, bool create);

/* What a message says; false if it is malformed or about something else. Pure. */
bool netlink_parse_event(const struct nlmsghdr *message, struct netlink_event *event);
bool netlink_parse_route(const struct nlmsghdr *message, struct netlink_route *route);

#endif
