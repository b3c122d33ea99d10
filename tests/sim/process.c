#include "sim.h"

#include <stdlib.h>
#include <string.h>

/* So many dials fail until the client's own policy is used up. */
#define DIALS 3
/* So many ticks at one moment are a deadline that does not move on. */
#define SPINS_MAX 1000

/* ---- what the engine is given ---- */

static void *take_memory(void *ctx, size_t size)
{
    struct process *process = ctx;
    process->blocks++;
    return malloc(size);
}

static void give_memory(void *ctx, void *memory)
{
    struct process *process = ctx;
    process->blocks--;
    free(memory);
}

static int draw_token(void *ctx, uint8_t id[ARL_TOKEN_SIZE])
{
    struct process *process = ctx;
    uint32_t number = ledger_draw(process->sim, process->index, process->incarnation);
    memcpy(id, ledger_token(&process->sim->ledger, number)->id, ARL_TOKEN_SIZE);
    return 0;
}

arl_ns process_now(const struct process *process)
{
    return clock_shows(&process->clock, process->sim->now);
}

bool process_defers(struct sim *sim, const struct process *process, struct alarm *alarm)
{
    if (process_still_until(process) <= sim->now)
        return false;
    agenda_set(&sim->agenda, alarm, process_still_until(process));
    return true;
}

bool process_defers_reply(struct sim *sim, const struct link *link, struct alarm *alarm)
{
    if (link->which == LINK_LOOP)
        return process_defers(sim, link->process, alarm);
    if (link->process->paused_until <= sim->now)
        return false;
    agenda_set(&sim->agenda, alarm, link->process->paused_until);
    return true;
}

/* The loop turned: what follows is an input of its connection. */
static void turned(struct process *process)
{
    process->watcher.to_tell |= process->watcher.used;
    process->watcher.used = false;
    process->turned_at = process_now(process);
}

/* ---- outputs ---- */

static void hang_up(struct sim *sim, struct process *process)
{
    struct link *link = process->links[LINK_LOOP];
    NOTE(sim, "p%d: its connection is cut", process->index);
    judge_wire_cut(sim, process);
    link_close(sim, link);
    process->links[LINK_LOOP] = NULL;
    process->cut_at = sim->now;
    process_disturb(process, sim->now);
    process->landed_by = link->landed_by;
    agenda_set(&sim->agenda, &process->orphans, sim->now + ARL_SECOND);
    agenda_unset(&sim->agenda, &process->flush);
}

static void take_events(struct sim *sim, struct process *process)
{
    struct arl_event event;
    bool stalled = false;
    while (arl_engine_next_event(process->engine, &event)) {
        switch (event.kind) {
        case ARL_EVENT_GRANTED:
        case ARL_EVENT_ENDED:
        case ARL_EVENT_ANSWERED:
            task_event(sim, event.owner, &event);
            break;
        case ARL_EVENT_RESET:
            if (process->links[LINK_LOOP] != NULL)
                hang_up(sim, process);
            process_down(process);
            break;
        case ARL_EVENT_SLOW:
            NOTE(sim, "p%d: a lease was over before its reply was read", process->index);
            break;
        case ARL_EVENT_STALLED:
            NOTE(sim, "p%d: stood still for %lld ms", process->index,
                 (long long)(event.stalled_for / ARL_MS));
            stalled = true;
            break;
        }
    }
    judge_watch_told(sim, process, stalled);
}

struct message process_message(const struct sim *sim, const struct arl_request_view *view)
{
    struct message message = {.verb = (uint8_t)view->verb,
                              .key = (uint8_t)(view->key[1] - '0'),
                              .ttl = view->ttl,
                              .whole = view->whole_script};
    if (view->token != NULL)
        message.token = ledger_find(sim, view->token);
    return message;
}

static void write_out(struct sim *sim, struct process *process)
{
    struct arl_request_view view;
    struct link *link = process->links[LINK_LOOP];
    bool wrote = false;
    while (link != NULL && arl_engine_next_request(process->engine, process_now(process), &view)) {
        const struct message message = process_message(sim, &view);
        NOTE(sim, "p%d: writes %s k%d token %u ttl %lld%s", process->index, judge_verb_name(message.verb),
             message.key, message.token, (long long)(message.ttl / ARL_MS), message.whole ? " whole" : "");
        judge_wire_written(sim, process, &message);
        link_write(sim, link, message);
        fault_stage(sim, link, FAULT_WRITTEN, &message);
        wrote = true;
    }
    if (wrote)
        process->first_write = false;
}

/* One timer for the earliest deadline; it fires up to 2 ms early, or as late as the loop turns. */
static void arm(struct sim *sim, struct process *process)
{
    arl_ns deadline = arl_engine_deadline(process->engine);
    if (process->tick.place != 0 && process->tick_for <= deadline)
        return; /* set anew only for an earlier one, as a loop's timers are; else when it rings */
    process->tick_for = deadline;
    arl_ns at = clock_reaches(&process->clock, deadline);
    if (at != ARL_NEVER && dice_chance(&sim->dice, sim->plan.timers_early))
        at = arl_ns_max(at - dice_between(&sim->dice, 0, ARL_EARLY), sim->now + 20000);
    else if (at != ARL_NEVER)
        at = arl_ns_max(at + dice_between(&sim->dice, 0, sim->plan.turn / 4), sim->now);
    agenda_set(&sim->agenda, &process->tick, at);
}

static void dial_if_wanted(struct sim *sim, struct process *process)
{
    if (process->links[LINK_LOOP] == NULL && !process->hung_up && process->dial.place == 0 &&
        arl_engine_wants_connection(process->engine))
        agenda_set(&sim->agenda, &process->dial, sim->now + dice_between(&sim->dice, 0, sim->plan.dial));
}

void process_settle(struct sim *sim, struct process *process)
{
    if (process->engine == NULL)
        return;
    take_events(sim, process);
    judge_told(sim, process);
    if (arl_engine_has_request(process->engine) && process->flush.place == 0) {
        if (dice_chance(&sim->dice, sim->plan.written_late))
            agenda_set(&sim->agenda, &process->flush, sim->now + dice_between(&sim->dice, 0, sim->plan.turn));
        else
            write_out(sim, process);
    }
    judge_owed(sim, process);
    arm(sim, process);
    watcher_arm(sim, process);
    dial_if_wanted(sim, process);
}

/* ---- inputs ---- */

static void ring_flush(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, flush);
    if (process_defers(sim, process, alarm) || process->engine == NULL)
        return;
    write_out(sim, process);
    process_settle(sim, process);
}

void process_tick(struct sim *sim, struct process *process)
{
    if (process->spun_at != sim->now)
        process->spins = 0;
    process->spun_at = sim->now;
    if (++process->spins > SPINS_MAX)
        sim_stop(sim, "its deadline does not move on", process->index);
    turned(process);
    arl_engine_tick(process->engine, process_now(process));
    process_settle(sim, process);
    judge_register_ticked(sim, process);
}

static void ring_tick(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, tick);
    if (process_defers(sim, process, alarm)) {
        process->tick_for = ARL_NEVER; /* it is not set for a deadline now */
        return;
    }
    if (process->engine == NULL)
        return;
    if (process->tick_for < arl_engine_deadline(process->engine))
        arm(sim, process);
    else
        process_tick(sim, process);
}

static void loop_reply(struct sim *sim, struct process *process, const struct message *message)
{
    struct link *link = process->links[LINK_LOOP];
    enum arl_outcome outcome = (enum arl_outcome)message->outcome;
    NOTE(sim, "p%d: reads %s of %s k%d token %u", process->index, judge_outcome_name(outcome),
         judge_verb_name(message->verb), message->key, message->token);
    judge_wire_reply(sim, process, message);
    turned(process);
    if (arl_engine_reply(process->engine, outcome, process_now(process)) != 0)
        sim_blame(sim, JUDGE_WIRE, "p%d: a reply that it says it did not ask for", process->index);
    judge_wire_replied(sim, process, message);
    process_settle(sim, process);
    judge_renewal_answered(sim, message);
    judge_register_renewed(sim, message);
    if (link == process->links[LINK_LOOP])
        fault_stage(sim, link, FAULT_ANSWERED, message);
}

void process_reply(struct sim *sim, struct process *process, struct link *link, const struct message *message)
{
    if (link->which == LINK_WATCH)
        watcher_reply(sim, process, message);
    else
        loop_reply(sim, process, message);
}

static void ring_dial(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, dial);
    if (process_defers(sim, process, alarm) || process->engine == NULL)
        return;
    if (process->links[LINK_LOOP] != NULL || !arl_engine_wants_connection(process->engine))
        return;
    if (process->no_dial_until > sim->now) {
        agenda_set(&sim->agenda, alarm, sim->now + dice_between(&sim->dice, 20 * ARL_MS, sim->plan.ttl / 2));
        if (++process->dials_failed % DIALS == 0) {
            NOTE(sim, "p%d: the server is unreachable", process->index);
            turned(process);
            arl_engine_unreachable(process->engine, process_now(process));
            process_settle(sim, process);
        }
        return;
    }
    NOTE(sim, "p%d: connected", process->index);
    process->links[LINK_LOOP] = link_open(sim, process, NULL);
    process->up_at = sim->now;
    process->dials_failed = 0;
    judge_wire_up(process);
    turned(process);
    arl_engine_up(process->engine, process_now(process));
    process_settle(sim, process);
}

/* ---- what goes wrong ---- */

void process_cut(struct sim *sim, struct process *process)
{
    if (process->links[LINK_LOOP] == NULL)
        return;
    hang_up(sim, process);
    if (process_still_until(process) > sim->now) {
        process->hung_up = true; /* it learns so when it goes on */
        return;
    }
    process_down(process);
    process_settle(sim, process);
}

void process_down(struct process *process)
{
    turned(process);
    arl_engine_down(process->engine, process_now(process));
}

/* ---- life and death ---- */

static void live(struct sim *sim, struct process *process)
{
    const struct arl_settings settings = {
        .alloc = take_memory,
        .release = give_memory,
        .draw_token = draw_token,
        .ctx = process,
        .seed = dice_word(&sim->dice),
        .reply_timeout = sim->plan.reply_timeout,
    };
    process->engine = arl_engine_new(&settings);
    process->closing = process->hung_up = false;
    process->error_next = -1;
    process->cut_at = ARL_NEVER;
    process->open_count = 0;
    memset(process->tried, 0, sizeof(process->tried));
    process->watcher.used = process->watcher.to_tell = false;
    for (int i = 0; i < sim->plan.tasks; i++)
        task_start(sim, process, &process->tasks[i], i);
}

void process_kill(struct sim *sim, struct process *process)
{
    if (process->engine == NULL)
        return;
    NOTE(sim, "p%d: dies", process->index);
    for (int i = 0; i < sim->plan.tasks; i++)
        task_forget(sim, &process->tasks[i]);
    if (process->links[LINK_LOOP] != NULL)
        link_close(sim, process->links[LINK_LOOP]);
    process->links[LINK_LOOP] = NULL;
    watcher_stop(sim, process);
    arl_engine_del(process->engine);
    process->engine = NULL;
    if (process->blocks != 0)
        sim_blame(sim, JUDGE_LIVENESS, "p%d: %ld blocks of memory are left", process->index, process->blocks);
    process->incarnation++;
    process->paused_until = process->stalled_until = 0;
    struct alarm *const alarms[] = {&process->tick,   &process->flush,   &process->dial,       &process->wake,
                                    &process->glance, &process->orphans, &process->trap.spring};
    for (size_t i = 0; i < sizeof(alarms) / sizeof(*alarms); i++)
        agenda_unset(&sim->agenda, alarms[i]);
    process->trap.set = false;
    if (!sim->ending)
        agenda_set(&sim->agenda, &process->birth, sim->now + dice_between(&sim->dice, 0, sim->plan.ttl));
}

void process_close(struct sim *sim, struct process *process)
{
    if (process->engine == NULL || process->closing || process_still_until(process) > sim->now)
        return;
    NOTE(sim, "p%d: its loop shuts down", process->index);
    process->closing = true;
    arl_engine_close(process->engine, process_now(process));
    process_settle(sim, process);
    agenda_set(&sim->agenda, &process->birth, sim->now + dice_between(&sim->dice, 0, ARL_SECOND));
}

static void ring_birth(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, birth);
    if (process->engine != NULL)
        process_kill(sim, process); /* its loop is closed by now */
    else
        live(sim, process);
}

void process_start(struct sim *sim, struct process *process, int index)
{
    memset(process, 0, sizeof(*process));
    process->sim = sim;
    process->index = index;
    process->clock.origin = dice_between(&sim->dice, 1, 1000 * ARL_SECOND);
    process->clock.drift = plan_drift(&sim->dice);
    process->tick.ring = ring_tick;
    process->flush.ring = ring_flush;
    process->dial.ring = ring_dial;
    still_start(process);
    watcher_start(process);
    process->birth.ring = ring_birth;
    process->orphans.ring = judge_orphans;
    live(sim, process);
}
