#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# limit.sh - a flood from one source is held at its rate, and nobody else notices. What
# passed is counted by the backends, who write down each sender.

. "$(dirname "$0")/lib.sh"

usual_topology

# Any address of these networks is the clients' own, to send from.
ip -n client1 route add local 10.9.0.0/16 dev lo
ip -n client1 route add local fd09::/16 dev lo
for name in web1 web2 web3; do
	ip -n $name route add 10.9.0.0/16 via 10.0.0.1
	ip -n $name route add fd09::/16 via fd00::1
done

rate=500
burst=100

setup()
{
	local dns=('port: 53' 'protocol: "udp"')

	configuration "$(service dns "${dns[@]}" "limits: [ { rate: $rate, burst: $burst } ]")" \
		"$(service dns6 "${dns[@]}" 'address: "2001:db8::10"' \
			"limits: [ { rate: $rate, burst: $burst } ]")" \
		"$(service other 'port: 5353' 'protocol: "udp"')"
	start_agent
	eventually 10 all_ready
	truncate -s 0 "$WEIR_LAB"/udp-web[123]
}

# received PATTERN - datagrams that reached backends, by their sender
received()
{
	cat "$WEIR_LAB"/udp-web[123] | grep -c "$1"
}

# flood ADDRESS SOURCE... [--shared] - ten times the limit for two seconds; prints how
# many packets an exact limit would admit, by the times at which they were really sent.
flood()
{
	local sent seconds admitted

	read -r sent seconds admitted < <(within client1 "$weir_root/scripts/traffic.py" flood \
		"$1" 53 --rate $((10 * rate)) --seconds 2 --limit $rate $burst --source "${@:2}")
	echo "sent $sent in $seconds s" >&2
	((admitted > burst)) && echo "$admitted"
}

# held ADMITTED RECEIVED - to 5%, because packets wait in queues on a busy machine
held()
{
	between $(($1 * 95 / 100)) $(($1 * 105 / 100)) "$2"
}

# While a flood runs, another source gets an answer to each datagram it sends.
flood_and_others()
{
	local admitted

	ask client2 "$1" 53 --count 200 --interval 0.01 > "$WEIR_LAB/answers" &
	admitted=$(flood "$1" "${@:3}")
	wait $!
	equal 200 "$(grep -c ' web[123]$' "$WEIR_LAB/answers")"
	held "$admitted" "$(received "$2")"
}

one_source_ipv4()
{
	flood_and_others 203.0.113.10 '^10.9.0.1 ' 10.9.0.1
	equal "$(received ' ')" "$(answer '.services[0].packets' counters)"
	test "$(answer '.services[0].limited_packets' counters)" -gt 5000
	equal "$(answer '.services[0].limited_packets' counters)" \
		"$(answer .drops.limited counters)"
	equal 0 "$(answer '.services[0].dropped_packets' counters)"
	equal 0 "$(answer '.services[1].limited_packets' counters)"
}

one_source_ipv6()
{
	flood_and_others 2001:db8::10 '^fd09::1 ' fd09::1
}

# Whoever has a /64 has 2^64 addresses, and one bucket.
a_prefix_of_64_is_one_source()
{
	flood_and_others 2001:db8::10 '^fd09:0:0:5:' fd09:0:0:5::{1..8} --shared
}

# The addresses of an IPv4 network are sources of their own.
ipv4_addresses_are_many_sources()
{
	local admitted n

	admitted=$(flood 203.0.113.10 10.9.1.{1..4})
	for n in 1 2 3 4; do
		held $((admitted / 4)) "$(received "^10.9.1.$n ")"
	done
}

unless_the_prefix_says_so()
{
	weir limit set dns 1 --prefix-v4 24
	flood_and_others 203.0.113.10 '^10.9.1.' 10.9.1.{1..4} --shared
}

# A limit is its service's: the same source is free elsewhere, and not before `add`.
limit_comes_and_goes()
{
	equal 300 "$(ask client2 203.0.113.10 5353 --count 300 | grep -c web)"
	weir limit add other --rate 1 --burst 10
	equal 10 "$(ask client2 203.0.113.10 5353 --count 300 --wait 0.3 | grep -c web)"
	weir limit del other 1
	equal 300 "$(ask client2 203.0.113.10 5353 --count 300 | grep -c web)"
}

run_tests one_source_ipv4 one_source_ipv6 a_prefix_of_64_is_one_source \
	ipv4_addresses_are_many_sources unless_the_prefix_says_so limit_comes_and_goes
