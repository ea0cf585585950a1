#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh - what `make` promises, tried on a copy of the checkout; and what tools say of
# the sources that the compiler does not see.

. "$(dirname "$0")/lib.sh"

host balancer
copy="$WEIR_LAB/a copy"
mkdir "$copy"
tar -C "$weir_root" --exclude ./build --exclude ./.git -c . | tar -C "$copy" -x --no-same-owner

quiet_make()
{
	make -s -j "$(nproc)" "$@"
}

setup()
{
	cd "$copy" || exit
	weir_binary=$copy/build/weir
}

files()
{
	find . -type f -not -path './build/*' | sort | xargs -d '\n' sha256sum
}

starts()
{
	configuration
	jq '.interfaces = []' "$config" > "$config.new"
	mv "$config.new" "$config"
	start_agent
	remove_weir
}

make_builds_in_build_only()
{
	local before

	before=$(files)
	equal '' "$(quiet_make 2>&1 > /dev/null)"
	equal "$before" "$(files)"
	equal "weir $(build/weir --json version | jq -r .version)" "$(build/weir version)"
	quiet_make --question all	# nothing is left to do
	starts
}

make_says_little_or_all()
{
	quiet_make
	touch user/main.c
	equal '  CC user/main.o  LINK weir' "$(make | tr -s ' ' | sed 's/^/ /' | paste -s -d '')"
	touch user/main.c
	make V=1 | grep -- '-c -o build/user/main.o user/main.c'
}

header_changes_are_seen()
{
	quiet_make
	make --dry-run V=1 --what-if include/weir/abi.h > "$WEIR_LAB/commands"
	grep -q 'build/bpf/weir.bpf.o' "$WEIR_LAB/commands"
	grep -q 'build/user/dataplane/tables.o' "$WEIR_LAB/commands"
}

make_installs()
{
	quiet_make install "DESTDIR=$WEIR_LAB/stage" PREFIX=/opt/weir
	equal ./opt/weir/sbin/weir "$(cd "$WEIR_LAB/stage" && find . -type f)"
	equal 755 "$(stat -c %a "$WEIR_LAB/stage/opt/weir/sbin/weir")"
	"$WEIR_LAB/stage/opt/weir/sbin/weir" version
	quiet_make uninstall "DESTDIR=$WEIR_LAB/stage" PREFIX=/opt/weir
	equal '' "$(find "$WEIR_LAB/stage" -type f)"
}

make_cleans()
{
	local before

	quiet_make
	before=$(files)
	quiet_make clean
	test ! -e build
	equal "$before" "$(files)"
	quiet_make clean
}

# `make` alone is gcc and the default clang. Without a warning, because warnings are
# errors; and the kernel takes what comes out.
other_compilers()
{
	command -v clang-19 > /dev/null || skip 'no clang-19 here'
	weir_binary="$copy/build/other/weir"
	equal '' "$(quiet_make B=build/other CC=clang CLANG=clang-19 2>&1 > /dev/null)"
	starts
	weir decap lo --mode generic --address 192.0.2.1
	weir decap lo --detach
}

# Infos are left out: they doubt what is meant, such as $ in single quotes.
scripts_are_clean()
{
	shellcheck --external-sources --source-path=SCRIPTDIR --severity=warning \
		scripts/*.sh tests/e2e/*.sh .ci/run
}

every_file_has_a_license()
{
	equal '' "$(grep -rL SPDX-License-Identifier bpf include user scripts tests Makefile .ci)"
	equal '' "$(grep -L 'SPDX-License-Identifier: GPL-2.0-only \*/\|// .*: GPL-2.0-only$' bpf/*)"
}

run_tests make_builds_in_build_only make_says_little_or_all header_changes_are_seen \
	make_installs other_compilers make_cleans scripts_are_clean \
	every_file_has_a_license
