// SPDX-License-Identifier: BSD-2-Clause
/* agent.c - see agent.h: start, reconcile, stop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

#include "agent/agent.h"
#include "agent/api.h"
#include "compiler.h"
#include "log.h"

static const struct timeval tick_time = { .tv_sec = 2 };
#define ATTACH_PAUSE_MAX 30	/* ticks */

static const struct next_hop *find_next_hop(void *arg, const struct address *address)
{
	const struct agent *agent = arg;

	return next_hops_find(agent->next_hops, address);
}

/* --- reconcile -------------------------------------------------------------------------- */

static int watch_backends(struct agent *agent, const struct config *config,
			  struct error *error)
{
	struct address *addresses;
	size_t count = 0;
	int err;

	for (size_t i = 0; i < config->service_count; i++)
		count += config->services[i].embedded.count;
	addresses = calloc(count + 1, sizeof(*addresses));
	if (!addresses)
		return error_set(error, ENOMEM, "out of memory");

	count = 0;
	for (size_t i = 0; i < config->service_count; i++)
		for (size_t j = 0; j < config->services[i].embedded.count; j++)
			addresses[count++] = config->services[i].embedded.backends[j].address;
	err = next_hops_watch(agent->next_hops, addresses, count);
	free(addresses);
	return err ? error_set(error, -err, "next hops: %s", strerror(-err)) : 0;
}

static void log_changes(const struct tables *before, const struct tables *after)
{
	for (uint32_t i = 1; i < after->capacity.backends; i++) {
		const struct table_backend *old = &before->backends[i];
		const struct table_backend *new = &after->backends[i];

		if (new->info.service[0] && !old->info.service[0])
			log_info("%s: backend %s is index %u", new->info.service,
				 new->info.address, i);
		else if (old->info.service[0] && !new->info.service[0])
			log_info("%s: backend %s is gone", old->info.service,
				 old->info.address);
	}
	for (uint32_t i = 0; i < after->capacity.services; i++) {
		const struct table_service *old = &before->services[i];
		const struct table_service *new = &after->services[i];

		if (new->info.name[0] && new->ring_inputs != old->ring_inputs)
			log_info("%s: ring of %u slots, %u changed (%u more than needed)",
				 new->info.name, new->record.ring.size, new->churn_changed,
				 new->churn_excess);
	}
}

/* After a failure the kernel is asked what it holds, so that the next try starts true. */
static int apply(struct agent *agent, struct error *error)
{
	struct tables *next, *present;
	struct error ignored;
	int err;

	err = watch_backends(agent, store_config(agent->store), error);
	if (!err)
		err = tables_build(store_config(agent->store), find_next_hop, agent,
				   agent->tables, &next, error);
	if (err)
		return err;

	err = dataplane_apply(agent->dataplane, agent->tables, next, error);
	if (!err) {
		log_changes(agent->tables, next);
		tables_free(agent->tables);
		agent->tables = next;
		return 0;
	}
	tables_free(next);
	if (!dataplane_read(agent->dataplane, &present, &ignored)) {
		tables_free(agent->tables);
		agent->tables = present;
	}
	return err;
}

void agent_reconcile(struct agent *agent)
{
	char before[sizeof(agent->apply_error.text)];

	strcpy(before, agent->apply_error.text);
	if (!apply(agent, &agent->apply_error))
		agent->apply_error.text[0] = '\0';
	else if (strcmp(before, agent->apply_error.text))
		log_error("%s", agent->apply_error.text);
}

/* --- interfaces ------------------------------------------------------------------------- */

/* Each try loads the program: one that cannot succeed soon is made ever less often. */
static void pause_attaching(struct agent *agent, bool hopeless)
{
	agent->attach_pause = hopeless ? 2 * agent->attach_pause + 1 : 0;
	if (agent->attach_pause > ATTACH_PAUSE_MAX)
		agent->attach_pause = ATTACH_PAUSE_MAX;
	agent->attach_wait = agent->attach_pause;
}

/*
 * Attach what is wanted and is not attached: at the start, and when an interface was
 * deleted and is there again, or somebody else took the program off.
 */
static void attach_wanted(struct agent *agent)
{
	struct error error = {}, before = agent->attach_error;
	bool hopeless = false;

	agent->attach_error.text[0] = '\0';
	for (size_t i = 0; i < agent->wanted_count; i++) {
		const struct config_interface *wanted = &agent->wanted[i];
		int err;

		if (dataplane_is_attached(agent->dataplane, wanted->name, wanted->generic))
			continue;
		err = dataplane_attach(agent->dataplane, wanted->name, wanted->generic, &error);
		if (!err)
			log_info("%s: attached in %s mode", wanted->name,
				 wanted->generic ? "generic" : "native");
		else if (!agent->attach_error.text[0])
			agent->attach_error = error;
		hopeless |= err && err != -ENODEV;
	}
	if (agent->attach_error.text[0] && strcmp(before.text, agent->attach_error.text))
		log_error("%s", agent->attach_error.text);
	pause_attaching(agent, hopeless);
}

static void forget_wanted(struct agent *agent, const char *name)
{
	size_t left = 0;

	for (size_t i = 0; i < agent->wanted_count; i++)
		if (strcmp(agent->wanted[i].name, name))
			agent->wanted[left++] = agent->wanted[i];
	agent->wanted_count = left;
}

static int want(struct agent *agent, const char *name, bool generic)
{
	struct config_interface *wanted;

	forget_wanted(agent, name);
	wanted = realloc(agent->wanted, (agent->wanted_count + 1) * sizeof(*wanted));
	if (!wanted)
		return -ENOMEM;
	agent->wanted = wanted;
	wanted += agent->wanted_count++;
	*wanted = (struct config_interface){ .generic = generic };
	snprintf(wanted->name, sizeof(wanted->name), "%s", name);
	return 0;
}

int agent_attach(struct agent *agent, const char *interface, bool generic,
		 struct error *error)
{
	int err = dataplane_attach(agent->dataplane, interface, generic, error);

	if (err)
		return err;
	log_info("%s: attached in %s mode", interface, generic ? "generic" : "native");
	err = want(agent, interface, generic);
	attach_wanted(agent);
	return err ? error_set(error, ENOMEM, "out of memory") : 0;
}

int agent_detach(struct agent *agent, const char *interface, struct error *error)
{
	int err = dataplane_detach(agent->dataplane, interface, error);

	forget_wanted(agent, interface);
	attach_wanted(agent);
	if (!err)
		log_info("%s: detached", interface);
	return err;
}

static bool is_listed(const struct config_interface *list, size_t count,
		      const struct config_interface *interface)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].name, interface->name) &&
		    list[i].generic == interface->generic)
			return true;
	return false;
}

/*
 * What the configuration's list has gained is attached, what it has lost is detached;
 * the rest stays as `weir attach` and `weir detach` left it.
 */
static int want_configured(struct agent *agent)
{
	const struct config *config = store_config(agent->store);
	size_t count = config->interface_count, old_count = agent->configured_count;
	struct config_interface *old = agent->configured;
	struct error error;
	int err = 0;

	agent->configured = calloc(count + 1, sizeof(*agent->configured));
	if (!agent->configured) {
		agent->configured = old;
		return -ENOMEM;
	}
	if (count)
		memcpy(agent->configured, config->interfaces, count * sizeof(*old));
	agent->configured_count = count;

	for (size_t i = 0; i < old_count; i++)
		if (!is_listed(agent->configured, count, &old[i]) &&
		    agent_detach(agent, old[i].name, &error))
			log_warning("%s", error.text);
	for (size_t i = 0; i < count && !err; i++)
		if (!is_listed(old, old_count, &agent->configured[i]))
			err = want(agent, agent->configured[i].name,
				   agent->configured[i].generic);
	free(old);
	return err;
}

/* What an agent before us attached on the operator's word. */
static int want_adopted(struct agent *agent, struct error *error)
{
	struct interface *interfaces;
	size_t count;
	int err = dataplane_interfaces(agent->dataplane, &interfaces, &count, error);

	for (size_t i = 0; !err && i < count; i++)
		err = want(agent, interfaces[i].name, interfaces[i].generic);
	free(interfaces);
	return err == -ENOMEM ? error_set(error, ENOMEM, "out of memory") : err;
}

/* --- events ----------------------------------------------------------------------------- */

static void on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct agent *agent = arg;

	if (agent->apply_error.text[0])
		agent_reconcile(agent);
	if (agent->attach_wait)
		agent->attach_wait--;
	else
		attach_wanted(agent);
}

static void on_next_hops(void *arg)
{
	agent_reconcile(arg);
}

static int on_accept(void *arg, const struct config *config, struct error *error)
{
	struct agent *agent = arg;
	struct tables *next;
	int err = tables_build(config, find_next_hop, agent, agent->tables, &next, error);

	if (!err)
		tables_free(next);
	return err;
}

static void note_capacity(const struct agent *agent)
{
	const struct config_capacity *wanted = &store_config(agent->store)->capacity;

	if (memcmp(wanted, &agent->tables->capacity, sizeof(*wanted)))
		log_warning("capacity is not that of the data plane: it takes effect on a new one, after `weir detach --all` and a restart");
}

static void on_config(void *arg)
{
	struct agent *agent = arg;

	if (store_error(agent->store))
		return;
	log_info("%s loaded", store_path(agent->store));
	note_capacity(agent);
	if (want_configured(agent))
		log_error("out of memory");
	agent_reconcile(agent);
	attach_wanted(agent);
}

static void on_signal(evutil_socket_t number, short what UNUSED, void *arg)
{
	struct agent *agent = arg;

	if (number == SIGHUP) {
		store_reload(agent->store);
		return;
	}
	log_info("%s: stopping", strsignal(number));
	event_base_loopbreak(agent->base);
}

static int catch_signals(struct agent *agent, struct error *error)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };

	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 3; i++) {
		agent->signals[i] = evsignal_new(agent->base, numbers[i], on_signal, agent);
		if (!agent->signals[i] || event_add(agent->signals[i], NULL))
			return error_set(error, ENOMEM, "out of memory");
	}
	return 0;
}

/* --- start and stop --------------------------------------------------------------------- */

static int open_dataplane(struct agent *agent, struct error *error)
{
	const char *dir = dataplane_dir();
	int err = dataplane_open(dir, &store_config(agent->store)->capacity, &agent->dataplane,
				 &agent->adopted, error);

	if (err)
		return err;
	log_info("%s the data plane in %s", agent->adopted ? "adopted" : "made", dir);
	err = dataplane_read(agent->dataplane, &agent->tables, error);
	if (!err)
		note_capacity(agent);
	return err;
}

static void log_libevent(int severity, const char *text)
{
	log_line(severity == EVENT_LOG_DEBUG ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "%s", text);
}

/* Each client of the API is an open file; the soft limit is for programs that use select(). */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warning("cannot raise the limit of open files: %s", strerror(errno));
}

static int start(struct agent *agent, struct error *error)
{
	const struct store_callbacks callbacks = { on_accept, on_config, agent };
	int err;

	event_set_log_callback(log_libevent);
	raise_file_limit();
	agent->base = event_base_new();
	if (agent->base)
		agent->tick = event_new(agent->base, -1, EV_PERSIST, on_tick, agent);
	if (!agent->tick || event_add(agent->tick, &tick_time))
		return error_set(error, ENOMEM, "out of memory");

	err = catch_signals(agent, error);
	if (!err)
		err = store_open(agent->base, agent->options->config, &agent->store, error);
	if (!err)
		err = open_dataplane(agent, error);
	if (!err)
		err = next_hops_open(agent->base, on_next_hops, agent, &agent->next_hops, error);
	if (!err)
		err = api_open(agent, agent->options->socket, &agent->api, error);
	if (!err)
		err = want_adopted(agent, error);
	if (!err && want_configured(agent))
		err = error_set(error, ENOMEM, "out of memory");
	if (err)
		return err;
	store_set_callbacks(agent->store, &callbacks);
	agent_reconcile(agent);
	attach_wanted(agent);
	return 0;
}

/* A data plane that no interface carries has nothing to outlive the agent for. */
static void leave_dataplane(struct agent *agent)
{
	struct interface *interfaces;
	struct error error;
	size_t count;

	if (dataplane_interfaces(agent->dataplane, &interfaces, &count, &error)) {
		log_error("%s", error.text);
		return;
	}
	for (size_t i = 0; agent->options->teardown_on_exit && i < count; i++)
		if (dataplane_detach(agent->dataplane, interfaces[i].name, &error))
			log_error("%s", error.text);
	free(interfaces);
	if (dataplane_interfaces(agent->dataplane, &interfaces, &count, &error))
		return;
	free(interfaces);
	if (count)
		log_info("%zu interface%s forwarding without the agent", count,
			 count == 1 ? " goes on" : "s go on");
	else if (dataplane_remove(agent->dataplane, &error))
		log_error("%s", error.text);
}

static void stop(struct agent *agent)
{
	api_close(agent->api);
	next_hops_close(agent->next_hops);
	store_close(agent->store);
	tables_free(agent->tables);
	dataplane_close(agent->dataplane);
	free(agent->wanted);
	free(agent->configured);
	for (int i = 0; i < 3; i++)
		if (agent->signals[i])
			event_free(agent->signals[i]);
	if (agent->tick)
		event_free(agent->tick);
	if (agent->base)
		event_base_free(agent->base);
}

int agent_run(const struct agent_options *options, struct error *error)
{
	struct agent agent = { .options = options, .started_at = time(NULL) };
	int err = start(&agent, error);

	if (!err) {
		sd_notify(0, "READY=1\nSTATUS=balancing");
		log_info("ready: the API is on %s", options->socket);
		event_base_dispatch(agent.base);
		sd_notify(0, "STOPPING=1");
	}
	if (agent.dataplane && (!err || !agent.adopted))
		leave_dataplane(&agent);
	stop(&agent);
	return err;
}
