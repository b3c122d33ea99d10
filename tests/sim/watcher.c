#include "sim.h"

#include <string.h>

/* Later than this (ns) than it meant to wake: it stood still with the whole process, and says so. */
#define LATE (5 * ARL_MS)

/* While the process is stopped its watchdog is too. */
static bool is_stopped(struct sim *sim, const struct process *process, struct alarm *alarm)
{
    if (process->paused_until <= sim->now)
        return false;
    agenda_set(&sim->agenda, alarm, process->paused_until + dice_between(&sim->dice, 0, ARL_MS));
    return true;
}

/* ---- when it wakes ---- */

/* Mostly at once; now and then the system lets the thread wait. */
static arl_ns lateness(struct sim *sim, struct process *process)
{
    if (!dice_chance(&sim->dice, 3) || sim->ending)
        return dice_between(&sim->dice, 0, ARL_MS);
    process->watcher.disturbed = process->watcher.starved = true;
    return dice_between(&sim->dice, 0, sim->plan.ttl / 4);
}

static void arm(struct sim *sim, struct process *process, bool woke)
{
    struct watcher *watcher = &process->watcher;
    if (watcher->connect.place != 0 || watcher->write.place != 0)
        return; /* it looks again when that is done */
    arl_ns deadline = arl_watch_deadline(process->engine);
    arl_ns at = clock_reaches(&process->clock, deadline);
    if (process->links[LINK_WATCH] != NULL)
        at = arl_ns_min(at, sim->now + sim->plan.ttl / 20); /* is it over? */
    at = arl_ns_max(at, sim->now);
    if (at == ARL_NEVER || (!woke && watcher->look.place != 0 && watcher->look.at <= at + ARL_MS))
        return; /* it is not woken to sleep longer: it finds nothing then */
    watcher->starved = false;
    watcher->asked_for = clock_shows(&process->clock, at);
    agenda_set(&sim->agenda, &watcher->look, at + lateness(sim, process));
}

void watcher_arm(struct sim *sim, struct process *process)
{
    arm(sim, process, false);
}

/* ---- its connection ---- */

static void give_up(struct sim *sim, struct process *process)
{
    struct watcher *watcher = &process->watcher;
    watcher->marked_count = watcher->unanswered = 0;
    agenda_unset(&sim->agenda, &watcher->write);
    judge_watch_cut(sim, process);
    arl_watch_down(process->engine, process_now(process));
}

static void hang_up(struct sim *sim, struct process *process)
{
    NOTE(sim, "p%d: its watchdog's connection ends", process->index);
    link_close(sim, process->links[LINK_WATCH]);
    process->links[LINK_WATCH] = NULL;
    if (process->watcher.unanswered > 0)
        give_up(sim, process);
}

static void mark(struct sim *sim, struct process *process)
{
    struct watcher *watcher = &process->watcher;
    struct arl_request_view view;
    while (watcher->marked_count < WATCHER_MARKED_MAX &&
           arl_watch_next_request(process->engine, process_now(process), &view)) {
        struct message *message = &watcher->marked[watcher->marked_count++];
        *message = process_message(sim, &view);
        watcher->unanswered++;
        NOTE(sim, "p%d: its watchdog marks RENEW k%d token %u ttl %lld", process->index, message->key,
             message->token, (long long)(message->ttl / ARL_MS));
        judge_watch_marked(sim, process, message);
        watcher->used = true;
        sim->kept++;
    }
    if (watcher->marked_count > 0 && process->stalled_until > sim->now && dice_chance(&sim->dice, 40))
        agenda_set(&sim->agenda, &process->glance, sim->now + plan_delay(&sim->plan, &sim->dice) / 2);
    if (watcher->marked_count > 0 && watcher->write.place == 0)
        agenda_set(&sim->agenda, &watcher->write,
                   sim->now + (dice_chance(&sim->dice, 70)
                                   ? 0
                                   : dice_between(&sim->dice, 0, arl_ns_min(sim->plan.ttl / 100, ARL_MS))));
}

static void connect(struct sim *sim, struct process *process)
{
    struct watcher *watcher = &process->watcher;
    arl_ns takes = dice_between(&sim->dice, 0, sim->plan.dial);
    arl_ns patience = arl_watch_patience(process->engine);
    watcher->refused = process->no_dial_until > sim->now || takes > patience;
    watcher->connected = arl_ns_max(watcher->connected, takes);
    agenda_set(&sim->agenda, &watcher->connect, sim->now + arl_ns_min(takes, patience));
}

static void act(struct sim *sim, struct process *process)
{
    struct watcher *watcher = &process->watcher;
    arl_ns now = process_now(process);
    if (process->links[LINK_WATCH] != NULL && arl_watch_is_over(process->engine, now))
        hang_up(sim, process);
    if (watcher->connect.place == 0 && arl_watch_is_due(process->engine, now)) {
        if (process->links[LINK_WATCH] != NULL) {
            mark(sim, process);
        } else {
            connect(sim, process);
        }
    }
    arm(sim, process, true);
}

/* ---- alarms ---- */

static void ring_look(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, watcher.look);
    if (process->engine == NULL || is_stopped(sim, process, alarm))
        return;
    process->watcher.starved = false;
    if (process_now(process) > process->watcher.asked_for + LATE) {
        NOTE(sim, "p%d: its watchdog woke late", process->index);
        arl_watch_woke_late(process->engine, process_now(process));
    }
    act(sim, process);
}

static void ring_connect(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, watcher.connect);
    if (process->engine == NULL || is_stopped(sim, process, alarm))
        return;
    if (process->watcher.refused) {
        NOTE(sim, "p%d: its watchdog cannot connect", process->index);
        process->watcher.disturbed = true;
        give_up(sim, process);
    } else {
        NOTE(sim, "p%d: its watchdog is connected", process->index);
        process->links[LINK_WATCH] = link_open(sim, process, NULL);
        process->links[LINK_WATCH]->which = LINK_WATCH;
    }
    act(sim, process);
}

static void ring_write(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, watcher.write);
    struct watcher *watcher = &process->watcher;
    if (process->engine == NULL || is_stopped(sim, process, alarm))
        return;
    struct link *link = process->links[LINK_WATCH];
    for (int i = 0; i < watcher->marked_count; i++) {
        NOTE(sim, "p%d: its watchdog writes RENEW k%d token %u", process->index, watcher->marked[i].key,
             watcher->marked[i].token);
        link_write(sim, link, watcher->marked[i]);
        fault_stage(sim, link, FAULT_WRITTEN, &watcher->marked[i]);
    }
    watcher->marked_count = 0;
    act(sim, process);
}

void watcher_reply(struct sim *sim, struct process *process, const struct message *message)
{
    struct watcher *watcher = &process->watcher;
    struct link *link = process->links[LINK_WATCH];
    enum arl_outcome outcome = (enum arl_outcome)message->outcome;
    NOTE(sim, "p%d: its watchdog reads %s of RENEW k%d token %u", process->index, judge_outcome_name(outcome),
         message->key, message->token);
    watcher->unanswered--;
    judge_watch_answered(sim, process, message);
    if (arl_watch_reply(process->engine, outcome, process_now(process)) != 0)
        sim_blame(sim, JUDGE_WIRE, "p%d: its watchdog says that it did not ask for a reply", process->index);
    judge_told(sim, process);
    if (outcome == ARL_STALE)
        hang_up(sim, process);
    else
        fault_stage(sim, link, FAULT_ANSWERED, message);
    act(sim, process);
}

/* ---- what goes wrong ---- */

bool watcher_cut(struct sim *sim, struct process *process)
{
    if (process->links[LINK_WATCH] == NULL)
        return false;
    process->watcher.disturbed = true;
    hang_up(sim, process);
    arm(sim, process, true);
    return true;
}

void watcher_stop(struct sim *sim, struct process *process)
{
    struct watcher *watcher = &process->watcher;
    if (process->links[LINK_WATCH] != NULL)
        link_close(sim, process->links[LINK_WATCH]);
    process->links[LINK_WATCH] = NULL;
    agenda_unset(&sim->agenda, &watcher->look);
    agenda_unset(&sim->agenda, &watcher->connect);
    agenda_unset(&sim->agenda, &watcher->write);
    watcher->marked_count = watcher->unanswered = 0;
}

void watcher_start(struct process *process)
{
    memset(&process->watcher, 0, sizeof(process->watcher));
    process->watcher.look.ring = ring_look;
    process->watcher.connect.ring = ring_connect;
    process->watcher.write.ring = ring_write;
}
