#include "ask.h"

#include <string.h>

#include "mem.h"
#include "token.h"
#include "hold.h"
#include "waitq.h"

static struct arl_ask *new_ask(struct arl_engine *engine, enum arl_verb verb, const char *key,
                               size_t key_length, void *owner, arl_ns now)
{
    struct arl_ask *ask = arl_mem_new(&engine->settings, sizeof(*ask) + key_length);
    if (ask == NULL)
        return NULL;
    if (key_length > 0)
        memcpy(ask->key, key, key_length);
    ask->key_length = (uint32_t)key_length;
    ask->owner = owner;
    ask->deadline = arl_ns_add(now, engine->settings.reply_timeout);
    arl_notice_init(&ask->notice);
    arl_request_init(&ask->request, verb, ARL_FOR_ASK);
    arl_list_push(&engine->asks, &ask->link);
    if (engine->up)
        arl_outbox_queue(&engine->outbox, &ask->request);
    return ask;
}

int arl_ask_extend(struct arl_engine *engine, struct arl_waitq *queue, arl_ns ttl, void *owner, arl_ns now,
                   struct arl_ask **out)
{
    struct arl_ask *ask = new_ask(engine, ARL_RENEW, NULL, 0, owner, now);
    if (ask == NULL)
        return ARL_ENOMEM;
    ask->ttl = ttl;
    ask->token = queue->token;
    ask->token->extends++;
    *out = ask;
    return 0;
}

int arl_ask_peek(struct arl_engine *engine, const char *key, size_t key_length, void *owner, arl_ns now,
                 struct arl_ask **out)
{
    *out = new_ask(engine, ARL_PEEK, key, key_length, owner, now);
    return *out != NULL ? 0 : ARL_ENOMEM;
}

static void let_go_of_token(struct arl_engine *engine, struct arl_ask *ask)
{
    struct arl_token *token = ask->token;
    if (token == NULL)
        return;
    ask->token = NULL;
    token->extends--;
    arl_token_collect(engine, token);
}

void arl_ask_collect(struct arl_engine *engine, struct arl_ask *ask)
{
    if (ask->cause == 0 || ask->request.state != ARL_IDLE)
        return;
    let_go_of_token(engine, ask);
    if (ask->dropped)
        arl_mem_free(&engine->settings, ask);
}

/* Its owner waits no more. A request under way keeps the token: its answer still concerns the lease. */
static void detach(struct arl_engine *engine, struct arl_ask *ask, enum arl_cause cause)
{
    arl_link_remove(&ask->link);
    arl_outbox_unqueue(&ask->request);
    if (ask->cause == 0)
        ask->cause = (uint8_t)cause;
    if (ask->request.state == ARL_IDLE)
        let_go_of_token(engine, ask);
}

static void end(struct arl_engine *engine, struct arl_ask *ask, enum arl_cause cause)
{
    if (ask->cause != 0)
        return;
    detach(engine, ask, cause);
    arl_notice_give(engine, &ask->notice, ARL_EVENT_ANSWERED);
}

void arl_ask_drop(struct arl_engine *engine, struct arl_ask *ask)
{
    detach(engine, ask, ARL_CLOSED);
    arl_notice_withdraw(&ask->notice);
    ask->dropped = true;
    arl_ask_collect(engine, ask);
}

void arl_ask_end_of_hold(struct arl_engine *engine, const struct arl_token *token)
{
    struct arl_link *next;
    if (token->extends == 0)
        return;
    for (struct arl_link *link = engine->asks.next; link != &engine->asks; link = next) {
        next = link->next;
        struct arl_ask *ask = ARL_OF(link, struct arl_ask, link);
        if (ask->token == token)
            end(engine, ask, ARL_NOT_OWNED);
    }
}

/* Does the ask concern the lease that is held now? */
static bool concerns_lease(const struct arl_ask *ask)
{
    return ask->token != NULL && ask->token->queue != NULL && ask->token->queue->token == ask->token;
}

static void extended(const struct arl_ask *ask, const struct arl_request *request)
{
    if (!concerns_lease(ask))
        return;
    struct arl_lease *lease = &ask->token->queue->lease;
    lease->valid_until = arl_ns_max(lease->valid_until, arl_lease_belief(request->sent_at, request->ttl));
}

static void answer(struct arl_engine *engine, struct arl_ask *ask, enum arl_outcome outcome,
                   const struct arl_request *request, arl_ns now)
{
    switch (outcome) {
    case ARL_YES:
        extended(ask, request);
        end(engine, ask, ARL_DONE);
        break;
    case ARL_NO:
    case ARL_WRONG_TYPE:
        if (concerns_lease(ask))
            arl_hold_lose(engine, ask->token->queue, true, now); /* ends this ask too */
        else
            end(engine, ask, ARL_NOT_OWNED);
        break;
    case ARL_NOT_EXECUTED:
        ask->request.whole_script = true;
        if (ask->cause == 0)
            arl_outbox_queue(&engine->outbox, &ask->request);
        break;
    case ARL_STALE:
        arl_engine_want_reset(engine);
        end(engine, ask, ARL_SERVER_ERROR);
        break;
    case ARL_REFUSED:
    case ARL_BUSY:
    case ARL_UNKNOWN:
        end(engine, ask, ARL_SERVER_ERROR);
        break;
    }
}

void arl_ask_answered(struct arl_engine *engine, struct arl_ask *ask, enum arl_outcome outcome,
                      const struct arl_request *request, arl_ns now)
{
    struct arl_waitq *queue = ask->token != NULL ? ask->token->queue : NULL;
    answer(engine, ask, outcome, request, now);
    arl_ask_collect(engine, ask);
    if (queue != NULL)
        arl_waitq_step(engine, queue, now);
}

arl_ns arl_ask_deadline(const struct arl_engine *engine)
{
    const struct arl_link *first = arl_list_first(&engine->asks);
    return first != NULL ? arl_ns_add(ARL_OF(first, struct arl_ask, link)->deadline, ARL_EARLY) : ARL_NEVER;
}

void arl_ask_tick(struct arl_engine *engine, arl_ns now)
{
    struct arl_link *first;
    while ((first = arl_list_first(&engine->asks)) != NULL) {
        struct arl_ask *ask = ARL_OF(first, struct arl_ask, link);
        if (ask->deadline > now)
            return;
        end(engine, ask, ARL_NO_ANSWER);
    }
}

void arl_ask_up(struct arl_engine *engine)
{
    for (struct arl_link *link = engine->asks.next; link != &engine->asks; link = link->next)
        arl_outbox_queue(&engine->outbox, &ARL_OF(link, struct arl_ask, link)->request);
}

void arl_ask_down(struct arl_ask *ask)
{
    ask->request.whole_script = false;
}

void arl_ask_fail(struct arl_engine *engine, enum arl_cause cause)
{
    struct arl_link *first;
    while ((first = arl_list_first(&engine->asks)) != NULL)
        end(engine, ARL_OF(first, struct arl_ask, link), cause);
}
