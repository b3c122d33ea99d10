/* crew.h - many schedules at once: a process for each core, which share one row of seeds and one tally. */
#ifndef SIM_CREW_H
#define SIM_CREW_H

#include <stdatomic.h>

#include "sim.h"

struct options {
    uint64_t first;
    long count;
    double seconds;
    int jobs;
    unsigned judges; /* who judges: bits of enum judge */
    bool safe, unsafe;
    bool go_on;
    bool trace;
};

struct totals {
    atomic_ullong next; /* the first seed that nobody has taken */
    atomic_long schedules, counted, acquisitions, faults, stalls, kept;
    atomic_long found[JUDGES];
    atomic_bool stop;
};

double crew_seconds(void);

/* Runs what the options ask for and prints the totals. Exit code: 0, 1 where a judge found something, 2 where
 * it could not be run. */
int crew_run(const struct options *options);

#endif
