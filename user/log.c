// SPDX-License-Identifier: BSD-2-Clause
/* log.c - see log.h. */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

static const struct {
	const char *name;
	const char *journal;
} levels[] = {
	[LOG_LEVEL_ERROR] = { "error", SD_ERR },
	[LOG_LEVEL_WARNING] = { "warning", SD_WARNING },
	[LOG_LEVEL_INFO] = { "info", SD_INFO },
	[LOG_LEVEL_DEBUG] = { "debug", SD_DEBUG },
};

static enum log_level highest = LOG_LEVEL_WARNING;

void log_set_level(enum log_level level)
{
	highest = level;
}

int log_level_parse(const char *text)
{
	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (!strcmp(text, levels[i].name))
			return i;
	return -EINVAL;
}

static void print_time(void)
{
	char text[32];
	time_t now = time(NULL);
	struct tm local;

	strftime(text, sizeof(text), "%F %T", localtime_r(&now, &local));
	fprintf(stderr, "%s ", text);
}

/* systemd names the journal's stream by device and inode: is stderr that stream? */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat info;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       !fstat(STDERR_FILENO, &info) && info.st_dev == device && info.st_ino == inode;
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list args;

	if (level > highest)
		return;
	flockfile(stderr);
	if (stderr_is_journal())
		fputs(levels[level].journal, stderr);
	else
		print_time();
	fprintf(stderr, "%s: ", levels[level].name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	funlockfile(stderr);
}
