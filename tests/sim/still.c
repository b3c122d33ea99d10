/* still.c - a process that does nothing for a while: stopped (SIGSTOP), or stalled by code of a user's that does not
 * give way to the loop, while the watchdog goes on. */
#include "sim.h"

/* The one that it was stopped or stalled in the middle of: what the user's code asks then is no turn of the loop. */
static void step_of_a_task(struct sim *sim, struct process *process)
{
    struct task *task = &process->tasks[dice_below(&sim->dice, sim->plan.tasks)];
    if (dice_chance(&sim->dice, 40)) {
        if (dice_chance(&sim->dice, 50))
            task->hold_until = sim->now; /* it leaves */
        task_runs(sim, task);
        return;
    }
    for (int i = 0; i < sim->plan.tasks; i++)
        (void)task_looks(sim, &process->tasks[i]);
    process_settle(sim, process);
}

static void ring_glance(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, glance);
    if (process->engine == NULL || process->stalled_until <= sim->now)
        return;
    if (process->paused_until <= sim->now) {
        judge_watch_keeps(sim, process);
        step_of_a_task(sim, process);
    }
    agenda_set(&sim->agenda, alarm, sim->now + dice_between(&sim->dice, ARL_MS, 2 * sim->plan.ttl));
}

/* What had arrived is read first, then timers fire (rule 10). */
static void ring_wake(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, wake);
    if (process->engine == NULL || process_defers(sim, process, alarm))
        return;
    NOTE(sim, "p%d: goes on", process->index);
    process_disturb(process, sim->now);
    judge_watch_keeps(sim, process);
    agenda_unset(&sim->agenda, &process->glance);
    if (dice_chance(&sim->dice, 50))
        step_of_a_task(sim, process);
    if (process->hung_up) {
        process->hung_up = false;
        process_down(process);
        process_settle(sim, process);
    } else if (process->links[LINK_LOOP] != NULL) {
        link_deliver_arrived(sim, process->links[LINK_LOOP]);
    }
    process_tick(sim, process);
}

/* The loop wakes a moment later than the process goes on: its watchdog may come first, or not. */
static void set_wake(struct sim *sim, struct process *process)
{
    process_disturb(process, process_still_until(process));
    agenda_set(&sim->agenda, &process->wake, process_still_until(process));
}

void process_pause(struct sim *sim, struct process *process, arl_ns duration)
{
    NOTE(sim, "p%d: is stopped for %lld ms", process->index, (long long)(duration / ARL_MS));
    process->watcher.disturbed = true;
    process->paused_until = arl_ns_max(process->paused_until, sim->now + duration);
    set_wake(sim, process);
}

void process_stall(struct sim *sim, struct process *process, arl_ns duration)
{
    NOTE(sim, "p%d: its loop is stalled for %lld ms", process->index, (long long)(duration / ARL_MS));
    sim->stalls++;
    if (process_still_until(process) <= sim->now)
        judge_watch_begins(sim, process);
    process->stalled_until = arl_ns_max(process->stalled_until, sim->now + duration);
    agenda_set(&sim->agenda, &process->glance, sim->now + dice_between(&sim->dice, ARL_MS, sim->plan.ttl));
    set_wake(sim, process);
}

/* What was put off until the process was meant to go on rings now. */
static void ring_sooner(struct sim *sim, struct alarm *alarm, arl_ns meant)
{
    if (alarm->place != 0 && alarm->at >= meant)
        agenda_set(&sim->agenda, alarm, sim->now);
}

void process_resume(struct sim *sim, struct process *process)
{
    if (process_still_until(process) <= sim->now)
        return;
    arl_ns meant = process_still_until(process);
    process->paused_until = arl_ns_min(process->paused_until, sim->now);
    process->stalled_until = arl_ns_min(process->stalled_until, sim->now);
    agenda_set(&sim->agenda, &process->wake, sim->now);
    struct alarm *const alarms[] = {&process->tick, &process->flush, &process->dial};
    for (size_t i = 0; i < sizeof(alarms) / sizeof(*alarms); i++)
        ring_sooner(sim, alarms[i], meant);
    for (int i = 0; i < sim->plan.tasks; i++) {
        ring_sooner(sim, &process->tasks[i].next, meant);
        ring_sooner(sim, &process->tasks[i].cancel, meant);
    }
}

void still_start(struct process *process)
{
    process->wake.ring = ring_wake;
    process->glance.ring = ring_glance;
}
