#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# install-deps.sh - install what building, running and testing weir need. Does nothing
# when it is all there. Never touches the list of package sources.

set -euo pipefail

packages=(
	# build: userspace, also under ASan and UBSan, whose runtimes come with gcc
	gcc libc6-dev make pkg-config
	# build: BPF objects and their skeletons
	clang bpftool
	# build and run: the libraries; libxdp brings the dispatcher
	libbpf-dev libxdp-dev libjansson-dev libevent-dev libcurl4-openssl-dev libmnl-dev
	libxxhash-dev libsystemd-dev
	# test: unit and packet rungs
	libcmocka-dev
	# test and demo: namespaces and links, servers and clients, reading of what they say
	iproute2 ethtool nginx curl jq python3 nftables
	# test: the second compiler for BPF objects, checks of shell scripts
	clang-19 shellcheck
)

installed()
{
	[[ $(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2> /dev/null) == installed ]]
}

if ! command -v apt-get > /dev/null; then
	echo "$0: installs on Debian and Ubuntu only. Elsewhere, install what these are called there: ${packages[*]}" >&2
	exit 1
fi

missing=()
for package in "${packages[@]}"; do
	installed "$package" || missing+=("$package")
done
((${#missing[@]})) || exit 0

if ((EUID != 0)); then
	echo "$0: these packages are missing: ${missing[*]}: run it as root" >&2
	exit 1
fi

# nginx is for namespaces: it is not started here, now or at the next boot. Whoever has
# it already keeps it as it is.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' > $policy
	chmod 755 $policy
fi

# quietly COMMAND... - its output is shown only if it fails.
quietly()
{
	local output

	output=$("$@" 2>&1) || { echo "$output" >&2; return 1; }
}

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
quietly apt-get update
quietly apt-get install --yes --no-install-recommends "${missing[@]}"

if [[ " ${missing[*]} " == *' nginx '* ]]; then
	quietly update-rc.d nginx disable
fi
