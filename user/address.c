// SPDX-License-Identifier: BSD-2-Clause
/* address.c - see address.h. Pure functions. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "address.h"

const struct choice protocols[] = {
	{ "tcp", IPPROTO_TCP },
	{ "udp", IPPROTO_UDP },
	{ NULL, 0 },
};

int address_parse(const char *text, struct address *address)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, address->word) == 1)
		address->family = WEIR_IPV4;
	else if (inet_pton(AF_INET6, text, address->word) == 1)
		address->family = WEIR_IPV6;
	else
		return -EINVAL;
	return 0;
}

/* 1..65535 in plain digits, no leading zero; else -EINVAL. */
static int port_parse(const char *text)
{
	int port = 0;

	if (*text == '0' || !*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		port = port * 10 + *text - '0';
		if (port > UINT16_MAX)
			return -EINVAL;
	}
	return port;
}

int address_parse_port(const char *text, struct address *address, int *port)
{
	bool brackets = *text == '[';
	const char *host = text + brackets;
	size_t length = strcspn(host, brackets ? "]" : ":");
	const char *rest = host + length + brackets;
	char copy[INET6_ADDRSTRLEN];

	*port = -1;
	if (address_parse(text, address) == 0)
		return 0;
	if (!host[length] || length >= sizeof(copy))
		return -EINVAL;
	memcpy(copy, host, length);
	copy[length] = '\0';
	if (address_parse(copy, address) < 0)
		return -EINVAL;
	if (brackets != (address->family == WEIR_IPV6))
		return -EINVAL;
	if (!*rest)
		return 0;
	if (*rest == ':')
		*port = port_parse(rest + 1);
	return *port < 0 ? -EINVAL : 0;
}

const char *address_format(const struct address *address, char *out)
{
	int family = address->family == WEIR_IPV6 ? AF_INET6 : AF_INET;

	if (!address->family)
		strcpy(out, "none");
	else
		inet_ntop(family, address->word, out, ADDRESS_TEXT);
	return out;
}

const char *address_format_service(const struct address *address, uint16_t port,
				   uint8_t protocol, char *out)
{
	bool brackets = address->family == WEIR_IPV6;
	char host[ADDRESS_TEXT], number[8] = "any";

	if (port)
		snprintf(number, sizeof(number), "%u", port);
	snprintf(out, ADDRESS_TEXT, brackets ? "[%.45s]:%s/%s" : "%.45s:%s/%s",
		 address_format(address, host), number, protocol_name(protocol));
	return out;
}

int address_compare(const struct address *a, const struct address *b)
{
	if (a->family != b->family)
		return a->family - b->family;
	return memcmp(a->word, b->word, sizeof(a->word));
}

static bool is_unicast_v4(uint32_t host)
{
	return host != INADDR_ANY && host != INADDR_BROADCAST && !IN_MULTICAST(host) &&
	       host >> IN_CLASSA_NSHIFT != IN_LOOPBACKNET;
}

/* An IPv4-mapped address is a way to write an IPv4 one; no packet carries it. */
static bool is_unicast_v6(const struct in6_addr *v6)
{
	return !IN6_IS_ADDR_UNSPECIFIED(v6) && !IN6_IS_ADDR_LOOPBACK(v6) &&
	       !IN6_IS_ADDR_MULTICAST(v6) && !IN6_IS_ADDR_V4MAPPED(v6);
}

bool address_is_unicast(const struct address *address)
{
	struct in6_addr v6;

	memcpy(&v6, address->word, sizeof(v6));
	switch (address->family) {
	case WEIR_IPV4:
		return is_unicast_v4(ntohl(address->word[0]));
	case WEIR_IPV6:
		return is_unicast_v6(&v6);
	default:
		return false;
	}
}

int protocol_parse(const char *text)
{
	return choice_value(protocols, text);
}

const char *protocol_name(uint8_t protocol)
{
	return choice_name(protocols, protocol);
}
