#include "sim.h"

#include <string.h>

#define TRIES 10

static void think(struct sim *sim, struct poller *poller)
{
    poller->state = POLLER_THINKS;
    agenda_unset(&sim->agenda, &poller->renew);
    agenda_set(&sim->agenda, &poller->next,
               sim->ending ? ARL_NEVER : sim->now + dice_between(&sim->dice, 0, sim->plan.ttl / 2));
}

static void send(struct sim *sim, struct poller *poller, enum wire_verb verb)
{
    if (poller->link == NULL)
        poller->link = link_open(sim, NULL, poller);
    link_write(sim, poller->link,
               (struct message){.verb = (uint8_t)verb,
                                .key = (uint8_t)poller->key,
                                .token = poller->token,
                                .ttl = verb == WIRE_RELEASE ? 0 : poller->ttl,
                                .foreign = true});
}

static void begin(struct sim *sim, struct poller *poller)
{
    poller->key = dice_below(&sim->dice, sim->plan.keys);
    poller->token = ledger_draw(sim, LEDGER_FOREIGN, 0);
    poller->ttl = sim->plan.ttl;
    poller->tries = 0;
    poller->state = POLLER_TRIES;
    send(sim, poller, WIRE_TRY);
}

static void sleep_after_try(struct sim *sim, struct poller *poller)
{
    const struct plan *plan = &sim->plan;
    arl_ns mean = (plan->sleep_low + plan->sleep_high) / 2;
    int steps = poller->tries > 2 ? poller->tries - 2 : 0;
    poller->state = POLLER_SLEEPS;
    agenda_set(&sim->agenda, &poller->next,
               sim->now + mean * steps + dice_between(&sim->dice, plan->sleep_low, plan->sleep_high));
}

static void ring_next(struct sim *sim, struct alarm *alarm)
{
    struct poller *poller = ALARM_OF(alarm, struct poller, next);
    switch (poller->state) {
    case POLLER_THINKS:
        if (!sim->ending)
            begin(sim, poller);
        break;
    case POLLER_SLEEPS:
        if (++poller->tries >= TRIES || sim->ending) {
            think(sim, poller);
        } else {
            poller->state = POLLER_TRIES;
            send(sim, poller, WIRE_TRY);
        }
        break;
    case POLLER_HOLDS:
        poller->state = POLLER_LEAVES;
        agenda_unset(&sim->agenda, &poller->renew);
        send(sim, poller, WIRE_RELEASE);
        break;
    case POLLER_TRIES:
    case POLLER_LEAVES:
        break;
    }
}

static void plan_renewal(struct sim *sim, struct poller *poller)
{
    agenda_set(&sim->agenda, &poller->renew, sim->now + poller->ttl / 1000 * 667);
}

static void ring_renew(struct sim *sim, struct alarm *alarm)
{
    struct poller *poller = ALARM_OF(alarm, struct poller, renew);
    send(sim, poller, WIRE_EXPIRE);
    plan_renewal(sim, poller);
}

void poller_reply(struct sim *sim, struct poller *poller, const struct message *message)
{
    bool yes = message->outcome == ARL_YES;
    if (message->token != poller->token)
        return;
    switch (message->verb) {
    case WIRE_TRY:
        if (!yes) {
            sleep_after_try(sim, poller);
            break;
        }
        NOTE(sim, "f%d: holds k%d, token %u", poller->index, poller->key, poller->token);
        poller->state = POLLER_HOLDS;
        judge_register_foreign_write(sim, poller->key, poller->token);
        agenda_set(&sim->agenda, &poller->next,
                   sim->now + dice_between(&sim->dice, 0,
                                           sim->plan.ttl / (dice_chance(&sim->dice, 80) ? 5 : 1) * 2));
        plan_renewal(sim, poller);
        break;
    case WIRE_EXPIRE:
        judge_register_foreign_write(sim, poller->key, poller->token);
        break;
    case WIRE_RELEASE:
        think(sim, poller);
        break;
    }
}

void poller_cut(struct sim *sim, struct poller *poller)
{
    if (poller->link == NULL)
        return;
    NOTE(sim, "f%d: its connection is cut", poller->index);
    link_close(sim, poller->link);
    poller->link = NULL;
    think(sim, poller);
}

void poller_start(struct sim *sim, struct poller *poller, int index)
{
    memset(poller, 0, sizeof(*poller));
    poller->index = index;
    poller->next.ring = ring_next;
    poller->renew.ring = ring_renew;
    think(sim, poller);
}
