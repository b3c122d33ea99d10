#include "settle.h"

#include "engine.h"
#include "hold.h"
#include "waitq.h"

/* So long (ns) until a server that was busy is asked again. */
#define BUSY_PAUSE (100 * ARL_MS)

/* A RENEW written before the release may prolong K until it is answered: gone_at says nothing before. */
static bool is_under_way(const struct arl_token *token)
{
    return token->renew.state == ARL_UNANSWERED || token->extends > 0;
}

/* Ends of waiting are armed ARL_EARLY later: a timer that fires early never finds them just not over. */
static void arm_for(struct arl_engine *engine, struct arl_token *token, bool under_way)
{
    arl_ns at = token->answered ? token->again_at : token->retry_at;
    if (!token->answered && !under_way)
        at = arl_ns_min(at, arl_ns_add(token->gone_at, ARL_EARLY));
    if (token->releaser != NULL)
        at = arl_ns_min(at, arl_ns_add(arl_ns_min(token->give_up_at, token->gone_at), ARL_EARLY));
    arl_timers_set(&engine->timers, &token->timer, at);
}

static void arm(struct arl_engine *engine, struct arl_token *token)
{
    arm_for(engine, token, is_under_way(token));
}

static void answer_releaser(struct arl_engine *engine, struct arl_token *token, enum arl_cause cause)
{
    struct arl_handle *releaser = token->releaser;
    if (releaser == NULL)
        return;
    token->releaser = NULL;
    arl_handle_end(engine, releaser, cause);
}

static void set_answered(struct arl_engine *engine, struct arl_token *token, bool answered)
{
    if (token->answered == answered)
        return;
    token->answered = answered;
    if (answered)
        engine->owed--;
    else
        engine->owed++;
}

/* Nothing is owed for it any more. */
static void finish(struct arl_engine *engine, struct arl_token *token, arl_ns now)
{
    struct arl_waitq *queue = token->queue;
    set_answered(engine, token, true);
    arl_link_remove(&token->settle);
    token->settling = false;
    arl_token_forget(engine, token);
    arl_waitq_step(engine, queue, now);
}

/* K is free of it as far as this RELEASE goes: waiters may count on that. */
static void done(struct arl_token *token, arl_ns now)
{
    if (token->starts_pause)
        arl_hold_pause_starts(token->queue, now);
    token->starts_pause = false;
}

static void send_release(struct arl_engine *engine, struct arl_token *token)
{
    token->retry_at = ARL_NEVER;
    if (engine->up)
        arl_outbox_queue(&engine->outbox, &token->main);
}

static void enter(struct arl_engine *engine, struct arl_token *token, bool answered)
{
    token->settling = true;
    token->answered = true; /* nothing was owed until now */
    set_answered(engine, token, answered);
    arl_outbox_unqueue(&token->main);
    arl_outbox_unqueue(&token->renew); /* no renewal after the release was called (rule 3) */
    arl_outbox_unqueue(&token->watch);
    if (token->watch.state ==
        ARL_UNANSWERED) /* its answer arms no timer: long enough for it to be given up */
        arl_token_may_live(token, arl_ns_add(token->watch.sent_at, 2 * token->watch.ttl));
    arl_request_init(&token->main, ARL_RELEASE, ARL_FOR_SETTLE);
    arl_list_push(&engine->settles, &token->settle);
}

void arl_settle_owe(struct arl_engine *engine, struct arl_token *token)
{
    enter(engine, token, false);
    send_release(engine, token);
    arm(engine, token);
}

void arl_settle_not_ours(struct arl_engine *engine, struct arl_token *token, arl_ns now)
{
    if (token->again_at == ARL_NEVER || token->again_at <= now) {
        arl_token_forget(engine, token);
        return;
    }
    enter(engine, token, true);
    arm(engine, token);
}

void arl_settle_answer_to(struct arl_engine *engine, struct arl_token *token, struct arl_handle *releaser,
                          arl_ns now)
{
    if (releaser == NULL)
        return;
    token->releaser = releaser;
    releaser->releasing = token;
    token->give_up_at = arl_ns_add(now, arl_engine_silence(engine));
    arm(engine, token);
}

/* Answered for good: the record stays only for a RELEASE once more. */
static void conclude(struct arl_engine *engine, struct arl_token *token, enum arl_cause cause, arl_ns now)
{
    answer_releaser(engine, token, cause);
    done(token, now);
    if (token->again_at == ARL_NEVER) {
        finish(engine, token, now);
        return;
    }
    set_answered(engine, token, true);
    arm(engine, token);
    arl_waitq_step(engine, token->queue, now);
}

static void try_later(struct arl_engine *engine, struct arl_token *token, arl_ns now)
{
    answer_releaser(engine, token, ARL_SERVER_ERROR);
    token->retry_at = arl_ns_add(now, BUSY_PAUSE);
    arm(engine, token);
}

void arl_settle_answered(struct arl_engine *engine, struct arl_token *token, enum arl_outcome outcome,
                         arl_ns now)
{
    switch (outcome) {
    case ARL_YES:
        conclude(engine, token, ARL_DONE, now);
        return;
    case ARL_NO:
    case ARL_WRONG_TYPE:
        engine->counters.lost += token->held && !token->in_doubt;
        token->held = false;
        conclude(engine, token, token->in_doubt ? ARL_DONE : ARL_NOT_OWNED, now);
        return;
    case ARL_NOT_EXECUTED:
        token->main.whole_script = true;
        if (!token->answered) /* else K is gone by now */
            send_release(engine, token);
        return;
    case ARL_REFUSED: /* the same command would be refused again */
        conclude(engine, token, ARL_SERVER_ERROR, now);
        return;
    case ARL_STALE:
        answer_releaser(engine, token, ARL_SERVER_ERROR);
        arl_engine_want_reset(engine); /* owed on: it is queued again when a connection stands */
        return;
    case ARL_UNKNOWN:
        token->in_doubt = true;
        try_later(engine, token, now);
        return;
    case ARL_BUSY:
        try_later(engine, token, now);
        return;
    }
}

void arl_settle_tick(struct arl_engine *engine, struct arl_token *token, arl_ns now)
{
    if (token->releaser != NULL && (now >= token->give_up_at || now >= token->gone_at))
        answer_releaser(engine, token, ARL_NO_ANSWER);
    if (!token->answered && !is_under_way(token) && now >= token->gone_at) {
        done(token, now);
        if (token->again_at == ARL_NEVER) {
            finish(engine, token, now);
            return;
        }
        arl_outbox_unqueue(&token->main);
        set_answered(engine, token, true);
    }
    if (token->answered && token->again_at <= arl_ns_add(now, ARL_EARLY)) {
        if (token->main.state == ARL_IDLE) /* else one is under way, too early: after its answer */
            token->again_at = ARL_NEVER;
        token->in_doubt = true;
        set_answered(engine, token, false);
        arl_token_may_live(token, arl_ns_add(now, ARL_SECOND));
        send_release(engine, token);
    } else if (!token->answered && token->retry_at <= arl_ns_add(now, ARL_EARLY)) {
        send_release(engine, token);
    }
    arm(engine, token);
    arl_waitq_step(engine, token->queue, now);
}

void arl_settle_sent(struct arl_token *token, arl_ns now)
{
    if (token->again_at <= now)
        token->again_at = ARL_NEVER; /* this RELEASE is the late one already */
}

void arl_settle_up(struct arl_engine *engine)
{
    for (struct arl_link *link = engine->settles.next; link != &engine->settles; link = link->next) {
        struct arl_token *token = ARL_OF(link, struct arl_token, settle);
        if (!token->answered)
            send_release(engine, token);
    }
}

void arl_settle_down(struct arl_engine *engine, struct arl_token *token)
{
    if (token->main.state == ARL_UNANSWERED)
        token->in_doubt = true;
    token->main.whole_script = false;
    token->retry_at = ARL_NEVER;
    arm_for(engine, token, false);
}

void arl_settle_fail(struct arl_engine *engine, enum arl_cause cause)
{
    for (struct arl_link *link = engine->settles.next; link != &engine->settles; link = link->next)
        answer_releaser(engine, ARL_OF(link, struct arl_token, settle), cause);
}
