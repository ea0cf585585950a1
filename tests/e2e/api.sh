#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# api.sh - the API as curl and other programs use it: statuses, one line of error, and
# nothing that stops the agent or changes anything when it is refused.

. "$(dirname "$0")/lib.sh"

usual_topology

setup()
{
	configuration "$(service web 'limits: [{ rate: 100000 }]')"
	start_agent
	eventually 10 all_ready
}

# api METHOD PATH [BODY] - the answer, then its status on a line
api()
{
	local body=()

	(($# < 3)) || body=(--data "$3")
	curl --silent --max-time 10 --unix-socket /run/weir/weir.sock --request "$1" \
		--write-out '%{http_code}\n' "${body[@]}" "http://weir$2"
}

# What an edit could have changed.
state()
{
	cat "$config"
	dump services
	dump backend_info
}

statuses()
{
	local before status method path body answer

	before=$(state)
	while IFS='|' read -r status method path body; do
		echo "$method $path $body"
		if [[ $body ]]; then
			answer=$(api "$method" "$path" "$body")
		else
			answer=$(api "$method" "$path")
		fi
		equal "$status" "$(tail -n 1 <<< "$answer")"
		if ((status >= 400)); then
			head -n 1 <<< "$answer" | jq -e '.error | type == "string" and
				length > 10 and (contains("\n") | not)' > /dev/null
		fi
		equal "$before" "$(state)"
	done <<-'END'
		200|GET|/v1/status
		200|GET|/v1/services/web/backends
		200|GET|/v1/services/%77eb
		404|GET|/
		404|GET|/v2/status
		404|GET|/v1/nothing
		404|GET|/v1/status/more
		404|GET|/v1/services/web/backends/10.0.0.11/more/and/more
		405|POST|/v1/status|{}
		405|DELETE|/v1/services
		404|GET|/v1/services/nobody
		404|GET|/v1/services/%FF
		404|GET|/v1/services/web%00
		404|GET|/v1/counters?service=nobody
		400|GET|/v1/route?protocol=tcp&source=10.0.0.1:1
		400|POST|/v1/services
		400|POST|/v1/services|{
		400|POST|/v1/services|[]
		400|POST|/v1/services|{}
		400|POST|/v1/services|{"name":"more","address":"203.0.113.9","port":80,"protocol":"tcp","colour":"red"}
		400|POST|/v1/services|{"name":5,"address":"203.0.113.9","port":80,"protocol":"tcp"}
		409|POST|/v1/services|{"name":"web","address":"203.0.113.9","port":80,"protocol":"tcp"}
		400|PATCH|/v1/services/web
		400|PATCH|/v1/services/web|{"name":"other"}
		400|PATCH|/v1/services/web|{"backends":5}
		400|POST|/v1/services/web/backends
		400|POST|/v1/services/web/backends|{"address":5}
		400|POST|/v1/services/web/backends|{"weight":1}
		409|POST|/v1/services/web/backends|{"address":"10.0.0.11"}
		400|PATCH|/v1/services/web/backends/10.0.0.11
		400|PATCH|/v1/services/web/backends/10.0.0.11|{"weight":"much"}
		400|PATCH|/v1/services/web/backends/ten|{"weight":1}
		404|PATCH|/v1/services/web/backends/10.0.0.99|{"weight":1}
		404|DELETE|/v1/services/web/backends/10.0.0.99
		400|POST|/v1/services/web/limits
		400|POST|/v1/services/web/limits|{"rate":"fast"}
		404|DELETE|/v1/services/web/limits/2
		404|PATCH|/v1/services/web/limits/0|{"rate":1}
		404|PUT|/v1/interfaces/eth7
		400|PUT|/v1/interfaces/eth0|{"mode":"fast"}
		400|PUT|/v1/interfaces/eth0|{"mode":5}
		400|PUT|/v1/interfaces/eth0|{"mdoe":"native"}
		409|PUT|/v1/interfaces/eth0|{"mode":"generic"}
		409|PUT|/v1/interfaces/lo
		404|DELETE|/v1/interfaces/lo
	END
	weir status > /dev/null
}

whole_services_in_one_request()
{
	equal 200 "$(api POST /v1/services "$(service more 'port: 81' 'limits: [ { rate: 7 } ]')" |
		tail -n 1)"
	equal '[3,7]' "$(answer '[(.backends | length), .limits[0].rate] | tojson' \
		service show more)"
	equal 200 "$(api PATCH /v1/services/more '{"backends":[{"address":"10.0.0.12"}]}' |
		tail -n 1)"
	equal '["10.0.0.12"]' "$(answer '[.backends[].address] | tojson' service show more)"
	equal 200 "$(api DELETE /v1/services/more | tail -n 1)"
	refused 1 'weir: there is no service "more"*' weir service show more
}

# Nobody's edit is lost, and each answer is given after the edit is in force.
edits_at_the_same_time()
{
	local n edits=()

	for n in {20..49}; do
		weir backend add web 10.0.0.$n > /dev/null &
		edits+=($!)
	done
	wait "${edits[@]}"
	equal 33 "$(jq '.services[0].backends | length' "$config")"
	equal 33 "$(answer '.backends | length' service show web)"
}

# More than the files that a process may usually have open.
idle_clients_keep_nobody_out()
{
	local clients

	ulimit -S -n 4096
	python3 -c '
import socket, time
idle = []
for _ in range(1100):
    idle.append(socket.socket(socket.AF_UNIX))
    idle[-1].connect("/run/weir/weir.sock")
    idle[-1].send(b"GET /v1/sta")
print("connected", flush=True)
time.sleep(60)' > "$WEIR_LAB/clients" &
	clients=$!
	eventually 20 test -s "$WEIR_LAB/clients"
	holds '.state == "ok"' status
	kill $clients
	holds '.state == "ok"' status
}

run_tests statuses whole_services_in_one_request edits_at_the_same_time \
	idle_clients_keep_nobody_out
