# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# lib.sh - what the e2e tests share: TAP, assertions, and weir on a host of the lab.
#
# A test file builds its topology, defines one function for each test and ends with
# run_tests. Its arguments, if any, are the names of the tests to run.

. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lab.sh"

lab_enter "$@"
selected=("$@")
set -e	# until the topology stands

config=$WEIR_LAB/weir.json
balancer=balancer	# the host that weir and start_agent mean

# weir [OPTION...] COMMAND... - on the balancer, because interfaces are looked up there.
# An agent that ought to have refused to start does not stay.
weir()
{
	within "$balancer" timeout 20 "$weir_binary" "$@"
}

# answer FILTER COMMAND... - a part of what `weir --json COMMAND...` says.
answer()
{
	weir --json "${@:2}" | jq -r "$1"
}

# holds FILTER COMMAND... - is that part true?
holds()
{
	weir --json "${@:2}" | jq -e "$1" > /dev/null
}

# start_agent [OPTION...] - until it answers. Its log is $WEIR_LAB/BALANCER.log.
start_agent()
{
	nsenter --net="/run/netns/$balancer" "$weir_binary" agent --config "$config" "$@" \
		2>> "$WEIR_LAB/$balancer.log" &
	echo $! > "$WEIR_LAB/$balancer.pid"
	eventually 10 agent_answers_or_ended
	weir status > /dev/null || { tail -n 3 "$WEIR_LAB/$balancer.log"; return 1; }
}

agent_pid()
{
	cat "$WEIR_LAB/$balancer.pid"
}

agent_answers_or_ended()
{
	weir status || process_is_gone "$(agent_pid)"
}

process_is_gone()
{
	! kill -0 "$1" 2> /dev/null
}

# stop_agent [SIGNAL] - until it is gone.
stop_agent()
{
	kill -s "${1:-TERM}" "$(agent_pid)"
	eventually 10 process_is_gone "$(agent_pid)"
	rm "$WEIR_LAB/$balancer.pid"
}

# Stop the agent, if one runs, and leave no data plane to the next test.
remove_weir()
{
	local dir=${WEIR_BPF_DIR:-/sys/fs/bpf/weir}

	[[ ! -e $WEIR_LAB/$balancer.pid ]] || stop_agent KILL
	[[ ! -e $dir ]] || weir detach --all
	rm -rf "$dir"
}

# configuration [SERVICE...] - JSON objects; the tables are small, for quick dumps.
configuration()
{
	local IFS=, services

	services="$*"
	cat > "$config.new" <<-END
		{
		  "hash_seed": "00112233445566778899aabbccddeeff",
		  "source_address": "10.0.0.5",
		  "source_address_v6": "fd00::5",
		  "capacity": { "services": 64, "backends": 256, "slots": 65536, "limit_cells": 4096 },
		  "interfaces": [ "eth0" ],
		  "services": [ $services ]
		}
	END
	mv "$config.new" "$config"
}

# dump MAP - as bpftool alone reads it.
dump()
{
	bpftool map dump pinned "/sys/fs/bpf/weir/$1"
}

# counted MAP FIELD NAME - of a service or backend: kind_info says which index the name
# has, kind_counters what each CPU counted.
counted()
{
	local index

	index=$(dump "$1_info" | jq --arg name "$3" \
		'.[] | select(.value.name == $name or .value.address == $name) | .key')
	dump "$1_counters" | jq ".[] | select(.key == $index) | [.values[].value.$2] | add"
}

# --- the usual topology: one link, backends that answer directly ---------------------------
#
#   client1 10.0.0.1 fd00::1 ----.          .---- web1 10.0.0.11 fd00::11
#   client2 10.0.0.2 fd00::2 ----+-- lan ---+---- web2 10.0.0.12 fd00::12
#   balancer 10.0.0.5 fd00::5 ---'          '---- web3 10.0.0.13 fd00::13
#
#   Clients route 203.0.113.0/24 and 2001:db8::/64 to the balancer. Backends answer from
#   203.0.113.10 and 2001:db8::10: HTTP on port 80, UDP on ports 53 and 5353.
#   The link takes 1600 bytes, the clients send 1500, so that tunnels fit.

usual_topology()
{
	local n

	switch lan 1600
	host balancer
	plug balancer eth0 lan 10.0.0.5/24 fd00::5/64
	for n in 1 2; do
		host client$n
		plug client$n eth0 lan 10.0.0.$n/24 fd00::$n/64
		ip -n client$n link set eth0 mtu 1500
		route_services client$n 10.0.0.5 fd00::5
	done
	for n in 1 2 3; do
		host web$n
		plug web$n eth0 lan 10.0.0.1$n/24 fd00::1$n/64
		service_address web$n 203.0.113.10/32 2001:db8::10/128
		http_server web$n
		udp_server web$n 203.0.113.10 2001:db8::10
	done
}

# route_services HOST GATEWAY GATEWAY6
route_services()
{
	ip -n "$1" route replace 203.0.113.0/24 via "$2"
	ip -n "$1" route replace 2001:db8::/64 via "$3"
}

# service NAME OPTION... - JSON of a service that web1 to web3 can serve; options are
# "key": value pairs that replace the defaults.
service()
{
	local IFS=, options

	options="${*:2}"
	jq -cn "{ name: \"$1\", address: \"203.0.113.10\", port: 80, protocol: \"tcp\",
		forward: \"l2\", backends: [
			{ address: \"10.0.0.11\" },
			{ address: \"10.0.0.12\" },
			{ address: \"10.0.0.13\" } ] } + { $options }"
}

all_ready()
{
	holds '.services | all(.ready == .backends)' status
}

# ask HOST ADDRESS PORT [OPTION...] - by UDP; lines "SOURCE_PORT ANSWER".
ask()
{
	within "$1" "$weir_root/scripts/traffic.py" ask "${@:2}"
}

# start_requests HOST URL - 200 a second, each on a new connection, one after the other;
# a line for each in $WEIR_LAB/requests: its HTTP status, and what went wrong.
start_requests()
{
	nsenter --net="/run/netns/$1" stdbuf -oL curl --silent --output /dev/null \
		--rate 200/s --max-time 10 --write-out '%{http_code} %{errormsg}\n' \
		"$2/[1-20000]" > "$WEIR_LAB/requests" &
	echo $! > "$WEIR_LAB/requests.pid"
	more_requests 20
}

requests()
{
	wc -l < "$WEIR_LAB/requests"
}

at_least_requests()
{
	(($(requests) >= $1))
}

# Until so many more have ended.
more_requests()
{
	eventually 20 at_least_requests $(($(requests) + $1))
}

stop_requests()
{
	kill "$(cat "$WEIR_LAB/requests.pid")"
	eventually 10 process_is_gone "$(cat "$WEIR_LAB/requests.pid")"
	rm "$WEIR_LAB/requests.pid"
}

# Nor did TCP have to make up for a packet that weir dropped.
none_failed()
{
	equal '' "$(grep -v '^200 $' "$WEIR_LAB/requests")"
	equal 0 "$(dump totals | jq '[.[0].values[].value.dropped_packets] | add')"
}

# --- assertions -------------------------------------------------------------------------

equal()
{
	[[ $1 == "$2" ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2"; return 1; }
}

# matches PATTERN TEXT - as a glob
matches()
{
	# shellcheck disable=SC2053 # a pattern is meant
	[[ $2 == $1 ]] || { printf 'wanted: %s\ngot:    %s\n' "$1" "$2"; return 1; }
}

# between LEAST MOST NUMBER
between()
{
	(($1 <= $3 && $3 <= $2)) || { printf 'wanted: %s to %s\ngot:    %s\n' "$@"; return 1; }
}

# refused STATUS PATTERN COMMAND... - it exits so and says one line, on stderr only.
refused()
{
	local output status=0

	output=$("${@:3}" 2>&1 > "$WEIR_LAB/stdout") || status=$?
	equal "exit status $1: $2" "exit status $status: $2" && matches "$2" "$output" &&
		equal '' "$(cat "$WEIR_LAB/stdout")" && matches '[^
]*' "$output"
}

skip()
{
	echo "$1"
	exit 77
}

# --- TAP --------------------------------------------------------------------------------

# What a test file may define; both run for each test, outside of its verdict.
setup() { :; }
teardown()
{
	[[ ! -e $WEIR_LAB/requests.pid ]] || stop_requests
	remove_weir
}

# The line of the test file, not of a helper, that is being run.
where()
{
	local depth

	((BASH_SUBSHELL == 1)) || return 0	# the caller fails, too
	for ((depth = 1; depth < ${#BASH_SOURCE[@]} - 1; depth++)); do
		if [[ ${BASH_SOURCE[depth]} == "$0" ]]; then
			echo "${0##*/}:${BASH_LINENO[depth - 1]}: $1"
			return
		fi
	done
}

# In a subshell that ends at the first command that fails, and says where.
run_test()
{
	set -eE
	trap 'where "$BASH_COMMAND" >&2' ERR
	setup
	"$1"
}

run_tests()
{
	local output=$WEIR_LAB/output number=0 failed=0 name status

	set +e
	((${#selected[@]} == 0)) || set -- "${selected[@]}"
	echo "1..$#"
	for name in "$@"; do
		(run_test "$name") > "$output" 2>&1
		status=$?
		case $status in
		0)
			echo "ok $((++number)) - $name"
			;;
		77)
			echo "ok $((++number)) - $name # SKIP $(tail -n 1 "$output")"
			;;
		*)
			echo "not ok $((++number)) - $name"
			sed 's/^/# /' "$output"
			failed=1
			;;
		esac
		teardown > /dev/null 2>&1
	done
	exit $failed
}
