#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# next_hop.sh - traffic follows what rtnetlink says about the way to a backend. To the
# usual topology come two routers to a network behind:
#
#   lan -- router1 10.0.0.21 --.
#   lan -- router2 10.0.0.22 --+-- back -- far 10.2.0.11

. "$(dirname "$0")/lib.sh"

usual_topology
switch back 1600
for n in 1 2; do
	host router$n
	plug router$n eth0 lan 10.0.0.2$n/24
	plug router$n eth1 back 10.2.0.$n/24
	within router$n sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
done
host far
plug far eth0 back 10.2.0.11/24

setup()
{
	configuration "$(service dns 'port: 53' 'protocol: "udp"')"
}

# backend FILTER ADDRESS - of `weir service show`
backend()
{
	answer ".backends[] | select(.address == \"$2\") | $1" service show dns
}

backend_is()
{
	equal "$2" "$(backend .status "$1")"
}


mac_of()
{
	ip -n "$1" -json link show eth0 | jq -r '.[0].address'
}

# These and no others answer the flows of client1.
only_answered_by()
{
	equal "$1" "$(ask client1 203.0.113.10 53 --count 60 | cut -d ' ' -f 2 | sort -u |
		paste -s -d ,)"
}

nobody_at_the_address()
{
	start_agent
	weir backend add dns 10.0.0.99
	eventually 10 backend_is 10.0.0.99 'no next hop'
	equal 0 "$(backend .share 10.0.0.99)"
	equal 'no neighbour answers for 10.0.0.99 on eth0' "$(backend .reason 10.0.0.99)"
	equal null "$(backend .next_hop 10.0.0.99)"
	equal degraded "$(answer .state status)"
	holds '.problems | any(test("backend 10.0.0.99: no neighbour answers"))' status
	only_answered_by web1,web2,web3
}

somebody_comes_to_the_address()
{
	start_agent
	weir backend del dns 10.0.0.13
	weir backend add dns 10.0.0.98
	eventually 10 backend_is 10.0.0.98 'no next hop'
	only_answered_by web1,web2
	ip -n web3 addr add 10.0.0.98/24 dev eth0
	eventually 10 backend_is 10.0.0.98 ready
	equal ok "$(answer .state status)"
	only_answered_by web1,web2,web3
	ip -n web3 addr del 10.0.0.98/24 dev eth0
}

no_backend_is_ready()
{
	configuration "$(service dns 'port: 53' 'protocol: "udp"' \
		'backends: [ { address: "10.0.0.97" } ]')"
	start_agent
	eventually 10 backend_is 10.0.0.97 'no next hop'
	equal 5 "$(ask client1 203.0.113.10 53 --count 5 --wait 0.2 | grep -c ' -$')"
	equal 5 "$(answer .drops.no_backend counters)"
	equal 5 "$(answer '.services[0].dropped_packets' counters)"
	holds '.problems | any(test("dns: no backend is ready"))' status
}

# A machine that announces its new address, as virtual machines do when they move.
mac_changes()
{
	local mac counted

	start_agent
	eventually 10 all_ready
	mac=$(mac_of web1)
	equal "$mac" "$(backend .next_hop.mac 10.0.0.11)"
	only_answered_by web1,web2,web3
	counted=$(counted backend packets 10.0.0.11)
	within web1 sh -c 'echo 1 > /proc/sys/net/ipv4/conf/eth0/arp_notify'
	ip -n web1 link set eth0 address 02:00:00:00:00:77
	eventually 10 test_backend_mac 10.0.0.11 02:00:00:00:00:77
	equal "$counted" "$(counted backend packets 10.0.0.11)"
	only_answered_by web1,web2,web3
	ip -n web1 link set eth0 address "$mac"
	eventually 10 test_backend_mac 10.0.0.11 "$mac"
}

test_backend_mac()
{
	equal "$2" "$(backend .next_hop.mac "$1")"
}

backend_goes_and_comes_back()
{
	start_agent
	eventually 10 all_ready
	ip link set web2-eth0 down
	within balancer ip neigh flush dev eth0 10.0.0.12
	eventually 10 backend_is 10.0.0.12 'no next hop'
	only_answered_by web1,web3
	ip link set web2-eth0 up
	eventually 15 backend_is 10.0.0.12 ready
	only_answered_by web1,web2,web3
}

route_changes()
{
	configuration "$(service dns 'port: 53' 'protocol: "udp"' 'forward: "ipip"' \
		'backends: [ { address: "10.2.0.11" } ]')"
	ip -n balancer route add 10.2.0.0/24 via 10.0.0.21
	start_agent
	eventually 10 backend_is 10.2.0.11 ready
	equal "$(mac_of router1)" "$(backend .next_hop.mac 10.2.0.11)"
	arrives_through router1

	ip -n balancer route replace 10.2.0.0/24 via 10.0.0.22
	eventually 10 test_backend_mac 10.2.0.11 "$(mac_of router2)"
	arrives_through router2

	ip -n balancer route del 10.2.0.0/24
	eventually 10 backend_is 10.2.0.11 'no next hop'
	equal 'no route to 10.2.0.11' "$(backend .reason 10.2.0.11)"
}

# Packets that a router forwards, other than its neighbours' talk.
forwarded_by()
{
	within "$1" awk '/^Ip:/ && $3 ~ /[0-9]/ { print $7 }' /proc/net/snmp
}

has_forwarded()
{
	equal "$2" "$(forwarded_by "$1")"
}

arrives_through()
{
	local before

	before=$(forwarded_by "$1")
	ask client1 203.0.113.10 53 --count 10 --wait 0 > /dev/null
	eventually 5 has_forwarded "$1" $((before + 10))
}

l2_needs_the_link()
{
	ip -n balancer route add 10.2.0.0/24 via 10.0.0.21
	configuration "$(service dns 'port: 53' 'protocol: "udp"' \
		'backends: [ { address: "10.2.0.11" }, { address: "10.0.0.11" } ]')"
	start_agent
	eventually 10 backend_is 10.2.0.11 'no next hop'
	matches 'behind a gateway: l2 needs*' "$(backend .reason 10.2.0.11)"
	only_answered_by web1
	ip -n balancer route del 10.2.0.0/24
}

run_tests nobody_at_the_address somebody_comes_to_the_address no_backend_is_ready \
	mac_changes backend_goes_and_comes_back route_changes l2_needs_the_link
