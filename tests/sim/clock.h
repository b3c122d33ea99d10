/* clock.h - the clock of a process: it has an origin and a drift of its own against true time, which is the
 * server's. Rule of safety 1 bears 1 % of drift; its 2 ms are for a server that ends a key a little early. */
#ifndef SIM_CLOCK_H
#define SIM_CLOCK_H

#include "core/ticks.h"

#define CLOCK_DRIFT_MAX 10000 /* parts in a million: 1 % */
#define CLOCK_MILLION 1000000
#define CLOCK_FAR (ARL_NEVER / CLOCK_MILLION / 2) /* ns: no schedule lasts so long (76 minutes) */

struct clock {
    arl_ns origin; /* ns: what it shows at true time 0 */
    arl_ns drift;  /* parts in a million that it is too fast; negative: too slow */
};

/* What the clock shows (ns) at a point in true time. */
static inline arl_ns clock_shows(const struct clock *clock, arl_ns at)
{
    return clock->origin + at + at * clock->drift / CLOCK_MILLION;
}

/* The first point in true time (ns) at which it shows `local` at least; ARL_NEVER where that is far. */
static inline arl_ns clock_reaches(const struct clock *clock, arl_ns local)
{
    arl_ns passed = local - clock->origin;
    if (passed > CLOCK_FAR)
        return ARL_NEVER;
    if (passed <= 0)
        return 0;
    arl_ns at = passed * CLOCK_MILLION / (CLOCK_MILLION + clock->drift);
    while (at > 0 && clock_shows(clock, at - 1) >= local)
        at--;
    while (clock_shows(clock, at) < local)
        at++;
    return at;
}

#endif
