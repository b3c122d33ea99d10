#include "claim.h"

#include "settle.h"
#include "hold.h"
#include "waitq.h"

void arl_claim_init(struct arl_claim *claim)
{
    claim->silent_since = ARL_NEVER;
    arl_claim_restart(claim);
}

void arl_claim_restart(struct arl_claim *claim)
{
    claim->failed = 0;
    claim->busy = false;
    claim->at_once = true;
}

/* ---- what is due ---- */

static bool try_is_due(const struct arl_waitq *queue, arl_ns now)
{
    if (queue->claim.at_once)
        return true;
    if (arl_waitq_is_unified(queue))
        return arl_waitq_head(queue)->schedule.place == 0;
    return queue->claim.poll_at <= arl_ns_add(now, ARL_EARLY);
}

static int queue_try(struct arl_engine *engine, struct arl_waitq *queue)
{
    struct arl_claim *claim = &queue->claim;
    if (claim->token == NULL) {
        int error = arl_token_draw(engine, queue, &claim->token);
        if (error != 0)
            return error;
    }
    arl_outbox_queue(&engine->outbox, &claim->token->main);
    claim->state = ARL_CLAIM_QUEUED;
    return 0;
}

static void queue_doubt(struct arl_engine *engine, struct arl_claim *claim)
{
    arl_request_init(&claim->token->renew, ARL_RENEW, ARL_FOR_CLAIM_DOUBT);
    claim->token->renew.whole_script = claim->whole_script;
    arl_outbox_queue(&engine->outbox, &claim->token->renew);
    claim->state = ARL_CLAIM_ASKING;
}

/* Nobody waits: what has not been written is not sent, what may be on the server is released. */
static void give_up(struct arl_engine *engine, struct arl_claim *claim)
{
    struct arl_token *token = claim->token;
    if (token == NULL || claim->state == ARL_CLAIM_SENT)
        return; /* a TRY unanswered keeps its slot (rule 4) */
    if (claim->state == ARL_CLAIM_ASKING && token->renew.state == ARL_UNANSWERED)
        return;
    bool doubtful = claim->state == ARL_CLAIM_DOUBT || claim->state == ARL_CLAIM_ASKING;
    claim->token = NULL;
    claim->state = ARL_CLAIM_IDLE;
    if (doubtful)
        arl_settle_owe(engine, token);
    else
        arl_token_forget(engine, token);
}

static void note_silence(const struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    bool waits_for_server = queue->waiter_count > 0 && queue->holder == NULL;
    if (!waits_for_server && queue->claim.state == ARL_CLAIM_IDLE)
        queue->claim.silent_since = ARL_NEVER;
    else if (waits_for_server && !engine->up && queue->claim.silent_since == ARL_NEVER)
        queue->claim.silent_since = now;
}

int arl_claim_step(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_claim *claim = &queue->claim;
    if (queue->waiter_count == 0)
        give_up(engine, claim);
    note_silence(engine, queue, now);
    if (queue->waiter_count == 0 || queue->holder != NULL || !engine->up)
        return 0;
    if (claim->state == ARL_CLAIM_DOUBT)
        queue_doubt(engine, claim);
    else if (claim->state == ARL_CLAIM_IDLE && !arl_hold_pauses(queue, now) && try_is_due(queue, now))
        return queue_try(engine, queue);
    return 0;
}

arl_ns arl_claim_deadline(const struct arl_engine *engine, const struct arl_waitq *queue)
{
    const struct arl_claim *claim = &queue->claim;
    if (queue->waiter_count == 0 || queue->holder != NULL)
        return ARL_NEVER;
    arl_ns at = ARL_NEVER;
    if (claim->silent_since != ARL_NEVER) /* a loss: never early */
        at = arl_ns_add(arl_ns_add(claim->silent_since, arl_engine_silence(engine)), ARL_EARLY);
    if (engine->up && claim->state == ARL_CLAIM_IDLE && queue->pause_until == 0 &&
        !arl_waitq_is_unified(queue))
        at = arl_ns_min(at, claim->poll_at);
    return at;
}

/* ---- sending and answers ---- */

void arl_claim_sent(struct arl_waitq *queue, struct arl_request *request, arl_ns now)
{
    struct arl_claim *claim = &queue->claim;
    request->ttl = arl_waitq_head(queue)->ttl;
    arl_token_may_live(claim->token, arl_ns_add(now, request->ttl));
    if (claim->state == ARL_CLAIM_QUEUED)
        claim->state = ARL_CLAIM_SENT;
    claim->at_once = false;
    claim->busy = false;
    claim->silent_since = arl_ns_min(claim->silent_since, now);
}

/* The claim is free for the next; its token is the caller's. */
static struct arl_token *take_token(struct arl_claim *claim)
{
    struct arl_token *token = claim->token;
    claim->token = NULL;
    claim->state = ARL_CLAIM_IDLE;
    claim->silent_since = ARL_NEVER;
    claim->whole_script = false;
    return token;
}

/* After its i-th failed TRY in a row the wait queue pauses as one task of aioredlock-py would. */
static void plan_poll(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_claim *claim = &queue->claim;
    const struct arl_handle *head = arl_waitq_head(queue);
    if (claim->failed < ARL_POLLS_MAX)
        claim->failed++;
    arl_ns pause = arl_backoff_pause(&engine->random, claim->failed - 1, head->sleep_low, head->sleep_high);
    claim->poll_at = arl_ns_add(now, arl_ns_min(pause, ARL_SECOND));
}

/* The head's own try was this TRY: it counts it and waits. */
static void count_try_of_head(struct arl_engine *engine, struct arl_waitq *queue)
{
    struct arl_handle *head = arl_waitq_head(queue);
    if (!arl_handle_has_schedule(head) || head->schedule.place != 0)
        return;
    arl_ns pause = arl_backoff_pause(&engine->random, head->failed, head->sleep_low, head->sleep_high);
    head->failed++;
    /* Schedule time stood still while the TRY was under way: it goes on from here. */
    arl_timers_set(&queue->schedule, &head->schedule, arl_ns_add(queue->schedule_passed, pause));
}

static void failed(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_claim *claim = &queue->claim;
    queue->turn = ARL_TURN_FIRST;
    queue->turn_continues = false;
    claim->after_pause = false;
    if (claim->at_once)
        return; /* written for one who left: whoever came since has a TRY of its own */
    claim->busy = true;
    while (queue->waiter_count > 0 && arl_waitq_head(queue)->once)
        arl_handle_end(engine, arl_waitq_head(queue), ARL_GAVE_UP);
    if (queue->waiter_count == 0)
        return;
    plan_poll(engine, queue, now);
    count_try_of_head(engine, queue);
}

static void granted(struct arl_engine *engine, struct arl_waitq *queue, const struct arl_request *request,
                    arl_ns now)
{
    struct arl_token *token = take_token(&queue->claim);
    /* A TRY in doubt may have been executed as late as this. */
    arl_token_may_live(token, arl_ns_add(now, token->main.ttl));
    if (now < arl_lease_belief(request->sent_at, request->ttl)) {
        queue->claim.failed = 0;
        queue->claim.busy = false;
        arl_hold_granted(engine, queue, token, request->sent_at, request->ttl, now);
        return;
    }
    /* Over before its reply was read: never held, and a failed try (rule 1). */
    engine->slow_wanted = true;
    arl_settle_owe(engine, token);
    failed(engine, queue, now);
}

void arl_claim_try_answered(struct arl_engine *engine, struct arl_waitq *queue, enum arl_outcome outcome,
                            const struct arl_request *request, arl_ns now)
{
    struct arl_claim *claim = &queue->claim;
    switch (outcome) {
    case ARL_YES:
        granted(engine, queue, request, now);
        return;
    case ARL_NO:
        claim->state = ARL_CLAIM_IDLE; /* the token may be tried again (rule 2) */
        claim->token->gone_at = 0;     /* K never held it */
        claim->silent_since = ARL_NEVER;
        failed(engine, queue, now);
        return;
    case ARL_UNKNOWN:
        arl_settle_owe(engine, take_token(claim));
        break;
    case ARL_STALE:
        arl_engine_want_reset(engine);
        arl_token_forget(engine, take_token(claim));
        break;
    case ARL_NOT_EXECUTED:
    case ARL_WRONG_TYPE:
    case ARL_REFUSED:
    case ARL_BUSY:
        arl_token_forget(engine, take_token(claim));
        break;
    }
    arl_waitq_fail(engine, queue, ARL_SERVER_ERROR);
}

void arl_claim_doubt_answered(struct arl_engine *engine, struct arl_waitq *queue, enum arl_outcome outcome,
                              const struct arl_request *request, arl_ns now)
{
    struct arl_claim *claim = &queue->claim;
    arl_ns silent_since;
    switch (outcome) {
    case ARL_YES:
        granted(engine, queue, request, now);
        return;
    case ARL_NOT_EXECUTED:
        claim->state = ARL_CLAIM_DOUBT; /* step decides again */
        claim->whole_script = true;
        return;
    case ARL_NO:
    case ARL_WRONG_TYPE:
        /* Dead, since the TRY may still arrive; the next has a fresh token (rule 2). The silence goes on: a server
         * that answers no TRY is silent, whatever else it answers. */
        silent_since = claim->silent_since;
        arl_settle_owe(engine, take_token(claim));
        claim->silent_since = silent_since;
        claim->at_once = true;
        return;
    case ARL_STALE:
        arl_engine_want_reset(engine);
        break;
    case ARL_REFUSED:
    case ARL_BUSY:
    case ARL_UNKNOWN:
        break;
    }
    arl_token_may_live(claim->token, arl_ns_add(now, claim->token->main.ttl)); /* as in `granted` */
    arl_settle_owe(engine, take_token(claim));
    arl_waitq_fail(engine, queue, ARL_SERVER_ERROR);
}

void arl_claim_down(struct arl_waitq *queue, arl_ns now)
{
    struct arl_claim *claim = &queue->claim;
    claim->busy = false;
    switch ((enum arl_claim_state)claim->state) {
    case ARL_CLAIM_SENT:
        claim->token->again_at = arl_ns_add(now, ARL_AGAIN_AFTER);
        claim->state = ARL_CLAIM_DOUBT;
        break;
    case ARL_CLAIM_ASKING:
        claim->state = ARL_CLAIM_DOUBT;
        claim->whole_script = false;
        break;
    case ARL_CLAIM_QUEUED:
        claim->state = ARL_CLAIM_IDLE;
        claim->at_once = true;
        break;
    case ARL_CLAIM_IDLE:
    case ARL_CLAIM_DOUBT:
        break;
    }
}

void arl_claim_up(struct arl_waitq *queue)
{
    if (queue->claim.state != ARL_CLAIM_IDLE)
        return;
    if (queue->pause_until != ARL_NEVER) /* else no TRY is sent whose silence would tell */
        queue->claim.silent_since = ARL_NEVER;
    queue->claim.at_once = true; /* the server's last word is from before the cut */
}
