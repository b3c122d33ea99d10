#include "plan.h"

#include "clock.h"

static arl_ns whole_ms(arl_ns duration)
{
    return duration / ARL_MS * ARL_MS;
}

void plan_draw(struct plan *plan, struct dice *dice, bool safe, bool brief)
{
    arl_ns ttl = whole_ms(dice_magnitude(dice, 300 * ARL_MS, 30 * ARL_SECOND));
    *plan = (struct plan){.safe = safe, .brief = brief, .ttl = ttl};
    plan->processes = 3 + dice_below(dice, brief ? 2 : PROCESSES_MAX - 2);
    plan->tasks = 1 + dice_below(dice, brief ? 2 : TASKS_MAX);
    plan->pollers = dice_below(dice, POLLERS_MAX + 1);
    plan->keys = 1 + dice_below(dice, KEYS_MAX);
    plan->sleep_low = dice_chance(dice, 10) ? 0 : dice_between(dice, ttl / 50, ttl / 6);
    plan->sleep_high = plan->sleep_low + dice_between(dice, ttl / 25, ttl / 3);
    plan->reply_timeout = dice_between(dice, ttl / 4, 3 * ttl);
    plan->early = dice_chance(dice, 33) ? 2 * ARL_MS : dice_between(dice, 0, 2 * ARL_MS);
    plan->turn = dice_chance(dice, 33) ? 0 : dice_between(dice, 0, dice_chance(dice, 70) ? ARL_MS : ttl / 20);
    plan->dial = dice_chance(dice, 33) ? ARL_MS : dice_between(dice, 0, ttl / 2);
    plan->think = brief ? ttl * 2 / 3 : ttl / 3;
    plan->own_keys = dice_chance(dice, 10);
    if (plan->own_keys) {
        plan->tasks = TASKS_MAX;
        plan->keys = KEYS_MAX;
        plan->think /= 4;
    }
    plan->end = (brief ? 20 : 24) * ttl;
    plan->delays = (enum delays)dice_below(dice, 3);
    plan->holds_short = 40 + dice_below(dice, 60);
    plan->holds_long = dice_below(dice, 15);
    plan->timers_early = dice_chance(dice, 50) ? 0 : dice_below(dice, 101);
    plan->written_late = dice_chance(dice, 50) ? 0 : dice_below(dice, 101);
    plan->faults = (brief ? 4 : 6) + dice_below(dice, brief ? 8 : 14);
}

arl_ns plan_drift(struct dice *dice)
{
    switch (dice_below(dice, 3)) {
    case 0:
        return dice_chance(dice, 75) ? -CLOCK_DRIFT_MAX : CLOCK_DRIFT_MAX;
    case 1:
        return dice_between(dice, -CLOCK_DRIFT_MAX, CLOCK_DRIFT_MAX);
    }
    return 0;
}

arl_ns plan_delay(const struct plan *plan, struct dice *dice)
{
    int lot = dice_below(dice, 100);
    switch (plan->delays) {
    case DELAYS_NONE:
        break;
    case DELAYS_SHORT:
        return dice_between(dice, 0, lot < 90 ? plan->ttl / 50 : plan->ttl / 4);
    case DELAYS_LONG:
        return dice_between(dice, 0,
                            lot < 80   ? plan->ttl / 20
                            : lot < 95 ? plan->ttl / 2
                                       : plan->ttl * 3 / 2);
    }
    return dice_between(dice, 0, ARL_MS / 10);
}

arl_ns plan_pause(const struct plan *plan, struct dice *dice)
{
    int lot = dice_below(dice, 100);
    if (lot < 25)
        return dice_between(dice, 0, plan->ttl / 10);
    if (lot < 55)
        return dice_between(dice, 0, plan->ttl);
    if (lot < 75)
        return dice_between(dice, plan->ttl * 97 / 100, plan->ttl * 103 / 100);
    return dice_between(dice, plan->ttl, (lot < 97 ? 3 : 10) * plan->ttl);
}

arl_ns plan_stall(const struct plan *plan, struct dice *dice)
{
    int lot = dice_below(dice, 100);
    if (lot < 60)
        return plan_pause(plan, dice);
    return dice_between(dice, plan->ttl, lot < 97 ? 6 * plan->ttl : plan->end);
}

arl_ns plan_stall_limit(const struct plan *plan, struct dice *dice)
{
    switch (dice_below(dice, 5)) {
    case 0:
        return 0;
    case 1:
        return dice_between(dice, plan->ttl / 3, 2 * plan->ttl);
    case 2:
        return ARL_NEVER;
    }
    return dice_between(dice, 2 * plan->ttl, 10 * plan->ttl);
}
