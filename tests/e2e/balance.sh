#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# balance.sh - real clients reach real servers in every way of forwarding, over the
# interface that the packets came by and over another one.
#
#      client 10.1.0.1 fd01::1
#         |
#   == front ============================== 10.1.0.0/24 fd01::/64
#      |eth0             |eth0       |eth0
#   balancer .5 ::5    near .11    router .254
#      |eth1                         |eth1
#   == back =============================== 10.2.0.0/24 fd02::/64
#      |eth0
#     far .11 ::11
#
#   near and far take tunnels off with `weir decap` and answer the client directly.
#   The services differ in their addresses: 203.0.113.N and 2001:db8::N.

. "$(dirname "$0")/lib.sh"

services4=(203.0.113.{1..4})
services6=(2001:db8::{1..4})

switch front 1600
switch back 1600
for name in client balancer near router far; do
	host $name
done
plug client eth0 front 10.1.0.1/24 fd01::1/64
ip -n client link set eth0 mtu 1500
plug balancer eth0 front 10.1.0.5/24 fd01::5/64
plug balancer eth1 back 10.2.0.5/24 fd02::5/64
plug router eth0 front 10.1.0.254/24 fd01::254/64
plug router eth1 back 10.2.0.254/24 fd02::254/64
plug near eth0 front 10.1.0.11/24 fd01::11/64
plug far eth0 back 10.2.0.11/24 fd02::11/64
route_services client 10.1.0.5 fd01::5
ip -n far route add default via 10.2.0.254
ip -n far route add default via fd02::254
for name in router balancer; do
	within $name sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward
		echo 1 > /proc/sys/net/ipv6/conf/all/forwarding'
done
for name in near far; do
	service_address $name "${services4[@]/%//32}" "${services6[@]/%//128}"
	http_server $name
done
udp_server near "${services4[@]}" "${services6[@]}"
udp_server far "${services4[@]}" "${services6[@]}" 10.2.0.11 fd02::11
within near "$weir_binary" decap eth0 --address 10.1.0.11,fd01::11 > /dev/null
within far "$weir_binary" decap eth0 --address 10.2.0.11,fd02::11 > /dev/null

# both NAME ADDRESS FORWARD BACKEND... - a TCP and a UDP service, on any port
both()
{
	local protocol backends

	backends=$(printf '{ "address": "%s" }\n' "${@:4}" | jq -cs .)
	for protocol in tcp udp; do
		echo "{ \"name\": \"$1-$protocol\", \"address\": \"$2\", \"port\": \"any\",
			\"protocol\": \"$protocol\", \"forward\": \"$3\", \"backends\": $backends }"
	done
}

setup()
{
	local near4=10.1.0.11 far4=10.2.0.11 near6=fd01::11 far6=fd02::11 services

	services=$(
		both l2-v4 203.0.113.1 l2 $near4 $far4
		both l2-v6 2001:db8::1 l2 $near6 $far6
		both 4in4 203.0.113.2 ipip $near4 $far4
		both 6in6 2001:db8::2 ipip $near6 $far6
		both 4in6 203.0.113.3 ipip $near6 $far6
		both 6in4 2001:db8::3 ipip $near4 $far4
	)
	configuration "$(jq -c . <<< "$services" | paste -s -d ,)"
	jq '.source_address = "10.1.0.5" | .source_address_v6 = "fd01::5"' "$config" \
		> "$config.new"
	mv "$config.new" "$config"
	start_agent
	eventually 10 all_ready
}

# Both servers answer, each request; they see the client's own address, and what is
# larger than a packet arrives whole.
reaches_both()
{
	local url=$1 address=$2 client=$3

	within client curl -s -m 5 --fail-early "$url/[1-40]" > "$WEIR_LAB/answers"
	equal 40 "$(grep -cE "^(near|far) $client\$" "$WEIR_LAB/answers")"
	equal 'far near' "$(sort -u "$WEIR_LAB/answers" | cut -d ' ' -f 1 | paste -s -d ' ')"

	head -c 300000 /dev/urandom > "$WEIR_LAB/upload"
	equal '200 200 200 200 ' "$(within client curl -s -m 10 -o /dev/null \
		-w '%{http_code} ' --data-binary "@$WEIR_LAB/upload" "$url/[1-4]")"

	ask client "$address" 53 --count 40 --size 1000 > "$WEIR_LAB/answers"
	equal 40 "$(grep -cE ' (near|far)$' "$WEIR_LAB/answers")"
	equal 2 "$(cut -d ' ' -f 2 "$WEIR_LAB/answers" | sort -u | wc -l)"
	equal "$client" "$(tail -n 1 "$WEIR_LAB/udp-near" | cut -d ' ' -f 1)"
}

l2_ipv4() { reaches_both http://203.0.113.1 203.0.113.1 10.1.0.1; }
l2_ipv6() { reaches_both http://[2001:db8::1] 2001:db8::1 fd01::1; }
ipip_4in4() { reaches_both http://203.0.113.2 203.0.113.2 10.1.0.1; }
ipip_6in6() { reaches_both http://[2001:db8::2] 2001:db8::2 fd01::1; }
ipip_4in6() { reaches_both http://203.0.113.3 203.0.113.3 10.1.0.1; }
ipip_6in4() { reaches_both http://[2001:db8::3] 2001:db8::3 fd01::1; }

# The far backend's frames leave by eth1, where weir is not attached, and none by eth0.
leaves_by_the_other_interface()
{
	weir backend del l2-v4-tcp 10.1.0.11
	within client curl -s -m 5 --fail-early -o /dev/null 'http://203.0.113.1/[1-10]'
	equal eth1 "$(answer .backends[0].next_hop.interface service show l2-v4-tcp)"
	equal 10 "$(answer '.services[0].backends[0].new_flows' counters)"
	equal "$(ip -n far -json link show eth0 | jq -r '.[0].address')" \
		"$(answer .backends[0].next_hop.mac service show l2-v4-tcp)"
}

# Flows are spread as the weights say. They and the hash seed are always the same.
weights()
{
	weir backend set l2-v4-udp 10.1.0.11 --weight 3
	equal '0.75 0.25' "$(answer \
		'[.backends[].share * 100 | round / 100 | tostring] | join(" ")' \
		service show l2-v4-udp)"
	ask client 203.0.113.1 53 --count 400 > "$WEIR_LAB/answers"
	between 270 330 "$(grep -c ' near$' "$WEIR_LAB/answers")"
	between 70 130 "$(grep -c ' far$' "$WEIR_LAB/answers")"
	weir backend set l2-v4-udp 10.1.0.11 --weight 0
	ask client 203.0.113.1 53 --count 40 > "$WEIR_LAB/answers"
	equal 40 "$(grep -c ' far$' "$WEIR_LAB/answers")"
}

# One port's service goes before that of any port; the rest of an address passes.
ports()
{
	weir backend del l2-v4-udp 10.2.0.11
	equal 10 "$(ask client 203.0.113.1 5353 --count 10 | grep -c ' near$')"
	weir service add one --address 203.0.113.1 --port 5353 --protocol udp --forward l2
	weir backend add one 10.2.0.11
	eventually 10 all_ready
	equal 10 "$(ask client 203.0.113.1 5353 --count 10 | grep -c ' far$')"
	equal 10 "$(ask client 203.0.113.1 53 --count 10 | grep -c ' near$')"
	equal 10 "$(answer '.services[0].packets' counters one)"
}

# The balancer is a router, too: what is for no service goes through its stack.
others_pass()
{
	local before forwarded

	ip -n client route add 10.2.0.11 via 10.1.0.5
	ip -n client route add fd02::11 via fd01::5
	before=$(answer .totals.passed_packets counters)
	forwarded=$(answer .totals.forwarded_packets counters)
	equal 'far 10.1.0.1' "$(within client curl -s -m 5 http://10.2.0.11)"
	equal 'far fd01::1' "$(within client curl -s -m 5 http://[fd02::11])"
	equal 200 "$(within client curl -s -m 10 -o /dev/null -w '%{http_code}' \
		--data-binary "@$WEIR_LAB/upload" http://10.2.0.11)"
	# In fragments:
	equal 10 "$(ask client 10.2.0.11 53 --count 10 --size 4000 | grep -c ' far$')"
	equal 10 "$(ask client fd02::11 53 --count 10 --size 4000 | grep -c ' far$')"
	test "$(answer .totals.passed_packets counters)" -gt $((before + 50))
	equal "$forwarded" "$(answer .totals.forwarded_packets counters)"
	equal 0 "$(answer .totals.dropped_packets counters)"
	ip -n client route del 10.2.0.11
	ip -n client route del fd02::11
}

counters_add_up()
{
	within client curl -s -m 5 --fail-early -o /dev/null 'http://203.0.113.2/[1-30]'
	equal 30 "$(counted service new_flows 4in4-tcp)"
	equal 30 "$(answer '.services[] | select(.name == "4in4-tcp") |
		[.backends[].new_flows] | add' counters)"
	holds '.totals.forwarded_packets == ([.services[].packets] | add)' counters
	holds '.services | all(.packets == ([.backends[].packets] | add) and
		.bytes == ([.backends[].bytes] | add))' counters
}

run_tests l2_ipv4 l2_ipv6 ipip_4in4 ipip_6in6 ipip_4in6 ipip_6in4 \
	leaves_by_the_other_interface weights ports others_pass counters_add_up
