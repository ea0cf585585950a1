#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# demo.sh - scripts/demo.sh shows what it says, and leaves nothing, also when it is
# interrupted in the middle.

. "$(dirname "$0")/lib.sh"

# What a demo could leave behind, but for processes.
surroundings()
{
	ip netns list
	ip -brief link
	ls /sys/fs/bpf /run
}

demo()
{
	env --unset=WEIR_LAB "$weir_root/scripts/demo.sh"
}

no_agent_runs()
{
	! readlink /proc/[0-9]*/exe | grep --fixed-strings --line-regexp "$weir_binary"
}

shows_and_checks()
{
	local before

	before=$(surroundings)
	demo > "$WEIR_LAB/demo" || { cat "$WEIR_LAB/demo"; return 1; }
	matches '*15 checks passed, 0 failed*' "$(tail -n 1 "$WEIR_LAB/demo")"
	equal "$before" "$(surroundings)"
	no_agent_runs
}

# A weir that does not drain is noticed.
fails_when_something_is_off()
{
	local broken

	broken=$(mktemp --directory)	# the demo has a /run of its own
	cp -r "$weir_root/scripts" "$broken"
	printf '#!/bin/bash\n[ "$2" = drain ] || exec %q "$@"\n' "$weir_binary" > "$broken/weir"
	chmod +x "$broken/weir"
	sed -i "s#^weir_binary=.*#weir_binary=$broken/weir#" "$broken/scripts/lab.sh"
	sed -i 's/^\tbuild .*/\t:/' "$broken/scripts/demo.sh"
	! env --unset=WEIR_LAB "$broken/scripts/demo.sh" > "$WEIR_LAB/demo" 2>&1
	rm -r "$broken"
	equal '  [OFF] web1 gets nothing new' "$(grep -F '[OFF]' "$WEIR_LAB/demo")"
}

interrupted()
{
	local before

	before=$(surroundings)
	demo > "$WEIR_LAB/demo" &
	eventually 30 grep -q '^== Requests' "$WEIR_LAB/demo"
	kill $!
	eventually 10 no_agent_runs
	equal "$before" "$(surroundings)"
}

run_tests shows_and_checks fails_when_something_is_off interrupted
