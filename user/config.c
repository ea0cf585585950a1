// SPDX-License-Identifier: BSD-2-Clause
/*
 * config.c - see config.h. The tables say what each key is and allows; what must
 * hold between objects is for config_check.c. Pure functions.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "compiler.h"
#include "config.h"
#include "config_check.h"
#include "config_locate.h"
#include "config_reader.h"

#define BURST_SECONDS_MAX 1000000	/* keeps a bucket's time far below 2^62 ticks */

/* Words of later versions (gue, nat, random, bytes...) are not here, so they are errors. */
static const struct choice forwards[] = {
	{ "ipip", WEIR_FORWARD_IPIP },
	{ "l2", WEIR_FORWARD_L2 },
	{ NULL, 0 },
};

static const struct choice select_policies[] = { { "maglev", SELECT_MAGLEV }, { NULL, 0 } };
static const struct choice hash_keys[] = { { "5-tuple", HASH_5_TUPLE }, { NULL, 0 } };
static const struct choice limit_pers[] = { { "source", 0 }, { NULL, 0 } };
static const struct choice limit_units[] = { { "packets", 0 }, { NULL, 0 } };
static const struct choice interface_modes[] = { { "native", 0 }, { "generic", 1 }, { NULL, 0 } };

static int read_seed(struct reader *reader, const struct place *at, const struct field *field,
		     void *out)
{
	const char *digits = json_string_value(at->value);
	char byte[3] = "";
	uint8_t *seed = out;
	size_t i;

	if (!digits || strlen(digits) != 2 * CONFIG_SEED_SIZE)
		return reject_value(reader, at, field);
	for (i = 0; i < CONFIG_SEED_SIZE; i++) {
		memcpy(byte, digits + 2 * i, 2);
		if (!isxdigit((unsigned char)byte[0]) || !isxdigit((unsigned char)byte[1]))
			return reject_value(reader, at, field);
		seed[i] = strtoul(byte, NULL, 16);
	}
	return 0;
}

/* A unicast address; field->min is the one family that is allowed, 0: both are. */
static int read_address(struct reader *reader, const struct place *at, const struct field *field,
			void *out)
{
	const char *text = json_string_value(at->value);
	struct address *address = out;

	if (!text || address_parse(text, address) < 0 || !address_is_unicast(address) ||
	    (field->min && address->family != field->min))
		return reject_value(reader, at, field);
	return 0;
}

/* A port as struct config_service has it: "any" is 0. */
static int read_port(struct reader *reader, const struct place *at, const struct field *field,
		     void *out)
{
	const char *word = json_string_value(at->value);

	if (!word || strcmp(word, "any"))
		return read_number(reader, at, field, out);
	*(uint16_t *)out = 0;
	return 0;
}

static int read_service_name(struct reader *reader, const struct place *at,
			     const struct field *field, void *out)
{
	const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
	const char *name = json_string_value(at->value);
	size_t length = name ? strlen(name) : 0;

	if (!length || length >= WEIR_NAME_SIZE || strspn(name, allowed) != length)
		return reject_value(reader, at, field);
	strcpy(out, name);
	return 0;
}

/* What the kernel takes as an interface's name (dev_valid_name()). */
static int read_interface_name(struct reader *reader, const struct place *at,
			       const struct field *field, void *out)
{
	const char *name = json_string_value(at->value);
	size_t length = name ? strlen(name) : 0;

	if (!length || length >= IFNAMSIZ || strcspn(name, "/: \t\n\v\f\r") != length ||
	    !strcmp(name, ".") || !strcmp(name, ".."))
		return reject_value(reader, at, field);
	strcpy(out, name);
	return 0;
}

static const struct field interface_fields[] = {
	{ "name", read_interface_name, FIELD_INTO(struct config_interface, name), .required = true,
	  .allowed = "are 1 to 15 characters without / : and spaces" },
	{ "mode", read_choice, FIELD_INTO(struct config_interface, generic),
	  .choices = interface_modes },
	{},
};

static int read_interface(struct reader *reader, const struct place *at,
			  struct config_interface *interface)
{
	static const struct field either = {
		.allowed = "are a name and {\"name\": ..., \"mode\": ...}",
	};

	if (json_is_string(at->value))
		return read_interface_name(reader, at, interface_fields, interface->name);
	if (json_is_object(at->value))
		return read_object(reader, at, interface_fields, interface);
	return reject_value(reader, at, &either);
}

static int read_interfaces(struct reader *reader, const struct place *at,
			   const struct field *field, void *out)
{
	struct config *config = out;
	size_t i, count = json_array_size(at->value);
	struct place element;
	int err = check_list(reader, at, field);

	if (err)
		return err;
	config->interfaces = calloc(count + 1, sizeof(*config->interfaces));
	if (!config->interfaces)
		return out_of_memory(reader);
	config->interface_count = count;
	for (i = 0; i < count && !err; i++) {
		element = place_index(at, i);
		err = read_interface(reader, &element, &config->interfaces[i]);
	}
	return err;
}

static const struct field limit_fields[] = {
	{ "per", read_choice, .choices = limit_pers },
	{ "unit", read_choice, .choices = limit_units },
	{ "rate", read_number, FIELD_INTO(struct config_limit, rate), .min = 1, .max = UINT32_MAX,
	  .required = true },
	{ "burst", read_number, FIELD_INTO(struct config_limit, burst), .min = 1,
	  .max = UINT32_MAX },
	{ "prefix_v4", read_number, FIELD_INTO(struct config_limit, prefix_v4), .max = 32 },
	{ "prefix_v6", read_number, FIELD_INTO(struct config_limit, prefix_v6), .max = 128 },
	{},
};

static int read_limit(struct reader *reader, const struct place *at, struct config_limit *limit)
{
	struct place burst = place_key(at, "burst");
	uint64_t most;
	int err;

	*limit = (struct config_limit){ .prefix_v4 = 32, .prefix_v6 = 64 };
	err = read_object(reader, at, limit_fields, limit);
	if (err)
		return err;
	if (!limit->burst)
		limit->burst = limit->rate < 10 ? 1 : limit->rate / 10;
	most = (uint64_t)limit->rate * BURST_SECONDS_MAX;
	if (limit->burst > most)
		return reject(reader, &burst, "is %" PRIu32 ", which takes more than %d seconds "
			      "at this rate, allowed are 1 to %" PRIu64, limit->burst,
			      BURST_SECONDS_MAX, most);
	return 0;
}

static int read_limits(struct reader *reader, const struct place *at, const struct field *field,
		       void *out)
{
	struct config_service *service = out;
	size_t i, count = json_array_size(at->value);
	struct place element;
	int err = check_list(reader, at, field);

	if (!err && count > CONFIG_SERVICE_LIMITS)
		err = reject(reader, at, "has %zu limits, a service may have %d in this version",
			     count, CONFIG_SERVICE_LIMITS);
	if (err)
		return err;
	service->limit_count = count;
	for (i = 0; i < count && !err; i++) {
		element = place_index(at, i);
		err = read_limit(reader, &element, &service->limits[i]);
	}
	return err;
}

/* A backend as the file has it. */
struct backend_entry {
	struct backend backend;
	uint16_t port;
	int address_port;	/* of "ADDRESS:PORT", else -1 */
};

static int read_backend_address(struct reader *reader, const struct place *at,
				const struct field *field, void *out)
{
	const char *text = json_string_value(at->value);
	struct backend_entry *entry = out;
	struct address *address = &entry->backend.address;

	if (!text || address_parse_port(text, address, &entry->address_port) < 0 ||
	    !address_is_unicast(address))
		return reject_value(reader, at, field);
	return 0;
}

static const struct field backend_fields[] = {
	{ "address", read_backend_address, .required = true,
	  .allowed = "is a unicast IPv4 or IPv6 address, not loopback" },
	{ "port", read_port, FIELD_INTO(struct backend_entry, port), .min = 1, .max = UINT16_MAX,
	  .allowed = "is only the service's port" },
	{ "weight", read_number, FIELD_INTO(struct backend_entry, backend.weight),
	  .max = BACKEND_WEIGHT_MAX },
	{ "state", read_choice, FIELD_INTO(struct backend_entry, backend.state),
	  .choices = backend_states },
	{},
};

static int reject_port(struct reader *reader, const struct place *at, int port,
		       const struct config_service *service)
{
	char wanted[8] = "any", given[8] = "any";

	if (service->port)
		snprintf(wanted, sizeof(wanted), "%u", service->port);
	if (port)
		snprintf(given, sizeof(given), "%d", port);
	return reject(reader, at, "has port %s, but the service has port %s and ipip and l2 "
		      "cannot map ports: leave the backend's out", given, wanted);
}

static int read_backend(struct reader *reader, const struct place *at,
			const struct config_service *service, struct backend *backend)
{
	struct backend_entry entry = {
		.backend = { .weight = 1, .state = BACKEND_ACTIVE },
		.port = service->port,
		.address_port = -1,
	};
	struct place address = place_key(at, "address"), port = place_key(at, "port");
	int err = read_object(reader, at, backend_fields, &entry);

	if (err)
		return err;
	if (entry.port != service->port)
		return reject_port(reader, &port, entry.port, service);
	if (entry.address_port >= 0 && entry.address_port != service->port)
		return reject_port(reader, &address, entry.address_port, service);
	if (!address_compare(&entry.backend.address, &service->address))
		return reject(reader, &address, "is the service's own address");
	*backend = entry.backend;
	return 0;
}

/* Comes after the service's address and port. */
static int read_backends(struct reader *reader, const struct place *at, const struct field *field,
			 void *out)
{
	struct config_service *service = out;
	size_t i, count = json_array_size(at->value);
	struct snapshot *snapshot = &service->embedded;
	struct place element;
	int err = check_list(reader, at, field);

	if (err)
		return err;
	snapshot->backends = calloc(count + 1, sizeof(*snapshot->backends));
	if (!snapshot->backends)
		return out_of_memory(reader);
	snapshot->count = count;
	for (i = 0; i < count && !err; i++) {
		element = place_index(at, i);
		err = read_backend(reader, &element, service, &snapshot->backends[i]);
	}
	return err;
}

static const struct field service_fields[] = {
	{ "name", read_service_name, FIELD_INTO(struct config_service, name), .required = true,
	  .allowed = "are 1 to 63 characters of A-Z a-z 0-9 . _ -" },
	{ "address", read_address, FIELD_INTO(struct config_service, address), .required = true,
	  .allowed = "is a unicast IPv4 or IPv6 address, not loopback" },
	{ "port", read_port, FIELD_INTO(struct config_service, port), .required = true,
	  .min = 1, .max = UINT16_MAX, .allowed = "are 1 to 65535 or \"any\"" },
	{ "protocol", read_choice, FIELD_INTO(struct config_service, protocol), .required = true,
	  .choices = protocols },
	{ "forward", read_choice, FIELD_INTO(struct config_service, forward),
	  .choices = forwards },
	{ "select", read_choice, FIELD_INTO(struct config_service, select),
	  .choices = select_policies },
	{ "hash", read_choice, FIELD_INTO(struct config_service, hash), .choices = hash_keys },
	{ "limits", read_limits, .allowed = "is a list of limits" },
	{ "backends", read_backends, .allowed = "is a list of backends" },
	{},
};

/* Comes after the capacity. */
static int read_services(struct reader *reader, const struct place *at, const struct field *field,
			 void *out)
{
	struct config *config = out;
	size_t i, count = json_array_size(at->value);
	struct place element;
	int err = check_list(reader, at, field);

	if (!err && count > config->capacity.services)
		err = reject(reader, at, "has %zu services, but capacity.services is %" PRIu32,
			     count, config->capacity.services);
	if (err)
		return err;
	config->services = calloc(count + 1, sizeof(*config->services));
	if (!config->services)
		return out_of_memory(reader);
	config->service_count = count;
	for (i = 0; i < count && !err; i++) {
		element = place_index(at, i);
		config->services[i].forward = WEIR_FORWARD_IPIP;
		err = read_object(reader, &element, service_fields, &config->services[i]);
	}
	return err;
}

static const struct field capacity_fields[] = {
	{ "services", read_number, FIELD_INTO(struct config_capacity, services),
	  .min = 1, .max = 65535 },
	{ "backends", read_number, FIELD_INTO(struct config_capacity, backends),
	  .min = 2, .max = 65536 },
	{ "slots", read_number, FIELD_INTO(struct config_capacity, slots),
	  .min = 4096, .max = 1 << 28 },
	{ "limit_cells", read_number, FIELD_INTO(struct config_capacity, limit_cells),
	  .min = 1024, .max = 1 << 28 },
	{},
};

static uint32_t round_up(uint32_t value, uint32_t multiple)
{
	return (value + multiple - 1) / multiple * multiple;
}

/* The kernel's tables have whole lines only. */
static int read_capacity(struct reader *reader, const struct place *at, const struct field *field UNUSED,
			 void *out)
{
	struct config_capacity *capacity = out;
	int err = read_object(reader, at, capacity_fields, capacity);

	capacity->slots = round_up(capacity->slots, WEIR_SLOTS_PER_LINE);
	capacity->limit_cells = round_up(capacity->limit_cells, WEIR_CELLS_PER_LINE);
	return err;
}

static const struct field config_fields[] = {
	{ "hash_seed", read_seed, FIELD_INTO(struct config, hash_seed), .required = true,
	  .allowed = "are 32 hex digits, the same on every balancer "
		     "(made with `openssl rand -hex 16`)" },
	{ "source_address", read_address, FIELD_INTO(struct config, source_v4),
	  .min = WEIR_IPV4, .allowed = "is a unicast IPv4 address, not loopback" },
	{ "source_address_v6", read_address, FIELD_INTO(struct config, source_v6),
	  .min = WEIR_IPV6, .allowed = "is a unicast IPv6 address, not loopback" },
	{ "capacity", read_capacity, FIELD_INTO(struct config, capacity) },
	{ "interfaces", read_interfaces, .allowed = "is a list of interfaces" },
	{ "services", read_services, .allowed = "is a list of services" },
	{},
};

int config_parse_text(const char *text, size_t length, const char *file,
		      json_t **root, struct error *error)
{
	const char *nul = memchr(text, '\0', length);
	struct position at;
	json_error_t json;

	*root = NULL;
	if (nul) {	/* jansson overlooks one behind a number */
		at = locate_position(text, nul);
		return error_set(error, EINVAL, "%s:%u:%u: a NUL byte, allowed is plain UTF-8",
				 file, at.line, at.column);
	}
	if (length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		return error_set(error, EINVAL, "%s:1:1: begins with a byte order mark, "
				 "allowed is plain UTF-8", file);
	*root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &json);
	if (*root)
		return 0;
	replace_controls(json.text);
	if (json_error_code(&json) == json_error_null_character)
		strcpy(json.text, "\\u0000 is not allowed in a string");
	return error_set(error, EINVAL, "%s:%d:%d: not valid JSON: %s", file, json.line,
			 json.column > 0 ? json.column : 1, json.text);
}

static const struct config defaults = {
	.capacity = {
		.services = WEIR_SERVICES,
		.backends = WEIR_BACKENDS,
		.slots = WEIR_SLOTS,
		.limit_cells = WEIR_LIMIT_CELLS,
	},
};

int config_build(json_t *root, const char *text, const char *file,
		 struct config **config, struct error *error)
{
	struct reader reader = { .text = text, .file = file, .error = error };
	struct place top = { .value = root };
	int err;

	*config = malloc(sizeof(**config));
	if (!*config)
		return out_of_memory(&reader);
	**config = defaults;
	err = read_object(&reader, &top, config_fields, *config);
	if (!err)
		err = config_check(&reader, &top, *config);
	if (err) {
		config_free(*config);
		*config = NULL;
	}
	return err;
}

void config_free(struct config *config)
{
	size_t i;

	if (!config)
		return;
	for (i = 0; i < config->service_count; i++)
		free(config->services[i].embedded.backends);
	free(config->services);
	free(config->interfaces);
	free(config);
}

const struct config_service *config_service_find(const struct config *config, const char *name)
{
	size_t i;

	for (i = 0; i < config->service_count; i++)
		if (!strcmp(config->services[i].name, name))
			return &config->services[i];
	return NULL;
}

const char *forward_name(uint8_t forward)
{
	return choice_name(forwards, forward);
}
