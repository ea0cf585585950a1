#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# config.sh - the configuration file and its edits: by hand and by every verb of the CLI.

. "$(dirname "$0")/lib.sh"

usual_topology

setup()
{
	configuration "$(service web 'limits: [{ rate: 100000 }]')" \
		"$(service dns 'port: 53' 'protocol: "udp"')"
	start_agent
	eventually 10 all_ready
}

# Everything in the kernel that an edit could change.
kernel()
{
	local map

	for map in services settings slots backends limit_rules service_info backend_info; do
		dump $map
	done | sha256sum
}

has_backend()
{
	holds "[.backends[].address] | index(\"$2\") != null" service show "$1"
}

# --- by hand ----------------------------------------------------------------------------

edited_in_place()
{
	sed 's/10.0.0.13/10.0.0.14/' "$config" > "$WEIR_LAB/edited"
	cat "$WEIR_LAB/edited" > "$config"
	eventually 5 has_backend web 10.0.0.14
	equal null "$(answer .config.error status)"
}

edited_by_rename()
{
	sed 's/10.0.0.13/10.0.0.14/' "$config" > "$config.new"
	mv "$config.new" "$config"
	eventually 5 has_backend web 10.0.0.14
	sed 's/10.0.0.14/10.0.0.15/' "$config" > "$config.new"	# the new inode is watched
	mv "$config.new" "$config"
	eventually 5 has_backend web 10.0.0.15
}

edited_behind_a_link()
{
	stop_agent
	mkdir "$WEIR_LAB/there"
	mv "$config" "$WEIR_LAB/there/real.json"
	ln -s there/real.json "$config"
	start_agent
	sed -i 's/10.0.0.13/10.0.0.14/' "$WEIR_LAB/there/real.json"
	eventually 5 has_backend web 10.0.0.14
	weir backend add web 10.0.0.15
	test -L "$config"
	grep -q 10.0.0.15 "$WEIR_LAB/there/real.json"
	rm -r "$config" "$WEIR_LAB/there"
}

bad_edit_keeps_the_last_good_state()
{
	local before good

	before=$(kernel)
	good=$(cat "$config")
	jq . "$config" | sed 's/"forward": "l2"/"foward": "l2"/' > "$config.new"
	mv "$config.new" "$config"
	eventually 5 holds '.config.error != null' status
	matches "$config:[0-9]*:[0-9]*: *services\[0\]*foward*did you mean*forward*" \
		"$(answer .config.error status)"
	equal degraded "$(answer .state status)"
	equal "$before" "$(kernel)"
	equal web "$(within client1 curl -s -m 5 http://203.0.113.10 | cut -c 1-3)"

	# The CLI does not write over what somebody is just correcting.
	refused 1 'weir: correct the configuration file first:*' weir backend del web 10.0.0.11
	weir status | grep "$config:" > /dev/null

	echo "$good" > "$config"
	eventually 5 holds '.config.error == null and .state == "ok"' status
	equal "$before" "$(kernel)"
}

agrees()
{
	equal "$(weir check "$config" 2>&1)" "weir: $(answer .config.error status)"
}

# What the agent says of a file is what `weir check` says of it.
check_and_agent_agree()
{
	local edit

	equal "$config: ok: 2 services, 6 backends" "$(weir check "$config")"
	equal '{"services":2,"backends":6}' "$(weir --json check "$config" | jq -c .)"
	jq . "$config" > "$WEIR_LAB/good"
	for edit in 's/"port": 80/"port": 99999/' 's/10.0.0.11/10.0.0.411/' 's/"l2"/"l3"/' \
		's/"name": "web"/"name": "dns"/' '$d'; do
		sed "$edit" "$WEIR_LAB/good" > "$config"
		refused 1 "weir: $config:[0-9]*:[0-9]*: *" weir check "$config"
		eventually 5 agrees
	done
	refused 1 "weir: cannot open $WEIR_LAB/missing: No such file*" weir check "$WEIR_LAB/missing"
	refused 2 'weir check: FILE is missing*' weir check
}

# --- by the CLI ----------------------------------------------------------------------------

edits_are_atomic()
{
	local reader inode i

	chmod 640 "$config"
	(while jq -e .services "$config" > /dev/null 2>> "$WEIR_LAB/torn"; do :; done) &
	reader=$!
	inode=$(stat -c %i "$config")
	for ((i = 0; i < 40; i++)); do
		weir backend set web 10.0.0.11 --weight $((i + 2)) > /dev/null
	done
	kill $reader			# it would have ended at the first torn file
	equal '' "$(cat "$WEIR_LAB/torn")"
	test "$inode" != "$(stat -c %i "$config")"
	equal 640 "$(stat -c %a "$config")"
	equal "$config" "$(ls "$config"*)"	# no temporary files
	equal 41 "$(jq '.services[0].backends[0].weight' "$config")"
}

# Each verb answers in JSON, and the edits are in force at once: in the file, in the
# answer, in the kernel.
every_verb()
{
	local command

	while read -r command; do
		echo "weir $command"
		# shellcheck disable=SC2086 # words
		equal object "$(weir --json $command | jq -r type)"
	done <<-END
		status
		version
		check $config
		route udp 10.0.0.1:1 203.0.113.10:53
		service list
		service add more --address 203.0.113.11 --port any --protocol tcp --forward l2
		service show more
		backend add more 10.0.0.11 --weight 3
		backend add more 10.0.0.12
		backend set more 10.0.0.12 --weight 2
		backend drain more 10.0.0.11
		backend list more
		limit add more --rate 1000
		limit add dns --rate 2000 --burst 7 --prefix-v4 24 --prefix-v6 48
		limit set more 1 --rate 3000 --burst 5
		limit list more
		limit list
		limit del dns 1
		service set more --forward ipip
		counters
		counters more
		service del dns
		backend del web 10.0.0.13
		detach eth0
		attach eth0 --mode native
		detach --all
	END
	equal "$(jq -cS . <<-END
		[ { "name": "web", "address": "203.0.113.10", "port": 80, "protocol": "tcp",
		    "forward": "l2", "limits": [ { "rate": 100000 } ],
		    "backends": [ { "address": "10.0.0.11" }, { "address": "10.0.0.12" } ] },
		  { "name": "more", "address": "203.0.113.11", "port": "any", "protocol": "tcp",
		    "forward": "ipip", "limits": [ { "rate": 3000, "burst": 5 } ],
		    "backends": [
		      { "address": "10.0.0.11", "weight": 3, "state": "draining" },
		      { "address": "10.0.0.12", "weight": 2 } ] } ]
	END
	)" "$(jq -cS .services "$config")"
	equal '0 web,1 dns gone,2 more' "$(dump service_info | jq -r '[.[0:3][] |
		"\(.key) \(.value.name | if . == "" then "dns gone" else . end)"] | join(",")')"
	equal 10.0.0.12 "$(answer '.backends[] | select(.share == 1) | .address' service show more)"
	equal '[100000,3000]' "$(dump limit_rules | jq -c \
		'[.[] | select(.value.enabled == 1) | 256e9 / .value.cost | round]')"
}

text_answers()
{
	equal 'web: backend 10.0.0.14 added' "$(weir backend add web 10.0.0.14)"
	equal 'web: backend 10.0.0.14:80 changed' \
		"$(weir backend set web 10.0.0.14:80 --weight 7)"
	equal 'web: backend 10.0.0.14 is draining' "$(weir backend drain web 10.0.0.14)"
	equal 'web: backend 10.0.0.14 deleted' "$(weir backend del web 10.0.0.14)"
	matches '*10.0.0.11 *active *ready *10.0.0.12 *10.0.0.13 *' "$(weir backend list web)"
	matches '*web *203.0.113.10:80/tcp *3 of 3*' "$(weir service list)"
	matches 'state  *ok*' "$(weir status)"
	matches 'web -> 10.0.0.1[123]: slot * of 1021 *' \
		"$(weir route tcp 10.0.0.1:4711 203.0.113.10:80)"
}

refused_edits_change_nothing()
{
	local before command pattern status

	before=$(kernel; cat "$config")
	while IFS='|' read -r status command pattern; do
		echo "weir $command"
		# shellcheck disable=SC2086 # words
		refused "$status" "$pattern" weir $command
		equal "$before" "$(kernel; cat "$config")"
	done <<-'END'
		1|service add web --address 203.0.113.9 --port 80 --protocol tcp|weir: there is a service "web" already*
		1|service add more --address 203.0.113.10 --port 80 --protocol tcp|weir: *203.0.113.10:80/tcp*
		1|service add more --address 127.0.0.1 --port 80 --protocol tcp|weir: *unicast*
		1|service add two/words --address 203.0.113.9 --port 80 --protocol tcp|weir: *name*
		2|service add more --address 203.0.113.9 --port 80|weir service add: --protocol tcp?udp is missing
		2|service add more --address 203.0.113.9 --port 0 --protocol tcp|weir service add: --port is "0", allowed are 1 to 65535 or any
		2|service add more --address 203.0.113.9 --port 80 --protocol sctp|weir service add: --protocol is "sctp"*
		2|service add|weir service add: NAME is missing*
		2|service set web|weir service set: nothing to change*
		1|service set web --port 81 --address 203.0.113.300|weir: *address*
		1|service set nobody --port 81|weir: there is no service "nobody"*
		1|service show nobody|weir: there is no service "nobody"*
		1|service del nobody|weir: there is no service "nobody"*
		2|service remove web|weir service: unknown command remove*
		1|backend add nobody 10.0.0.14|weir: there is no service "nobody"*
		1|backend add web 10.0.0.11|weir: web has backend 10.0.0.11 already*
		1|backend add web 10.0.0.14:81|weir: *port 81*port 80*
		1|backend add web 10.0.0.999|weir: *10.0.0.999*
		1|backend add web 203.0.113.10|weir: *the service's own address*
		2|backend add web 10.0.0.14 --weight -1|weir backend add: --weight is "-1"*
		2|backend add web|weir backend add: ADDRESS*is missing*
		1|backend set web 10.0.0.14 --weight 1|weir: web has no backend 10.0.0.14*
		2|backend set web 10.0.0.11|weir backend set: nothing to change*
		2|backend set web 10.0.0.11 --state asleep|weir backend set: --state is "asleep"*
		1|backend drain web 10.0.0.14|weir: web has no backend 10.0.0.14*
		1|backend drain nobody 10.0.0.11|weir: there is no service "nobody"*
		1|backend del web 10.0.0.14|weir: web has no backend 10.0.0.14*
		2|backend del web 10.0.0.11 10.0.0.12|weir backend del: unexpected "10.0.0.12"*
		1|backend list nobody|weir: there is no service "nobody"*
		2|backend add web 10.0.0.14 --wieght 2|weir backend add: unknown option --wieght, did you mean --weight?
		1|limit add nobody --rate 5|weir: there is no service "nobody"*
		2|limit add web|weir limit add: --rate N is missing
		2|limit add web --rate 0|weir limit add: --rate is "0"*
		2|limit add web --rate 5 --prefix-v4 33|weir limit add: --prefix-v4 is "33"*
		1|limit set web 2 --rate 5|weir: web has no limit 2*
		2|limit set web one --rate 5|weir limit set: NUMBER is "one"*
		2|limit set web 1|weir limit set: nothing to change*
		1|limit del web 2|weir: web has no limit 2*
		1|limit list nobody|weir: there is no service "nobody"*
		1|counters nobody|weir: there is no service "nobody"*
		1|route icmp 10.0.0.1:1 203.0.113.10:80|weir: protocol "icmp": allowed are tcp and udp
		1|route tcp 10.0.0.1 203.0.113.10:80|weir: source "10.0.0.1": is not ADDRESS:PORT
		1|route tcp 10.0.0.1:1 [2001:db8::10]:80|weir: source and destination are of different*
		2|route tcp 10.0.0.1:1|weir route: DESTINATION:PORT is missing*
		2|attach|weir attach: IFACE is missing*
		2|attach eth0 --mode fast|weir attach: --mode is "fast"*
		2|stauts|weir: unknown command stauts, did you mean status?
		2|status --jason|weir status: unknown option --jason*
	END
}

without_an_agent()
{
	local command

	stop_agent
	for command in status 'service list' 'backend list web' 'limit list' counters \
		'backend add web 10.0.0.14' 'attach eth0' 'route tcp 10.0.0.1:1 203.0.113.10:80'; do
		# shellcheck disable=SC2086 # words
		refused 1 'weir: no agent is listening on /run/weir/weir.sock*weir agent*' \
			weir $command
	done
}

run_tests edited_in_place edited_by_rename edited_behind_a_link \
	bad_edit_keeps_the_last_good_state check_and_agent_agree edits_are_atomic every_verb \
	text_answers refused_edits_change_nothing without_an_agent
