/* exchange.c - requests as they are written, and replies as they are matched to them, first in first out. */
#include "ask.h"
#include "engine.h"
#include "hold.h"
#include "settle.h"
#include "waitq.h"
#include "watch.h"

/* ---- writing ---- */

static void sent(struct arl_engine *engine, struct arl_request *request, arl_ns now,
                 struct arl_request_view *out)
{
    struct arl_token *token = NULL;
    switch ((enum arl_purpose)request->purpose) {
    case ARL_FOR_CLAIM_TRY:
        token = ARL_OF(request, struct arl_token, main);
        arl_claim_sent(token->queue, request, now);
        engine->counters.tries++;
        break;
    case ARL_FOR_CLAIM_DOUBT:
        token = ARL_OF(request, struct arl_token, renew);
        arl_claim_sent(token->queue, request, now);
        break;
    case ARL_FOR_LEASE:
        token = ARL_OF(request, struct arl_token, renew);
        arl_hold_renewal_sent(engine, token, request, now);
        break;
    case ARL_FOR_SETTLE:
        token = ARL_OF(request, struct arl_token, main);
        request->ttl = 0;
        arl_settle_sent(token, now);
        break;
    case ARL_FOR_ASK: {
        struct arl_ask *ask = ARL_OF(request, struct arl_ask, request);
        request->ttl = ask->ttl;
        token = ask->token;
        out->key = ask->key;
        out->key_length = ask->key_length;
        if (token != NULL)
            arl_token_may_live(token, arl_ns_add(now, ask->ttl));
        break;
    }
    }
    if (token != NULL) {
        out->token = token->id;
        out->key = token->queue->slot.key;
        out->key_length = token->queue->slot.key_length;
    }
}

/* Nothing more is written to a connection that is to be reset: it would only be in doubt. */
static struct arl_request *next_to_write(const struct arl_engine *engine)
{
    return engine->up && !engine->reset_wanted ? arl_outbox_peek(&engine->outbox) : NULL;
}

bool arl_engine_next_request(struct arl_engine *engine, arl_ns now, struct arl_request_view *out)
{
    struct arl_request *request = next_to_write(engine);
    if (request == NULL)
        return false;
    *out = (struct arl_request_view){.verb = (enum arl_verb)request->verb,
                                     .whole_script = request->whole_script};
    arl_outbox_sent(&engine->outbox, request, now);
    sent(engine, request, now, out);
    out->ttl = request->ttl;
    return true;
}

bool arl_engine_has_request(const struct arl_engine *engine)
{
    return next_to_write(engine) != NULL;
}

size_t arl_engine_unanswered(const struct arl_engine *engine)
{
    return engine->outbox.unanswered_count;
}

/* ---- replies ---- */

enum arl_verb arl_engine_awaited(const struct arl_engine *engine)
{
    const struct arl_request *request = arl_outbox_oldest(&engine->outbox);
    return request != NULL ? (enum arl_verb)request->verb : ARL_VERBS;
}

/* Whose TRY or RENEW it is, or NULL: a RELEASE or a peek. */
static struct arl_token *token_prolonged_by(struct arl_request *request)
{
    switch ((enum arl_purpose)request->purpose) {
    case ARL_FOR_CLAIM_TRY:
        return ARL_OF(request, struct arl_token, main);
    case ARL_FOR_CLAIM_DOUBT:
    case ARL_FOR_LEASE:
        return ARL_OF(request, struct arl_token, renew);
    case ARL_FOR_ASK:
        return ARL_OF(request, struct arl_ask, request)->token;
    case ARL_FOR_SETTLE:
        break;
    }
    return NULL;
}

static void note_outcome(struct arl_request *request, enum arl_outcome outcome, arl_ns now)
{
    struct arl_token *token = token_prolonged_by(request);
    if (token != NULL)
        arl_token_note_outcome(token, outcome, request->ttl, now);
}

void arl_engine_doubt_unanswered(struct arl_engine *engine, arl_ns now)
{
    const struct arl_link *end = &engine->outbox.unanswered;
    for (struct arl_link *link = end->next; link != end; link = link->next)
        note_outcome(ARL_OF(link, struct arl_request, link), ARL_UNKNOWN, now);
}

/* An answer about a token: to its claim, its lease or its settle. */
static void token_answered(struct arl_engine *engine, struct arl_token *token, struct arl_request *request,
                           enum arl_outcome outcome, arl_ns now)
{
    struct arl_waitq *queue = token->queue;
    if (queue == NULL) { /* forgotten meanwhile */
        arl_token_collect(engine, token);
        return;
    }
    const struct arl_request answered = *request;
    switch ((enum arl_purpose)request->purpose) {
    case ARL_FOR_CLAIM_TRY:
        arl_claim_try_answered(engine, queue, outcome, &answered, now);
        break;
    case ARL_FOR_CLAIM_DOUBT:
        arl_claim_doubt_answered(engine, queue, outcome, &answered, now);
        break;
    case ARL_FOR_LEASE:
        arl_hold_renewed(engine, token, outcome, &answered, now);
        break;
    case ARL_FOR_SETTLE:
        arl_settle_answered(engine, token, outcome, now); /* steps its wait queue itself */
        return;
    case ARL_FOR_ASK:
        break;
    }
    arl_waitq_step(engine, queue, now);
}

int arl_engine_reply(struct arl_engine *engine, enum arl_outcome outcome, arl_ns now)
{
    struct arl_request *request = arl_outbox_answered(&engine->outbox);
    arl_watch_turned(engine, now);
    if (request == NULL)
        return ARL_EUNASKED;
    if (outcome == ARL_NOT_EXECUTED && request->whole_script)
        outcome = ARL_UNKNOWN; /* a server that does not know a script's text: never ask it in a circle */
    note_outcome(request, outcome, now);
    switch ((enum arl_purpose)request->purpose) {
    case ARL_FOR_CLAIM_TRY:
    case ARL_FOR_SETTLE:
        token_answered(engine, ARL_OF(request, struct arl_token, main), request, outcome, now);
        break;
    case ARL_FOR_CLAIM_DOUBT:
    case ARL_FOR_LEASE:
        token_answered(engine, ARL_OF(request, struct arl_token, renew), request, outcome, now);
        break;
    case ARL_FOR_ASK: {
        const struct arl_request answered = *request;
        arl_ask_answered(engine, ARL_OF(request, struct arl_ask, request), outcome, &answered, now);
        break;
    }
    }
    return 0;
}
