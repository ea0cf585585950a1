// SPDX-License-Identifier: BSD-2-Clause
/*
 * api.c - see api.h: the socket, the table of routes, and one JSON answer a request.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/api.h"
#include "agent/edit.h"
#include "agent/report.h"
#include "compiler.h"
#include "log.h"

#define BODY_MAX	(1 << 20)
#define HEADERS_MAX	(16 << 10)
#define IDLE_SECONDS	30
#define BREATH_SECONDS	1	/* without accepting, when there are too many open files */
#define SEGMENTS_MAX	6

struct api {
	struct agent *agent;
	struct evhttp *http;
	struct evconnlistener *listener;	/* owned by http */
	struct event *breath;
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
};

/* A request, taken apart. Strings are valid while it is handled. */
struct call {
	struct agent *agent;
	const char *segment[SEGMENTS_MAX];	/* of the path, behind /v1 */
	int segments;
	json_t *body;				/* NULL when there is none */
	struct evkeyvalq query;
};

static const char *query(const struct call *call, const char *key)
{
	return evhttp_find_header(&call->query, key);
}

/* --- what each route does --------------------------------------------------------------- */

static int get_status(struct call *call, json_t **answer, struct error *error)
{
	return report_status(call->agent, answer, error);
}

static int get_interfaces(struct call *call, json_t **answer, struct error *error)
{
	return report_interfaces(call->agent, answer, error);
}

static int put_interface(struct call *call, json_t **answer, struct error *error)
{
	const char *mode = "native";
	int err;

	if (call->body && json_unpack_ex(call->body, NULL, JSON_STRICT, "{s?s}", "mode", &mode))
		return error_set(error, EINVAL,
				 "the body is not {\"mode\": \"native\"} or {\"mode\": \"generic\"}");
	if (strcmp(mode, "native") && strcmp(mode, "generic"))
		return error_set(error, EINVAL, "mode is \"%s\", allowed are native and generic",
				 mode);
	err = agent_attach(call->agent, call->segment[1], !strcmp(mode, "generic"), error);
	return err ? err : report_interface(call->agent, call->segment[1], answer, error);
}

static int delete_interface(struct call *call, json_t **answer UNUSED, struct error *error)
{
	return agent_detach(call->agent, call->segment[1], error);
}

static int get_services(struct call *call, json_t **answer, struct error *error)
{
	return report_services(call->agent, answer, error);
}

static int get_service(struct call *call, json_t **answer, struct error *error)
{
	return report_service(call->agent, call->segment[1], answer, error);
}

static int post_service(struct call *call, json_t **answer, struct error *error)
{
	int err = edit_service_add(call->agent, call->body, error);

	if (err)
		return err;
	return report_service(call->agent,
			      json_string_value(json_object_get(call->body, "name")), answer,
			      error);
}

/* The answer to an edit of a service is the service as it is then. */
static int after_edit(struct call *call, int err, json_t **answer, struct error *error)
{
	return err ? err : report_service(call->agent, call->segment[1], answer, error);
}

static int patch_service(struct call *call, json_t **answer, struct error *error)
{
	int err = edit_service_set(call->agent, call->segment[1], call->body, error);

	return after_edit(call, err, answer, error);
}

static int delete_service(struct call *call, json_t **answer UNUSED, struct error *error)
{
	return edit_service_del(call->agent, call->segment[1], error);
}

/* {"service": NAME, KEY: what the service has under KEY} */
static int get_part(struct call *call, const char *key, json_t **answer, struct error *error)
{
	json_t *service;
	int err = report_service(call->agent, call->segment[1], &service, error);

	if (err)
		return err;
	*answer = json_pack("{s:s, s:O}", "service", call->segment[1], key,
			    json_object_get(service, key));
	json_decref(service);
	return *answer ? 0 : error_set(error, ENOMEM, "out of memory");
}

static int get_backends(struct call *call, json_t **answer, struct error *error)
{
	return get_part(call, "backends", answer, error);
}

static int post_backend(struct call *call, json_t **answer, struct error *error)
{
	int err = edit_backend_add(call->agent, call->segment[1], call->body, error);

	return after_edit(call, err, answer, error);
}

static int patch_backend(struct call *call, json_t **answer, struct error *error)
{
	int err = edit_backend_set(call->agent, call->segment[1], call->segment[3], call->body,
				   error);

	return after_edit(call, err, answer, error);
}

static int delete_backend(struct call *call, json_t **answer, struct error *error)
{
	int err = edit_backend_del(call->agent, call->segment[1], call->segment[3], error);

	return after_edit(call, err, answer, error);
}

static int get_limits(struct call *call, json_t **answer, struct error *error)
{
	return get_part(call, "limits", answer, error);
}

static int post_limit(struct call *call, json_t **answer, struct error *error)
{
	int err = edit_limit_add(call->agent, call->segment[1], call->body, error);

	return after_edit(call, err, answer, error);
}

static int patch_limit(struct call *call, json_t **answer, struct error *error)
{
	int err = edit_limit_set(call->agent, call->segment[1], call->segment[3], call->body,
				 error);

	return after_edit(call, err, answer, error);
}

static int delete_limit(struct call *call, json_t **answer, struct error *error)
{
	int err = edit_limit_del(call->agent, call->segment[1], call->segment[3], error);

	return after_edit(call, err, answer, error);
}

static int get_counters(struct call *call, json_t **answer, struct error *error)
{
	return report_counters(call->agent, query(call, "service"), answer, error);
}

static int get_route(struct call *call, json_t **answer, struct error *error)
{
	const char *protocol = query(call, "protocol");
	const char *source = query(call, "source");
	const char *destination = query(call, "destination");

	if (!protocol || !source || !destination)
		return error_set(error, EINVAL,
				 "a route needs protocol, source and destination");
	return report_route(call->agent, protocol, source, destination, answer, error);
}

#define GET	EVHTTP_REQ_GET
#define POST	EVHTTP_REQ_POST
#define PUT	EVHTTP_REQ_PUT
#define PATCH	EVHTTP_REQ_PATCH
#define DELETE	EVHTTP_REQ_DELETE

static const struct route {
	enum evhttp_cmd_type method;
	const char *pattern;		/* behind /v1/; "*" is any one segment */
	int (*handle)(struct call *call, json_t **answer, struct error *error);
} routes[] = {
	{ GET,    "status",			get_status },
	{ GET,    "interfaces",			get_interfaces },
	{ PUT,    "interfaces/*",		put_interface },
	{ DELETE, "interfaces/*",		delete_interface },
	{ GET,    "services",			get_services },
	{ POST,   "services",			post_service },
	{ GET,    "services/*",			get_service },
	{ PATCH,  "services/*",			patch_service },
	{ DELETE, "services/*",			delete_service },
	{ GET,    "services/*/backends",	get_backends },
	{ POST,   "services/*/backends",	post_backend },
	{ PATCH,  "services/*/backends/*",	patch_backend },
	{ DELETE, "services/*/backends/*",	delete_backend },
	{ GET,    "services/*/limits",		get_limits },
	{ POST,   "services/*/limits",		post_limit },
	{ PATCH,  "services/*/limits/*",	patch_limit },
	{ DELETE, "services/*/limits/*",	delete_limit },
	{ GET,    "counters",			get_counters },
	{ GET,    "route",			get_route },
};

#define ALL_METHODS (GET | POST | PUT | PATCH | DELETE)

/* --- from request to route -------------------------------------------------------------- */

static bool matches(const struct route *route, const struct call *call)
{
	const char *at = route->pattern;

	for (int i = 0; i < call->segments; i++) {
		size_t length = strcspn(at, "/");

		if (!length)
			return false;
		if (strncmp(at, "*", length) &&
		    (strlen(call->segment[i]) != length || strncmp(at, call->segment[i], length)))
			return false;
		at += length;
		at += *at == '/';
	}
	return !*at;
}

/* Cut "/v1/a/b" into segments, decoded, in place of `path`. -ENOENT if it is not like that. */
static int cut_path(struct call *call, char *path, char **decoded)
{
	char *rest = path, *segment;
	size_t length;

	segment = strsep(&rest, "/");
	if (!rest || *segment || strcmp(strsep(&rest, "/"), "v1"))
		return -ENOENT;
	while ((segment = strsep(&rest, "/"))) {
		if (call->segments == SEGMENTS_MAX)
			return -ENOENT;
		decoded[call->segments] = evhttp_uridecode(segment, 0, &length);
		if (!decoded[call->segments])
			return -ENOMEM;
		if (strlen(decoded[call->segments]) != length)
			return -ENOENT;		/* no name holds a NUL byte */
		call->segment[call->segments] = decoded[call->segments];
		call->segments++;
	}
	return 0;
}

static int read_body(struct call *call, struct evhttp_request *request, struct error *error)
{
	struct evbuffer *buffer = evhttp_request_get_input_buffer(request);
	size_t length = evbuffer_get_length(buffer);
	json_error_t reason;

	if (!length)
		return 0;
	call->body = json_loadb((const char *)evbuffer_pullup(buffer, -1), length,
				JSON_REJECT_DUPLICATES, &reason);
	if (!call->body)
		return error_set(error, EINVAL, "the body is not JSON: line %d, column %d: %s",
				 reason.line, reason.column, reason.text);
	if (!json_is_object(call->body))
		return error_set(error, EINVAL, "the body is not a JSON object");
	return 0;
}

static int dispatch(struct call *call, struct evhttp_request *request, json_t **answer,
		    struct error *error)
{
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	bool known = false;

	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		const struct route *route = &routes[i];

		if (!matches(route, call))
			continue;
		known = true;
		if (route->method != method)
			continue;
		if (method & (POST | PATCH) && !call->body)
			return error_set(error, EINVAL, "the body is missing: a JSON object");
		return route->handle(call, answer, error);
	}
	if (known)
		return error_set(error, ENOSYS, "%s: this method is not allowed here",
				 evhttp_request_get_uri(request));
	return error_set(error, ENOENT, "%s: there is nothing here",
			 evhttp_request_get_uri(request));
}

static int handle(struct call *call, struct evhttp_request *request, json_t **answer,
		  struct error *error)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *parameters = evhttp_uri_get_query(uri);
	char *path = strdup(evhttp_uri_get_path(uri) ?: "");
	char *decoded[SEGMENTS_MAX] = {};
	int err;

	TAILQ_INIT(&call->query);
	err = path ? cut_path(call, path, decoded) : -ENOMEM;
	if (err == -ENOENT)
		call->segments = 0;	/* matches nothing */
	else if (err)
		error_set(error, ENOMEM, "out of memory");
	if (err != -ENOMEM && parameters && evhttp_parse_query_str(parameters, &call->query))
		err = error_set(error, EINVAL, "the query cannot be read");
	else if (err != -ENOMEM)
		err = read_body(call, request, error);
	if (!err)
		err = dispatch(call, request, answer, error);

	for (int i = 0; i < SEGMENTS_MAX; i++)
		free(decoded[i]);
	free(path);
	json_decref(call->body);
	evhttp_clear_headers(&call->query);
	return err;
}

/* --- answers ---------------------------------------------------------------------------- */

static int http_status(int err)
{
	switch (err) {
	case 0:
		return HTTP_OK;
	case -EINVAL:
		return HTTP_BADREQUEST;
	case -ENOENT:
	case -ENODEV:
		return HTTP_NOTFOUND;
	case -ENOSYS:
		return HTTP_BADMETHOD;
	case -EEXIST:
	case -EBUSY:
	case -ENOSPC:
	case -EOPNOTSUPP:
		return 409;
	default:
		return HTTP_INTERNAL;
	}
}

static void reply(struct evhttp_request *request, int status, const json_t *answer)
{
	char *text = json_dumps(answer, JSON_COMPACT | JSON_PRESERVE_ORDER);
	struct evbuffer *buffer = evbuffer_new();

	if (!text || !buffer) {
		evhttp_send_error(request, HTTP_INTERNAL, "out of memory");
	} else {
		evbuffer_add_printf(buffer, "%s\n", text);
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
				  "application/json");
		evhttp_send_reply(request, status, NULL, buffer);
	}
	if (buffer)
		evbuffer_free(buffer);
	free(text);
}

/* What a client sent may come back in the line, and need not be UTF-8. */
static json_t *error_json(const struct error *error)
{
	json_t *answer = json_pack("{s:s}", "error", error->text);
	struct error plain = *error;

	if (answer)
		return answer;
	for (char *at = plain.text; *at; at++)
		if (*at & 0x80)
			*at = '?';
	return json_pack("{s:s}", "error", plain.text);
}

static void on_request(struct evhttp_request *request, void *arg)
{
	struct api *api = arg;
	struct call call = { .agent = api->agent };
	struct error error = {};
	json_t *answer = NULL;
	int err = handle(&call, request, &answer, &error);

	if (err) {
		json_decref(answer);
		answer = error_json(&error);
	} else if (!answer) {
		answer = json_object();
	}
	reply(request, http_status(err), answer);
	json_decref(answer);
}

/* --- socket ----------------------------------------------------------------------------- */

static bool somebody_answers(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool answers;

	if (fd < 0)
		return false;
	answers = !connect(fd, (const struct sockaddr *)address, sizeof(*address));
	close(fd);
	return answers;
}

static void make_folder(const char *path)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)], *slash;

	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash && slash != folder) {
		*slash = '\0';
		mkdir(folder, 0755);	/* bind() says what is wrong if this fails */
	}
}

/* The group weir, where there is one, may talk to the agent. */
static void admit_group(const char *path)
{
	const struct group *group = getgrnam("weir");

	if (group && chown(path, -1, group->gr_gid))
		log_warning("%s: cannot be given to group weir: %s", path, strerror(errno));
}

static int listen_on(const char *path, struct error *error)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat info;
	mode_t mask;
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, ENAMETOOLONG, "%s: too long for a socket's path", path);
	strcpy(address.sun_path, path);
	if (somebody_answers(&address))
		return error_set(error, EADDRINUSE, "another weir agent answers on %s: stop it first, or give this one another --socket",
				 path);

	make_folder(path);
	if (!lstat(path, &info) && !S_ISSOCK(info.st_mode))
		return error_set(error, EEXIST, "%s is there and is not a socket: name another",
				 path);
	unlink(path);	/* left by an agent that was killed */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(error, errno, "cannot make a socket: %s", strerror(errno));
	mask = umask(0117);	/* 0660 from the start */
	err = bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 128) ?
	      -errno : 0;
	umask(mask);
	if (err) {
		close(fd);
		return error_set(error, -err, "cannot listen on %s: %s", path, strerror(-err));
	}
	admit_group(path);
	return fd;
}

static void on_breath(evutil_socket_t fd UNUSED, short what UNUSED, void *arg)
{
	struct api *api = arg;

	evconnlistener_enable(api->listener);
}

/* Who waits is accepted when others have gone; trying again at once would only spin. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	static const struct timeval breath = { .tv_sec = BREATH_SECONDS };
	struct api *api = arg;

	log_warning("the API cannot accept a connection: %s", strerror(errno));
	evconnlistener_disable(listener);
	evtimer_add(api->breath, &breath);
}

static int serve(struct api *api, struct event_base *base, int fd)
{
	struct evhttp_bound_socket *bound;

	api->http = evhttp_new(base);
	api->breath = evtimer_new(base, on_breath, api);
	if (!api->http || !api->breath)
		return -ENOMEM;
	bound = evhttp_accept_socket_with_handle(api->http, fd);
	if (!bound)
		return -ENOMEM;
	api->listener = evhttp_bound_socket_get_listener(bound);
	evconnlistener_set_error_cb(api->listener, on_accept_error);
	evhttp_set_allowed_methods(api->http, ALL_METHODS);
	evhttp_set_max_body_size(api->http, BODY_MAX);
	evhttp_set_max_headers_size(api->http, HEADERS_MAX);
	evhttp_set_timeout(api->http, IDLE_SECONDS);
	evhttp_set_gencb(api->http, on_request, api);
	return 0;
}

int api_open(struct agent *agent, const char *path, struct api **out, struct error *error)
{
	struct api *api = calloc(1, sizeof(*api));
	int fd;

	if (!api)
		return error_set(error, ENOMEM, "out of memory");
	api->agent = agent;
	fd = listen_on(path, error);
	if (fd < 0) {
		free(api);
		return fd;
	}
	strcpy(api->path, path);
	if (serve(api, agent->base, fd)) {
		close(fd);
		api_close(api);
		return error_set(error, ENOMEM, "out of memory");
	}
	*out = api;
	return 0;
}

void api_close(struct api *api)
{
	if (!api)
		return;
	if (api->http)
		evhttp_free(api->http);
	if (api->breath)
		event_free(api->breath);
	unlink(api->path);
	free(api);
}
