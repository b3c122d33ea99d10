#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longer under way than this (ns): the owner is not "undisturbed" any more (judge_liveness). */
#define SLOW (100 * ARL_MS)

/* ---- rings ---- */

static void push(struct messages *ring, const struct message *message)
{
    if (ring->count == ring->capacity) {
        uint32_t capacity = ring->capacity == 0 ? 16 : 2 * ring->capacity;
        struct message *items = malloc(capacity * sizeof(*items));
        if (items == NULL) {
            fprintf(stderr, "no memory\n");
            exit(2);
        }
        for (uint32_t i = 0; i < ring->count; i++)
            items[i] = ring->items[(ring->head + i) % ring->capacity];
        free(ring->items);
        ring->items = items;
        ring->capacity = capacity;
        ring->head = 0;
    }
    ring->items[(ring->head + ring->count++) % ring->capacity] = *message;
    ring->last = message->at;
}

static struct message *first(struct messages *ring)
{
    return ring->count > 0 ? &ring->items[ring->head] : NULL;
}

static struct message pop(struct messages *ring)
{
    struct message message = ring->items[ring->head];
    ring->head = (ring->head + 1) % ring->capacity;
    ring->count--;
    return message;
}

static void empty(struct messages *ring)
{
    ring->head = ring->count = 0;
    ring->last = 0;
}

/* ---- under way ---- */

static void arm(struct sim *sim, struct messages *ring, struct alarm *alarm)
{
    const struct message *next = first(ring);
    agenda_set(&sim->agenda, alarm, next != NULL ? arl_ns_max(next->at, sim->now) : ARL_NEVER);
}

/* When a message that leaves now arrives. */
static arl_ns arrival(struct sim *sim, struct link *link, const struct messages *ring)
{
    if (link->fell_silent)
        return ARL_NEVER;
    arl_ns delay =
        sim->ending ? dice_between(&sim->dice, 0, sim->plan.ttl / 100) : plan_delay(&sim->plan, &sim->dice);
    arl_ns at = arl_ns_max(sim->now + delay, ring->last);
    if (at - sim->now > SLOW && link->process != NULL)
        process_disturb(link->process, sim->now);
    if (link->process != NULL && link->which == LINK_WATCH)
        link->process->watcher.slowest = arl_ns_max(link->process->watcher.slowest, at - sim->now);
    return at;
}

void link_write(struct sim *sim, struct link *link, struct message message)
{
    message.sent_at = sim->now;
    message.at = arrival(sim, link, &link->commands);
    push(&link->commands, &message);
    if (link->commands.count == 1)
        arm(sim, &link->commands, &link->command_alarm);
}

static void let_go(struct link *link)
{
    if (!link->open && link->commands.count == 0)
        link->in_use = false;
}

static void ring_command(struct sim *sim, struct alarm *alarm)
{
    struct link *link = ALARM_OF(alarm, struct link, command_alarm);
    if (sim->server.silent_until > sim->now) {
        agenda_set(&sim->agenda, alarm, sim->server.silent_until);
        return;
    }
    struct message message = pop(&link->commands);
    arm(sim, &link->commands, &link->command_alarm);
    message.outcome = (uint8_t)fault_answer(sim, link, &message);
    NOTE(sim, "server: %s k%d token %u ttl %lld%s -> %s%s", judge_verb_name(message.verb), message.key,
         message.token, (long long)(message.ttl / ARL_MS), message.whole ? " whole" : "",
         judge_outcome_name((enum arl_outcome)message.outcome), link->open ? "" : " (from a cut connection)");
    if (!link->open && message.verb == WIRE_RENEW)
        ledger_token(&sim->ledger, message.token)->late = true;
    if (link->open) {
        message.at = arrival(sim, link, &link->replies);
        push(&link->replies, &message);
        if (link->replies.count == 1)
            arm(sim, &link->replies, &link->reply_alarm);
        fault_stage(sim, link, FAULT_EXECUTED, &message);
    }
    let_go(link);
}

static void deliver(struct sim *sim, struct link *link)
{
    const struct message message = pop(&link->replies);
    arm(sim, &link->replies, &link->reply_alarm);
    if (link->process != NULL)
        process_reply(sim, link->process, link, &message);
    else
        poller_reply(sim, link->poller, &message);
}

static void ring_reply(struct sim *sim, struct alarm *alarm)
{
    struct link *link = ALARM_OF(alarm, struct link, reply_alarm);
    if (link->process != NULL && process_defers_reply(sim, link, alarm))
        return;
    deliver(sim, link);
}

void link_deliver_arrived(struct sim *sim, struct link *link)
{
    const struct message *next;
    while (link->open && (next = first(&link->replies)) != NULL && next->at <= sim->now)
        deliver(sim, link);
}

/* ---- from opening to the cut ---- */

struct link *link_open(struct sim *sim, struct process *process, struct poller *poller)
{
    struct link *link = sim->links.all;
    while (link != NULL && link->in_use)
        link = link->next;
    if (link == NULL) {
        link = calloc(1, sizeof(*link));
        if (link == NULL) {
            fprintf(stderr, "no memory\n");
            exit(2);
        }
        link->command_alarm.ring = ring_command;
        link->reply_alarm.ring = ring_reply;
        link->next = sim->links.all;
        sim->links.all = link;
    }
    link->process = process;
    link->poller = poller;
    link->which = LINK_LOOP;
    link->open = link->in_use = true;
    link->fell_silent = false;
    link->landed_by = 0;
    empty(&link->commands);
    empty(&link->replies);
    return link;
}

/* How late (ns) what was written arrives: a third soon, a third within 4 ttl, a third never. */
static arl_ns lateness(struct sim *sim)
{
    switch (dice_below(&sim->dice, 3)) {
    case 0:
        return dice_between(&sim->dice, 0, ARL_SECOND / 2);
    case 1:
        return dice_between(&sim->dice, 0, 4 * sim->plan.ttl);
    }
    return ARL_NEVER;
}

void link_close(struct sim *sim, struct link *link)
{
    struct messages *ring = &link->commands;
    arl_ns late = lateness(sim);
    link->open = false;
    link->process = NULL;
    link->poller = NULL;
    agenda_unset(&sim->agenda, &link->reply_alarm);
    empty(&link->replies);
    if (late == ARL_NEVER)
        ring->count = 0;
    else if (ring->count > 0 && dice_chance(&sim->dice, 50))
        ring->count = 1 + (uint32_t)dice_below(&sim->dice, (int)ring->count);
    arl_ns at = sim->now;
    for (uint32_t i = 0; i < ring->count; i++) {
        at = dice_between(&sim->dice, at, sim->now + late);
        ring->items[(ring->head + i) % ring->capacity].at = at;
    }
    link->landed_by = at;
    arm(sim, ring, &link->command_alarm);
    let_go(link);
}

void link_fall_silent(struct sim *sim, struct link *link)
{
    link->fell_silent = true;
    for (struct messages *ring = &link->commands; ring != NULL;
         ring = ring == &link->commands ? &link->replies : NULL) {
        for (uint32_t i = 0; i < ring->count; i++)
            ring->items[(ring->head + i) % ring->capacity].at = ARL_NEVER;
    }
    arm(sim, &link->commands, &link->command_alarm);
    arm(sim, &link->replies, &link->reply_alarm);
}

void links_start(struct sim *sim)
{
    for (struct link *link = sim->links.all; link != NULL; link = link->next)
        link->in_use = false;
}

void links_free(struct links *links)
{
    while (links->all != NULL) {
        struct link *link = links->all;
        links->all = link->next;
        free(link->commands.items);
        free(link->replies.items);
        free(link);
    }
}
