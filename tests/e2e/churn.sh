#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# churn.sh - the agent is killed again and again while its configuration changes without
# rest: afterwards the kernel's tables are those of an agent that saw only the end, and a
# service that did not change has lost no request.

. "$(dirname "$0")/lib.sh"

usual_topology
for n in {1..60}; do
	ip -n balancer neigh add 10.0.1.$n lladdr 02:00:00:00:01:01 dev eth0
done
ip -n balancer route add 10.0.1.0/24 dev eth0

seconds=10
seed=$RANDOM

kill_until_quiet()
{
	local kills=0

	while ! process_is_gone "$1"; do
		sleep "0.$((RANDOM % 5 + 1))"
		kill -KILL "$(agent_pid)"
		eventually 5 process_is_gone "$(agent_pid)"
		start_agent
		kills=$((kills + 1))
	done
	echo "$kills kills, seed $seed"
	((kills >= 5))
}

# The agent looks at the file when it has been quiet for a moment.
has_seen_the_end()
{
	[[ $(answer '[.services[].name] | sort | tojson' status) == \
		"$(jq -c '[.services[].name] | sort' "$config")" ]]
}

killed_while_changing()
{
	local writer

	configuration "$(service web)"
	jq '.capacity = { services: 64, backends: 4096, slots: 1048576 }' "$config" > "$config.new"
	mv "$config.new" "$config"
	start_agent
	eventually 10 all_ready
	start_requests client1 http://203.0.113.10
	"$weir_root/tests/e2e/churn.py" write "$config" "$seconds" "$seed" &
	writer=$!
	kill_until_quiet "$writer"
	eventually 10 has_seen_the_end
	stop_requests
	none_failed
	"$weir_root/tests/e2e/churn.py" tables > "$WEIR_LAB/after"

	stop_agent
	weir detach --all
	start_agent
	eventually 10 holds '.services[0].ready == 3' status
	"$weir_root/tests/e2e/churn.py" tables > "$WEIR_LAB/fresh"
	cmp "$WEIR_LAB/after" "$WEIR_LAB/fresh"
}

run_tests killed_while_changing
