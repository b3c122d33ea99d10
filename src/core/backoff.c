#include "backoff.h"

/* splitmix64: one add and three mixes, every seed is good. */
static uint64_t next_word(struct arl_random *random)
{
    uint64_t word = (random->state += UINT64_C(0x9E3779B97F4A7C15));
    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);
    return word ^ (word >> 31);
}

arl_ns arl_random_between(struct arl_random *random, arl_ns low, arl_ns high)
{
    if (high <= low)
        return low;
    uint64_t span = (uint64_t)high - (uint64_t)low + 1; /* the bias of % is below 1e-9 for spans of minutes */
    return low + (arl_ns)(next_word(random) % span);
}

arl_ns arl_backoff_pause(struct arl_random *random, int64_t i, arl_ns low, arl_ns high)
{
    arl_ns drawn = arl_random_between(random, low, high);
    int64_t steps = i - 2;
    arl_ns mean = low / 2 + high / 2 + (low % 2 + high % 2) / 2;
    if (steps <= 0 || mean == 0)
        return drawn;
    if (steps > ARL_NEVER / mean)
        return ARL_NEVER;
    return arl_ns_add(mean * steps, drawn);
}
