/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * classify.h - is it ours? Ours means: address, port and protocol are a service's,
 * or address and protocol are those of a service on any port.
 */
#ifndef WEIR_CLASSIFY_H
#define WEIR_CLASSIFY_H

#include <weir/hash.h>

#include "maps.h"
#include "packet.h"

static __always_inline bool same_key(const struct weir_service_key *a,
				     const struct weir_service_key *b)
{
	return a->address[0] == b->address[0] && a->address[1] == b->address[1] &&
	       a->address[2] == b->address[2] && a->address[3] == b->address[3] &&
	       a->port == b->port && a->protocol == b->protocol && a->family == b->family;
}

static __always_inline const struct weir_service *probe(const struct weir_service_key *key)
{
	__u32 position = weir_service_hash(key);

	for (int i = 0; i < WEIR_SERVICE_PROBES; i++) {
		__u32 at = (position + i) & service_mask;
		const struct weir_service *service = bpf_map_lookup_elem(&services, &at);
		__u8 state;

		if (!service)
			return NULL;
		state = *(const volatile __u8 *)&service->state;
		if (state == WEIR_SERVICE_EMPTY)
			return NULL;
		if (state == WEIR_SERVICE_USED && same_key(&service->key, key))
			return service;
	}
	return NULL;
}

static __always_inline const struct weir_service *find_service(struct weir_service_key *key)
{
	const struct weir_service *service = probe(key);

	if (service || !key->port)
		return service;
	key->port = 0;
	return probe(key);
}

static __always_inline enum verdict classify(struct packet *packet)
{
	__u32 entry;

	packet->service = find_service(&packet->destination);
	if (!packet->service)
		return VERDICT_PASS;

	entry = packet->service->settings;
	packet->settings = bpf_map_lookup_elem(&settings, &entry);
	if (!packet->settings)
		return VERDICT_PASS;	/* cannot be: there are two; the verifier wants it */

	return packet->defective ? VERDICT_DROP : VERDICT_NEXT;
}

#endif
