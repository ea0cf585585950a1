#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# agent.sh - what runs does not need the agent: it is killed, stopped, started again and
# finds everything as it was. And how it talks to whoever supervises it.

. "$(dirname "$0")/lib.sh"

usual_topology

setup()
{
	configuration "$(service web)" "$(service dns 'port: 53' 'protocol: "udp"')"
}

# What must not change when an agent adopts: indices, rings, next hops.
state()
{
	answer '.services | map(del(.ring.changed, .ring.excess)) | tojson' service list
	dump slots | sha256sum
}

ring_changes()
{
	answer '[.services[].ring.changed] | add' service list
}

killed_in_a_stream_of_requests()
{
	local before counted_before

	start_agent
	eventually 10 all_ready
	before=$(state)
	start_requests client1 http://203.0.113.10
	more_requests 100

	stop_agent KILL
	more_requests 100
	counted_before=$(counted service packets web)
	more_requests 100
	between $((counted_before + 300)) $((counted_before + 100000)) \
		"$(counted service packets web)"

	start_agent
	holds .dataplane.adopted status
	equal "$before" "$(state)"
	equal 0 "$(ring_changes)"
	more_requests 100
	equal "$before" "$(state)"
	stop_requests
	none_failed
}

# No traffic: what the next agent says is what the maps held, to the packet.
counters_are_adopted()
{
	local filter='[.services[] | .name, .packets, .bytes, .new_flows] | tojson' before

	start_agent
	eventually 10 all_ready
	ask client1 203.0.113.10 53 --count 100 > /dev/null
	before=$(answer "$filter" counters)
	stop_agent KILL
	equal 100 "$(counted service packets dns)"
	start_agent
	equal "$before" "$(answer "$filter" counters)"
	equal '["web",0,0,0,"dns",100,2900,0]' "$before"
}

# Whatever the agent is just writing, the next one can read it and requests go on.
killed_while_it_writes()
{
	local round edit

	start_agent
	eventually 10 all_ready
	start_requests client1 http://203.0.113.10
	for round in 1 2 3 4 5 6; do
		(
			weir limit add web --rate $((100000 + round))
			weir backend add dns 10.0.0.$((20 + round))
		) > /dev/null 2>&1 &
		edit=$!
		sleep "0.0$((10 + 6 * round))"
		stop_agent KILL
		wait $edit || true
		start_agent
		holds '.dataplane.adopted and .config.error == null' status
		weir limit del web 1 > /dev/null 2>&1 || true
	done
	more_requests 20
	eventually 10 holds '.services[0] | .ready == .backends' status
	stop_requests
	none_failed
}

# Edits that nobody watched are found at the next start.
configuration_changed_meanwhile()
{
	start_agent
	eventually 10 all_ready
	stop_agent
	configuration "$(service web 'backends: [{ address: "10.0.0.12" }]')"
	start_agent
	eventually 10 all_ready
	equal '["web",["10.0.0.12"],2]' \
		"$(answer '.services[] | [.name, (.backends | map(.address)),
			(.backends[0].index)] | tojson' service list)"
	equal 'web2 10.0.0.1' "$(within client1 curl -s -m 5 http://203.0.113.10)"
	ask client1 203.0.113.10 53 --wait 0.3 | grep ' -' > /dev/null	# dns is gone
}

# A start that fails leaves alone what runs.
bad_configuration_at_the_start()
{
	start_agent
	eventually 10 all_ready
	stop_agent
	echo '{' > "$config"
	refused 1 "weir: $config:*not valid JSON*" weir agent --config "$config"
	equal 200 "$(within client1 curl -s -m 5 -o /dev/null -w '%{http_code}' \
		http://203.0.113.10)"
}

sigterm_leaves_it_forwarding()
{
	start_agent
	eventually 10 all_ready
	start_requests client1 http://203.0.113.10
	stop_agent TERM
	test ! -e /run/weir/weir.sock
	more_requests 50
	refused 1 'weir: no agent is listening on /run/weir/weir.sock*' weir status
	stop_requests
	none_failed
	grep -q 'goes on forwarding without the agent' "$WEIR_LAB/balancer.log"
}

teardown_on_exit()
{
	start_agent --teardown-on-exit
	eventually 10 all_ready
	stop_agent TERM
	test ! -e /sys/fs/bpf/weir
	equal null "$(ip -n balancer -json link show eth0 | jq '.[0].xdp.prog.id')"
	equal 000 "$(within client1 curl -s -m 1 -o /dev/null -w '%{http_code}' \
		http://203.0.113.10)"
}

teardown_on_exit_is_not_for_kill()
{
	start_agent --teardown-on-exit
	eventually 10 all_ready
	stop_agent KILL
	equal 200 "$(within client1 curl -s -m 5 -o /dev/null -w '%{http_code}' \
		http://203.0.113.10)"
}

readiness_is_notified()
{
	local listener

	nsenter --net=/run/netns/balancer "$weir_root/scripts/traffic.py" notified \
		"$WEIR_LAB/notify" "$weir_binary" agent --config "$config" \
		> "$WEIR_LAB/notified" 2>> "$WEIR_LAB/balancer.log" &
	listener=$!
	eventually 10 grep -qx READY=1 "$WEIR_LAB/notified"
	weir status > /dev/null		# READY means that it answers
	answer .pid status > "$WEIR_LAB/balancer.pid"
	stop_agent
	eventually 10 grep -qx STOPPING=1 "$WEIR_LAB/notified"
	kill $listener
	rm "$WEIR_LAB/notify"
}

# As systemd does it: stderr is the stream that JOURNAL_STREAM names.
journal_priorities()
{
	local log=$WEIR_LAB/journal

	: > "$log"
	JOURNAL_STREAM=$(stat -c %d:%i "$log") nsenter --net=/run/netns/balancer \
		"$weir_binary" agent --config "$config" 2>> "$log" &
	echo $! > "$WEIR_LAB/balancer.pid"
	eventually 10 grep -q '<6>info: ready' "$log"
	echo '{' > "$config"
	eventually 10 grep -q '^<3>error: .*not valid JSON' "$log"
	stop_agent
	equal '' "$(grep -v '^<[3-7]>' "$log")"
	rm "$log"
}

log_levels()
{
	: > "$WEIR_LAB/balancer.log"
	start_agent --log-level error
	stop_agent
	equal '' "$(cat "$WEIR_LAB/balancer.log")"
	start_agent
	stop_agent
	grep -qE '^[0-9-]{10} [0-9:]{8} info: ready' "$WEIR_LAB/balancer.log"
}

run_tests killed_in_a_stream_of_requests counters_are_adopted killed_while_it_writes \
	configuration_changed_meanwhile bad_configuration_at_the_start \
	sigterm_leaves_it_forwarding teardown_on_exit teardown_on_exit_is_not_for_kill \
	readiness_is_notified journal_priorities log_levels
