#include "sim.h"

#include <string.h>

static struct server_key *key_of(struct sim *sim, int key)
{
    return &sim->server.keys[key];
}

static int number_of(const struct sim *sim, const struct server_key *key)
{
    return (int)(key - sim->server.keys);
}

/* ---- changes of a key: the judges are asked at each ---- */

static void end_key(struct sim *sim, struct server_key *key, enum server_end why)
{
    uint32_t former = key->token;
    key->token = LEDGER_NOBODY;
    key->other_type = false;
    agenda_unset(&sim->agenda, &key->expiry);
    if (former != LEDGER_NOBODY)
        judge_key_ended(sim, number_of(sim, key), former, why);
}

static void expire_at(struct sim *sim, struct server_key *key, arl_ns at)
{
    key->expires_at = at;
    agenda_set(&sim->agenda, &key->expiry, at);
}

static void ring_expiry(struct sim *sim, struct alarm *alarm)
{
    struct server_key *key = ALARM_OF(alarm, struct server_key, expiry);
    NOTE(sim, "server: k%d expires (token %u)", number_of(sim, key), key->token);
    end_key(sim, key, ENDED_BY_TIME);
}

static void set_key(struct sim *sim, struct server_key *key, uint32_t token, arl_ns ttl)
{
    struct token *record = ledger_token(&sim->ledger, token);
    key->token = token;
    key->other_type = false;
    if (record->number == 0)
        record->number = ++sim->server.sets;
    expire_at(sim, key, sim->now + ttl - sim->plan.early);
}

/* ---- commands ---- */

static enum arl_outcome do_try(struct sim *sim, struct server_key *key, const struct message *message)
{
    if (key->token != LEDGER_NOBODY || key->other_type)
        return ARL_NO;
    set_key(sim, key, message->token, message->ttl);
    return ARL_YES;
}

static enum arl_outcome do_renew(struct sim *sim, struct server_key *key, const struct message *message)
{
    if (key->token != message->token)
        return ARL_NO;
    arl_ns until = sim->now + message->ttl - sim->plan.early;
    if (message->verb == WIRE_EXPIRE || until > key->expires_at)
        expire_at(sim, key, until);
    return ARL_YES;
}

static enum arl_outcome do_release(struct sim *sim, struct server_key *key, const struct message *message)
{
    if (key->token != message->token)
        return ARL_NO;
    end_key(sim, key, ENDED_BY_RELEASE);
    return ARL_YES;
}

/* A script is known by its digest only once its text came. The pollers' scripts are not modelled: they are
 * loaded before. */
static bool knows_script(struct sim *sim, const struct message *message)
{
    if (message->foreign || message->verb == WIRE_TRY || message->verb == WIRE_PEEK)
        return true;
    if (message->whole)
        sim->server.knows[message->verb] = true;
    return sim->server.knows[message->verb];
}

enum arl_outcome server_execute(struct sim *sim, const struct message *message)
{
    struct server_key *key = key_of(sim, message->key);
    if (key->token != LEDGER_NOBODY && sim->now >= key->expires_at)
        ring_expiry(sim, &key->expiry);
    if (!knows_script(sim, message))
        return ARL_NOT_EXECUTED;
    switch (message->verb) {
    case WIRE_TRY:
        return do_try(sim, key, message);
    case WIRE_PEEK:
        return key->token != LEDGER_NOBODY || key->other_type ? ARL_YES : ARL_NO;
    case WIRE_RENEW:
    case WIRE_EXPIRE:
        return key->other_type ? ARL_WRONG_TYPE : do_renew(sim, key, message);
    case WIRE_RELEASE:
        return key->other_type ? ARL_WRONG_TYPE : do_release(sim, key, message);
    }
    return ARL_REFUSED;
}

/* ---- faults ---- */

void server_overwrite(struct sim *sim, int number, uint32_t token, arl_ns ttl)
{
    struct server_key *key = key_of(sim, number);
    end_key(sim, key, ENDED_BY_FAULT);
    if (token != LEDGER_NOBODY)
        set_key(sim, key, token, ttl);
}

void server_change_type(struct sim *sim, int number)
{
    struct server_key *key = key_of(sim, number);
    end_key(sim, key, ENDED_BY_FAULT);
    key->other_type = true;
    expire_at(sim, key, sim->now + dice_between(&sim->dice, 0, 2 * sim->plan.ttl));
}

void server_restart_empty(struct sim *sim)
{
    for (int i = 0; i < sim->plan.keys; i++)
        end_key(sim, key_of(sim, i), ENDED_BY_FAULT);
    server_forget_scripts(sim);
}

void server_keep_copy(struct sim *sim)
{
    struct server_copy *copy = &sim->server.copy;
    copy->taken = true;
    for (int i = 0; i < sim->plan.keys; i++) {
        copy->token[i] = key_of(sim, i)->token;
        copy->expires_at[i] = key_of(sim, i)->expires_at;
    }
}

void server_go_back(struct sim *sim)
{
    const struct server_copy *copy = &sim->server.copy;
    for (int i = 0; i < sim->plan.keys; i++) {
        struct server_key *key = key_of(sim, i);
        bool lives = copy->token[i] != LEDGER_NOBODY && copy->expires_at[i] > sim->now;
        if (!lives || key->token != copy->token[i])
            end_key(sim, key, ENDED_BY_FAULT);
        if (!lives)
            continue;
        key->token = copy->token[i];
        key->other_type = false;
        expire_at(sim, key, copy->expires_at[i]);
        judge_key_restored(sim, copy->token[i]);
    }
    server_forget_scripts(sim);
}

void server_forget_scripts(struct sim *sim)
{
    memset(sim->server.knows, 0, sizeof(sim->server.knows));
}

void server_start(struct sim *sim)
{
    memset(&sim->server, 0, sizeof(sim->server));
    for (int i = 0; i < KEYS_MAX; i++)
        sim->server.keys[i].expiry.ring = ring_expiry;
    for (int verb = 0; verb < ARL_VERBS; verb++)
        sim->server.knows[verb] = dice_chance(&sim->dice, 50);
}
