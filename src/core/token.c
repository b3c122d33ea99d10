#include "token.h"

#include "engine.h"
#include "mem.h"
#include "waitq.h"

int arl_token_draw(struct arl_engine *engine, struct arl_waitq *queue, struct arl_token **out)
{
    struct arl_token *token = arl_mem_new(&engine->settings, sizeof(*token));
    if (token == NULL)
        return ARL_ENOMEM;
    int error = arl_timers_reserve(&engine->timers, &engine->settings);
    if (error != 0) {
        arl_mem_free(&engine->settings, token);
        return error;
    }
    if (engine->settings.draw_token(engine->settings.ctx, token->id) != 0) {
        arl_timers_unreserve(&engine->timers, &engine->settings);
        arl_mem_free(&engine->settings, token);
        return ARL_EENTROPY;
    }
    arl_request_init(&token->main, ARL_TRY, ARL_FOR_CLAIM_TRY);
    arl_request_init(&token->renew, ARL_RENEW, ARL_FOR_LEASE);
    arl_request_init(&token->watch, ARL_RENEW, ARL_FOR_LEASE);
    arl_link_init(&token->settle);
    token->timer.kind = ARL_TIMER_TOKEN;
    token->again_at = token->retry_at = token->give_up_at = ARL_NEVER;
    token->queue = queue;
    queue->tokens++;
    *out = token;
    return 0;
}

static void free_token(struct arl_engine *engine, struct arl_token *token)
{
    arl_timers_unset(&engine->timers, &token->timer);
    arl_timers_unreserve(&engine->timers, &engine->settings);
    arl_mem_free(&engine->settings, token);
}

void arl_token_forget(struct arl_engine *engine, struct arl_token *token)
{
    struct arl_waitq *queue = token->queue;
    arl_outbox_unqueue(&token->main);
    arl_outbox_unqueue(&token->renew);
    arl_outbox_unqueue(&token->watch);
    arl_timers_unset(&engine->timers, &token->timer);
    token->queue = NULL;
    arl_token_collect(engine, token);
    queue->tokens--;
}

void arl_token_collect(struct arl_engine *engine, struct arl_token *token)
{
    if (token->queue == NULL && token->main.state == ARL_IDLE && token->renew.state == ARL_IDLE &&
        token->watch.state == ARL_IDLE && token->extends == 0)
        free_token(engine, token);
}

void arl_token_may_live(struct arl_token *token, arl_ns until)
{
    token->gone_at = arl_ns_max(token->gone_at, until);
}

void arl_token_note_outcome(struct arl_token *token, enum arl_outcome outcome, arl_ns ttl, arl_ns now)
{
    if (outcome == ARL_YES || outcome == ARL_UNKNOWN)
        arl_token_may_live(token, arl_ns_add(now, ttl));
}
