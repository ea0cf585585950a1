/* SPDX-License-Identifier: BSD-2-Clause */
/* address.h - IP addresses as weir's tables hold them, and as text. */
#ifndef WEIR_ADDRESS_H
#define WEIR_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir/abi.h>

#include "choice.h"

/* Zero-initialise, so that memcmp compares. family 0: no address. */
struct address {
	__be32 word[4];		/* network order; IPv4 in word[0], rest zero */
	uint8_t family;		/* enum weir_family */
};

#define ADDRESS_TEXT 64		/* "[v6]:port/protocol" fits */

/* Parse "192.0.2.1" or "2001:db8::1" (no brackets, no zone). 0 or -EINVAL. */
int address_parse(const char *text, struct address *address);

/*
 * Parse ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT or [ADDRESS]; *port is in host order,
 * -1 when there is none. 0 or -EINVAL.
 */
int address_parse_port(const char *text, struct address *address, int *port);

/* Write the address as text into out[ADDRESS_TEXT]; returns out. */
const char *address_format(const struct address *address, char *out);

/* "203.0.113.10:80/tcp", "[2001:db8::1]:any/udp"; port in host order, 0 is any. */
const char *address_format_service(const struct address *address, uint16_t port,
				   uint8_t protocol, char *out);

/* Order by family, then by bytes: <0, 0, >0. */
int address_compare(const struct address *a, const struct address *b);

/*
 * Unspecified, multicast, broadcast (255.255.255.255), loopback and IPv4-mapped
 * addresses are not usable as unicast.
 */
bool address_is_unicast(const struct address *address);

extern const struct choice protocols[];

/* "tcp" -> IPPROTO_TCP, "udp" -> IPPROTO_UDP, else -EINVAL; and back ("?" if unknown). */
int protocol_parse(const char *text);
const char *protocol_name(uint8_t protocol);

#endif
