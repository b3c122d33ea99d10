#define _DEFAULT_SOURCE /* clock_gettime beside -std=c11 */

#include "python/clock.h"

#include <time.h>

#ifdef CLOCK_BOOTTIME
#define LEASE_CLOCK CLOCK_BOOTTIME
#else
#define LEASE_CLOCK CLOCK_MONOTONIC
#endif

arl_ns clock_now(void)
{
    struct timespec time;

    if (clock_gettime(LEASE_CLOCK, &time) != 0)
        return 0;
    return (arl_ns)time.tv_sec * ARL_SECOND + time.tv_nsec;
}
