// SPDX-License-Identifier: BSD-2-Clause
/* config_check.c - see config_check.h. Pure functions. */
#include <inttypes.h>

#include "config_check.h"

static int check_interfaces(struct reader *reader, const struct place *root,
			    const struct config *config)
{
	struct place list = place_key(root, "interfaces"), element;
	json_t *names = json_object();
	size_t i;
	int err = 0;

	for (i = 0; i < config->interface_count && !err; i++) {
		element = place_index(&list, i);
		err = check_unique(reader, &element, &element, names, config->interfaces[i].name);
	}
	json_decref(names);
	return err;
}

/* A tunnel needs an outer source address of the backend's family. */
static int check_source(struct reader *reader, const struct place *at, const struct config *config,
			const struct config_service *service, const struct backend *backend)
{
	bool v4 = backend->address.family == WEIR_IPV4;
	const struct address *source = v4 ? &config->source_v4 : &config->source_v6;

	if (service->forward != WEIR_FORWARD_IPIP || source->family)
		return 0;
	return reject(reader, at, "is %s and forward is \"ipip\": set \"%s\" to an %s address of "
		      "this balancer", v4 ? "IPv4" : "IPv6",
		      v4 ? "source_address" : "source_address_v6", v4 ? "IPv4" : "IPv6");
}

static int check_backends(struct reader *reader, const struct place *service_at,
			  const struct config *config, const struct config_service *service)
{
	struct place list = place_key(service_at, "backends"), element, at;
	json_t *addresses = json_object();
	const struct backend *backend;
	char text[ADDRESS_TEXT];
	size_t i;
	int err = 0;

	for (i = 0; i < service->embedded.count && !err; i++) {
		backend = &service->embedded.backends[i];
		element = place_index(&list, i);
		at = place_key(&element, "address");
		address_format(&backend->address, text);
		err = check_unique(reader, &at, &element, addresses, text);
		if (!err)
			err = check_source(reader, &at, config, service, backend);
	}
	json_decref(addresses);
	return err;
}

static int check_service(struct reader *reader, const struct place *element,
			 const struct config *config, const struct config_service *service,
			 json_t *names, json_t *addresses)
{
	struct place name = place_key(element, "name"), address = place_key(element, "address");
	char text[ADDRESS_TEXT];
	int err = check_unique(reader, &name, element, names, service->name);

	address_format_service(&service->address, service->port, service->protocol, text);
	if (!err)
		err = check_unique(reader, &address, element, addresses, text);
	if (!err)
		err = check_backends(reader, element, config, service);
	return err;
}

static int check_services(struct reader *reader, const struct place *root,
			  const struct config *config)
{
	struct place list = place_key(root, "services"), element, backends;
	json_t *names = json_object(), *addresses = json_object();
	uint32_t room = config->capacity.backends - 1;	/* index 0 is none */
	const struct config_service *service = config->services;
	size_t i, total = 0;
	int err = 0;

	for (i = 0; i < config->service_count && !err; i++, service++) {
		element = place_index(&list, i);
		err = check_service(reader, &element, config, service, names, addresses);
		total += service->embedded.count;
		if (err || total <= room)
			continue;
		backends = place_key(&element, "backends");
		err = reject(reader, &backends, "makes %zu backends in all, but capacity.backends "
			     "has room for %" PRIu32, total, room);
	}
	json_decref(names);
	json_decref(addresses);
	return err;
}

int config_check(struct reader *reader, const struct place *root, const struct config *config)
{
	int err = check_interfaces(reader, root, config);

	return err ? err : check_services(reader, root, config);
}
