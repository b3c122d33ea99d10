/* backoff.h - the documented retry schedule and other drawn pauses, from one injected seed. */
#ifndef ARL_BACKOFF_H
#define ARL_BACKOFF_H

#include "arl.h"

struct arl_random {
    uint64_t state; /* any value */
};

/* A duration (ns) in [low, high], evenly spread; low where high <= low. */
arl_ns arl_random_between(struct arl_random *random, arl_ns low, arl_ns high);

/* The wait (ns) after failed try `i`, counted from 0: mean * max(0, i - 2) + uniform(low, high), where
 * mean = (low + high) / 2 (the documentation of aioredlock-py). Saturates at ARL_NEVER. */
arl_ns arl_backoff_pause(struct arl_random *random, int64_t i, arl_ns low, arl_ns high);

#endif
