// SPDX-License-Identifier: BSD-2-Clause
/*
 * netlink_parse.c - rtnetlink messages to plain structures. Pure; trusts no length:
 * an attribute that has not exactly its size counts as missing.
 */
#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include "dataplane/netlink.h"

#define ATTRIBUTES 64			/* more than any type used here */
#define NEIGHBOUR_FLAGS_EXT 15		/* NDA_FLAGS_EXT, which headers before 5.16 lack */
#define NEIGHBOUR_MANAGED 1		/* NTF_EXT_MANAGED */

static int collect(const struct nlattr *attr, void *data)
{
	const struct nlattr **table = data;

	if (mnl_attr_get_type(attr) < ATTRIBUTES)
		table[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

/*
 * The family's fixed header, with attributes in table[ATTRIBUTES]; NULL if it is cut off.
 * Not mnl_attr_parse(), which rounds the message's length up and so may read beyond it.
 */
static const void *open_message(const struct nlmsghdr *message, size_t header,
				const struct nlattr **table)
{
	const char *start = mnl_nlmsg_get_payload(message);
	size_t attributes = MNL_ALIGN(header);

	memset(table, 0, ATTRIBUTES * sizeof(*table));
	if (message->nlmsg_len < mnl_nlmsg_size(attributes))
		return NULL;
	mnl_attr_parse_payload(start + attributes, message->nlmsg_len - mnl_nlmsg_size(attributes),
			       collect, table);
	return start;
}

static const void *payload(const struct nlattr *attr, size_t size)
{
	if (!attr || mnl_attr_get_payload_len(attr) != size)
		return NULL;
	return mnl_attr_get_payload(attr);
}

static bool read_u32(const struct nlattr *attr, uint32_t *value)
{
	const void *bytes = payload(attr, sizeof(*value));

	if (bytes)
		memcpy(value, bytes, sizeof(*value));
	return bytes;
}

static bool set_address(struct address *address, int family, const void *bytes)
{
	if (!bytes || (family != AF_INET && family != AF_INET6))
		return false;
	memset(address, 0, sizeof(*address));
	memcpy(address->word, bytes, family == AF_INET ? 4 : 16);
	address->family = family == AF_INET ? WEIR_IPV4 : WEIR_IPV6;
	return true;
}

static bool read_address(const struct nlattr *attr, int family, struct address *address)
{
	return set_address(address, family, payload(attr, family == AF_INET ? 4 : 16));
}

/* RTA_VIA: a family, then an address of it. */
static bool read_via(const struct nlattr *attr, struct address *address)
{
	const size_t head = sizeof(struct rtvia);
	const struct rtvia *via = payload(attr, head + 4);

	if (via && via->rtvia_family == AF_INET)
		return set_address(address, AF_INET, via->rtvia_addr);
	via = payload(attr, head + 16);
	return via && via->rtvia_family == AF_INET6 &&
	       set_address(address, AF_INET6, via->rtvia_addr);
}

/* Of a virtual device, what `ip -details link` calls it; empty if there is none. */
static void read_kind(const struct nlattr *info, char *kind, size_t size)
{
	const struct nlattr *attr[ATTRIBUTES] = {};
	size_t length;

	if (!info || mnl_attr_parse_nested(info, collect, attr) < 0 || !attr[IFLA_INFO_KIND])
		return;
	length = mnl_attr_get_payload_len(attr[IFLA_INFO_KIND]);
	if (length < size)
		memcpy(kind, mnl_attr_get_payload(attr[IFLA_INFO_KIND]), length);
}

/*
 * Bridges speak of their ports with AF_BRIDGE, wireless drivers of scans without an
 * MTU: neither says anything about the link as such.
 */
static bool parse_link(const struct nlmsghdr *message, struct netlink_link *link)
{
	const struct nlattr *attr[ATTRIBUTES];
	const struct ifinfomsg *info = open_message(message, sizeof(*info), attr);
	const void *mac = payload(attr[IFLA_ADDRESS], sizeof(link->mac));

	if (!info || info->ifi_family != AF_UNSPEC || info->ifi_index <= 0)
		return false;
	link->ifindex = info->ifi_index;
	if (message->nlmsg_type == RTM_DELLINK)
		return true;
	if (!attr[IFLA_IFNAME] || mnl_attr_validate(attr[IFLA_IFNAME], MNL_TYPE_NUL_STRING) < 0 ||
	    mnl_attr_get_payload_len(attr[IFLA_IFNAME]) > sizeof(link->name) ||
	    !read_u32(attr[IFLA_MTU], &link->mtu))
		return false;
	strcpy(link->name, mnl_attr_get_str(attr[IFLA_IFNAME]));
	memset(link->kind, 0, sizeof(link->kind));
	read_kind(attr[IFLA_LINKINFO], link->kind, sizeof(link->kind));
	link->up = (info->ifi_flags & IFF_UP) && (info->ifi_flags & IFF_LOWER_UP);
	link->ethernet = info->ifi_type == ARPHRD_ETHER && mac;
	if (link->ethernet)
		memcpy(link->mac, mac, sizeof(link->mac));
	return true;
}

/* Proxy entries and bridge forwarding entries are no neighbours of ours. */
static bool parse_neighbour(const struct nlmsghdr *message, struct netlink_neighbour *neighbour)
{
	const struct nlattr *attr[ATTRIBUTES];
	const struct ndmsg *info = open_message(message, sizeof(*info), attr);
	const void *mac = payload(attr[NDA_LLADDR], sizeof(neighbour->mac));
	uint32_t flags = 0;

	if (!info || info->ndm_flags & NTF_PROXY || info->ndm_ifindex <= 0 ||
	    !read_address(attr[NDA_DST], info->ndm_family, &neighbour->address))
		return false;
	neighbour->ifindex = info->ndm_ifindex;
	neighbour->state = info->ndm_state;
	neighbour->has_mac = mac;
	if (mac)
		memcpy(neighbour->mac, mac, sizeof(neighbour->mac));
	read_u32(attr[NEIGHBOUR_FLAGS_EXT], &flags);
	neighbour->owned = info->ndm_flags & NTF_EXT_LEARNED || flags & NEIGHBOUR_MANAGED;
	return true;
}

bool netlink_parse_event(const struct nlmsghdr *message, struct netlink_event *event)
{
	memset(event, 0, sizeof(*event));
	switch (message->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		event->type = message->nlmsg_type == RTM_NEWLINK ? NETLINK_LINK : NETLINK_LINK_GONE;
		return parse_link(message, &event->link);
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		event->type = message->nlmsg_type == RTM_NEWNEIGH ? NETLINK_NEIGHBOUR
								  : NETLINK_NEIGHBOUR_GONE;
		return parse_neighbour(message, &event->neighbour);
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
	case RTM_NEWADDR:
	case RTM_DELADDR:
	case RTM_NEWRULE:
	case RTM_DELRULE:
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		event->type = NETLINK_ROUTING;
		return true;
	}
	return false;
}

/*
 * An MTU learned from ICMP is not the route's: it expires unannounced. Such an answer
 * is marked as expiring for IPv4, and as a clone for IPv6 (where routes from router
 * advertisements, with an MTU that is theirs, expire too).
 */
static bool is_learned(const struct rtmsg *rt, const struct nlattr *cache)
{
	const struct rta_cacheinfo *info = payload(cache, sizeof(*info));

	if (rt->rtm_family == AF_INET6)
		return rt->rtm_flags & RTM_F_CLONED;
	return info && info->rta_expires;
}

bool netlink_parse_route(const struct nlmsghdr *message, struct netlink_route *route)
{
	const struct nlattr *attr[ATTRIBUTES], *metric[ATTRIBUTES] = {};
	const struct rtmsg *rt;

	memset(route, 0, sizeof(*route));
	if (message->nlmsg_type != RTM_NEWROUTE)
		return false;
	rt = open_message(message, sizeof(*rt), attr);
	if (!rt)
		return false;
	route->type = rt->rtm_type;
	read_u32(attr[RTA_OIF], &route->ifindex);
	if (!read_address(attr[RTA_GATEWAY], rt->rtm_family, &route->gateway))
		read_via(attr[RTA_VIA], &route->gateway);
	if (attr[RTA_METRICS] && !is_learned(rt, attr[RTA_CACHEINFO]))
		mnl_attr_parse_nested(attr[RTA_METRICS], collect, metric);
	read_u32(metric[RTAX_MTU], &route->mtu);
	return true;
}
