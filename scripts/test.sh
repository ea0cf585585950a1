#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# test.sh [RUNG...] - the test ladder: unit, packet, e2e, all of them if none is named.
#
# Each test program speaks TAP. One that crashes, hangs or does not run all that it
# planned has failed, whatever it printed. What fails shows its output; what was
# skipped is listed; the last line is the sum.

. "$(dirname "$0")/lab.sh"

rungs=(unit packet e2e)
passed=0
failed=0
skips=()

usage()
{
	echo "usage: $0 [${rungs[*]}]" >&2
	exit 2
}

# programs RUNG - what a rung runs, in the checkout
programs()
{
	local source

	case $1 in
	packet)
		echo build/tests/packet/packet
		;;
	*)
		for source in tests/"$1"/*.c; do
			[[ -e $source ]] && echo "build/${source%.c}"
		done
		for source in tests/"$1"/*.sh; do
			[[ -x $source ]] && echo "$source"
		done
		;;
	esac
}

# What the output does not say: did the program end as a TAP program does?
unfinished()
{
	local output=$1 status=$2 planned results

	planned=$(awk -F '\\.\\.' '/^1\.\.[0-9]+$/ { sum += $2 } END { print sum + 0 }' "$output")
	results=$(grep -cE '^(not )?ok\>' "$output")
	if ((status == 124 || status == 137)); then
		echo 'it did not end'
	elif ((!planned || planned != results)); then
		echo "it ended with status $status after $results of $planned tests"
	elif ((status)) && ! grep -q '^not ok' "$output"; then
		echo "it ended with status $status"
	fi
}

# run RUNG PROGRAM
run()
{
	local output name status good bad=0 start=$SECONDS problem

	output=$(mktemp)
	name=$1/$(basename "$2" .sh)
	CMOCKA_MESSAGE_OUTPUT=TAP timeout --kill-after 10 300 "$2" > "$output" 2>&1
	status=$?

	good=$(grep -E '^ok\>' "$output" | grep -vc '# SKIP')
	bad=$(grep -E '^not ok\>' "$output" | grep -vc '# SKIP')
	problem=$(unfinished "$output" $status)
	[[ ! $problem ]] || ((++bad))
	printf '%-20s %4d passed%s  %d s\n' "$name" "$good" \
		"$( ((bad)) && echo ", $bad failed")" $((SECONDS - start))
	if ((bad)); then
		grep -vE '^(ok\>|1\.\.)' "$output" | sed 's/^/    /'
		[[ ! $problem ]] || echo "    $name: $problem"
	fi
	while read -r skip; do
		skips+=("$name: ${skip#: }")
	done < <(sed -nE 's/^(not )?ok [0-9]+ (- )?(.*) ?# SKIP ?/\3: /p' "$output")
	((passed += good, failed += bad))
	rm "$output"
}

finish()
{
	((!${#skips[@]})) || printf 'skipped: %s\n' "${skips[@]}"
	printf '%d passed, %d failed' $passed $failed
	((!${#skips[@]})) || printf ', %d skipped' ${#skips[@]}
	echo
	exit $((failed > 0))
}

for rung in "$@"; do
	[[ " ${rungs[*]} " == *" $rung "* ]] || usage
done
((!$#)) || rungs=("$@")
cd "$weir_root" || exit
scripts/install-deps.sh || exit
if ! log=$(build all tests 2>&1); then
	echo "$log"
	failed=1
	finish
fi
for rung in "${rungs[@]}"; do
	while read -r program <&3; do
		run "$rung" "$program"
	done 3< <(programs "$rung")
done
finish
