// SPDX-License-Identifier: BSD-2-Clause
/* report.c - see report.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir/hash.h>

#include "agent/report.h"

static int no_memory(struct error *error)
{
	return error_set(error, ENOMEM, "out of memory");
}

static int no_service(const char *name, struct error *error)
{
	return error_set(error, ENOENT, "there is no service \"%s\" (`weir service list`)", name);
}

static json_t *port_json(uint16_t port)
{
	return port ? json_integer(port) : json_string("any");
}

/* --- services and backends -------------------------------------------------------------- */

/* Everything about one backend that a report needs. */
struct view {
	const struct backend *backend;
	const struct next_hop *hop;
	const struct weir_backend *record;
	uint32_t index;
	bool ready;
	const char *status, *reason;
};

static struct view view_backend(struct agent *agent, const struct config_service *service,
				const struct backend *backend)
{
	const struct table_backend *table =
		tables_find_backend(agent->tables, service->name, &backend->address);
	struct view view = {
		.backend = backend,
		.hop = next_hops_find(agent->next_hops, &backend->address),
		.index = table ? table - agent->tables->backends : 0,
	};

	view.record = &agent->tables->backends[view.index].record;
	view.ready = backend_usable(backend, service->forward, view.hop, view.record,
				    &view.status, &view.reason);
	return view;
}

static json_t *next_hop_json(const struct view *view)
{
	const struct weir_next_hop *hop = &view->record->hop[view->record->active_hop];
	const uint8_t *mac = hop->destination;
	char text[18];

	if (!hop->ifindex)
		return json_null();
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return json_pack("{s:s, s:s, s:i}", "interface", view->hop ? view->hop->interface : "",
			 "mac", text, "mtu", hop->mtu);
}

/* How many of the ring's slots each index has; NULL where there is no ring. */
static uint32_t *count_slots(const struct table_service *table)
{
	uint32_t *slots = calloc(UINT16_MAX + 1, sizeof(*slots));

	for (uint32_t i = 0; slots && i < table->record.ring.size; i++)
		slots[WEIR_SLOT_CURRENT(table->slots[i])]++;
	return slots;
}

static json_t *backend_json(const struct view *view, double share)
{
	char address[ADDRESS_TEXT];

	return json_pack("{s:s, s:i, s:s, s:i, s:s, s:s, s:o, s:f}",
			 "address", address_format(&view->backend->address, address),
			 "weight", view->backend->weight,
			 "state", backend_state_name(view->backend->state),
			 "index", view->index,
			 "status", view->status,
			 "reason", view->reason,
			 "next_hop", next_hop_json(view),
			 "share", share);
}

static json_t *backends_json(struct agent *agent, const struct config_service *service,
			     const struct table_service *table)
{
	json_t *backends = json_array();
	uint32_t *slots = count_slots(table);

	for (size_t i = 0; slots && i < service->embedded.count; i++) {
		struct view view = view_backend(agent, service, &service->embedded.backends[i]);
		double share = view.index && table->record.ring.size ?
			       (double)slots[view.index] / table->record.ring.size : 0;

		json_array_append_new(backends, backend_json(&view, share));
	}
	free(slots);
	return backends;
}

static json_t *limits_json(const struct config_service *service)
{
	json_t *limits = json_array();

	for (size_t i = 0; i < service->limit_count; i++) {
		const struct config_limit *limit = &service->limits[i];

		json_array_append_new(limits,
			json_pack("{s:i, s:s, s:s, s:I, s:I, s:i, s:i}", "number", (int)i + 1,
				  "per", "source", "unit", "packets",
				  "rate", (json_int_t)limit->rate,
				  "burst", (json_int_t)limit->burst,
				  "prefix_v4", limit->prefix_v4,
				  "prefix_v6", limit->prefix_v6));
	}
	return limits;
}

static const struct table_service *find_table(struct agent *agent, const char *name)
{
	static const struct table_service none;
	const struct table_service *found = tables_find_service(agent->tables, name);

	return found ? found : &none;
}

static json_t *service_json(struct agent *agent, const struct config_service *service)
{
	const struct table_service *table = find_table(agent, service->name);
	char address[ADDRESS_TEXT];

	return json_pack("{s:s, s:i, s:s, s:o, s:s, s:s, s:s, s:s, s:o, s:{s:i, s:i, s:i}, s:o}",
			 "name", service->name,
			 "index", table->record.index,
			 "address", address_format(&service->address, address),
			 "port", port_json(service->port),
			 "protocol", protocol_name(service->protocol),
			 "forward", forward_name(service->forward),
			 "select", "maglev",
			 "hash", "5-tuple",
			 "limits", limits_json(service),
			 "ring",
			 "size", table->record.ring.size,
			 "changed", table->churn_changed,
			 "excess", table->churn_excess,
			 "backends", backends_json(agent, service, table));
}

int report_service(struct agent *agent, const char *name, json_t **out, struct error *error)
{
	const struct config_service *service =
		config_service_find(store_config(agent->store), name);

	if (!service)
		return no_service(name, error);
	*out = service_json(agent, service);
	return *out ? 0 : no_memory(error);
}

int report_services(struct agent *agent, json_t **out, struct error *error)
{
	const struct config *config = store_config(agent->store);
	json_t *services = json_array();

	for (size_t i = 0; i < config->service_count; i++)
		json_array_append_new(services, service_json(agent, &config->services[i]));
	*out = json_pack("{s:o}", "services", services);
	return *out ? 0 : no_memory(error);
}

/* --- interfaces ------------------------------------------------------------------------- */

static json_t *interface_json(const struct interface *interface)
{
	return json_pack("{s:s, s:I, s:s, s:I}", "name", interface->name,
			 "index", (json_int_t)interface->index,
			 "mode", interface->generic ? "generic" : "native",
			 "program_id", (json_int_t)interface->program_id);
}

static int interfaces_array(struct agent *agent, json_t **out, struct error *error)
{
	struct interface *interfaces;
	size_t count;
	int err = dataplane_interfaces(agent->dataplane, &interfaces, &count, error);

	if (err)
		return err;
	*out = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(*out, interface_json(&interfaces[i]));
	free(interfaces);
	return *out ? 0 : no_memory(error);
}

int report_interfaces(struct agent *agent, json_t **out, struct error *error)
{
	json_t *interfaces;
	int err = interfaces_array(agent, &interfaces, error);

	if (err)
		return err;
	*out = json_pack("{s:o}", "interfaces", interfaces);
	return *out ? 0 : no_memory(error);
}

int report_interface(struct agent *agent, const char *name, json_t **out,
		     struct error *error)
{
	json_t *interfaces, *interface;
	size_t i;
	int err = interfaces_array(agent, &interfaces, error);

	if (err)
		return err;
	*out = NULL;
	json_array_foreach(interfaces, i, interface)
		if (!strcmp(json_string_value(json_object_get(interface, "name")), name))
			*out = json_incref(interface);
	json_decref(interfaces);
	return *out ? 0 : error_set(error, ENOENT, "%s: weir is not attached there", name);
}

/* --- status ----------------------------------------------------------------------------- */

static void add_problem(json_t *problems, const char *text)
{
	if (text[0])
		json_array_append_new(problems, json_string(text));
}

static size_t count_ready(struct agent *agent, const struct config_service *service)
{
	size_t ready = 0;

	for (size_t i = 0; i < service->embedded.count; i++)
		ready += view_backend(agent, service, &service->embedded.backends[i]).ready;
	return ready;
}

static void add_service_status(struct agent *agent, const struct config_service *service,
			       json_t *services, json_t *problems)
{
	size_t ready = count_ready(agent, service);
	char address[ADDRESS_TEXT], problem[256];

	json_array_append_new(services,
		json_pack("{s:s, s:s, s:o, s:s, s:I, s:I}", "name", service->name,
			  "address", address_format(&service->address, address),
			  "port", port_json(service->port),
			  "protocol", protocol_name(service->protocol),
			  "backends", (json_int_t)service->embedded.count,
			  "ready", (json_int_t)ready));
	if (!ready) {
		snprintf(problem, sizeof(problem), "%s: %s, its packets are dropped",
			 service->name,
			 service->embedded.count ? "no backend is ready" : "it has no backends");
		add_problem(problems, problem);
	}
	for (size_t i = 0; i < service->embedded.count; i++) {
		struct view view = view_backend(agent, service, &service->embedded.backends[i]);

		if (!view.reason[0])
			continue;
		snprintf(problem, sizeof(problem), "%s: backend %s: %s", service->name,
			 address_format(&view.backend->address, address), view.reason);
		add_problem(problems, problem);
	}
}

static json_t *dataplane_json(struct agent *agent, json_t *interfaces)
{
	return json_pack("{s:i, s:s, s:b, s:I, s:I, s:o}", "abi", WEIR_ABI_VERSION,
			 "bpf_dir", dataplane_dir(), "adopted", (int)agent->adopted,
			 "slots_used", (json_int_t)tables_slots_used(agent->tables),
			 "slots_total", (json_int_t)agent->tables->capacity.slots,
			 "interfaces", interfaces);
}

int report_status(struct agent *agent, json_t **out, struct error *error)
{
	const struct config *config = store_config(agent->store);
	const char *config_error = store_error(agent->store);
	json_t *problems = json_array(), *services = json_array(), *interfaces;
	int err = interfaces_array(agent, &interfaces, error);

	if (err) {
		json_decref(problems);
		json_decref(services);
		return err;
	}
	add_problem(problems, config_error ? config_error : "");
	add_problem(problems, agent->apply_error.text);
	add_problem(problems, agent->attach_error.text);
	if (!json_array_size(interfaces))
		add_problem(problems, "attached to no interface: `weir attach IFACE`");
	for (size_t i = 0; i < config->service_count; i++)
		add_service_status(agent, &config->services[i], services, problems);

	*out = json_pack("{s:s, s:i, s:I, s:s, s:o, s:{s:s, s:I, s:s?}, s:o, s:o}",
			 "version", WEIR_VERSION, "pid", getpid(),
			 "uptime_seconds", (json_int_t)(time(NULL) - agent->started_at),
			 "state", json_array_size(problems) ? "degraded" : "ok",
			 "problems", problems,
			 "config", "file", store_path(agent->store),
			 "loaded_at", (json_int_t)store_loaded_at(agent->store),
			 "error", config_error,
			 "dataplane", dataplane_json(agent, interfaces),
			 "services", services);
	return *out ? 0 : no_memory(error);
}

/* --- counters --------------------------------------------------------------------------- */

#define COUNT(name, value) json_object_set_new(object, name, json_integer(value))

static int backend_counters_json(struct agent *agent, const struct config_service *service,
				 json_t *backends, struct error *error)
{
	for (size_t i = 0; i < service->embedded.count; i++) {
		struct view view = view_backend(agent, service, &service->embedded.backends[i]);
		struct weir_backend_counters counters;
		char address[ADDRESS_TEXT];
		json_t *object;
		int err = dataplane_backend_counters(agent->dataplane, view.index, &counters,
						     error);

		if (err)
			return err;
		address_format(&view.backend->address, address);
		object = json_pack("{s:s}", "address", address);
		COUNT("packets", counters.packets);
		COUNT("bytes", counters.bytes);
		COUNT("new_flows", counters.new_flows);
		COUNT("dropped_packets", counters.dropped_packets);
		json_array_append_new(backends, object);
	}
	return 0;
}

static int service_counters_json(struct agent *agent, const struct config_service *service,
				 json_t *services, struct error *error)
{
	const struct table_service *table = find_table(agent, service->name);
	struct weir_service_counters counters = {};
	char address[ADDRESS_TEXT];
	json_t *object, *backends;
	int err = 0;

	if (table->info.name[0])
		err = dataplane_service_counters(agent->dataplane, table->record.index,
						 &counters, error);
	if (err)
		return err;
	address_format_service(&service->address, service->port, service->protocol, address);
	object = json_pack("{s:s, s:s}", "name", service->name, "address", address);
	COUNT("packets", counters.packets);
	COUNT("bytes", counters.bytes);
	COUNT("new_flows", counters.new_flows);
	COUNT("limited_packets", counters.limited_packets);
	COUNT("limited_bytes", counters.limited_bytes);
	COUNT("dropped_packets", counters.dropped_packets);
	backends = json_array();
	json_object_set_new(object, "backends", backends);
	json_array_append_new(services, object);
	return backend_counters_json(agent, service, backends, error);
}

static int totals_json(struct agent *agent, json_t *answer, struct error *error)
{
	struct weir_drop_counters drops;
	struct weir_totals totals;
	json_t *object;
	int err = dataplane_totals(agent->dataplane, &totals, error);

	if (!err)
		err = dataplane_drop_counters(agent->dataplane, &drops, error);
	if (err)
		return err;

	json_object_set_new(answer, "totals", object = json_object());
	COUNT("passed_packets", totals.passed_packets);
	COUNT("forwarded_packets", totals.forwarded_packets);
	COUNT("dropped_packets", totals.dropped_packets);

	json_object_set_new(answer, "drops", object = json_object());
#define COUNT_DROP(name, text) COUNT(#name, drops.name);
	WEIR_DROP_REASONS(COUNT_DROP)
#undef COUNT_DROP

	json_object_set_new(answer, "limiter", object = json_object());
	COUNT("evictions_in_debt", totals.limit_evictions_in_debt);
	COUNT("contended", totals.limit_contended);
	return 0;
}

int report_counters(struct agent *agent, const char *service, json_t **out,
		    struct error *error)
{
	const struct config *config = store_config(agent->store);
	json_t *answer = json_object(), *services = json_array();
	int err = 0;

	if (service && !config_service_find(config, service))
		err = no_service(service, error);
	json_object_set_new(answer, "services", services);
	for (size_t i = 0; i < config->service_count && !err; i++)
		if (!service || !strcmp(service, config->services[i].name))
			err = service_counters_json(agent, &config->services[i], services,
						    error);
	if (!err)
		err = totals_json(agent, answer, error);
	if (err)
		json_decref(answer);
	else
		*out = answer;
	return err;
}

/* --- route ------------------------------------------------------------------------------ */

struct flow {
	struct address source, destination;
	int source_port, destination_port, protocol;
};

static int parse_flow(const char *protocol, const char *source, const char *destination,
		      struct flow *flow, struct error *error)
{
	flow->protocol = protocol_parse(protocol);
	if (flow->protocol < 0)
		return error_set(error, EINVAL, "protocol \"%s\": allowed are tcp and udp",
				 protocol);
	if (address_parse_port(source, &flow->source, &flow->source_port) ||
	    flow->source_port < 0)
		return error_set(error, EINVAL, "source \"%s\": is not ADDRESS:PORT", source);
	if (address_parse_port(destination, &flow->destination, &flow->destination_port) ||
	    flow->destination_port < 0)
		return error_set(error, EINVAL, "destination \"%s\": is not ADDRESS:PORT",
				 destination);
	if (flow->source.family != flow->destination.family)
		return error_set(error, EINVAL,
				 "source and destination are of different address families");
	return 0;
}

static const struct table_service *find_by_key(struct agent *agent, const struct flow *flow,
					       uint16_t port)
{
	struct weir_service_key key = {
		.port = htons(port),
		.protocol = flow->protocol,
		.family = flow->destination.family,
	};

	memcpy(key.address, flow->destination.word, sizeof(key.address));
	for (size_t i = 0; i < agent->tables->service_count; i++)
		if (!memcmp(&agent->tables->service_list[i]->record.key, &key, sizeof(key)))
			return agent->tables->service_list[i];
	return NULL;
}

static json_t *route_in(struct agent *agent, const struct table_service *table,
			const struct flow *flow)
{
	const uint16_t ports[2] = { htons(flow->source_port), htons(flow->destination_port) };
	const struct weir_ring ring = table->record.ring;
	uint32_t word, slot, index;
	char hash_text[20], why[256];
	const char *backend = NULL;
	uint64_t hash;

	memcpy(&word, ports, sizeof(word));
	hash = weir_flow_hash(&agent->tables->settings, flow->destination.family,
			      flow->source.word, flow->destination.word, word, flow->protocol);
	snprintf(hash_text, sizeof(hash_text), "0x%016llx", (unsigned long long)hash);
	slot = ring.size ? weir_scale(hash, ring.size) : 0;
	index = ring.size ? WEIR_SLOT_CURRENT(table->slots[slot]) : 0;
	if (index)
		backend = agent->tables->backends[index].info.address;

	if (!ring.size)
		snprintf(why, sizeof(why), "%s has no backends: dropped", table->info.name);
	else if (!index)
		snprintf(why, sizeof(why), "no backend of %s is ready: dropped",
			 table->info.name);
	else
		snprintf(why, sizeof(why), "slot %u of %u of %s's maglev ring is this backend's",
			 slot, ring.size, table->info.name);
	return json_pack("{s:s, s:s?, s:s, s:I, s:I, s:s}", "service", table->info.name,
			 "backend", backend, "hash", hash_text, "slot", (json_int_t)slot,
			 "ring_size", (json_int_t)ring.size, "why", why);
}

int report_route(struct agent *agent, const char *protocol, const char *source,
		 const char *destination, json_t **out, struct error *error)
{
	const struct table_service *table;
	struct flow flow;
	int err = parse_flow(protocol, source, destination, &flow, error);

	if (err)
		return err;
	table = find_by_key(agent, &flow, flow.destination_port);
	if (!table)
		table = find_by_key(agent, &flow, 0);
	if (table)
		*out = route_in(agent, table, &flow);
	else
		*out = json_pack("{s:n, s:n, s:s}", "service", "backend", "why",
				 "the destination is no service: passed to the network stack");
	return *out ? 0 : no_memory(error);
}
