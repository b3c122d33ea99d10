#include "sim.h"

#include <string.h>

/* ---- what each kind does; true where there was something to disturb ---- */

static bool fall_silent(struct sim *sim, struct process *process, enum process_link which)
{
    struct link *link = process->links[which];
    if (link == NULL)
        return false;
    NOTE(sim, "p%d: its %s falls silent", process->index, which == LINK_LOOP ? "connection" : "watchdog's");
    process_disturb(process, sim->now);
    process->watcher.disturbed |= which == LINK_WATCH;
    link_fall_silent(sim, link);
    return true;
}

static bool cut(struct sim *sim, struct process *process, enum process_link which)
{
    if (which == LINK_WATCH)
        return watcher_cut(sim, process);
    if (process->links[LINK_LOOP] == NULL)
        return false;
    process_cut(sim, process);
    return true;
}

static bool silence(struct sim *sim, arl_ns duration)
{
    NOTE(sim, "server: silent for %lld ms", (long long)(duration / ARL_MS));
    sim->server.silent_until = arl_ns_max(sim->server.silent_until, sim->now + duration);
    for (int i = 0; i < sim->plan.processes; i++) {
        process_disturb(&sim->processes[i], sim->server.silent_until);
        sim->processes[i].watcher.disturbed = true;
    }
    return true;
}

static bool answer_an_error(struct sim *sim, struct process *process)
{
    static const enum arl_outcome errors[] = {ARL_BUSY, ARL_REFUSED, ARL_UNKNOWN, ARL_STALE};
    process->error_next = (int)errors[dice_below(&sim->dice, 4)];
    process_disturb(process, sim->now);
    return true;
}

static bool cut_all(struct sim *sim)
{
    for (int i = 0; i < sim->plan.processes; i++) {
        process_cut(sim, &sim->processes[i]);
        (void)watcher_cut(sim, &sim->processes[i]);
    }
    for (int i = 0; i < sim->plan.pollers; i++)
        poller_cut(sim, &sim->pollers[i]);
    return true;
}

/* A key that exists where there is one. */
static int some_key(struct sim *sim)
{
    int first = dice_below(&sim->dice, sim->plan.keys);
    for (int i = 0; i < sim->plan.keys; i++) {
        int key = (first + i) % sim->plan.keys;
        if (sim->server.keys[key].token != LEDGER_NOBODY)
            return key;
    }
    return first;
}

static bool break_server(struct sim *sim, enum fault_kind kind)
{
    int key = some_key(sim);
    switch (kind) {
    case FAULT_DELETE:
        NOTE(sim, "server: somebody deletes k%d", key);
        server_overwrite(sim, key, LEDGER_NOBODY, 0);
        return true;
    case FAULT_OVERWRITE:
        NOTE(sim, "server: somebody overwrites k%d", key);
        server_overwrite(sim, key, ledger_draw(sim, LEDGER_FOREIGN, 0),
                         dice_between(&sim->dice, ARL_MS * 10, sim->plan.ttl));
        return true;
    case FAULT_CHANGE_TYPE:
        NOTE(sim, "server: k%d gets another type", key);
        server_change_type(sim, key);
        return true;
    case FAULT_EMPTY:
        NOTE(sim, "server: restarts empty");
        server_restart_empty(sim);
        return cut_all(sim);
    default:
        if (!sim->server.copy.taken)
            return false;
        NOTE(sim, "server: failover to a copy that is behind");
        server_go_back(sim);
        return cut_all(sim);
    }
}

static bool happen(struct sim *sim, struct process *process, enum fault_kind kind, enum process_link which)
{
    if (process->engine == NULL && kind < FAULT_SAFE_KINDS)
        return false;
    switch (kind) {
    case FAULT_PAUSE:
        process_pause(sim, process, plan_pause(&sim->plan, &sim->dice));
        return true;
    case FAULT_STALL:
        process_stall(sim, process, plan_stall(&sim->plan, &sim->dice));
        return true;
    case FAULT_CUT:
        if (sim->plan.pollers > 0 && dice_chance(&sim->dice, 10))
            poller_cut(sim, &sim->pollers[dice_below(&sim->dice, sim->plan.pollers)]);
        return cut(sim, process, which);
    case FAULT_FALL_SILENT:
        return fall_silent(sim, process, which);
    case FAULT_SILENT:
        return silence(sim, plan_pause(&sim->plan, &sim->dice));
    case FAULT_UNREACHABLE:
        process->no_dial_until = sim->now + plan_pause(&sim->plan, &sim->dice);
        (void)watcher_cut(sim, process);
        return cut(sim, process, LINK_LOOP);
    case FAULT_FORGET:
        NOTE(sim, "server: forgets its scripts");
        server_forget_scripts(sim);
        return true;
    case FAULT_ERROR:
        return answer_an_error(sim, process);
    case FAULT_KILL:
        process_kill(sim, process);
        return true;
    case FAULT_CLOSE:
        process_close(sim, process);
        return true;
    default:
        return break_server(sim, kind);
    }
}

/* ---- when ---- */

static enum fault_kind draw_kind(struct sim *sim)
{
    static const unsigned char weights[FAULT_KINDS] = {
        [FAULT_PAUSE] = 20,       [FAULT_STALL] = 25,      [FAULT_CUT] = 30,    [FAULT_FALL_SILENT] = 12,
        [FAULT_SILENT] = 8,       [FAULT_UNREACHABLE] = 8, [FAULT_FORGET] = 6,  [FAULT_ERROR] = 6,
        [FAULT_KILL] = 3,         [FAULT_CLOSE] = 2,       [FAULT_DELETE] = 40, [FAULT_OVERWRITE] = 20,
        [FAULT_CHANGE_TYPE] = 10, [FAULT_EMPTY] = 15,      [FAULT_GO_BACK] = 25};
    int kinds = sim->plan.safe ? FAULT_SAFE_KINDS : FAULT_KINDS;
    int total = 0;
    for (int kind = 0; kind < kinds; kind++)
        total += weights[kind];
    int lot = dice_below(&sim->dice, total);
    int kind = 0;
    while (lot >= weights[kind])
        lot -= weights[kind++];
    return (enum fault_kind)kind;
}

static enum arl_verb draw_verb(struct sim *sim)
{
    int lot = dice_below(&sim->dice, 100);
    return lot < 45 ? ARL_TRY : lot < 75 ? ARL_RENEW : ARL_RELEASE;
}

/* The watchdog's connection stands seldom: then it is as often the one that is hit. */
static enum process_link a_link(struct sim *sim, const struct process *process)
{
    return process->links[LINK_WATCH] != NULL && dice_chance(&sim->dice, 50) ? LINK_WATCH : LINK_LOOP;
}

static void ring_fault(struct sim *sim, struct alarm *alarm)
{
    struct process *process = &sim->processes[dice_below(&sim->dice, sim->plan.processes)];
    enum fault_kind kind = draw_kind(sim);
    (void)alarm;
    if (dice_chance(&sim->dice, 60)) {
        process->trap.set = true;
        process->trap.kind = kind;
        process->trap.verb = draw_verb(sim);
        process->trap.stage = (enum fault_stage)dice_below(&sim->dice, FAULT_STAGES);
    } else if (happen(sim, process, kind, a_link(sim, process))) {
        sim->faults_happened++;
    }
}

void fault_stage(struct sim *sim, struct link *link, enum fault_stage stage, const struct message *message)
{
    struct process *process = link != NULL ? link->process : NULL;
    if (process == NULL || !process->trap.set || process->trap.stage != stage ||
        process->trap.verb != message->verb)
        return;
    process->trap.set = false;
    process->trap.which = link->which;
    agenda_set(&sim->agenda, &process->trap.spring, sim->now);
}

static void ring_spring(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, trap.spring);
    if (!sim->ending && happen(sim, process, process->trap.kind, (enum process_link)process->trap.which))
        sim->faults_happened++;
}

enum arl_outcome fault_answer(struct sim *sim, const struct link *link, const struct message *message)
{
    struct process *process = link->process;
    if (process == NULL || process->error_next < 0)
        return server_execute(sim, message);
    enum arl_outcome error = (enum arl_outcome)process->error_next;
    process->error_next = -1;
    if (error == ARL_UNKNOWN && dice_chance(&sim->dice, 50))
        (void)server_execute(sim, message);
    return error;
}

static void ring_copy(struct sim *sim, struct alarm *alarm)
{
    if (sim->ending)
        return;
    server_keep_copy(sim);
    agenda_set(&sim->agenda, alarm,
               sim->now + dice_between(&sim->dice, sim->plan.ttl / 10, 2 * sim->plan.ttl));
}

void faults_start(struct sim *sim)
{
    memset(&sim->faults, 0, sizeof(sim->faults));
    for (int i = 0; i < sim->plan.faults && i < FAULTS_MAX; i++) {
        struct alarm *alarm = &sim->faults.planned[i].alarm;
        alarm->ring = ring_fault;
        agenda_set(&sim->agenda, alarm, dice_between(&sim->dice, 0, sim->plan.end / 10 * 9));
    }
    for (int i = 0; i < sim->plan.processes; i++)
        sim->processes[i].trap.spring.ring = ring_spring;
    sim->faults.copy.ring = ring_copy;
    if (!sim->plan.safe)
        agenda_set(&sim->agenda, &sim->faults.copy, dice_between(&sim->dice, 0, sim->plan.ttl));
}

void faults_stop(struct sim *sim)
{
    sim->server.silent_until = sim->now;
    for (int i = 0; i < sim->plan.processes; i++) {
        struct process *process = &sim->processes[i];
        process->trap.set = false;
        process->error_next = -1;
        process->no_dial_until = 0;
        if (process->engine == NULL)
            continue;
        process_resume(sim, process);
        if (process->links[LINK_LOOP] != NULL && process->links[LINK_LOOP]->fell_silent)
            process_cut(sim, process);
        if (process->links[LINK_WATCH] != NULL && process->links[LINK_WATCH]->fell_silent)
            (void)watcher_cut(sim, process);
    }
}
