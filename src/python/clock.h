/* clock.h - the clock of leases: it counts the time that the machine sleeps. */
#ifndef PYTHON_CLOCK_H
#define PYTHON_CLOCK_H

#include "core/ticks.h"

/* Nanoseconds since some moment of this boot: CLOCK_BOOTTIME on Linux, CLOCK_MONOTONIC on macOS (which counts
 * sleep there). Never fails on a system that has the clock. */
arl_ns clock_now(void);

#endif
