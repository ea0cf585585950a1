// SPDX-License-Identifier: BSD-2-Clause
/* edit.c - see edit.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "agent/edit.h"

/* One edit: a copy of the document, and the element of a list in it that is edited. */
struct edit {
	struct agent *agent;
	json_t *root;
	json_t *service;	/* the service that is meant, if it exists already */
	json_t *list;		/* services, or the service's backends or limits */
	size_t at;
};

/* The list under `key`, made if it is missing. */
static json_t *list_in(json_t *object, const char *key)
{
	json_t *list = json_object_get(object, key);

	if (!list) {
		list = json_array();
		json_object_set_new(object, key, list);
	}
	return list;
}

static int begin(struct edit *edit, struct agent *agent, struct error *error)
{
	*edit = (struct edit){ .agent = agent, .root = store_copy(agent->store) };
	if (!edit->root)
		return error_set(error, ENOMEM, "out of memory");
	edit->list = list_in(edit->root, "services");
	return 0;
}

static int begin_at_service(struct edit *edit, struct agent *agent, const char *name,
			    struct error *error)
{
	int err = begin(edit, agent, error);

	if (err)
		return err;
	json_array_foreach(edit->list, edit->at, edit->service)
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

static int add_element(struct edit *edit, json_t *body, struct error *error)
{
	if (json_array_append(edit->list, body))
		return give_up(edit, error_set(error, ENOMEM, "out of memory"));
	return finish(edit, error);
}

static int set_element(struct edit *edit, json_t *body, struct error *error)
{
	if (json_object_update(json_array_get(edit->list, edit->at), body))
		return give_up(edit, error_set(error, ENOMEM, "out of memory"));
	return finish(edit, error);
}

static int del_element(struct edit *edit, struct error *error)
{
	json_array_remove(edit->list, edit->at);
	return finish(edit, error);
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
	return err ? err : add_element(&edit, body, error);
}

int edit_service_set(struct agent *agent, const char *name, json_t *body,
		     struct error *error)
{
	struct edit edit;
	int err;

	if (json_object_get(body, "name"))
		return error_set(error, EINVAL,
				 "a service's name cannot be changed: add a new one");
	err = begin_at_service(&edit, agent, name, error);
	return err ? err : set_element(&edit, body, error);
}

int edit_service_del(struct agent *agent, const char *name, struct error *error)
{
	struct edit edit;
	int err = begin_at_service(&edit, agent, name, error);

	return err ? err : del_element(&edit, error);
}

/* --- backends --------------------------------------------------------------------------- */

/*
 * Go to a backend in the service's list; at the list's end if it is not there. `text`
 * is ADDRESS or ADDRESS:PORT; ports cannot differ, so the address alone identifies.
 */
static int find_backend(struct edit *edit, const char *text, struct error *error)
{
	struct address wanted, address;
	json_t *backend;
	int port;

	if (address_parse_port(text, &wanted, &port))
		return error_set(error, EINVAL,
				 "\"%s\" is not an address: allowed are ADDRESS, ADDRESS:PORT and [IPV6]:PORT",
				 text);
	edit->list = list_in(edit->service, "backends");
	json_array_foreach(edit->list, edit->at, backend) {
		const char *other = json_string_value(json_object_get(backend, "address"));

		if (!address_parse_port(other, &address, &port) &&
		    !address_compare(&wanted, &address))
			break;
	}
	return 0;
}

static bool is_found(const struct edit *edit)
{
	return edit->at < json_array_size(edit->list);
}

static int begin_at_backend(struct edit *edit, struct agent *agent, const char *service,
			    const char *address, struct error *error)
{
	int err = begin_at_service(edit, agent, service, error);

	if (err)
		return err;
	err = find_backend(edit, address, error);
	if (!err && !is_found(edit))
		err = error_set(error, ENOENT, "%s has no backend %s (`weir backend list %s`)",
				service, address, service);
	return err ? give_up(edit, err) : 0;
}

int edit_backend_add(struct agent *agent, const char *service, json_t *body,
		     struct error *error)
{
	const char *address = json_string_value(json_object_get(body, "address"));
	struct edit edit;
	int err;

	if (!address)
		return error_set(error, EINVAL, "a backend needs an \"address\"");
	err = begin_at_service(&edit, agent, service, error);
	if (err)
		return err;
	err = find_backend(&edit, address, error);
	if (!err && is_found(&edit))
		err = error_set(error, EEXIST,
				"%s has backend %s already: change it with `weir backend set`",
				service, address);
	return err ? give_up(&edit, err) : add_element(&edit, body, error);
}

int edit_backend_set(struct agent *agent, const char *service, const char *address,
		     json_t *body, struct error *error)
{
	struct edit edit;
	int err = begin_at_backend(&edit, agent, service, address, error);

	return err ? err : set_element(&edit, body, error);
}

int edit_backend_del(struct agent *agent, const char *service, const char *address,
		     struct error *error)
{
	struct edit edit;
	int err = begin_at_backend(&edit, agent, service, address, error);

	return err ? err : del_element(&edit, error);
}

/* --- limits ----------------------------------------------------------------------------- */

static int begin_at_limit(struct edit *edit, struct agent *agent, const char *service,
			  const char *number, struct error *error)
{
	char *end;
	unsigned long wanted = strtoul(number, &end, 10);
	int err = begin_at_service(edit, agent, service, error);

	if (err)
		return err;
	edit->list = list_in(edit->service, "limits");
	edit->at = wanted - 1;
	if (*end || !wanted || !is_found(edit))
		return give_up(edit, error_set(error, ENOENT,
					       "%s has no limit %s (`weir limit list %s`)",
					       service, number, service));
	return 0;
}

int edit_limit_add(struct agent *agent, const char *service, json_t *body,
		   struct error *error)
{
	struct edit edit;
	int err = begin_at_service(&edit, agent, service, error);

	if (err)
		return err;
	edit.list = list_in(edit.service, "limits");
	return add_element(&edit, body, error);
}

int edit_limit_set(struct agent *agent, const char *service, const char *number,
		   json_t *body, struct error *error)
{
	struct edit edit;
	int err = begin_at_limit(&edit, agent, service, number, error);

	return err ? err : set_element(&edit, body, error);
}

int edit_limit_del(struct agent *agent, const char *service, const char *number,
		   struct error *error)
{
	struct edit edit;
	int err = begin_at_limit(&edit, agent, service, number, error);

	return err ? err : del_element(&edit, error);
}
