/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame.h - frames to send and frames to expect, built byte by byte.
 *
 * Shares nothing with bpf/ and user/, so that it can tell when they are wrong: it has
 * a writer of headers and a checksum routine of its own.
 */
#ifndef WEIR_TESTS_FRAME_H
#define WEIR_TESTS_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_MAX 2048
#define ETHERNET_SIZE 14
#define IPV4_SIZE 20
#define IPV6_SIZE 40
#define TCP_SIZE 20
#define UDP_SIZE 8

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct frame {
	size_t size;
	size_t transport;	/* offset of the TCP or UDP header */
	size_t length;		/* what the IP header announces */
	uint8_t data[FRAME_MAX];
};

/* What a frame is made of. Addresses are in network order, IPv4 in the first four bytes. */
struct recipe {
	uint8_t family;		/* 4 or 6 */
	uint8_t protocol;	/* IPPROTO_TCP, IPPROTO_UDP */
	uint8_t source[16], destination[16];
	uint16_t source_port, destination_port;
	uint8_t tos;		/* IPv6: traffic class */
	uint8_t ttl;
	uint16_t id;		/* IPv4 only, as the next two */
	uint16_t fragment;	/* flags and offset as the header has them */
	size_t ip_options;	/* bytes, a multiple of 4 up to 40 */
	uint32_t flow_label;	/* IPv6 only */
	uint8_t tcp_flags;
	size_t tcp_options;	/* bytes, a multiple of 4 up to 40 */
	size_t payload;		/* bytes */
	size_t pad_to;		/* least size of the frame, as Ethernet pads short ones */
};

void frame_build(struct frame *frame, const struct recipe *recipe);

/* Open a gap of `size` bytes of 0xee in front of `offset`; the offsets stay as they are. */
void frame_insert(struct frame *frame, size_t offset, size_t size);

void frame_set_macs(struct frame *frame, const uint8_t *destination, const uint8_t *source);

/* TCP with SYN and without ACK. */
bool frame_opens_flow(const struct frame *frame);

struct outer {
	uint8_t family;
	uint8_t source[16], destination[16];
	uint32_t flow_label;	/* IPv6 only */
};

/* `inner` in a tunnel as bpf/forward.h promises it; padding stays at the end. */
void frame_encapsulate(struct frame *frame, const struct frame *inner,
		       const struct outer *outer);

/* NULL, or what is wrong with lengths and checksums, those within tunnels included. */
const char *frame_fault(const uint8_t *data, size_t size);

void put16(uint8_t *at, uint16_t value);
void put32(uint8_t *at, uint32_t value);
uint16_t get16(const uint8_t *at);
uint32_t get32(const uint8_t *at);

#endif
