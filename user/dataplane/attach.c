// SPDX-License-Identifier: BSD-2-Clause
/*
 * attach.c - the XDP program on interfaces, through libxdp. Each interface holds its
 * own; it is told from others by the maps that it reads, so the kernel alone knows
 * where weir is attached.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "dataplane/kernel.h"
#include "log.h"
#include "weir.skel.h"

#define PROGRAM "weir"

static uint32_t map_id(int fd)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.id;
}

/* Does the program read this data plane's tables? */
static bool is_ours(const struct dataplane *dataplane, const struct xdp_program *program)
{
	uint32_t ids[64], wanted = map_id(dataplane->map[MAP_services]);
	struct bpf_prog_info info = {
		.nr_map_ids = sizeof(ids) / sizeof(ids[0]),
		.map_ids = (uintptr_t)ids,
	};
	uint32_t size = sizeof(info);

	if (!wanted || strcmp(xdp_program__name(program), PROGRAM) ||
	    bpf_obj_get_info_by_fd(xdp_program__fd(program), &info, &size))
		return false;
	for (uint32_t i = 0; i < info.nr_map_ids && i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i] == wanted)
			return true;
	return false;
}

/* Our program's ID among those of an interface; 0 if it is not there. */
static uint32_t find_ours(const struct dataplane *dataplane, const struct xdp_multiprog *multi)
{
	struct xdp_program *program = NULL;

	if (xdp_multiprog__is_legacy(multi)) {
		program = xdp_multiprog__main_prog(multi);
		return program && is_ours(dataplane, program) ? xdp_program__id(program) : 0;
	}
	while ((program = xdp_multiprog__next_prog(program, multi)))
		if (is_ours(dataplane, program))
			return xdp_program__id(program);
	return 0;
}

/* Does this interface carry our program? Fills *out if so. */
static bool look_up(const struct dataplane *dataplane, unsigned int index,
		    struct interface *out)
{
	struct xdp_multiprog *multi;
	uint32_t any = 0;

	*out = (struct interface){ .index = index };
	if (bpf_xdp_query_id(index, 0, &any) || !any || !if_indextoname(index, out->name))
		return false;
	multi = xdp_multiprog__get_from_ifindex(index);
	if (libxdp_get_error(multi))
		return false;
	out->program_id = find_ours(dataplane, multi);
	out->generic = xdp_multiprog__attach_mode(multi) == XDP_MODE_SKB;
	xdp_multiprog__close(multi);
	return out->program_id;
}

static enum xdp_attach_mode attach_mode(bool generic)
{
	return generic ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

static const char *mode_name(bool generic)
{
	return generic ? "generic" : "native";
}

int attach_error(const char *name, bool generic, int err, struct error *error)
{
	switch (err) {
	case -EOPNOTSUPP:
		return error_set(error, -err,
				 "%s: its driver has no %s XDP%s", name, mode_name(generic),
				 generic ? "" : ": attach it with --mode generic (slower)");
	case -EBUSY:
	case -EEXIST:
		return error_set(error, -err,
				 "%s: another XDP program is attached and does not share the interface: remove it first (`ip link set dev %s xdp off`)",
				 name, name);
	case -EPERM:
	case -EACCES:
		return error_set(error, -err,
				 "%s: may not attach XDP programs: the agent needs root (CAP_NET_ADMIN, CAP_BPF)",
				 name);
	default:
		return error_set(error, -err, "%s: cannot attach in %s mode: %s (%s)", name,
				 mode_name(generic), strerror(-err), last_message());
	}
}

int no_interface(const char *name, struct error *error)
{
	return error_set(error, ENODEV, "%s: there is no such interface (`ip link` lists them)",
			 name);
}

/*
 * The object is opened anew for each interface, because libxdp decides only here
 * whether it is loaded for a dispatcher or as an XDP program of its own.
 */
static int attach(struct dataplane *dataplane, const char *name, unsigned int index,
		  bool generic, struct error *error)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = PROGRAM);
	struct xdp_program *program;
	struct weir_bpf *object;
	int err;

	err = object_open(dataplane, &object, error);
	if (err)
		return err;
	opts.obj = object->obj;
	forget_message();
	program = xdp_program__create(&opts);
	err = libxdp_get_error(program);
	if (err) {
		err = error_set(error, -err, "%s: libxdp: %s", name, last_message());
		goto out;
	}
	err = xdp_program__attach(program, index, attach_mode(generic), 0);
	if (err)
		err = attach_error(name, generic, err, error);
	xdp_program__close(program);
out:
	weir_bpf__destroy(object);
	return err;
}

int dataplane_attach(struct dataplane *dataplane, const char *name, bool generic,
		     struct error *error)
{
	unsigned int index = if_nametoindex(name);
	struct interface present;

	if (!index)
		return no_interface(name, error);
	if (look_up(dataplane, index, &present)) {
		if (present.generic == generic)
			return 0;
		return error_set(error, EEXIST,
				 "%s: attached in %s mode: detach it before changing the mode",
				 name, mode_name(present.generic));
	}
	return attach(dataplane, name, index, generic, error);
}

int dataplane_detach(struct dataplane *dataplane, const char *name, struct error *error)
{
	unsigned int index = if_nametoindex(name);
	struct xdp_program *program;
	struct interface present;
	int err;

	if (!index || !look_up(dataplane, index, &present))
		return error_set(error, ENOENT, "%s: weir is not attached there", name);

	program = xdp_program__from_id(present.program_id);
	err = libxdp_get_error(program);
	if (!err) {
		forget_message();
		err = xdp_program__detach(program, index, attach_mode(present.generic), 0);
		xdp_program__close(program);
	}
	if (err)
		return error_set(error, -err, "%s: cannot detach: %s (%s)", name, strerror(-err),
				 last_message());
	return 0;
}

bool dataplane_is_attached(struct dataplane *dataplane, const char *name, bool generic)
{
	unsigned int index = if_nametoindex(name);
	struct interface present;

	return index && look_up(dataplane, index, &present) && present.generic == generic;
}

int dataplane_interfaces(struct dataplane *dataplane, struct interface **out, size_t *count,
			 struct error *error)
{
	struct if_nameindex *names = if_nameindex();
	size_t most = 0;

	*count = 0;
	while (names && names[most].if_index)
		most++;
	*out = names ? calloc(most + 1, sizeof(**out)) : NULL;
	if (!*out) {
		if_freenameindex(names);
		return error_set(error, ENOMEM, "cannot list the interfaces: out of memory");
	}
	for (size_t i = 0; i < most; i++)
		if (look_up(dataplane, names[i].if_index, &(*out)[*count]))
			(*count)++;
	if_freenameindex(names);
	return 0;
}
