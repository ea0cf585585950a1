/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - the agent's log: one line an event on stderr. Under systemd's journal each
 * line starts with its priority (sd-daemon(3)), else with the time.
 */
#ifndef WEIR_LOG_H
#define WEIR_LOG_H

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG,
};

/* Lines above this level are left out. Default LOG_LEVEL_WARNING, for the CLI. */
void log_set_level(enum log_level level);

/* "error", "warning", "info", "debug", or -EINVAL. */
int log_level_parse(const char *text);

void log_line(enum log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)		log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...)	log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...)		log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)		log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
