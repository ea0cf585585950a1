// SPDX-License-Identifier: BSD-2-Clause
/*
 * decap.c - see decap.h. Nothing is pinned: the interface holds the program, and the
 * program holds its map.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <xdp/libxdp.h>

#include <weir/decap.h>

#include "dataplane/decap.h"
#include "dataplane/kernel.h"
#include "decap.skel.h"

#define PROGRAM "weir_decap"

/* The decapsulator's program ID on an interface; 0 if it has none. *mode may be NULL. */
static uint32_t find_program(unsigned int index, enum xdp_attach_mode *mode)
{
	struct xdp_multiprog *multi = xdp_multiprog__get_from_ifindex(index);
	struct xdp_program *program = NULL;
	uint32_t id = 0;

	if (libxdp_get_error(multi))
		return 0;
	if (xdp_multiprog__is_legacy(multi)) {
		program = xdp_multiprog__main_prog(multi);
		if (program && !strcmp(xdp_program__name(program), PROGRAM))
			id = xdp_program__id(program);
	} else {
		while ((program = xdp_multiprog__next_prog(program, multi)))
			if (!strcmp(xdp_program__name(program), PROGRAM))
				id = xdp_program__id(program);
	}
	if (mode)
		*mode = xdp_multiprog__attach_mode(multi);
	xdp_multiprog__close(multi);
	return id;
}

static int write_addresses(const struct bpf_map *map, const struct address *addresses,
			   size_t count, struct error *error)
{
	void *zeros = calloc(libbpf_num_possible_cpus(), sizeof(struct weir_decap_counters));
	int err = 0;

	if (!zeros)
		return error_set(error, ENOMEM, "out of memory");
	for (size_t i = 0; i < count && !err; i++) {
		struct weir_decap_key key = { .family = addresses[i].family };

		memcpy(key.address, addresses[i].word, sizeof(key.address));
		if (bpf_map_update_elem(bpf_map__fd(map), &key, zeros, BPF_ANY))
			err = error_set(error, errno, "cannot write the addresses: %s",
					strerror(errno));
	}
	free(zeros);
	return err;
}

static int attach_shared(struct decap_bpf *object, const char *interface, unsigned int index,
			 bool generic, struct error *error)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .prog_name = PROGRAM, .obj = object->obj);
	struct xdp_program *program = xdp_program__create(&opts);
	int err = libxdp_get_error(program);

	if (err)
		return error_set(error, -err, "%s: libxdp: %s", interface, last_message());
	err = xdp_program__attach(program, index, generic ? XDP_MODE_SKB : XDP_MODE_NATIVE, 0);
	if (err)
		err = attach_error(interface, generic, err, error);
	xdp_program__close(program);
	return err;
}

static int attach_loaded(struct decap_bpf *object, const char *interface, unsigned int index,
			 bool generic, struct error *error)
{
	int err = decap_bpf__load(object);

	if (err)
		return error_set(error, -err, "%s: the kernel does not load the decapsulator: %s",
				 interface, last_message());
	return attach_alone(interface, index, bpf_program__fd(object->progs.weir_decap), generic,
			    error);
}

static int attach_object(const char *interface, unsigned int index, bool shared, bool generic,
			 const struct address *addresses, size_t count, struct error *error)
{
	struct decap_bpf *object = decap_bpf__open();
	int err;

	if (!object)
		return error_set(error, errno, "cannot open the BPF object: %s", last_message());
	err = (shared ? attach_shared : attach_loaded)(object, interface, index, generic, error);
	if (!err)
		err = write_addresses(object->maps.decap_addresses, addresses, count, error);
	decap_bpf__destroy(object);
	return err;
}

int decap_attach(const char *interface, bool generic, const struct address *addresses,
		 size_t count, struct error *error)
{
	unsigned int index = if_nametoindex(interface);
	int err;

	capture_messages();
	if (!index)
		return no_interface(interface, error);
	if (find_program(index, NULL))
		return error_set(error, EEXIST,
				 "%s: a decapsulator is attached: `weir decap %s --detach` removes it",
				 interface, interface);
	err = attach_object(interface, index, true, generic, addresses, count, error);
	if (err == -EINVAL)	/* see attach_alone() */
		err = attach_object(interface, index, false, generic, addresses, count, error);
	return err;
}

int decap_detach(const char *interface, struct error *error)
{
	unsigned int index = if_nametoindex(interface);
	enum xdp_attach_mode mode = XDP_MODE_UNSPEC;
	struct xdp_program *program;
	uint32_t id;
	int err;

	capture_messages();
	id = index ? find_program(index, &mode) : 0;
	if (!id)
		return error_set(error, ENOENT, "%s: no decapsulator is attached there",
				 interface);
	program = xdp_program__from_id(id);
	err = libxdp_get_error(program);
	if (!err) {
		err = xdp_program__detach(program, index, mode, 0);
		xdp_program__close(program);
	}
	return err ? error_set(error, -err, "%s: cannot detach: %s (%s)", interface,
			       strerror(-err), last_message()) : 0;
}
