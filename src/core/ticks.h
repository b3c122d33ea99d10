/* ticks.h - the time type of the core: nanoseconds on a clock that the caller reads.
 *
 * The origin is the caller's; the clock must count sleep (Linux CLOCK_BOOTTIME, macOS CLOCK_MONOTONIC)
 * and never goes back. All arithmetic saturates: a far deadline becomes ARL_NEVER, not a wrapped number. */
#ifndef ARL_TICKS_H
#define ARL_TICKS_H

#include <stdint.h>

typedef int64_t arl_ns; /* nanoseconds: a point in time or a duration, as the name says */

#define ARL_NEVER INT64_MAX /* a point in time that does not come; a wait without limit */

#define ARL_MS ((arl_ns)1000000)
#define ARL_SECOND ((arl_ns)1000000000)

/* A timer may fire this much early (uvloop's do): due for retries, never for loss. */
#define ARL_EARLY (2 * ARL_MS)

/* a + b for b >= 0; ARL_NEVER when either is, or when the sum does not fit. */
static inline arl_ns arl_ns_add(arl_ns a, arl_ns b)
{
    if (a == ARL_NEVER || b >= ARL_NEVER - (a > 0 ? a : 0))
        return ARL_NEVER;
    return a + b;
}

static inline arl_ns arl_ns_min(arl_ns a, arl_ns b)
{
    return a < b ? a : b;
}

static inline arl_ns arl_ns_max(arl_ns a, arl_ns b)
{
    return a > b ? a : b;
}

#endif
