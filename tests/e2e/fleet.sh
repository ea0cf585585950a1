#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# fleet.sh - balancers that do not talk to each other choose alike. To the usual
# topology comes a second balancer, 10.0.0.6 fd00::6.

. "$(dirname "$0")/lib.sh"

usual_topology
host second
plug second eth0 lan 10.0.0.6/24 fd00::6/64

# Backends that nobody is: only choices are asked for.
for n in {100..139}; do
	for name in balancer second; do
		ip -n $name neigh add 10.0.0.$n dev eth0 lladdr 02:00:00:00:01:$((n - 100)) nud permanent
	done
done

# on_second COMMAND... - for the helpers of lib.sh
on_second()
{
	balancer=second config=$WEIR_LAB/second.json WEIR_BPF_DIR=/sys/fs/bpf/second \
		WEIR_SOCKET=$WEIR_LAB/second.sock "$@"
}

teardown()
{
	remove_weir
	on_second remove_weir
}

# backends ORDER - 40 in the order that a sort option makes of 100 to 139; weights 1 to 5.
backends()
{
	seq 100 139 | sort "$1" --random-source="$0" |
		jq -c '{ address: "10.0.0.\(.)", weight: (. % 5 + 1) }' | jq -cs .
}

# configure_both SERVICE SERVICE - the first's, the second's; the rest is equal.
configure_both()
{
	configuration "$1"
	on_second configuration "$2"
}

start_both()
{
	start_agent
	on_second start_agent
	eventually 10 all_ready
	on_second eventually 10 all_ready
}

# choices SOCKET FLOWS - the backend for each flow: "PROTOCOL SOURCE DESTINATION" lines.
choices()
{
	sed 's|\(.*\) \(.*\) \(.*\)|url = "http://weir/v1/route?protocol=\1\&source=\2\&destination=\3"|' \
		"$2" | curl --silent --unix-socket "$1" --config - | jq -r .backend
}

# flows COUNT - of many clients to the service, IPv4
flows()
{
	seq 1 "$1" | awk '{ printf "tcp 198.51.%d.%d:%d 203.0.113.10:80\n",
		$1 / 250, $1 % 250, 1024 + $1 * 7919 % 60000 }'
}

same_choices_for_10000_flows()
{
	configure_both "$(service web "backends: $(backends -n)")" \
		"$(service web "backends: $(backends -R)")"
	test "$(jq -c .services "$config")" != "$(jq -c .services "$WEIR_LAB/second.json")"
	start_both
	flows 10000 > "$WEIR_LAB/flows"
	choices /run/weir/weir.sock "$WEIR_LAB/flows" > "$WEIR_LAB/choices"
	choices "$WEIR_LAB/second.sock" "$WEIR_LAB/flows" > "$WEIR_LAB/choices2"
	equal 10000 "$(grep -c '^10\.0\.0\.1[0-3][0-9]$' "$WEIR_LAB/choices")"
	equal 40 "$(sort -u "$WEIR_LAB/choices" | wc -l)"
	cmp "$WEIR_LAB/choices" "$WEIR_LAB/choices2"
}

# How a balancer came to its backends does not matter.
same_choices_after_different_histories()
{
	local n

	configure_both "$(service web "backends: $(backends -n)")" "$(service web 'backends: []')"
	start_agent
	on_second start_agent
	for n in {139..100}; do
		on_second weir backend add web 10.0.0.$n --weight $((n % 5 + 1)) > /dev/null
	done
	on_second weir backend set web 10.0.0.105 --weight 50
	on_second weir backend drain web 10.0.0.106
	on_second weir backend set web 10.0.0.105 --weight 1
	on_second weir backend set web 10.0.0.106 --state active
	eventually 10 all_ready
	on_second eventually 10 all_ready
	flows 1000 > "$WEIR_LAB/flows"
	choices /run/weir/weir.sock "$WEIR_LAB/flows" > "$WEIR_LAB/choices"
	choices "$WEIR_LAB/second.sock" "$WEIR_LAB/flows" | cmp - "$WEIR_LAB/choices"
}

other_seed_other_choices()
{
	configure_both "$(service web "backends: $(backends -n)")" \
		"$(service web "backends: $(backends -n)")"
	sed -i s/00112233445566778899aabbccddeeff/00112233445566778899aabbccddeefe/ \
		"$WEIR_LAB/second.json"
	start_both
	flows 1000 > "$WEIR_LAB/flows"
	choices /run/weir/weir.sock "$WEIR_LAB/flows" > "$WEIR_LAB/choices"
	choices "$WEIR_LAB/second.sock" "$WEIR_LAB/flows" > "$WEIR_LAB/choices2"
	between 0 100 "$(paste "$WEIR_LAB/choices" "$WEIR_LAB/choices2" |
		awk '$1 == $2' | wc -l)"
}

# forwarded_and_predicted SOURCE ADDRESS - packets go where both said, through either.
forwarded_and_predicted()
{
	local first

	route_services client1 10.0.0.5 fd00::5
	first=$(ask client1 "$2" 53 --count 200)
	route_services client1 10.0.0.6 fd00::6
	equal "$first" "$(ask client1 "$2" 53 --count 200)"
	route_services client1 10.0.0.5 fd00::5

	seq 20000 20199 | sed "s|.*|udp $1:& $3:53|" > "$WEIR_LAB/flows"
	equal "$(cut -d ' ' -f 2 <<< "$first")" \
		"$(choices /run/weir/weir.sock "$WEIR_LAB/flows" | sed 's/.*1\([123]\)$/web\1/')"
	equal 3 "$(cut -d ' ' -f 2 <<< "$first" | sort -u | wc -l)"
}

packets_go_where_both_say()
{
	local dns=('port: 53' 'protocol: "udp"')
	local dns6=("${dns[@]}" 'address: "2001:db8::10"')
	local order='backends: [ { address: "10.0.0.13" }, { address: "10.0.0.11" },
		{ address: "10.0.0.12" } ]'

	configuration "$(service dns "${dns[@]}")" "$(service dns6 "${dns6[@]}")"
	on_second configuration "$(service dns6 "${dns6[@]}" "$order")" \
		"$(service dns "${dns[@]}" "$order")"
	start_both
	forwarded_and_predicted 10.0.0.1 203.0.113.10 203.0.113.10
	forwarded_and_predicted '[fd00::1]' 2001:db8::10 '[2001:db8::10]'
}

run_tests same_choices_for_10000_flows same_choices_after_different_histories \
	other_seed_other_choices packets_go_where_both_say
