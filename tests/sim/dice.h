/* dice.h - everything that a schedule leaves to chance comes from here, and so from its seed. */
#ifndef SIM_DICE_H
#define SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/ticks.h"

struct dice {
    uint64_t state;
};

uint64_t dice_word(struct dice *dice);

/* Evenly spread in [low, high]; low where high <= low. */
arl_ns dice_between(struct dice *dice, arl_ns low, arl_ns high);

/* Each order of magnitude alike: in [low, high], low > 0. */
arl_ns dice_magnitude(struct dice *dice, arl_ns low, arl_ns high);

/* 0 .. count - 1. */
int dice_below(struct dice *dice, int count);

/* True `percent` times of 100. */
bool dice_chance(struct dice *dice, int percent);

#endif
