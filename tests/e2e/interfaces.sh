#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# interfaces.sh - interfaces come, go and are taken away while the agent runs.
#
#   balancer: eth0, eth1 -- lan

. "$(dirname "$0")/lib.sh"

switch lan
host balancer
plug balancer eth0 lan 10.0.0.5/24

setup()
{
	ip -n balancer link del eth1 2> /dev/null || true
	plug balancer eth1 lan
	configuration
}

# interfaces LIST - what the configuration names
interfaces()
{
	jq ".interfaces = [ $1 ]" "$config" > "$config.new"
	mv "$config.new" "$config"
}

# attached NAMES - are these the interfaces that carry weir?
attached()
{
	equal "$1" "$(answer '[.dataplane.interfaces[].name] | sort | join(" ")' status)"
}

one_that_returns_is_attached_again()
{
	interfaces '"eth0", "eth1"'
	start_agent
	eventually 5 attached 'eth0 eth1'
	ip -n balancer link del eth1
	eventually 10 holds '.problems | any(startswith("eth1: there is no such interface"))' status
	plug balancer eth1 lan
	eventually 10 attached 'eth0 eth1'
	eventually 5 holds '.state == "ok"' status
}

taken_off_is_put_on_again()
{
	start_agent
	eventually 5 attached eth0
	ip -n balancer link set eth0 xdp off
	eventually 10 attached eth0
}

# What an operator detached stays so, whatever else in the file changes.
the_list_counts_when_it_changes()
{
	interfaces '"eth0", "eth1"'
	start_agent
	eventually 5 attached 'eth0 eth1'
	weir detach eth1
	jq '.source_address = "10.0.0.6"' "$config" > "$config.new"
	mv "$config.new" "$config"
	eventually 5 grep -q 'weir.json loaded' "$WEIR_LAB/balancer.log"
	attached eth0
	interfaces '"eth1"'
	eventually 5 attached ''
	interfaces '"eth1", "eth0"'
	eventually 5 attached eth0
	interfaces '"eth0"'
	eventually 5 grep -q 'eth1: weir is not attached there' "$WEIR_LAB/balancer.log"
	interfaces '"eth0", "eth1"'
	eventually 5 attached 'eth0 eth1'
}

open_files()
{
	find "/proc/$(agent_pid)/fd" -mindepth 1 | wc -l
}

no_file_stays_open()
{
	local before n

	start_agent
	eventually 5 attached eth0
	weir attach eth1
	weir detach eth1
	before=$(open_files)
	for n in {1..10}; do
		weir status
		weir attach eth1
		weir detach eth1
	done > "$WEIR_LAB/stdout"
	equal "$before" "$(open_files)"
}

xdp_programs()
{
	ip -n balancer -json link show eth0 | jq '[.[] | select(.xdp)] | length'
}

what_is_incomplete_can_be_removed()
{
	start_agent
	eventually 5 attached eth0
	stop_agent KILL
	rm /sys/fs/bpf/weir/services
	refused 1 'weir: *the data plane is incomplete, `weir detach --all` removes it' \
		weir agent --config "$config"
	equal 1 "$(xdp_programs)"
	equal 'all interfaces: detached' "$(weir detach --all)"
	equal 0 "$(xdp_programs)"
	refused 1 'weir: nothing is attached*' weir detach --all
}

# bpftool shows the very program that an interface runs, for as long as it does.
running_programs_are_pinned()
{
	start_agent
	eventually 5 attached eth0
	equal "$(answer '.dataplane.interfaces[0].program_id' status)" \
		"$(bpftool --json prog show pinned /sys/fs/bpf/weir/weir_* | jq .id)"
	weir detach eth0
	equal '' "$(compgen -G '/sys/fs/bpf/weir/weir_*')"
}

another_users_folder_is_refused()
{
	mkdir /sys/fs/bpf/weir
	chown 65534 /sys/fs/bpf/weir
	refused 1 'weir: /sys/fs/bpf/weir belongs to another user*' weir agent --config "$config"
}

run_tests one_that_returns_is_attached_again taken_off_is_put_on_again \
	the_list_counts_when_it_changes no_file_stays_open \
	what_is_incomplete_can_be_removed running_programs_are_pinned \
	another_users_folder_is_refused
