// SPDX-License-Identifier: BSD-2-Clause
/* netlink.c - sockets and requests; see netlink.h. */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "compiler.h"
#include "dataplane/netlink.h"

#define RECEIVE_BUFFER	(8 << 20)	/* some 20,000 notifications */
#define RECEIVE_BURST	32768		/* all of them; then other events have their turn */
#define DUMP_ATTEMPTS	8

struct request {
	union {
		struct nlmsghdr header;
		char bytes[256];
	};
};

typedef void (*answer_fn)(const struct nlmsghdr *message, void *arg);

struct reader {
	netlink_event_fn each;
	void *arg;
};

/* Linux < 5.3 has no next-hop objects and cannot report them. */
static int join(struct mnl_socket *socket, int group)
{
	if (!mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		return 0;
	return group == RTNLGRP_NEXTHOP ? 0 : -errno;
}

static int subscribe(struct mnl_socket *socket)
{
	static const int groups[] = {
		RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_NEXTHOP,
		RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_RULE,
		RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV6_RULE,
	};
	int size = RECEIVE_BUFFER, fd = mnl_socket_get_fd(socket);
	int code = 0;

	/* Without CAP_NET_ADMIN the system's limit holds; a loss is noticed and repaired. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	for (size_t i = 0; i < sizeof(groups) / sizeof(*groups) && !code; i++)
		code = join(socket, groups[i]);
	return code;
}

static struct mnl_socket *open_socket(int flags)
{
	struct mnl_socket *socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | flags);
	int code;

	if (!socket || !mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID))
		return socket;
	code = errno;
	mnl_socket_close(socket);
	errno = code;
	return NULL;
}

int netlink_open(struct netlink *netlink, struct error *error)
{
	static const struct timeval patience = { .tv_sec = 5 };
	int on = 1, code;

	netlink->requests = open_socket(0);
	if (netlink->requests)
		netlink->notifications = open_socket(SOCK_NONBLOCK);
	if (!netlink->notifications)
		return error_set(error, errno, "cannot open a netlink socket: %s",
				 strerror(errno));
	/* Linux < 4.20 does not check strictly; our requests are well-formed anyway. */
	mnl_socket_setsockopt(netlink->requests, NETLINK_GET_STRICT_CHK, &on, sizeof(on));
	/* The kernel answers while it takes the request: a wait at all is a lost answer. */
	setsockopt(mnl_socket_get_fd(netlink->requests), SOL_SOCKET, SO_RCVTIMEO, &patience,
		   sizeof(patience));
	code = subscribe(netlink->notifications);
	if (code)
		return error_set(error, -code, "cannot subscribe to netlink notifications: %s",
				 strerror(-code));
	return 0;
}

void netlink_close(struct netlink *netlink)
{
	if (netlink->requests)
		mnl_socket_close(netlink->requests);
	if (netlink->notifications)
		mnl_socket_close(netlink->notifications);
	netlink->requests = NULL;
	netlink->notifications = NULL;
}

int netlink_fd(const struct netlink *netlink)
{
	return mnl_socket_get_fd(netlink->notifications);
}

static void read_event(const struct nlmsghdr *message, void *arg)
{
	const struct reader *reader = arg;
	struct netlink_event event;

	if (netlink_parse_event(message, &event))
		reader->each(&event, reader->arg);
}

/* ENOBUFS: the queue overflowed; what is left in it is still worth reading. ENOSPC: cut off. */
int netlink_receive(struct netlink *netlink, netlink_event_fn each, void *arg)
{
	struct reader reader = { each, arg };
	int code = 0;

	for (int i = 0; i < RECEIVE_BURST; i++) {
		ssize_t got = mnl_socket_recvfrom(netlink->notifications, netlink->buffer,
						  sizeof(netlink->buffer));
		const struct nlmsghdr *message = (void *)netlink->buffer;
		int left = got;

		if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (got < 0 && errno != EINTR)
			code = -ENOBUFS;
		for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
			read_event(message, &reader);
	}
	return code;
}

static struct nlmsghdr *request_start(struct request *request, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *header;

	memset(request, 0, sizeof(*request));
	header = mnl_nlmsg_put_header(request->bytes);
	header->nlmsg_type = type;
	header->nlmsg_flags = NLM_F_REQUEST | flags;
	return header;
}

/* What NLMSG_ERROR and NLMSG_DONE carry: 0, -errno or, at the end of a dump, nothing. */
static int verdict(const struct nlmsghdr *message)
{
	if (mnl_nlmsg_get_payload_len(message) < sizeof(int))
		return message->nlmsg_type == NLMSG_DONE ? 0 : -EBADMSG;
	return *(const int *)mnl_nlmsg_get_payload(message);
}

/*
 * Read one datagram of the answer to `sequence`. 1: there is more to come; else
 * how it ended. What a request that failed half-way left in the socket is skipped.
 */
static int read_answer(struct netlink *netlink, bool *interrupted, answer_fn answer, void *arg)
{
	ssize_t got = mnl_socket_recvfrom(netlink->requests, netlink->buffer,
					  sizeof(netlink->buffer));
	const struct nlmsghdr *message = (void *)netlink->buffer;
	int left = got;

	if (got < 0 && errno == EINTR)
		return 1;
	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		if (message->nlmsg_seq != netlink->sequence)
			continue;
		if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE)
			return verdict(message);
		*interrupted |= message->nlmsg_flags & NLM_F_DUMP_INTR;
		answer(message, arg);
		if (!(message->nlmsg_flags & NLM_F_MULTI))
			return 0;
	}
	return 1;
}

/* Send a request and hand each message of the answer to `answer`. 0 or -errno. */
static int transact(struct netlink *netlink, struct nlmsghdr *header, answer_fn answer,
		    void *arg)
{
	bool interrupted = false;
	int code;

	header->nlmsg_seq = ++netlink->sequence;
	if (mnl_socket_sendto(netlink->requests, header, header->nlmsg_len) < 0)
		return -errno;
	do
		code = read_answer(netlink, &interrupted, answer, arg);
	while (code > 0);
	return !code && interrupted ? -EINTR : code;
}

/* A dump that a change interrupted may have skipped entries that did not change. */
int netlink_dump(struct netlink *netlink, uint16_t type, netlink_event_fn each, void *arg)
{
	struct reader reader = { each, arg };
	struct request request;
	int code = -EINTR;

	for (int i = 0; i < DUMP_ATTEMPTS && code == -EINTR; i++) {
		struct nlmsghdr *header = request_start(&request, type, NLM_F_DUMP);

		if (type == RTM_GETLINK) {
			mnl_nlmsg_put_extra_header(header, sizeof(struct ifinfomsg));
			mnl_attr_put_u32(header, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
		} else {
			mnl_nlmsg_put_extra_header(header, sizeof(struct ndmsg));
		}
		code = transact(netlink, header, read_event, &reader);
	}
	return code;
}

static size_t address_size(const struct address *address)
{
	return address->family == WEIR_IPV4 ? 4 : 16;
}

static uint8_t address_family(const struct address *address)
{
	return address->family == WEIR_IPV4 ? AF_INET : AF_INET6;
}

static void read_route(const struct nlmsghdr *message, void *arg)
{
	struct netlink_route *route = arg;

	if (!netlink_parse_route(message, route))
		route->type = RTN_UNSPEC;
}

int netlink_get_route(struct netlink *netlink, const struct address *destination,
		      struct netlink_route *route)
{
	struct request request;
	struct nlmsghdr *header = request_start(&request, RTM_GETROUTE, 0);
	struct rtmsg *rt = mnl_nlmsg_put_extra_header(header, sizeof(*rt));
	int code;

	rt->rtm_family = address_family(destination);
	rt->rtm_dst_len = 8 * address_size(destination);
	mnl_attr_put(header, RTA_DST, address_size(destination), destination->word);
	memset(route, 0, sizeof(*route));
	code = transact(netlink, header, read_route, route);
	return code ? code : route->type == RTN_UNSPEC ? -EBADMSG : 0;
}

static void read_nothing(const struct nlmsghdr *message UNUSED, void *arg UNUSED)
{
}

int netlink_use_neighbour(struct netlink *netlink, uint32_t ifindex,
			  const struct address *address, bool create)
{
	struct request request;
	struct nlmsghdr *header = request_start(&request, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE |
						(create ? NLM_F_EXCL : 0));
	struct ndmsg *neighbour = mnl_nlmsg_put_extra_header(header, sizeof(*neighbour));

	neighbour->ndm_family = address_family(address);
	neighbour->ndm_ifindex = ifindex;
	neighbour->ndm_flags = NTF_USE;
	mnl_attr_put(header, NDA_DST, address_size(address), address->word);
	return transact(netlink, header, read_nothing, NULL);
}
