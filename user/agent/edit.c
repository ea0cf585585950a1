// SPDX-License-Identifier: BSD-2-Clause
/* edit.c - see edit.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/edit.h"

/* One edit: a copy of the document, and where in it the edit takes place. */
struct edit {
	struct agent *agent;
	json_t *root;
	json_t *services;
	size_t at;		/* of the service in `services` */
	json_t *service;
};

static int begin(struct edit *edit, struct agent *agent, struct error *error)
{
	*edit = (struct edit){ .agent = agent, .root = store_copy(agent->store) };
	if (!edit->root)
		return error_set(error, ENOMEM, "out of memory");
	edit->services = json_object_get(edit->root, "services");
	if (!edit->services) {
		edit->services = json_array();
		json_object_set_new(edit->root, "services", edit->services);
	}
	return 0;
}

static int begin_in_service(struct edit *edit, struct agent *agent, const char *name,
			    struct error *error)
{
	int err = begin(edit, agent, error);

	if (err)
		return err;
	json_array_foreach(edit->services, edit->at, edit->service)
		if (!strcmp(json_string_value(json_object_get(edit->service, "name")), name))
			return 0;
	json_decref(edit->root);
	return error_set(error, ENOENT, "there is no service \"%s\" (`weir service list`)", name);
}

static int finish(struct edit *edit, struct error *error)
{
	int err = store_commit(edit->agent->store, edit->root, error);

	if (err)
		return err;
	agent_reconcile(edit->agent);
	if (edit->agent->apply_error.text[0]) {
		*error = edit->agent->apply_error;
		return error_prefix(error, -EIO, "written to %s, but not yet applied",
				    store_path(edit->agent->store));
	}
	return 0;
}

static int give_up(struct edit *edit, int err)
{
	json_decref(edit->root);
	return err;
}

static json_t *list_of(struct edit *edit, const char *key)
{
	json_t *list = json_object_get(edit->service, key);

	if (!list) {
		list = json_array();
		json_object_set_new(edit->service, key, list);
	}
	return list;
}

/* --- services --------------------------------------------------------------------------- */

int edit_service_add(struct agent *agent, json_t *body, struct error *error)
{
	const char *name = json_string_value(json_object_get(body, "name"));
	struct edit edit;
	int err;

	if (name && config_service_find(store_config(agent->store), name))
		return error_set(error, EEXIST,
				 "there is a service \"%s\" already: change it with `weir service set`",
				 name);
	err = begin(&edit, agent, error);
	if (err)
		return err;
	json_array_append(edit.services, body);
	return finish(&edit, error);
}

int edit_service_set(struct agent *agent, const char *name, json_t *body,
		     struct error *error)
{
	struct edit edit;
	int err = begin_in_service(&edit, agent, name, error);

	if (err)
		return err;
	if (json_object_get(body, "name"))
		return give_up(&edit, error_set(error, EINVAL,
						"a service's name cannot be changed: add a new one"));
	json_object_update(edit.service, body);
	return finish(&edit, error);
}

int edit_service_del(struct agent *agent, const char *name, struct error *error)
{
	struct edit edit;
	int err = begin_in_service(&edit, agent, name, error);

	if (err)
		return err;
	json_array_remove(edit.services, edit.at);
	return finish(&edit, error);
}

/* --- backends --------------------------------------------------------------------------- */

/*
 * Where a backend stands in the service's list: -1 if nowhere. `text` is ADDRESS or
 * ADDRESS:PORT; ports cannot differ, so the address alone identifies.
 */
static int find_backend(struct edit *edit, const char *text, json_t **list, int *at,
			struct error *error)
{
	struct address wanted, address;
	json_t *backend;
	size_t i;
	int port;

	*list = list_of(edit, "backends");
	*at = -1;
	if (address_parse_port(text, &wanted, &port))
		return error_set(error, EINVAL,
				 "\"%s\" is not an address: allowed are ADDRESS, ADDRESS:PORT and [IPV6]:PORT",
				 text);
	json_array_foreach(*list, i, backend) {
		const char *other = json_string_value(json_object_get(backend, "address"));

		if (!address_parse_port(other, &address, &port) &&
		    !address_compare(&wanted, &address))
			*at = i;
	}
	return 0;
}

static int begin_at_backend(struct edit *edit, struct agent *agent, const char *service,
			    const char *address, json_t **list, int *at, struct error *error)
{
	int err = begin_in_service(edit, agent, service, error);

	if (err)
		return err;
	err = find_backend(edit, address, list, at, error);
	if (!err && *at < 0)
		err = error_set(error, ENOENT, "%s has no backend %s (`weir backend list %s`)",
				service, address, service);
	return err ? give_up(edit, err) : 0;
}

int edit_backend_add(struct agent *agent, const char *service, json_t *body,
		     struct error *error)
{
	const char *address = json_string_value(json_object_get(body, "address"));
	struct edit edit;
	json_t *list;
	int at, err;

	if (!address)
		return error_set(error, EINVAL, "a backend needs an \"address\"");
	err = begin_in_service(&edit, agent, service, error);
	if (err)
		return err;
	err = find_backend(&edit, address, &list, &at, error);
	if (!err && at >= 0)
		err = error_set(error, EEXIST,
				"%s has backend %s already: change it with `weir backend set`",
				service, address);
	if (err)
		return give_up(&edit, err);
	json_array_append(list, body);
	return finish(&edit, error);
}

int edit_backend_set(struct agent *agent, const char *service, const char *address,
		     json_t *body, struct error *error)
{
	struct edit edit;
	json_t *list;
	int at, err;

	err = begin_at_backend(&edit, agent, service, address, &list, &at, error);
	if (err)
		return err;
	json_object_update(json_array_get(list, at), body);
	return finish(&edit, error);
}

int edit_backend_del(struct agent *agent, const char *service, const char *address,
		     struct error *error)
{
	struct edit edit;
	json_t *list;
	int at, err;

	err = begin_at_backend(&edit, agent, service, address, &list, &at, error);
	if (err)
		return err;
	json_array_remove(list, at);
	return finish(&edit, error);
}

/* --- limits ----------------------------------------------------------------------------- */

static int begin_at_limit(struct edit *edit, struct agent *agent, const char *service,
			  const char *number, json_t **list, size_t *at, struct error *error)
{
	char *end;
	unsigned long wanted = strtoul(number, &end, 10);
	int err = begin_in_service(edit, agent, service, error);

	if (err)
		return err;
	*list = list_of(edit, "limits");
	if (*end || !wanted || wanted > json_array_size(*list))
		return give_up(edit, error_set(error, ENOENT,
					       "%s has no limit %s (`weir limit list %s`)",
					       service, number, service));
	*at = wanted - 1;
	return 0;
}

int edit_limit_add(struct agent *agent, const char *service, json_t *body,
		   struct error *error)
{
	struct edit edit;
	int err = begin_in_service(&edit, agent, service, error);

	if (err)
		return err;
	json_array_append(list_of(&edit, "limits"), body);
	return finish(&edit, error);
}

int edit_limit_set(struct agent *agent, const char *service, const char *number,
		   json_t *body, struct error *error)
{
	struct edit edit;
	json_t *list;
	size_t at;
	int err;

	err = begin_at_limit(&edit, agent, service, number, &list, &at, error);
	if (err)
		return err;
	json_object_update(json_array_get(list, at), body);
	return finish(&edit, error);
}

int edit_limit_del(struct agent *agent, const char *service, const char *number,
		   struct error *error)
{
	struct edit edit;
	json_t *list;
	size_t at;
	int err;

	err = begin_at_limit(&edit, agent, service, number, &list, &at, error);
	if (err)
		return err;
	json_array_remove(list, at);
	return finish(&edit, error);
}
