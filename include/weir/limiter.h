/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * limiter.h - the token bucket, as a pure function on one 64-bit word.
 *
 * A bucket that holds `burst` packets and gains one each `cost` is kept as GCRA's
 * theoretical arrival time (ITU-T I.371, annex A; virtual scheduling): tat - now
 * is the bucket's debt, the time until it is full again. All times are in
 * 1/256 ns modulo 2^64 and compared by signed difference, so the clock may wrap.
 */
#ifndef WEIR_LIMITER_H
#define WEIR_LIMITER_H

#include <weir/hash.h>

#define WEIR_TICKS_PER_SECOND	256000000000ULL	/* 1/256 ns */

/*
 * How far a `now` may be behind the latest, for clocks of CPUs differ a little and a
 * packet waits for its cell after it has read the clock.
 */
#define WEIR_CLOCK_SLACK	(WEIR_TICKS_PER_SECOND / 100)

/*
 * The bucket's debt: 0 is full, burst_time is empty. Somewhat more means that `now` is
 * late: the word is right and must stay, or each such packet would set it back. Far
 * more cannot be: the word is older than half the clock's range, or the burst was made
 * smaller. It counts as empty.
 */
WEIR_INLINE __u64 weir_bucket_debt(__u64 tat, __u64 now, __u64 burst_time)
{
	__s64 debt = (__s64)(tat - now);

	if (debt <= 0)
		return 0;
	return (__u64)debt <= burst_time + WEIR_CLOCK_SLACK ? (__u64)debt : burst_time;
}

/*
 * Take `cost` at `now`. Returns 1 and the new word in *next when the bucket holds
 * that much, else 0 and the word to keep, which is tat itself unless that could not
 * be. burst_time and cost must be below 2^62.
 */
WEIR_INLINE int weir_bucket_take(__u64 tat, __u64 now, __u64 cost, __u64 burst_time,
				 __u64 *next)
{
	__u64 debt = weir_bucket_debt(tat, now, burst_time);
	int admit = debt + cost <= burst_time;

	if (admit)
		*next = now + debt + cost;
	else
		*next = debt ? now + debt : tat;
	return admit;
}

#endif
