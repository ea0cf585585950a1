// SPDX-License-Identifier: BSD-2-Clause
/*
 * attach.c - the XDP program on interfaces, through libxdp. The program of each
 * interface is pinned as interfaces/INDEX; the kernel is asked whether it is still there.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "dataplane/kernel.h"
#include "log.h"
#include "weir.skel.h"

static void pin_path(const struct dataplane *dataplane, unsigned int index, char *path,
		     size_t size)
{
	snprintf(path, size, "%s/interfaces/%u", dataplane->dir, index);
}

static uint32_t pinned_program_id(const char *path)
{
	struct bpf_prog_info info = {};
	uint32_t size = sizeof(info);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		info.id = 0;
	close(fd);
	return info.id;
}

static bool carries(const struct xdp_multiprog *multi, uint32_t id)
{
	struct xdp_program *program = NULL;

	if (xdp_multiprog__is_legacy(multi)) {
		program = xdp_multiprog__main_prog(multi);
		return program && xdp_program__id(program) == id;
	}
	while ((program = xdp_multiprog__next_prog(program, multi)))
		if (xdp_program__id(program) == id)
			return true;
	return false;
}

/* Does this interface run the program that we pinned for it? Fills *out if so. */
static bool look_up(const struct dataplane *dataplane, unsigned int index,
		    struct interface *out)
{
	struct xdp_multiprog *multi;
	char path[PATH_MAX];
	bool found = false;

	*out = (struct interface){ .index = index };
	pin_path(dataplane, index, path, sizeof(path));
	out->program_id = pinned_program_id(path);
	if (!out->program_id || !if_indextoname(index, out->name))
		return false;

	multi = xdp_multiprog__get_from_ifindex(index);
	if (libxdp_get_error(multi))
		return false;
	found = carries(multi, out->program_id);
	out->generic = xdp_multiprog__attach_mode(multi) == XDP_MODE_SKB;
	xdp_multiprog__close(multi);
	return found;
}

void unpin_lost_interfaces(struct dataplane *dataplane)
{
	struct interface ignored;
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/interfaces", dataplane->dir);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		unsigned int index = strtoul(entry->d_name, NULL, 10);

		if (!index || look_up(dataplane, index, &ignored))
			continue;
		pin_path(dataplane, index, path, sizeof(path));
		unlink(path);
	}
	if (dir)
		closedir(dir);
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
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = "weir");
	struct xdp_program *program;
	struct weir_bpf *object;
	char path[PATH_MAX];
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
	if (err) {
		err = attach_error(name, generic, err, error);
		goto out_program;
	}
	pin_path(dataplane, index, path, sizeof(path));
	if (bpf_obj_pin(xdp_program__fd(program), path)) {
		err = error_set(error, errno, "cannot pin %s: %s", path, strerror(errno));
		xdp_program__detach(program, index, attach_mode(generic), 0);
	}
out_program:
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
	unpin_lost_interfaces(dataplane);
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
	char path[PATH_MAX];
	int err;

	if (!index || !look_up(dataplane, index, &present))
		return error_set(error, ENOENT, "%s: weir is not attached there", name);

	pin_path(dataplane, index, path, sizeof(path));
	program = xdp_program__from_pin(path);
	err = libxdp_get_error(program);
	if (!err) {
		forget_message();
		err = xdp_program__detach(program, index, attach_mode(present.generic), 0);
		xdp_program__close(program);
	}
	if (err)
		return error_set(error, -err, "%s: cannot detach: %s (%s)", name, strerror(-err),
				 last_message());
	unlink(path);
	return 0;
}

int dataplane_interfaces(struct dataplane *dataplane, struct interface **out, size_t *count,
			 struct error *error)
{
	struct interface *found = NULL;
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	*out = NULL;
	*count = 0;
	snprintf(path, sizeof(path), "%s/interfaces", dataplane->dir);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? 0 : error_set(error, errno, "%s: %s", path,
						       strerror(errno));
	while ((entry = readdir(dir))) {
		unsigned int index = strtoul(entry->d_name, NULL, 10);
		void *larger = realloc(found, (*count + 1) * sizeof(*found));

		if (!larger) {
			free(found);
			closedir(dir);
			return error_set(error, ENOMEM, "out of memory");
		}
		found = larger;
		if (index && look_up(dataplane, index, &found[*count]))
			(*count)++;
	}
	closedir(dir);
	*out = found;
	return 0;
}
