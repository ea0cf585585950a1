// SPDX-License-Identifier: BSD-2-Clause
/*
 * attach.c - the XDP program on interfaces, through libxdp. Each interface holds its
 * own; it is told from others by the maps that it reads, so the kernel alone knows
 * where weir is attached.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
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

/* What a program is: ours reads this data plane's tables. */
enum kind {
	SOMEBODY_ELSES,
	OURS,
	DISPATCHER,
};

static int identify(const struct dataplane *dataplane, int program, enum kind *kind)
{
	uint32_t ids[64], wanted = map_id(dataplane->map[MAP_services]);
	struct bpf_prog_info info = {
		.nr_map_ids = sizeof(ids) / sizeof(ids[0]),
		.map_ids = (uintptr_t)ids,
	};
	uint32_t size = sizeof(info);

	*kind = SOMEBODY_ELSES;
	if (bpf_obj_get_info_by_fd(program, &info, &size))
		return -errno;
	if (!strcmp(info.name, "xdp_dispatcher"))
		*kind = DISPATCHER;
	if (strcmp(info.name, PROGRAM))
		return 0;
	if (!wanted)	/* an incomplete data plane, being removed: the name must do */
		*kind = OURS;
	for (uint32_t i = 0; i < info.nr_map_ids && i < sizeof(ids) / sizeof(ids[0]); i++)
		if (ids[i] == wanted)
			*kind = OURS;
	return 0;
}

static int find_in_dispatcher(const struct dataplane *dataplane, unsigned int index,
			      uint32_t *id)
{
	struct xdp_multiprog *multi = xdp_multiprog__get_from_ifindex(index);
	struct xdp_program *program = NULL;
	enum kind kind;
	int err = libxdp_get_error(multi);

	if (err)
		return err;
	while (!err && (program = xdp_multiprog__next_prog(program, multi))) {
		err = identify(dataplane, xdp_program__fd(program), &kind);
		if (!err && kind == OURS)
			*id = xdp_program__id(program);
	}
	xdp_multiprog__close(multi);
	return err;
}

/*
 * Does this interface carry our program? 1 and *out if so, 0 if not, -errno if nobody
 * knows. libxdp is asked only where there is a dispatcher: version 1.3 leaves a file
 * open for each question about an interface that has none.
 */
static int look_up(const struct dataplane *dataplane, unsigned int index,
		   struct interface *out)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	enum kind kind;
	int fd, err;

	*out = (struct interface){ .index = index };
	err = bpf_xdp_query(index, 0, &query);
	if (err || !query.prog_id || !if_indextoname(index, out->name))
		return err == -ENODEV ? 0 : err;
	fd = bpf_prog_get_fd_by_id(query.prog_id);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	err = identify(dataplane, fd, &kind);
	close(fd);
	if (!err && kind == OURS)
		out->program_id = query.prog_id;
	else if (!err && kind == DISPATCHER)
		err = find_in_dispatcher(dataplane, index, &out->program_id);
	out->alone = kind == OURS;
	out->generic = query.attach_mode == XDP_ATTACHED_SKB;
	return err ? err : out->program_id != 0;
}

static int unknown(const char *name, int err, struct error *error)
{
	return error_set(error, -err, "%s: cannot find out what is attached: %s", name,
			 strerror(-err));
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
 * Beside other programs. The object is opened anew for each interface, because libxdp
 * decides only here whether it is loaded for a dispatcher or as an XDP program of its own.
 */
static int attach_shared(struct dataplane *dataplane, const char *name, unsigned int index,
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

int attach_alone(const char *name, unsigned int index, int fd, bool generic,
		 struct error *error)
{
	uint32_t mode = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	int err = bpf_xdp_attach(index, fd, mode | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);

	if (err == -EBUSY || err == -EEXIST)
		return error_set(error, -err,
				 "%s: another XDP program is attached, and this libxdp cannot share the interface on this kernel: upgrade libxdp to 1.5.5, or remove that program (`ip link set dev %s xdp off`)",
				 name, name);
	if (err)
		return attach_error(name, generic, err, error);
	log_warning("%s: attached alone: this libxdp cannot share an interface on this kernel, libxdp 1.5.5 can",
		    name);
	return 0;
}

/* The program that was loaded, and so verified, when the data plane was made. */
static int attach_pinned(const struct dataplane *dataplane, const char *name,
			 unsigned int index, bool generic, struct error *error)
{
	char path[PATH_MAX];
	int fd, err;

	snprintf(path, sizeof(path), "%s/weir", dataplane->dir);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return error_set(error, errno, "%s: %s", path, strerror(errno));
	err = attach_alone(name, index, fd, generic, error);
	close(fd);
	return err;
}

/*
 * For operators with bpftool: the program that an interface carries. Nothing depends on
 * it, so one that cannot be pinned is no failure.
 */
static void running_pin(const struct dataplane *dataplane, unsigned int index, char *path,
			size_t size)
{
	snprintf(path, size, "%s/" RUNNING_PIN "%u", dataplane->dir, index);
}

static void pin_running(const struct dataplane *dataplane, unsigned int index)
{
	struct interface present;
	char path[PATH_MAX];
	int fd;

	running_pin(dataplane, index, path, sizeof(path));
	unlink(path);	/* of an interface that had this index before */
	if (look_up(dataplane, index, &present) != 1)
		return;
	fd = bpf_prog_get_fd_by_id(present.program_id);
	if (fd < 0 || bpf_obj_pin(fd, path))
		log_warning("cannot pin %s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

int dataplane_attach(struct dataplane *dataplane, const char *name, bool generic,
		     struct error *error)
{
	unsigned int index = if_nametoindex(name);
	struct interface present;
	int found, err;

	if (!index)
		return no_interface(name, error);
	found = look_up(dataplane, index, &present);
	if (found < 0)
		return unknown(name, found, error);
	if (found) {
		if (present.generic == generic)
			return 0;
		return error_set(error, EEXIST,
				 "%s: attached in %s mode: detach it before changing the mode",
				 name, mode_name(present.generic));
	}
	err = attach_shared(dataplane, name, index, generic, error);
	if (err == -EINVAL)
		err = attach_pinned(dataplane, name, index, generic, error);
	if (!err)
		pin_running(dataplane, index);
	return err;
}

/* Where no dispatcher is, the interface has just this program, or another by now. */
static int detach_alone(const struct interface *interface)
{
	uint32_t flags = interface->generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts);
	int fd = bpf_prog_get_fd_by_id(interface->program_id), err;

	if (fd < 0)
		return -errno;
	opts.old_prog_fd = fd;
	err = bpf_xdp_detach(interface->index, flags | XDP_FLAGS_REPLACE, &opts);
	close(fd);
	return err;
}

static int detach_from_dispatcher(const struct interface *interface)
{
	struct xdp_program *program = xdp_program__from_id(interface->program_id);
	int err = libxdp_get_error(program);

	if (err)
		return err;
	err = xdp_program__detach(program, interface->index, attach_mode(interface->generic), 0);
	xdp_program__close(program);
	return err;
}

int dataplane_detach(struct dataplane *dataplane, const char *name, struct error *error)
{
	unsigned int index = if_nametoindex(name);
	struct interface present;
	char path[PATH_MAX];
	int err;

	if (!index)
		return no_interface(name, error);
	err = look_up(dataplane, index, &present);
	if (err < 0)
		return unknown(name, err, error);
	if (!err)
		return error_set(error, ENOENT,
				 "%s: weir is not attached there (`weir status` says where)",
				 name);
	forget_message();
	err = present.alone ? detach_alone(&present) : detach_from_dispatcher(&present);
	if (err)
		return error_set(error, -err, "%s: cannot detach: %s (%s)", name, strerror(-err),
				 last_message());
	running_pin(dataplane, index, path, sizeof(path));
	unlink(path);
	return 0;
}

bool dataplane_is_attached(struct dataplane *dataplane, const char *name, bool generic)
{
	unsigned int index = if_nametoindex(name);
	struct interface present;

	return index && look_up(dataplane, index, &present) == 1 && present.generic == generic;
}

int dataplane_interfaces(struct dataplane *dataplane, struct interface **out, size_t *count,
			 struct error *error)
{
	struct if_nameindex *names = if_nameindex();
	size_t most = 0;
	int found = 0;

	*count = 0;
	while (names && names[most].if_index)
		most++;
	*out = names ? calloc(most + 1, sizeof(**out)) : NULL;
	if (!*out) {
		if_freenameindex(names);
		return error_set(error, ENOMEM, "cannot list the interfaces: out of memory");
	}
	for (size_t i = 0; i < most && found >= 0; i++) {
		found = look_up(dataplane, names[i].if_index, &(*out)[*count]);
		if (found > 0)
			(*count)++;
		else if (found < 0)
			unknown(names[i].if_name, found, error);
	}
	if_freenameindex(names);
	if (found >= 0)
		return 0;
	free(*out);
	*out = NULL;
	return found;
}
