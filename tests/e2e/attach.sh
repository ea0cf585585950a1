#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# attach.sh - where weir runs, how it leaves, and what it says when it cannot.
#
#   balancer: eth0, eth1 -- lan      lo has no native XDP

. "$(dirname "$0")/lib.sh"

switch lan
host balancer
plug balancer eth0 lan 10.0.0.5/24 fd00::5/64
plug balancer eth1 lan

setup()
{
	configuration
	jq '.interfaces = []' "$config" > "$config.new"
	mv "$config.new" "$config"
}

# xdp_on INTERFACE - what the kernel says: none, native or generic.
xdp_on()
{
	ip -n balancer -json link show "$1" |
		jq -r '["none", "native", "generic"][.[0].xdp.mode // 0]'
}

native_unless_asked()
{
	start_agent
	equal none "$(xdp_on eth0)"
	equal 'eth0: attached in native mode' "$(weir attach eth0)"
	equal native "$(xdp_on eth0)"
	equal '["eth0","native"]' \
		"$(answer '.dataplane.interfaces[0] | [.name, .mode] | tojson' status)"
	equal none "$(xdp_on eth1)"
}

generic_when_asked()
{
	start_agent
	equal 'lo: attached in generic mode' "$(weir attach lo --mode generic)"
	equal generic "$(xdp_on lo)"
	equal generic "$(answer .dataplane.interfaces[0].mode status)"
	weir detach lo
	equal none "$(xdp_on lo)"
}

no_native_xdp()
{
	start_agent
	refused 1 'weir: lo: its driver has no native XDP*--mode generic*' weir attach lo
	equal none "$(xdp_on lo)"
}

several_interfaces()
{
	start_agent
	weir attach eth0
	weir attach eth1
	equal native,native "$(xdp_on eth0),$(xdp_on eth1)"
	equal eth0,eth1 "$(answer '[.dataplane.interfaces[].name] | sort | join(",")' status)"
	weir detach eth0
	equal none,native "$(xdp_on eth0),$(xdp_on eth1)"
	equal eth1 "$(answer '[.dataplane.interfaces[].name] | join(",")' status)"
}

attached_twice()
{
	local id

	start_agent
	id=$(answer .program_id attach eth0)
	equal "$id" "$(answer .program_id attach eth0)"
	refused 1 'weir: eth0: attached in native mode: detach it before*' \
		weir attach eth0 --mode generic
	equal native "$(xdp_on eth0)"
}

missing_interface()
{
	start_agent
	refused 1 'weir: eth7: there is no such interface*' weir attach eth7
}

interface_of_another_program()
{
	start_agent
	bpftool prog load "$weir_root/build/bpf/weir.bpf.o" /sys/fs/bpf/other type xdp
	within balancer bpftool net attach xdp pinned /sys/fs/bpf/other dev eth1
	rm /sys/fs/bpf/other
	refused 1 'weir: eth1: another XDP program*remove it first*' weir attach eth1
	refused 1 'weir: eth1: weir is not attached there (`weir status` says where)' weir detach eth1
	equal native "$(xdp_on eth1)"
	ip -n balancer link set eth1 xdp off
}

detach_of_not_attached()
{
	start_agent
	refused 1 'weir: eth0: weir is not attached there (`weir status` says where)' weir detach eth0
	weir attach eth1
	refused 1 'weir: eth0: weir is not attached there (`weir status` says where)' weir detach eth0
	refused 1 'weir: eth7: there is no such interface*' weir detach eth7
}

detach_wants_one_or_all()
{
	refused 2 'weir detach: name one interface, or give --all' weir detach
	refused 2 'weir detach: name one interface, or give --all' weir detach eth0 --all
}

detach_without_agent()
{
	start_agent
	weir attach eth0
	weir attach eth1
	stop_agent KILL
	weir detach eth0
	equal none,native "$(xdp_on eth0),$(xdp_on eth1)"
	test -e /sys/fs/bpf/weir
	refused 1 'weir: eth0: weir is not attached there (`weir status` says where)' weir detach eth0
	weir detach eth1
	equal none "$(xdp_on eth1)"
	test ! -e /sys/fs/bpf/weir
}

detach_all_without_agent()
{
	start_agent
	weir attach eth0
	weir attach eth1
	stop_agent KILL
	weir detach --all
	equal none,none "$(xdp_on eth0),$(xdp_on eth1)"
	test ! -e /sys/fs/bpf/weir
	refused 1 'weir: nothing is attached: there is no /sys/fs/bpf/weir' weir detach --all
}

configured_interface_that_comes_later()
{
	jq '.interfaces = ["eth7"]' "$config" > "$config.new"
	mv "$config.new" "$config"
	start_agent
	equal degraded "$(answer .state status)"
	holds '.problems | any(test("eth7: there is no such interface"))' status
	plug balancer eth7 lan
	eventually 10 holds '.dataplane.interfaces[0].name == "eth7"' status
	equal native "$(xdp_on eth7)"
	weir detach eth7
	ip -n balancer link del eth7
}

interface_that_goes()
{
	plug balancer eth7 lan
	start_agent
	weir attach eth7
	ip -n balancer link del eth7
	eventually 10 holds '.dataplane.interfaces == []' status
	weir attach eth0
	stop_agent KILL
	weir detach --all
	test ! -e /sys/fs/bpf/weir
}

second_agent()
{
	start_agent
	refused 1 'weir: another weir agent is running: it holds /sys/fs/bpf/weir: stop that one first*' \
		weir agent --config "$config" --socket "$WEIR_LAB/other.sock"
	weir status > /dev/null
}

second_agent_on_the_same_socket()
{
	start_agent
	WEIR_BPF_DIR=/sys/fs/bpf/other refused 1 \
		'weir: another weir agent answers on /run/weir/weir.sock: stop it first*' \
		weir agent --config "$config" --log-level error
	weir status > /dev/null
	test ! -e /sys/fs/bpf/other
}

no_bpf_file_system()
{
	WEIR_BPF_DIR=$WEIR_LAB/weir refused 1 \
		"weir: $WEIR_LAB is not on a BPF file system: mount one*mount -t bpf*" \
		weir agent --config "$config"
}

not_root()
{
	local nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups)

	cp "$weir_binary" "$WEIR_LAB/weir"	# the checkout may be private
	start_agent
	refused 1 'weir: /run/weir/weir.sock: permission denied: use root*' \
		within balancer "${nobody[@]}" "$WEIR_LAB/weir" attach eth0
	stop_agent
	refused 1 'weir: *run as root*' within balancer "${nobody[@]}" \
		"$WEIR_LAB/weir" agent --config "$config" --socket "$WEIR_LAB/other.sock"
}

socket_is_for_root_and_its_group()
{
	start_agent
	equal 660 "$(stat -c %a /run/weir/weir.sock)"
	equal 750 "$(stat -c %a /sys/fs/bpf/weir)"
}

run_tests native_unless_asked generic_when_asked no_native_xdp several_interfaces \
	attached_twice missing_interface interface_of_another_program detach_of_not_attached \
	detach_wants_one_or_all detach_without_agent detach_all_without_agent \
	configured_interface_that_comes_later interface_that_goes second_agent \
	second_agent_on_the_same_socket \
	no_bpf_file_system not_root socket_is_for_root_and_its_group
