// SPDX-License-Identifier: BSD-2-Clause
/*
 * next_hops.c - see next_hops.h.
 *
 * Three tables: the kernel's links and neighbours, mirrored from its notifications,
 * and the targets, which are the watched addresses. A target is routed by asking the
 * kernel, and uses the neighbour that its route leads to; a neighbour lists the
 * targets that use it. An event does not act at once but marks what it touches:
 *
 *   neighbour event -> dirty list -> settle timer  -> answers of its targets
 *   routing, link   ->               reroute timer -> routes and answers of all
 *   every second    -> ask for silent neighbours, verify stale ones
 *
 * so a burst is answered once, and an entry that `ip neigh del` first fails and then
 * removes is only ever seen as removed. It never sends a packet; the kernel does.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "compiler.h"
#include "dataplane/netlink.h"
#include "dataplane/next_hops.h"
#include "dataplane/next_hops_answer.h"
#include "dataplane/next_hops_hash.h"
#include "dataplane/next_hops_mirror.h"

#define SETTLE_MS	10
#define REROUTE_MS	50
#define REROUTE_REST	9	/* times as long as rerouting took, before the next */
#define ANSWER_SECONDS	3
#define VERIFY_SECONDS	15	/* well under the 60 s after which Linux collects stale entries */

struct target {
	struct hash_entry entry;
	struct address address;
	struct next_hop answer;
	struct netlink_route route;
	int route_error;		/* -errno instead of a route */
	struct neighbour *neighbour;	/* NULL: no usable route */
	LIST_ENTRY(target) users;
	unsigned int watched;		/* the watch that last named it */
};

struct next_hops {
	struct netlink netlink;
	struct mirror mirror;
	struct hash_table targets;
	LIST_HEAD(, neighbour) dirty;
	struct event *readable, *settle, *reroute, *tick;
	next_hops_changed_fn changed;
	void *arg;
	bool lost;			/* the mirrors are to be read again */
	long rest_until;		/* ms: no rerouting before */
	unsigned int resyncs, watches, seconds;
};

static void arm(struct event *timer, long ms)
{
	struct timeval wait = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (!event_pending(timer, EV_TIMEOUT, NULL))
		event_add(timer, &wait);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Under a storm of route changes, other events still have most of the time. */
static void arm_reroute(struct next_hops *hops)
{
	long rest = hops->rest_until - now_ms();

	arm(hops->reroute, rest > REROUTE_MS ? rest : REROUTE_MS);
}

/* The mirror */

static void update_link(struct next_hops *hops, const struct netlink_link *kernel)
{
	struct link *link = mirror_get_link(&hops->mirror, kernel->ifindex);

	if (!link) {
		hops->lost = true;
		return;
	}
	link->read = hops->resyncs;
	if (!memcmp(&link->kernel, kernel, sizeof(*kernel)))
		return;
	link->kernel = *kernel;
	arm_reroute(hops);
}

static void forget_link(struct next_hops *hops, struct link *link)
{
	mirror_remove_link(&hops->mirror, link);
	arm_reroute(hops);
}

static void mark_dirty(struct next_hops *hops, struct neighbour *neighbour)
{
	if (neighbour->dirty || LIST_EMPTY(&neighbour->users))
		return;
	neighbour->dirty = true;
	LIST_INSERT_HEAD(&hops->dirty, neighbour, dirty_list);
	arm(hops->settle, SETTLE_MS);
}

static void update_neighbour(struct next_hops *hops, const struct netlink_neighbour *kernel)
{
	struct neighbour *neighbour = mirror_get_neighbour(&hops->mirror, kernel->ifindex,
							   &kernel->address);

	if (!neighbour) {
		hops->lost = true;
		return;
	}
	neighbour->kernel = *kernel;
	neighbour->read = hops->resyncs;
	mark_dirty(hops, neighbour);
}

/* Only what the kernel has or a target uses is kept. */
static void release_neighbour(struct next_hops *hops, struct neighbour *neighbour)
{
	if (neighbour->kernel.state != NUD_NONE || !LIST_EMPTY(&neighbour->users))
		return;
	if (neighbour->dirty)
		LIST_REMOVE(neighbour, dirty_list);
	mirror_remove_neighbour(&hops->mirror, neighbour);
}

static void forget_neighbour(struct next_hops *hops, struct neighbour *neighbour)
{
	neighbour->kernel.state = NUD_NONE;
	neighbour->kernel.has_mac = false;
	neighbour->kernel.owned = false;
	mark_dirty(hops, neighbour);
	release_neighbour(hops, neighbour);
}

/* Asking */

/*
 * Make the kernel resolve or verify; true if it was asked. The first ask may only create:
 * an entry that we have not heard of may be PERMANENT, and asking would destroy it. It
 * is read by the next tick.
 */
static bool ask(struct next_hops *hops, struct neighbour *neighbour)
{
	const struct netlink_neighbour *kernel = &neighbour->kernel;
	bool create = kernel->state == NUD_NONE && !neighbour->asks;
	int code;

	if (kernel->owned || !link_is_usable(mirror_find_link(&hops->mirror, kernel->ifindex)))
		return false;
	code = netlink_use_neighbour(&hops->netlink, kernel->ifindex, &kernel->address, create);
	if (code == -EEXIST) {
		hops->lost = true;
		code = 0;
	}
	neighbour->ask_error = code;
	return true;
}

/* The first ask is not left to the tick. */
static void pursue(struct next_hops *hops, struct neighbour *neighbour)
{
	if (!neighbour_is_usable(neighbour) && !neighbour->failed && !neighbour->asks)
		neighbour->asks += ask(hops, neighbour);
}

/* Draw the conclusion from the kernel's entry, once a burst. */
static void judge(struct next_hops *hops, struct neighbour *neighbour)
{
	if (neighbour_is_usable(neighbour)) {
		neighbour->failed = false;
		neighbour->asks = 0;
	} else if (neighbour->kernel.state & NUD_FAILED) {
		neighbour->failed = true;
	} else {
		pursue(hops, neighbour);
	}
}

/* Targets */

static struct target *as_target(struct hash_entry *entry)
{
	return (struct target *)entry;	/* its first member */
}

static struct target *next_target(const struct next_hops *hops, const struct target *target)
{
	return as_target(hash_table_next(&hops->targets, target ? &target->entry : NULL));
}

static struct target *find_target(const struct next_hops *hops, const struct address *address)
{
	struct hash_entry *entry = hash_table_chain(&hops->targets, hash_address(address, 0));

	while (entry && address_compare(&as_target(entry)->address, address))
		entry = entry->next;
	return as_target(entry);
}

/* True if the answer is another one than before. */
static bool answer_target(const struct next_hops *hops, struct target *target)
{
	const struct neighbour *neighbour = target->neighbour;
	const struct next_hop_facts facts = {
		.address = &target->address,
		.route = &target->route,
		.route_error = target->route_error,
		.neighbour = neighbour,
		.link = neighbour ? mirror_find_link(&hops->mirror, neighbour->kernel.ifindex)
				  : NULL,
		.last_link = mirror_find_link(&hops->mirror, target->answer.hop.ifindex),
	};

	return next_hop_answer(&target->answer, &facts);
}

static bool answer_users(const struct next_hops *hops, struct neighbour *neighbour)
{
	struct target *target;
	bool changed = false;

	LIST_FOREACH(target, &neighbour->users, users)
		changed |= answer_target(hops, target);
	return changed;
}

static void leave_neighbour(struct next_hops *hops, struct target *target)
{
	struct neighbour *neighbour = target->neighbour;

	if (!neighbour)
		return;
	LIST_REMOVE(target, users);
	target->neighbour = NULL;
	release_neighbour(hops, neighbour);
}

/* What the kernel found out before anybody asked may be old: a failure is tried again. */
static void join_neighbour(struct target *target, struct neighbour *neighbour)
{
	if (LIST_EMPTY(&neighbour->users)) {
		neighbour->failed = false;
		neighbour->asks = 0;
		neighbour->ask_error = 0;
	}
	LIST_INSERT_HEAD(&neighbour->users, target, users);
	target->neighbour = neighbour;
}

/* Errors by which the kernel says that there is no usable route; others may be mended. */
static bool is_verdict(int error)
{
	return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EACCES ||
	       error == -EINVAL || error == -EOPNOTSUPP || error == -EAFNOSUPPORT;
}

/* The neighbour that the target's route leads to; NULL if there is none. */
static struct neighbour *find_route(struct next_hops *hops, struct target *target)
{
	struct netlink_route *route = &target->route;
	struct neighbour *neighbour = NULL;

	target->route_error = netlink_get_route(&hops->netlink, &target->address, route);
	if (!target->route_error && route->type == RTN_UNICAST) {
		neighbour = mirror_get_neighbour(&hops->mirror, route->ifindex,
						 route->gateway.family ? &route->gateway
								       : &target->address);
		if (!neighbour)
			target->route_error = -ENOMEM;
	}
	if (target->route_error && !is_verdict(target->route_error))
		hops->lost = true;
	return neighbour;
}

/* Route an address anew. True if the answer changed. */
static bool route_target(struct next_hops *hops, struct target *target)
{
	struct neighbour *neighbour = find_route(hops, target);

	if (neighbour != target->neighbour) {
		leave_neighbour(hops, target);
		if (neighbour)
			join_neighbour(target, neighbour);
	}
	if (neighbour)
		pursue(hops, neighbour);
	return answer_target(hops, target);
}

static int watch_address(struct next_hops *hops, const struct address *address)
{
	struct target *target = find_target(hops, address);

	if (!target) {
		target = calloc(1, sizeof(*target));
		if (!target)
			return -ENOMEM;
		target->address = *address;
		hash_table_add(&hops->targets, &target->entry, hash_address(address, 0));
		route_target(hops, target);
	}
	target->watched = hops->watches;
	return 0;
}

static void forget_target(struct next_hops *hops, struct target *target)
{
	leave_neighbour(hops, target);
	hash_table_remove(&hops->targets, &target->entry);
	free(target);
}

/* Events */

static void on_event(const struct netlink_event *event, void *arg)
{
	struct next_hops *hops = arg;
	struct neighbour *neighbour;
	struct link *link;

	switch (event->type) {
	case NETLINK_LINK:
		update_link(hops, &event->link);
		break;
	case NETLINK_LINK_GONE:
		link = mirror_find_link(&hops->mirror, event->link.ifindex);
		if (link)
			forget_link(hops, link);
		break;
	case NETLINK_NEIGHBOUR:
		update_neighbour(hops, &event->neighbour);
		break;
	case NETLINK_NEIGHBOUR_GONE:
		neighbour = mirror_find_neighbour(&hops->mirror, event->neighbour.ifindex,
						  &event->neighbour.address);
		if (neighbour)
			forget_neighbour(hops, neighbour);
		break;
	case NETLINK_ROUTING:
		arm_reroute(hops);
		break;
	}
}

static void forget_unread(struct next_hops *hops)
{
	struct neighbour *neighbour, *next_neighbour;
	struct link *link, *next_link;

	for (link = mirror_next_link(&hops->mirror, NULL); link; link = next_link) {
		next_link = mirror_next_link(&hops->mirror, link);
		if (link->read != hops->resyncs)
			forget_link(hops, link);
	}
	neighbour = mirror_next_neighbour(&hops->mirror, NULL);
	for (; neighbour; neighbour = next_neighbour) {
		next_neighbour = mirror_next_neighbour(&hops->mirror, neighbour);
		if (neighbour->read != hops->resyncs)
			forget_neighbour(hops, neighbour);
	}
}

/* Read everything again. What is queued meanwhile is newer, or repeats what was read. */
static int resync(struct next_hops *hops)
{
	int code;

	hops->lost = false;
	hops->resyncs++;
	code = netlink_dump(&hops->netlink, RTM_GETLINK, on_event, hops);
	if (!code)
		code = netlink_dump(&hops->netlink, RTM_GETNEIGH, on_event, hops);
	if (code) {
		hops->lost = true;
		return code;
	}
	forget_unread(hops);
	arm_reroute(hops);
	return 0;
}

static void receive(struct next_hops *hops)
{
	if (netlink_receive(&hops->netlink, on_event, hops))
		hops->lost = true;
}

/* Whatever cannot be repaired now is tried again by the next tick. */
static void on_readable(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct next_hops *hops = arg;
	bool tried = hops->lost;

	receive(hops);
	if (hops->lost && !tried)
		resync(hops);
}

static void on_settle(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct next_hops *hops = arg;
	struct neighbour *neighbour;
	bool changed = false;

	while ((neighbour = LIST_FIRST(&hops->dirty))) {
		LIST_REMOVE(neighbour, dirty_list);
		neighbour->dirty = false;
		judge(hops, neighbour);
		changed |= answer_users(hops, neighbour);
	}
	if (changed)
		hops->changed(hops->arg);
}

static void on_reroute(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct next_hops *hops = arg;
	struct target *target = NULL;
	long start = now_ms(), end;
	bool changed = false;

	while ((target = next_target(hops, target)))
		changed |= route_target(hops, target);
	end = now_ms();
	hops->rest_until = end + (end - start) * REROUTE_REST;
	if (changed)
		hops->changed(hops->arg);
}

/* A neighbour's second: true if answers changed. */
static bool attend(struct next_hops *hops, struct neighbour *neighbour)
{
	uint64_t turn = neighbour->entry.hash + hops->seconds;

	if (neighbour_is_usable(neighbour)) {
		if (neighbour->kernel.state & NUD_STALE && turn % VERIFY_SECONDS == 0)
			ask(hops, neighbour);
		return false;
	}
	if (neighbour->asks > ANSWER_SECONDS)
		neighbour->failed = true;
	neighbour->asks += ask(hops, neighbour);
	return answer_users(hops, neighbour);
}

static void on_tick(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct next_hops *hops = arg;
	struct neighbour *neighbour = NULL;
	bool changed = false;

	receive(hops);
	if (hops->lost)
		resync(hops);
	hops->seconds++;
	while ((neighbour = mirror_next_neighbour(&hops->mirror, neighbour)))
		if (!LIST_EMPTY(&neighbour->users))
			changed |= attend(hops, neighbour);
	if (changed)
		hops->changed(hops->arg);
}

/* Opening and closing */

static int start_events(struct next_hops *hops, struct event_base *base)
{
	static const struct timeval second = { .tv_sec = 1 };

	hops->readable = event_new(base, netlink_fd(&hops->netlink), EV_READ | EV_PERSIST,
				   on_readable, hops);
	hops->settle = evtimer_new(base, on_settle, hops);
	hops->reroute = evtimer_new(base, on_reroute, hops);
	hops->tick = event_new(base, -1, EV_PERSIST, on_tick, hops);
	if (!hops->readable || !hops->settle || !hops->reroute || !hops->tick ||
	    event_add(hops->readable, NULL) || event_add(hops->tick, &second))
		return -ENOMEM;
	return 0;
}

int next_hops_open(struct event_base *base, next_hops_changed_fn changed, void *arg,
		   struct next_hops **out, struct error *error)
{
	struct next_hops *hops = calloc(1, sizeof(*hops));
	int code;

	if (!hops)
		return error_set(error, ENOMEM, "out of memory");
	hops->changed = changed;
	hops->arg = arg;
	LIST_INIT(&hops->dirty);
	code = netlink_open(&hops->netlink, error);
	if (code)
		goto close;
	if (mirror_init(&hops->mirror) || hash_table_init(&hops->targets) ||
	    start_events(hops, base)) {
		code = error_set(error, ENOMEM, "out of memory");
		goto close;
	}
	code = resync(hops);
	if (code) {
		error_set(error, -code, "cannot read the kernel's links and neighbours: %s",
			  strerror(-code));
		goto close;
	}
	*out = hops;
	return 0;
close:
	next_hops_close(hops);
	return code;
}

static void free_event(struct event *event)
{
	if (event)
		event_free(event);
}

void next_hops_close(struct next_hops *hops)
{
	if (!hops)
		return;
	free_event(hops->readable);
	free_event(hops->settle);
	free_event(hops->reroute);
	free_event(hops->tick);
	hash_table_free_all(&hops->targets);
	mirror_free(&hops->mirror);
	netlink_close(&hops->netlink);
	free(hops);
}

/* Notifications that wait in the queue come first: a route may lead over a new link. */
int next_hops_watch(struct next_hops *hops, const struct address *addresses, size_t count)
{
	struct target *target, *next;

	receive(hops);
	hops->watches++;
	for (size_t i = 0; i < count; i++)
		if (watch_address(hops, &addresses[i]))
			return -ENOMEM;
	for (target = next_target(hops, NULL); target; target = next) {
		next = next_target(hops, target);
		if (target->watched != hops->watches)
			forget_target(hops, target);
	}
	return 0;
}

const struct next_hop *next_hops_find(struct next_hops *hops, const struct address *address)
{
	const struct target *target = find_target(hops, address);

	return target ? &target->answer : NULL;
}
