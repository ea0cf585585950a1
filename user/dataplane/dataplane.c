// SPDX-License-Identifier: BSD-2-Clause
/*
 * dataplane.c - making, adopting and removing the pinned data plane, and the counters.
 * Writing the tables is apply.c, attaching to interfaces is attach.c.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "dataplane/kernel.h"
#include "log.h"
#include "weir.skel.h"

const char *const map_names[MAPS] = {
#define MAP_NAME(name) #name,
	DATAPLANE_MAPS(MAP_NAME)
#undef MAP_NAME
};

/* --- messages of the libraries ---------------------------------------------------------- */

static char message[256];

static int keep_message(bool warning, const char *format, va_list args)
{
	char text[8192], *rest = text, *line;

	vsnprintf(text, sizeof(text), format, args);
	if (warning)
		snprintf(message, sizeof(message), "%.*s", (int)strcspn(text, "\n"), text);
	while ((line = strsep(&rest, "\n")))	/* the verifier's log is many */
		if (*line)
			log_debug("%s", line);
	return 0;
}

static int keep_libbpf(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_DEBUG ? 0 : keep_message(level == LIBBPF_WARN, format, args);
}

static int keep_libxdp(enum libxdp_print_level level, const char *format, va_list args)
{
	return level == LIBXDP_DEBUG ? 0 : keep_message(level == LIBXDP_WARN, format, args);
}

void capture_messages(void)
{
	libbpf_set_print(keep_libbpf);
	libxdp_set_print(keep_libxdp);
}

const char *last_message(void)
{
	return message[0] ? message : "no further message";
}

void forget_message(void)
{
	message[0] = '\0';
}

/* --- the folder ------------------------------------------------------------------------- */

const char *dataplane_dir(void)
{
	const char *dir = getenv("WEIR_BPF_DIR");

	return dir && dir[0] ? dir : DATAPLANE_DIR;
}

static void pin_path(const struct dataplane *dataplane, const char *name, char *path,
		     size_t size)
{
	snprintf(path, size, "%s/%s", dataplane->dir, name);
}

static int check_bpf_file_system(const char *dir, struct error *error)
{
	struct statfs info;

	if (statfs(dir, &info))
		return error_set(error, errno, "%s: %s", dir, strerror(errno));
	if ((uint32_t)info.f_type != BPF_FS_MAGIC)
		return error_set(error, ENOTSUP,
				 "%s is not on a BPF file system: mount one with `mount -t bpf bpf /sys/fs/bpf`",
				 dir);
	return 0;
}

/* Lock the folder. Making it is left to the caller who may. */
static int lock_dir(const char *dir, int *lock, struct error *error)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), err;
	struct stat info;

	if (fd < 0 && errno == EACCES)
		return error_set(error, EACCES, "%s: permission denied: run as root", dir);
	if (fd < 0)
		return error_set(error, errno, "%s: %s", dir, strerror(errno));
	err = check_bpf_file_system(dir, error);
	if (!err && (fstat(fd, &info) || info.st_uid != geteuid()))
		err = error_set(error, EPERM,
				"%s belongs to another user: use that user, or remove it", dir);
	if (!err && flock(fd, LOCK_EX | LOCK_NB))
		err = error_set(error, EBUSY, "another weir agent is running: it holds %s: stop that one first (`weir status` has its pid)",
				dir);
	if (err)
		close(fd);
	else
		*lock = fd;
	return err;
}

static int make_dir(const char *dir, struct error *error)
{
	char parent[PATH_MAX], *slash;
	int err;

	if (!access(dir, F_OK))
		return 0;
	snprintf(parent, sizeof(parent), "%s", dir);
	slash = strrchr(parent, '/');
	if (!slash || slash == parent)
		return error_set(error, EINVAL, "%s: not a folder of a BPF file system", dir);
	*slash = '\0';
	err = check_bpf_file_system(parent, error);
	if (err)
		return err;
	if (mkdir(dir, 0750) && errno != EEXIST)
		return error_set(error, errno, "%s: cannot be made: %s%s", dir, strerror(errno),
				 errno == EACCES || errno == EPERM ? ": run as root" : "");
	return 0;
}

/* --- maps ------------------------------------------------------------------------------- */

static uint32_t map_size(const struct config_capacity *capacity, enum map map)
{
	switch (map) {
	case MAP_services:
		return service_positions(capacity->services);
	case MAP_service_info:
	case MAP_service_counters:
		return capacity->services;
	case MAP_backends:
	case MAP_backend_info:
	case MAP_backend_counters:
		return capacity->backends;
	case MAP_slots:
		return capacity->slots / WEIR_SLOTS_PER_LINE;
	case MAP_limit_cells:
		return capacity->limit_cells / WEIR_CELLS_PER_LINE;
	case MAP_limit_rules:
		return limit_rule_index(capacity->services, 0);
	default:
		return 0;	/* as bpf/maps.h has it */
	}
}

static int prepare_map(struct dataplane *dataplane, struct bpf_object *object, enum map map)
{
	struct bpf_map *found = bpf_object__find_map_by_name(object, map_names[map]);
	uint32_t size = map_size(&dataplane->capacity, map);

	if (!found)
		return -ENOENT;
	if (dataplane->map[map] >= 0)
		return bpf_map__reuse_fd(found, dataplane->map[map]);
	return size ? bpf_map__set_max_entries(found, size) : 0;
}

int object_open(struct dataplane *dataplane, struct weir_bpf **out, struct error *error)
{
	struct weir_bpf *object = weir_bpf__open();

	if (!object)
		return error_set(error, errno, "cannot open the BPF object: %s", last_message());
	for (int map = 0; map < MAPS; map++) {
		int err = prepare_map(dataplane, object->obj, map);

		if (err) {
			weir_bpf__destroy(object);
			return error_set(error, -err, "map %s: %s", map_names[map],
					 strerror(-err));
		}
	}
	object->rodata->service_mask = service_positions(dataplane->capacity.services) - 1;
	object->rodata->limit_lines = dataplane->capacity.limit_cells / WEIR_CELLS_PER_LINE;
	*out = object;
	return 0;
}

static int pin_object(struct dataplane *dataplane, struct weir_bpf *object,
		      struct error *error)
{
	struct weir_abi abi = { .version = WEIR_ABI_VERSION };
	char path[PATH_MAX];
	uint32_t zero = 0;

	pin_path(dataplane, "weir", path, sizeof(path));
	if (bpf_obj_pin(bpf_program__fd(object->progs.weir), path))
		return error_set(error, errno, "cannot pin %s: %s", path, strerror(errno));

	for (int map = 0; map < MAPS; map++) {
		int fd = bpf_object__find_map_fd_by_name(object->obj, map_names[map]);

		if (map == MAP_abi && bpf_map_update_elem(fd, &zero, &abi, BPF_ANY))
			return error_set(error, errno, "cannot write map abi: %s",
					 strerror(errno));
		pin_path(dataplane, map_names[map], path, sizeof(path));
		if (bpf_obj_pin(fd, path))
			return error_set(error, errno, "cannot pin %s: %s", path,
					 strerror(errno));
		dataplane->map[map] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	return 0;
}

static void unlink_running(struct dataplane *dataplane)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(dataplane->dir);

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, RUNNING_PIN, strlen(RUNNING_PIN)))
			continue;
		pin_path(dataplane, entry->d_name, path, sizeof(path));
		unlink(path);
	}
	if (dir)
		closedir(dir);
}

static void unlink_pins(struct dataplane *dataplane)
{
	char path[PATH_MAX];

	for (int map = MAPS - 1; map >= 0; map--) {	/* abi first */
		pin_path(dataplane, map_names[map], path, sizeof(path));
		unlink(path);
	}
	pin_path(dataplane, "weir", path, sizeof(path));
	unlink(path);
	unlink_running(dataplane);
}

static bool kernel_too_old(struct utsname *kernel)
{
	unsigned int major, minor;

	return !uname(kernel) && sscanf(kernel->release, "%u.%u", &major, &minor) == 2 &&
	       (major < 5 || (major == 5 && minor < 15));
}

static int load_error(int err, struct error *error)
{
	struct utsname kernel;

	if (err == -EPERM)
		return error_set(error, EPERM,
				 "may not load BPF programs: run as root (CAP_BPF, CAP_NET_ADMIN, CAP_PERFMON)");
	if (kernel_too_old(&kernel))
		return error_set(error, -err, "this is Linux %s: weir needs 5.15 or later",
				 kernel.release);
	return error_set(error, -err, "the kernel does not load the data plane (%s): %s",
			 strerror(-err), last_message());
}

static int create(struct dataplane *dataplane, struct error *error)
{
	struct weir_bpf *object;
	int err;

	unlink_pins(dataplane);	/* of a start that did not get to the end */
	err = object_open(dataplane, &object, error);
	if (err)
		return err;

	err = weir_bpf__load(object);
	err = err ? load_error(err, error) : pin_object(dataplane, object, error);
	weir_bpf__destroy(object);
	if (err)
		unlink_pins(dataplane);
	return err;
}

static uint32_t max_entries(int fd)
{
	struct bpf_map_info info = {};
	uint32_t size = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &size) ? 0 : info.max_entries;
}

static int check_abi(struct dataplane *dataplane, struct error *error)
{
	struct weir_abi abi = {};
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(dataplane->map[MAP_abi], &zero, &abi))
		return error_set(error, errno, "%s/abi: %s", dataplane->dir, strerror(errno));
	if (abi.version != WEIR_ABI_VERSION)
		return error_set(error, EPROTO,
				 "the data plane in %s has ABI version %u, this weir has %u: run the weir that made it, or `weir detach --all` to remove it",
				 dataplane->dir, abi.version, WEIR_ABI_VERSION);
	return 0;
}

static int adopt(struct dataplane *dataplane, struct error *error)
{
	char path[PATH_MAX];

	for (int map = MAPS - 1; map >= 0; map--) {	/* abi first: it says what the rest is */
		pin_path(dataplane, map_names[map], path, sizeof(path));
		dataplane->map[map] = bpf_obj_get(path);
		if (dataplane->map[map] < 0)
			return error_set(error, errno,
					 "%s: %s: the data plane is incomplete, `weir detach --all` removes it",
					 path, strerror(errno));
		if (map == MAP_abi && check_abi(dataplane, error))
			return -EPROTO;
	}
	dataplane->capacity = (struct config_capacity){
		.services = max_entries(dataplane->map[MAP_service_info]),
		.backends = max_entries(dataplane->map[MAP_backends]),
		.slots = max_entries(dataplane->map[MAP_slots]) * WEIR_SLOTS_PER_LINE,
		.limit_cells = max_entries(dataplane->map[MAP_limit_cells]) * WEIR_CELLS_PER_LINE,
	};
	return 0;
}

static void *map_memory(int fd, size_t size, size_t *mapped)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *memory;

	*mapped = (size + page - 1) / page * page;
	memory = mmap(NULL, *mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return memory == MAP_FAILED ? NULL : memory;
}

static int map_tables(struct dataplane *dataplane, struct error *error)
{
	const struct config_capacity *capacity = &dataplane->capacity;

	dataplane->slots = map_memory(dataplane->map[MAP_slots],
				      capacity->slots * sizeof(uint32_t),
				      &dataplane->slots_size);
	dataplane->backends = map_memory(dataplane->map[MAP_backends],
					 capacity->backends * sizeof(struct weir_backend),
					 &dataplane->backends_size);
	dataplane->services = map_memory(dataplane->map[MAP_services],
					 service_positions(capacity->services) *
					 sizeof(struct weir_service),
					 &dataplane->services_size);
	if (!dataplane->slots || !dataplane->backends || !dataplane->services)
		return error_set(error, errno, "cannot map the tables of %s: %s",
				 dataplane->dir, strerror(errno));
	return 0;
}

/* --- open, close, remove ---------------------------------------------------------------- */

static struct dataplane *dataplane_new(const char *dir)
{
	struct dataplane *dataplane = calloc(1, sizeof(*dataplane));

	if (!dataplane)
		return NULL;
	snprintf(dataplane->dir, sizeof(dataplane->dir), "%s", dir);
	dataplane->lock = -1;
	dataplane->cpus = libbpf_num_possible_cpus();
	for (int map = 0; map < MAPS; map++)
		dataplane->map[map] = -1;
	return dataplane;
}

static int open_tables(struct dataplane *dataplane, const struct config_capacity *capacity,
		       bool *adopted, struct error *error)
{
	char path[PATH_MAX];
	int err;

	pin_path(dataplane, map_names[MAP_abi], path, sizeof(path));
	*adopted = !access(path, F_OK);
	dataplane->capacity = *capacity;
	err = *adopted ? adopt(dataplane, error) : create(dataplane, error);
	return err ? err : map_tables(dataplane, error);
}

int dataplane_open(const char *dir, const struct config_capacity *capacity,
		   struct dataplane **out, bool *adopted, struct error *error)
{
	struct dataplane *dataplane = dataplane_new(dir);
	int err;

	if (!dataplane)
		return error_set(error, ENOMEM, "out of memory");
	capture_messages();
	err = make_dir(dir, error);
	if (!err)
		err = lock_dir(dir, &dataplane->lock, error);
	if (!err)
		err = open_tables(dataplane, capacity, adopted, error);
	if (!err) {
		*out = dataplane;
		return 0;
	}
	if (dataplane->lock >= 0)
		rmdir(dir);	/* if nothing came of it */
	dataplane_close(dataplane);
	return err;
}

void dataplane_close(struct dataplane *dataplane)
{
	if (!dataplane)
		return;
	if (dataplane->slots)
		munmap(dataplane->slots, dataplane->slots_size);
	if (dataplane->backends)
		munmap(dataplane->backends, dataplane->backends_size);
	if (dataplane->services)
		munmap(dataplane->services, dataplane->services_size);
	for (int map = 0; map < MAPS; map++)
		if (dataplane->map[map] >= 0)
			close(dataplane->map[map]);
	if (dataplane->lock >= 0)
		close(dataplane->lock);
	free(dataplane);
}

int dataplane_remove(struct dataplane *dataplane, struct error *error)
{
	unlink_pins(dataplane);
	if (rmdir(dataplane->dir))
		return error_set(error, errno, "%s: cannot be removed: %s", dataplane->dir,
				 strerror(errno));
	return 0;
}

static int detach_each(struct dataplane *dataplane, const char *name, bool all,
		       size_t *left, struct error *error)
{
	struct interface *interfaces;
	size_t count;
	int err = dataplane_interfaces(dataplane, &interfaces, &count, error);

	if (err)
		return err;
	*left = count;
	if (!all) {
		err = dataplane_detach(dataplane, name, error);
		*left -= !err;
	}
	for (size_t i = 0; all && i < count && !err; i++) {
		err = dataplane_detach(dataplane, interfaces[i].name, error);
		*left -= !err;
	}
	free(interfaces);
	return err;
}

int dataplane_detach_offline(const char *name, bool all, struct error *error)
{
	struct dataplane *dataplane = dataplane_new(dataplane_dir());
	char path[PATH_MAX];
	size_t left;
	int err;

	if (!dataplane)
		return error_set(error, ENOMEM, "out of memory");
	capture_messages();
	if (access(dataplane->dir, F_OK) && errno == ENOENT) {
		err = error_set(error, ENOENT, "nothing is attached: there is no %s",
				dataplane->dir);
		goto out;
	}
	pin_path(dataplane, map_names[MAP_services], path, sizeof(path));
	dataplane->map[MAP_services] = bpf_obj_get(path);	/* tells our programs */
	err = lock_dir(dataplane->dir, &dataplane->lock, error);
	if (!err)
		err = detach_each(dataplane, name, all, &left, error);
	if (!err && !left)
		err = dataplane_remove(dataplane, error);
out:
	dataplane_close(dataplane);
	return err;
}

/* --- counters --------------------------------------------------------------------------- */

/* All counter structs are nothing but __u64 fields. */
static int sum_counters(struct dataplane *dataplane, enum map map, uint32_t index, void *out,
			size_t size, struct error *error)
{
	uint64_t *values = calloc(dataplane->cpus, size), *sum = out;
	size_t fields = size / sizeof(*values);

	if (!values)
		return error_set(error, ENOMEM, "out of memory");
	memset(out, 0, size);
	if (bpf_map_lookup_elem(dataplane->map[map], &index, values)) {
		free(values);
		return error_set(error, errno, "map %s, element %u: %s", map_names[map], index,
				 strerror(errno));
	}
	for (size_t i = 0; i < fields * dataplane->cpus; i++)
		sum[i % fields] += values[i];
	free(values);
	return 0;
}

int dataplane_service_counters(struct dataplane *dataplane, uint32_t index,
			       struct weir_service_counters *out, struct error *error)
{
	return sum_counters(dataplane, MAP_service_counters, index, out, sizeof(*out), error);
}

int dataplane_backend_counters(struct dataplane *dataplane, uint32_t index,
			       struct weir_backend_counters *out, struct error *error)
{
	return sum_counters(dataplane, MAP_backend_counters, index, out, sizeof(*out), error);
}

int dataplane_drop_counters(struct dataplane *dataplane, struct weir_drop_counters *out,
			    struct error *error)
{
	return sum_counters(dataplane, MAP_drop_counters, 0, out, sizeof(*out), error);
}

int dataplane_totals(struct dataplane *dataplane, struct weir_totals *out,
		     struct error *error)
{
	return sum_counters(dataplane, MAP_totals, 0, out, sizeof(*out), error);
}
