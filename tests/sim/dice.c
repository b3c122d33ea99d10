#include "dice.h"

uint64_t dice_word(struct dice *dice)
{
    uint64_t word = (dice->state += UINT64_C(0x9E3779B97F4A7C15));
    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);
    return word ^ (word >> 31);
}

arl_ns dice_between(struct dice *dice, arl_ns low, arl_ns high)
{
    if (high <= low)
        return low;
    return low + (arl_ns)(dice_word(dice) % ((uint64_t)(high - low) + 1));
}

arl_ns dice_magnitude(struct dice *dice, arl_ns low, arl_ns high)
{
    int doublings = 0;
    while (low << (doublings + 1) <= high)
        doublings++;
    arl_ns from = low << dice_below(dice, doublings + 1);
    return dice_between(dice, from, arl_ns_min(2 * from, high));
}

int dice_below(struct dice *dice, int count)
{
    return (int)(dice_word(dice) % (uint64_t)count);
}

bool dice_chance(struct dice *dice, int percent)
{
    return dice_below(dice, 100) < percent;
}
