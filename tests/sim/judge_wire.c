/* judge_wire.c - judge 3: which command of which token is written when, over connections and reconnects. */
#include "sim.h"

const char *judge_verb_name(int verb)
{
    static const char *const names[] = {"TRY", "RENEW", "RELEASE", "PEEK", "EXPIRE"};
    return names[verb];
}

const char *judge_outcome_name(enum arl_outcome outcome)
{
    static const char *const names[] = {"yes",     "no",   "noscript", "wrongtype",
                                        "refused", "busy", "stale",    "unknown error"};
    return names[outcome];
}

void judge_wire_up(struct process *process)
{
    process->first_write = true;
    process->last_class = 0;
}

/* Rule 4: after a reconnect RELEASEs, RENEWs, then new TRYs. */
static void judge_order(struct sim *sim, struct process *process, enum wire_verb verb)
{
    static const unsigned char classes[] = {[WIRE_RELEASE] = 1, [WIRE_RENEW] = 2, [WIRE_TRY] = 3};
    if (!process->first_write || verb == WIRE_PEEK)
        return;
    if (classes[verb] < process->last_class)
        sim_blame(sim, JUDGE_WIRE, "p%d: after its reconnect a %s comes too late", process->index,
                  judge_verb_name(verb));
    process->last_class = classes[verb];
}

static void judge_try(struct sim *sim, struct process *process, uint32_t number, struct token *token)
{
    if (token->over)
        sim_blame(sim, JUDGE_WIRE, "p%d: a TRY of token %u, which is dead", process->index, number);
    if (token->last_try != TRY_NEVER && token->last_try != TRY_SAID_NO)
        sim_blame(sim, JUDGE_WIRE, "p%d: token %u in a second TRY, though the first was not answered \"no\"",
                  process->index, number);
    token->last_try = TRY_PENDING;
    process->tried[token->key] = number;
}

static void judge_release(struct sim *sim, struct process *process, uint32_t number, struct token *token)
{
    if (judge_stands_for(sim, number))
        sim_blame(sim, JUDGE_WIRE, "p%d: RELEASE of token %u, in which it still believes", process->index,
                  number);
    token->over = token->released = true;
    token->release_at = arl_ns_min(token->release_at, sim->now);
}

void judge_wire_written(struct sim *sim, struct process *process, const struct message *message)
{
    judge_order(sim, process, (enum wire_verb)message->verb);
    if (message->token == LEDGER_NOBODY)
        return;
    struct token *token = ledger_token(&sim->ledger, message->token);
    token->key = message->key;
    switch (message->verb) {
    case WIRE_TRY:
        judge_try(sim, process, message->token, token);
        break;
    case WIRE_RENEW:
        if (token->over)
            sim_blame(sim, JUDGE_WIRE, "p%d: a RENEW of token %u, which is dead", process->index,
                      message->token);
        break;
    case WIRE_RELEASE:
        judge_release(sim, process, message->token, token);
        break;
    }
}

void judge_wire_reply(struct sim *sim, struct process *process, const struct message *message)
{
    enum arl_verb awaited = arl_engine_awaited(process->engine);
    if (awaited != (enum arl_verb)message->verb)
        sim_blame(sim, JUDGE_WIRE, "p%d: it awaits the answer of %s and gets that of %s", process->index,
                  awaited == ARL_VERBS ? "nothing" : judge_verb_name((int)awaited),
                  judge_verb_name(message->verb));
}

static void close_token(struct process *process, uint32_t number)
{
    for (int i = 0; i < process->open_count; i++) {
        if (process->open[i] == number) {
            process->open[i] = process->open[--process->open_count];
            return;
        }
    }
}

/* Its owner is told that it holds K: a RELEASE may come to be owed. */
static void learned(struct process *process, uint32_t number, struct token *token)
{
    if (!token->known)
        judge_owed_open(process, number);
    token->known = true;
}

static void try_replied(struct process *process, const struct message *message, struct token *token)
{
    switch (message->outcome) {
    case ARL_YES:
        token->last_try = TRY_SAID_YES;
        learned(process, message->token, token);
        break;
    case ARL_NO:
        token->last_try = TRY_SAID_NO;
        break;
    default:
        token->last_try = TRY_IN_DOUBT;
        close_token(process, message->token);
    }
}

void judge_wire_replied(struct sim *sim, struct process *process, const struct message *message)
{
    if (message->token == LEDGER_NOBODY)
        return;
    struct token *token = ledger_token(&sim->ledger, message->token);
    switch (message->verb) {
    case WIRE_TRY:
        try_replied(process, message, token);
        break;
    case WIRE_RENEW:
        if (message->outcome == ARL_YES)
            learned(process, message->token, token), token->excused = false;
        else if (message->outcome != ARL_NOT_EXECUTED)
            token->excused = true;
        break;
    case WIRE_RELEASE:
        if (message->outcome == ARL_NOT_EXECUTED) {
            token->released = false;
            break;
        }
        close_token(process, message->token);
        token->excused |=
            message->outcome != ARL_YES && message->outcome != ARL_NO && message->outcome != ARL_WRONG_TYPE;
        break;
    }
}

void judge_wire_cut(struct sim *sim, struct process *process)
{
    int kept = 0;
    for (int i = 0; i < process->open_count; i++) {
        uint32_t number = process->open[i];
        struct token *token = ledger_token(&sim->ledger, number);
        token->excused = true;
        if (!token->over)
            process->open[kept++] = number;
    }
    process->open_count = kept;
    for (int key = 0; key < sim->plan.keys; key++) {
        struct token *token = ledger_token(&sim->ledger, process->tried[key]);
        if (token->last_try == TRY_PENDING) {
            token->last_try = TRY_IN_DOUBT;
            token->doubted_at = sim->now;
            token->excused = true;
        }
    }
}

void judge_left(struct sim *sim, struct task *task)
{
    if (task->token != LEDGER_NOBODY && !judge_stands_for(sim, task->token))
        ledger_token(&sim->ledger, task->token)->over = true;
    task->token = LEDGER_NOBODY;
}
