#include "sim.h"

#include <string.h>

static const char *const key_names[KEYS_MAX] = {"k0", "k1", "k2"};

static void soon(struct sim *sim, struct task *task)
{
    agenda_set(&sim->agenda, &task->next, sim->now + dice_between(&sim->dice, 0, sim->plan.turn));
}

static void think(struct sim *sim, struct task *task)
{
    if (!sim->ending && !task->process->closing)
        agenda_set(&sim->agenda, &task->next, sim->now + dice_between(&sim->dice, 0, sim->plan.think));
}

static void drop_ask(struct task *task)
{
    if (task->ask != NULL)
        arl_engine_drop_ask(task->process->engine, task->ask);
    task->ask = NULL;
}

/* ---- looking ---- */

bool task_looks(struct sim *sim, struct task *task)
{
    if (task->handle == NULL)
        return false;
    arl_ns until = judge_belief_until(task->handle);
    bool answer = arl_engine_look(task->process->engine, task->handle, process_now(task->process));
    judge_look(sim, task, answer, until);
    return answer;
}

/* ---- leaving ---- */

static void drop(struct sim *sim, struct task *task)
{
    NOTE(sim, "p%d.%d: drops its handle", task->process->index, task->index);
    drop_ask(task);
    arl_engine_drop(task->process->engine, task->handle, process_now(task->process));
    task->handle = NULL;
    task->told = TOLD_NOTHING;
    agenda_unset(&sim->agenda, &task->cancel);
    judge_left(sim, task);
    think(sim, task);
}

static void release_again(struct sim *sim, struct task *task)
{
    if (arl_engine_release(task->process->engine, task->handle, process_now(task->process)) != ARL_ENOTHELD)
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: a second release() found something to release",
                  task->process->index, task->index);
}

static void release(struct sim *sim, struct task *task)
{
    NOTE(sim, "p%d.%d: release()", task->process->index, task->index);
    task->left = task->token;
    if (arl_engine_release(task->process->engine, task->handle, process_now(task->process)) != 0)
        return; /* an event tells that it is lost */
    if (arl_handle_state(task->handle) == ARL_RELEASING) {
        task->told = TOLD_TO_WAIT_FOR_RELEASE;
        if (dice_chance(&sim->dice, 15))
            agenda_set(&sim->agenda, &task->cancel,
                       sim->now + dice_between(&sim->dice, 0, sim->plan.ttl / 20));
    } else {
        task->told = TOLD_THE_END;
        task->cause = ARL_DONE;
        soon(sim, task);
    }
    judge_left(sim, task);
    if (dice_chance(&sim->dice, 30))
        (void)task_looks(sim, task);
}

static void leave(struct sim *sim, struct task *task)
{
    if (dice_chance(&sim->dice, 80))
        release(sim, task);
    else
        drop(sim, task);
}

static void finish(struct sim *sim, struct task *task)
{
    if (dice_chance(&sim->dice, 30))
        release_again(sim, task);
    drop(sim, task);
}

/* ---- acquiring ---- */

static arl_ns ttl_of(struct sim *sim)
{
    arl_ns ttl = sim->plan.ttl;
    if (dice_chance(&sim->dice, 70))
        return ttl;
    ttl = dice_between(&sim->dice, arl_ns_max(ttl / 3, 300 * ARL_MS), arl_ns_min(2 * ttl, 30 * ARL_SECOND));
    return ttl / ARL_MS * ARL_MS;
}

static void draw_want(struct sim *sim, struct task *task)
{
    int lot = dice_below(&sim->dice, 100);
    task->key = dice_below(&sim->dice, sim->plan.keys);
    if (sim->plan.own_keys && dice_chance(&sim->dice, 95))
        task->key = task->process->index % sim->plan.keys;
    task->want = (struct arl_want){.key = key_names[task->key],
                                   .key_length = 2,
                                   .ttl = ttl_of(sim),
                                   .sleep_low = sim->plan.sleep_low,
                                   .sleep_high = sim->plan.sleep_high,
                                   .tries = dice_below(&sim->dice, 11),
                                   .patience = ARL_NEVER,
                                   .stall_limit = plan_stall_limit(&sim->plan, &sim->dice)};
    if (lot < 20)
        task->want.tries = ARL_TRIES_WITHOUT_LIMIT;
    else if (lot < 35)
        task->want.patience = dice_between(&sim->dice, sim->plan.ttl / 20, 3 * sim->plan.ttl);
    else if (lot < 45)
        task->want.once = true;
}

static void begin(struct sim *sim, struct task *task)
{
    if (sim->ending || task->process->closing)
        return;
    arl_ns now = process_now(task->process);
    draw_want(sim, task);
    NOTE(sim, "p%d.%d: acquire(k%d) ttl %lld tries %lld patience %lld%s", task->process->index, task->index,
         task->key, (long long)(task->want.ttl / ARL_MS), (long long)task->want.tries,
         task->want.patience == ARL_NEVER ? -1 : (long long)(task->want.patience / ARL_MS),
         task->want.once ? " once" : "");
    if (arl_engine_acquire(task->process->engine, &task->want, task, now, &task->handle) != 0) {
        task->handle = NULL;
        return;
    }
    task->told = TOLD_TO_WAIT;
    task->token = LEDGER_NOBODY;
    task->patience_until = arl_ns_add(now, task->want.patience);
    if (dice_chance(&sim->dice, 15))
        agenda_set(&sim->agenda, &task->cancel,
                   sim->now + dice_between(&sim->dice, 0,
                                           dice_chance(&sim->dice, 50) ? sim->plan.ttl / 50 : sim->plan.ttl));
}

/* ---- holding ---- */

static arl_ns hold_of(struct sim *sim)
{
    int lot = dice_below(&sim->dice, 100);
    if (lot < sim->plan.holds_short || sim->ending)
        return dice_between(&sim->dice, 0, sim->plan.ttl / 10);
    return dice_between(&sim->dice, 0, lot < 100 - sim->plan.holds_long ? sim->plan.ttl : 4 * sim->plan.ttl);
}

static void next_step(struct sim *sim, struct task *task)
{
    arl_ns at = sim->now + dice_between(&sim->dice, 0, sim->plan.ttl / 2);
    if (dice_chance(&sim->dice, 25)) /* the last moment at which it believes, unless it is renewed by then */
        at = clock_reaches(&task->process->clock, judge_belief_until(task->handle)) - 1;
    agenda_set(&sim->agenda, &task->next, arl_ns_min(arl_ns_max(at, sim->now), task->hold_until));
}

static void confirm(struct sim *sim, struct task *task)
{
    if (!arl_engine_confirm(task->process->engine, task->handle, process_now(task->process))) {
        NOTE(sim, "p%d.%d: its lease was over before it ran", task->process->index, task->index);
        judge_left(sim, task);
        task->told = TOLD_TO_WAIT;
        return;
    }
    task->told = TOLD_HELD;
    sim->acquisitions++;
    NOTE(sim, "p%d.%d: holds k%d, token %u", task->process->index, task->index, task->key, task->token);
    judge_register_write(sim, task);
    agenda_unset(&sim->agenda, &task->cancel);
    task->hold_until = sim->now + hold_of(sim);
    next_step(sim, task);
}

static void ask_something(struct sim *sim, struct task *task)
{
    struct arl_engine *engine = task->process->engine;
    arl_ns now = process_now(task->process);
    int error = 0;
    if (dice_chance(&sim->dice, 70)) {
        arl_ns ttl = ttl_of(sim);
        NOTE(sim, "p%d.%d: extend(%lld)", task->process->index, task->index, (long long)(ttl / ARL_MS));
        error = arl_engine_extend(engine, task->handle, ttl, task, now, &task->ask);
    } else {
        error = arl_engine_peek(engine, task->want.key, task->want.key_length, task, now, &task->ask);
    }
    task->answered = false;
    if (error != 0)
        task->ask = NULL;
}

static void go_on(struct sim *sim, struct task *task)
{
    if (!task_looks(sim, task))
        return; /* an event tells */
    judge_register_write(sim, task);
    if (sim->now >= task->hold_until) {
        leave(sim, task);
        return;
    }
    if (task->ask != NULL && (task->answered || dice_chance(&sim->dice, 30)))
        drop_ask(task);
    else if (task->ask == NULL && dice_chance(&sim->dice, 15))
        ask_something(sim, task);
    next_step(sim, task);
}

/* ---- alarms and events ---- */

void task_runs(struct sim *sim, struct task *task)
{
    switch (task->told) {
    case TOLD_NOTHING:
        begin(sim, task);
        break;
    case TOLD_GRANTED:
        confirm(sim, task);
        break;
    case TOLD_HELD:
        go_on(sim, task);
        break;
    case TOLD_THE_END:
        finish(sim, task);
        break;
    case TOLD_TO_WAIT:
    case TOLD_TO_WAIT_FOR_RELEASE:
        break;
    }
    process_settle(sim, task->process);
}

static void ring_next(struct sim *sim, struct alarm *alarm)
{
    struct task *task = ALARM_OF(alarm, struct task, next);
    if (!process_defers(sim, task->process, alarm))
        task_runs(sim, task);
}

static void ring_cancel(struct sim *sim, struct alarm *alarm)
{
    struct task *task = ALARM_OF(alarm, struct task, cancel);
    if (process_defers(sim, task->process, alarm) || task->handle == NULL || task->told == TOLD_HELD)
        return;
    NOTE(sim, "p%d.%d: is cancelled", task->process->index, task->index);
    agenda_unset(&sim->agenda, &task->next);
    drop(sim, task);
    process_settle(sim, task->process);
}

static void granted(struct sim *sim, struct task *task)
{
    if (task->told != TOLD_TO_WAIT && task->told != TOLD_GRANTED)
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: granted out of turn", task->process->index, task->index);
    task->told = TOLD_GRANTED;
    task->token = ledger_find(sim, arl_handle_token(task->handle));
    judge_watch_handed_on(sim, task);
    NOTE(sim, "p%d.%d: granted k%d, token %u", task->process->index, task->index, task->key, task->token);
    soon(sim, task);
}

static void ended(struct sim *sim, struct task *task, enum arl_cause cause)
{
    NOTE(sim, "p%d.%d: ended, cause %d", task->process->index, task->index, (int)cause);
    if (task->told == TOLD_NOTHING || task->told == TOLD_THE_END)
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: told twice that it is over", task->process->index, task->index);
    if ((cause == ARL_LOST) != (task->told == TOLD_HELD) && cause != ARL_CLOSED)
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: ended with cause %d in told state %d", task->process->index,
                  task->index, (int)cause, (int)task->told);
    bool released = task->told == TOLD_TO_WAIT_FOR_RELEASE;
    task->told = TOLD_THE_END;
    task->cause = cause;
    if (cause == ARL_LOST && task->token != LEDGER_NOBODY)
        judge_register_lost(sim, task, task->token);
    else if (released)
        judge_register_released(sim, task);
    agenda_unset(&sim->agenda, &task->cancel);
    judge_left(sim, task);
    soon(sim, task);
}

void task_event(struct sim *sim, struct task *task, const struct arl_event *event)
{
    if (event->kind == ARL_EVENT_ANSWERED)
        task->answered = true;
    else if (event->kind == ARL_EVENT_GRANTED)
        granted(sim, task);
    else
        ended(sim, task, event->cause);
}

/* ---- beginning and end ---- */

void task_start(struct sim *sim, struct process *process, struct task *task, int index)
{
    memset(task, 0, sizeof(*task));
    task->process = process;
    task->index = index;
    task->next.ring = ring_next;
    task->cancel.ring = ring_cancel;
    think(sim, task);
}

void task_forget(struct sim *sim, struct task *task)
{
    drop_ask(task);
    if (task->handle != NULL && arl_handle_state(task->handle) == ARL_ENDED)
        arl_engine_drop(task->process->engine, task->handle, process_now(task->process));
    task->handle = NULL; /* all others die with the engine */
    task->told = TOLD_NOTHING;
    agenda_unset(&sim->agenda, &task->next);
    agenda_unset(&sim->agenda, &task->cancel);
}

void task_hurry(struct sim *sim, struct task *task)
{
    if (task->told != TOLD_HELD)
        return;
    task->hold_until =
        arl_ns_min(task->hold_until, sim->now + dice_between(&sim->dice, 0, sim->plan.ttl / 10));
    agenda_set(&sim->agenda, &task->next, arl_ns_min(task->next.at, task->hold_until));
}
