#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# readme.sh - the README's deployment, its code blocks run as they are written, on a host
# whose eth0 is the README's. /etc and /usr/local are overlays that end with the test.
#
#   client 192.0.2.1 ---.         .---- web1 192.0.2.11
#   balancer 192.0.2.10 +-- lan --+---- web2 192.0.2.12

. "$(dirname "$0")/lib.sh"

switch lan
host balancer
plug balancer eth0 lan 192.0.2.10/24
host client
plug client eth0 lan 192.0.2.1/24
ip -n client route add 203.0.113.0/24 via 192.0.2.10
for n in 1 2; do
	host web$n
	plug web$n eth0 lan 192.0.2.1$n/24
	service_address web$n 203.0.113.10/32
	http_server web$n
done

# overlay FOLDER - what is written there stays in the lab.
overlay()
{
	local layer=$WEIR_LAB/overlay${1//\//-}

	mkdir -p "$layer/upper" "$layer/work"
	mount -t overlay overlay -o "lowerdir=$1,upperdir=$layer/upper,workdir=$layer/work" "$1"
}

# The blocks between ```sh and ```, one file each, in order.
extract_blocks()
{
	awk -v out="$WEIR_LAB/block-" '
		/^```sh$/ { inside = 1; file = sprintf("%s%02d.sh", out, ++n); next }
		/^```$/ { inside = 0 }
		inside { print > file }' "$weir_root/README.md"
}

# In one shell, as somebody at a terminal would.
run_blocks()
{
	cd "$weir_root"
	mkdir "$WEIR_LAB/bin"
	printf '#!/bin/sh\nexec "$@"\n' > "$WEIR_LAB/bin/sudo"
	chmod +x "$WEIR_LAB/bin/sudo"
	{
		echo 'set -e'
		for block in "$WEIR_LAB"/block-*.sh; do
			cat "$block"
			[[ $(< "$block") != *'weir attach'* ]] || echo 'try_it'
		done
		echo 'kill %1; wait %1'
	} > "$WEIR_LAB/readme.sh"
	export -f try_it eventually within
	export WEIR_LAB
	PATH=$WEIR_LAB/bin:$PATH within balancer "$BASH" "$WEIR_LAB/readme.sh"
}

# Called in the middle, when it should balance.
try_it()
{
	local answers=$WEIR_LAB/answers

	eventually 10 sh -c 'weir status --json | grep -q "\"ready\": 2"'
	within client curl --silent --max-time 3 'http://203.0.113.10/?[1-40]' > "$answers"
	[[ $(wc -l < "$answers") == 40 && $(sort -u "$answers" | wc -l) == 2 ]]
}

deployment_as_written()
{
	overlay /etc
	overlay /usr/local
	extract_blocks
	run_blocks > "$WEIR_LAB/readme.out" 2>&1 || { cat "$WEIR_LAB/readme.out"; return 1; }
	cat "$WEIR_LAB/readme.out"
	grep -q '"name": "web"' "$WEIR_LAB/readme.out"
	grep -q 'web -> 192.0.2.1[12]' "$WEIR_LAB/readme.out"
	[[ ! -e /sys/fs/bpf/weir ]]
}

run_tests deployment_as_written
