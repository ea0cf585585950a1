// SPDX-License-Identifier: BSD-2-Clause
/* client.c - see client.h. Owns the HTTP conversation; prints nothing. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "cli/client.h"

#define TIME_LIMIT_SECONDS 30

static const char *socket_path;

void client_use_socket(const char *path)
{
	socket_path = path;
}

/* All but RFC 3986's unreserved characters. */
static void put_encoded(FILE *out, const char *text)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-._~";

	for (; *text; text++) {
		if (strchr(plain, *text))
			fputc(*text, out);
		else
			fprintf(out, "%%%02X", (unsigned char)*text);
	}
}

char *client_path(const char *format, va_list texts)
{
	char *path = NULL;
	size_t size;
	FILE *out = open_memstream(&path, &size);

	if (!out)
		return NULL;
	for (; *format; format++) {
		if (format[0] == '%' && format[1] == 's') {
			put_encoded(out, va_arg(texts, const char *));
			format++;
		} else {
			fputc(*format, out);
		}
	}
	if (fclose(out)) {
		free(path);
		return NULL;
	}
	return path;
}

static int explain_connect(int code, struct error *error)
{
	switch (code) {
	case ENOENT:
	case ECONNREFUSED:
		return error_set(error, ECONNREFUSED,
				 "no agent is listening on %s: start it with `weir agent`, "
				 "or name its socket with --socket", socket_path);
	case EACCES:
	case EPERM:
		return error_set(error, EACCES,
				 "%s: permission denied: use root, or join the group weir",
				 socket_path);
	default:
		return error_set(error, code ? code : EIO, "%s: cannot connect: %s", socket_path,
				 strerror(code ? code : EIO));
	}
}

static int explain(CURL *curl, CURLcode code, struct error *error)
{
	long system_code = 0;

	switch (code) {
	case CURLE_COULDNT_CONNECT:
		curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &system_code);
		return explain_connect((int)system_code, error);
	case CURLE_OPERATION_TIMEDOUT:
		return error_set(error, ETIMEDOUT,
				 "%s: the agent did not answer within %d s: see its log",
				 socket_path, TIME_LIMIT_SECONDS);
	default:
		return error_set(error, EIO, "%s: the conversation with the agent broke: %s",
				 socket_path, curl_easy_strerror(code));
	}
}

static int decode(long status, const char *text, json_t **answer, struct error *error)
{
	const char *reason;
	json_error_t at;

	*answer = json_loads(text, JSON_REJECT_DUPLICATES, &at);
	if (json_is_object(*answer) && status < 400)
		return 0;
	reason = json_string_value(json_object_get(*answer, "error"));
	if (reason)
		error_set(error, EREMOTEIO, "%s", reason);
	else
		error_set(error, EREMOTEIO,
			  "%s: HTTP status %ld without a JSON object: is it weir's agent?",
			  socket_path, status);
	json_decref(*answer);
	*answer = NULL;
	return -EREMOTEIO;
}

/* No proxy of the environment; the path is sent as it is, not tidied up as part of a URL. */
static CURL *open_request(const char *method, const char *path, FILE *received)
{
	CURL *curl = curl_easy_init();

	if (!curl)
		return NULL;
	curl_easy_setopt(curl, CURLOPT_URL, "http://weir");
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_REQUEST_TARGET, path);
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIME_LIMIT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, received);
	return curl;
}

/* One exchange. *status is HTTP's; what was received is in the stream. */
static int exchange(const char *method, const char *path, const char *body, FILE *received,
		    long *status, struct error *error)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
	CURL *curl = open_request(method, path, received);
	CURLcode code;
	int err = 0;

	if (!curl || !headers) {
		err = error_set(error, ENOMEM, "out of memory");
		goto out;
	}
	if (body) {
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
	}
	code = curl_easy_perform(curl);
	if (code != CURLE_OK)
		err = explain(curl, code, error);
	else
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
out:
	curl_easy_cleanup(curl);
	curl_slist_free_all(headers);
	return err;
}

int client_call(const char *method, const char *path, json_t *body, json_t **answer,
		struct error *error)
{
	char *sent = body ? json_dumps(body, JSON_COMPACT) : NULL;
	char *text = NULL;
	size_t size;
	FILE *received = open_memstream(&text, &size);
	long status = 0;
	int err;

	*answer = NULL;
	if (!received || (body && !sent)) {
		err = error_set(error, ENOMEM, "out of memory");
		goto out;
	}
	if (strlen(socket_path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		err = error_set(error, ENAMETOOLONG, "%s: too long for the name of a socket",
				socket_path);
		goto out;
	}
	err = exchange(method, path, sent, received, &status, error);
	fflush(received);
	if (!err)
		err = decode(status, text, answer, error);
out:
	if (received)
		fclose(received);
	free(text);
	free(sent);
	return err;
}
