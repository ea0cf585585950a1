# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash
#
# lab.sh - network namespaces to try weir in, for demo.sh and tests/e2e.
#
# The calling script runs in mount, network and PID namespaces of its own: whatever it
# starts, mounts, pins or names is gone when it ends, however it ends; labs do not see
# each other, nor does the host's network see them. The lab's own network namespace
# holds the switches; hosts are named namespaces plugged into them.

weir_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # for those who source this
weir_binary=$weir_root/build/weir

set -o pipefail	# jq finds nothing wrong with nothing

# Not what the user's shell adds in front: python3 is to be the distribution's.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# build TARGET... - as whoever owns the checkout, so that nothing in it becomes root's.
build()
{
	local owner

	owner=$(stat -c %u:%g "$weir_root")
	[[ ! -d $weir_root/build ]] || chown -R "$owner" "$weir_root/build"
	setpriv --reuid "${owner%:*}" --regid "${owner#*:}" --clear-groups \
		make --no-print-directory -C "$weir_root" -j "$(nproc)" "$@"
}

# lab_enter "$@" - run this script again inside, and end with its status.
lab_enter()
{
	if [[ ${WEIR_LAB:-} ]]; then
		lab_leave_chroot "$@"
		lab_prepare
		return
	fi
	if ((EUID != 0)); then
		echo "$0: makes network namespaces and loads BPF programs: run it as root" >&2
		exit 1
	fi
	WEIR_LAB=/run/lab setpriv --pdeathsig KILL unshare --mount --net --pid --fork \
		--propagation unchanged --kill-child --mount-proc -- "$BASH" "$0" "$@" &
	# The first process of a PID namespace takes all others with it.
	trap 'kill -KILL $!; wait $!' INT TERM HUP
	wait $!
	exit
}

# The root of a chroot is no mount, so nobody can say that mounts in it are to be private,
# which `ip netns` does as we do. Then a mount of it, below one that is, becomes the root.
lab_leave_chroot()
{
	mountpoint -q / && return
	mount --make-private /sys
	mount -t tmpfs lab /sys/fs/bpf
	mkdir /sys/fs/bpf/root
	mount --rbind / /sys/fs/bpf/root
	exec chroot /sys/fs/bpf/root env --chdir="$PWD" "$BASH" "$0" "$@"
}

lab_prepare()
{
	mount --make-rprivate /
	mount -t tmpfs -o mode=755 lab /run
	mkdir "$WEIR_LAB"
	mount -t bpf bpf /sys/fs/bpf
	ip link set lo up
	make_pass_program
}

# veth delivers what XDP transmits at once only if the other end has a program, too.
make_pass_program()
{
	clang -target bpf -O2 -x c -c -o "$WEIR_LAB/pass.o" - <<-END
		__attribute__((section("xdp"))) int pass(void *frame) { return 2; }
	END
	bpftool prog load "$WEIR_LAB/pass.o" /sys/fs/bpf/lab-pass type xdp
}

# within HOST COMMAND... - not `ip netns exec`, which hides /sys/fs/bpf.
within()
{
	nsenter --net="/run/netns/$1" "${@:2}"
}

# switch NAME [MTU]
switch()
{
	ip link add "$1" mtu "${2:-1500}" type bridge mcast_snooping 0
	ip link set "$1" up
}

# host NAME - a machine; its IPv6 addresses are usable at once.
host()
{
	ip netns add "$1"
	ip -n "$1" link set lo up
	within "$1" sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'
}

# plug HOST INTERFACE SWITCH ADDRESS/PREFIX...
plug()
{
	local port=$1-$2 mtu address

	mtu=$(< "/proc/sys/net/ipv6/conf/$3/mtu")	# /sys is the host's
	ip link add "$port" mtu "$mtu" type veth peer name "$2" mtu "$mtu" netns "$1"
	ip link set "$port" master "$3" up
	ip link set "$port" xdp pinned /sys/fs/bpf/lab-pass
	within "$1" ethtool -K "$2" tx off > /dev/null	# a tunnel needs whole checksums inside
	for address in "${@:4}"; do
		ip -n "$1" addr add "$address" dev "$2"
	done
	ip -n "$1" link set "$2" up
}

# service_address HOST ADDRESS... - what a direct-return backend answers from.
service_address()
{
	local address

	within "$1" sh -c 'cd /proc/sys/net/ipv4/conf/all; echo 1 > arp_ignore; echo 2 > arp_announce'
	for address in "${@:2}"; do
		ip -n "$1" addr add "$address" dev lo
	done
}

# http_server HOST - nginx on port 80. It answers with its host's name and the client's
# address, and takes one request a connection.
http_server()
{
	local folder=$WEIR_LAB/http-$1 kind

	mkdir "$folder"
	cat > "$folder/nginx.conf" <<-END
		daemon off;
		user root;
		worker_processes 1;
		pid $folder/pid;
		error_log $folder/error.log;
		events { }
		http {
			access_log off;
			keepalive_timeout 0;
			$(for kind in client_body proxy fastcgi uwsgi scgi; do
				echo "${kind}_temp_path $folder/$kind;"
			done)
			server {
				listen 80 backlog=4096;
				listen [::]:80 backlog=4096;
				location / { return 200 "$1 \$remote_addr\n"; }
			}
		}
	END
	nsenter --net="/run/netns/$1" nginx -c "$folder/nginx.conf" -e "$folder/error.log" &
	eventually 10 test -s "$folder/pid"
}

# udp_server HOST ADDRESS... - on ports 53 and 5353. It answers with its host's name and
# writes a line for each datagram to $WEIR_LAB/udp-HOST: who sent it.
udp_server()
{
	nsenter --net="/run/netns/$1" "$weir_root/scripts/traffic.py" echo "$1" --port 53 5353 \
		--address "${@:2}" >> "$WEIR_LAB/udp-$1" &
	eventually 10 test -s "$WEIR_LAB/udp-$1"
}

# eventually SECONDS COMMAND... - until it succeeds; 1 if it never does.
eventually()
{
	local deadline=$((SECONDS + $1))

	until "${@:2}" > /dev/null 2>&1; do
		if ((SECONDS >= deadline)); then
			echo "not within $1 s: ${*:2}" >&2
			return 1
		fi
		sleep 0.05
	done
}
