// SPDX-License-Identifier: BSD-2-Clause
/*
 * main.c - the packet rung: every suite in one program, and one plan under
 * CMOCKA_MESSAGE_OUTPUT=TAP. The tests run in a child with a network namespace of its
 * own; the parent only waits, so that it removes what is pinned however they end.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

static struct suite suite;
static volatile pid_t child;

static int after_all(void **state)
{
	remove_kept_worlds();
	return 0;
}

static int run_suites(void)
{
	parse_tests(&suite);
	classify_tests(&suite);
	forward_tests(&suite);
	truncate_tests(&suite);
	select_tests(&suite);
	limit_tests(&suite);
	cells_tests(&suite);
	services_tests(&suite);
	apply_tests(&suite);
	adopt_tests(&suite);
	return _cmocka_run_group_tests("packet", suite.tests, suite.count, NULL, after_all) ?
	       EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_child(const sigset_t *signals)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_UNBLOCK, signals, NULL);
	if (unshare(CLONE_NEWNET)) {
		perror("packet: no network namespace (run as root)");
		return EXIT_FAILURE;
	}
	return run_suites();
}

static void pass_on(int signal)
{
	kill(child, signal);
}

static int wait_for_child(void)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		;	/* a signal, which pass_on() passed on */
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	fprintf(stderr, "packet: the tests died of signal %d\n", WTERMSIG(status));
	return 128 + WTERMSIG(status);
}

/* From here on these signals end the child, and this process only after it. */
static void pass_on_signals(const sigset_t *signals)
{
	const struct sigaction forward = { .sa_handler = pass_on };

	sigaction(SIGHUP, &forward, NULL);
	sigaction(SIGINT, &forward, NULL);
	sigaction(SIGTERM, &forward, NULL);
	sigprocmask(SIG_UNBLOCK, signals, NULL);
}

/* packet [PATTERN]: only the tests whose names match, as "limit: *". */
int main(int argc, char **argv)
{
	sigset_t signals;
	int status = EXIT_FAILURE;

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	if (mkdir(worlds_dir(), 0700)) {
		perror(worlds_dir());
		return EXIT_FAILURE;
	}
	child = fork();
	if (!child)
		return run_child(&signals);
	if (child > 0) {
		pass_on_signals(&signals);
		status = wait_for_child();
	}
	remove_tree(worlds_dir());
	return status;
}
