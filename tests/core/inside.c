#include "inside.h"

#include "core/token.h"
#include "core/waitq.h"

#define HOLDS(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            return #condition;                                                                               \
    } while (0)

static const char *waiters_wrong(const struct arl_waitq *queue)
{
    uint32_t count = 0;
    for (const struct arl_link *link = queue->waiters.next; link != &queue->waiters; link = link->next) {
        const struct arl_handle *handle = ARL_OF(link, struct arl_handle, link);
        HOLDS(handle->state == ARL_WAITING && handle->queue == queue);
        HOLDS(handle->schedule.place != 0 || count == 0 || !arl_handle_has_schedule(handle));
        count++;
    }
    HOLDS(count == queue->waiter_count);
    return NULL;
}

static const char *claim_wrong(const struct arl_waitq *queue)
{
    const struct arl_claim *claim = &queue->claim;
    if (queue->holder != NULL)
        HOLDS(claim->state == ARL_CLAIM_IDLE && claim->token == NULL);
    if (queue->waiter_count == 0)
        HOLDS(claim->state == ARL_CLAIM_IDLE || claim->state == ARL_CLAIM_SENT ||
              claim->state == ARL_CLAIM_ASKING);
    if (claim->state == ARL_CLAIM_IDLE && claim->token != NULL)
        HOLDS(queue->waiter_count > 0 && claim->token->main.state == ARL_IDLE);
    return NULL;
}

static const char *queue_wrong(const struct arl_waitq *queue)
{
    const char *wrong = waiters_wrong(queue);
    if (wrong == NULL)
        wrong = claim_wrong(queue);
    if (wrong != NULL)
        return wrong;
    HOLDS((queue->holder == NULL) == (queue->token == NULL));
    /* Nobody is forgotten: something is under way, or a timer runs. */
    bool under_way = queue->claim.state == ARL_CLAIM_QUEUED || queue->claim.state == ARL_CLAIM_SENT ||
                     queue->claim.state == ARL_CLAIM_ASKING;
    bool releasing = queue->pause_until == ARL_NEVER;
    HOLDS(queue->waiter_count == 0 || under_way || releasing || queue->timer.place != 0);
    HOLDS(queue->waiter_count + queue->tokens > 0 || queue->holder != NULL || queue->pause_until != 0);
    return NULL;
}

/* What the watchdog is to write is of a lease that is held; what it waits for is counted; no lease is forgotten. */
static const char *watch_wrong(const struct arl_engine *engine)
{
    const struct arl_watch *watch = &engine->watch;
    size_t unanswered = 0;
    for (const struct arl_link *link = watch->due.next; link != &watch->due; link = link->next) {
        const struct arl_request *request = ARL_OF(link, struct arl_request, link);
        const struct arl_token *token = ARL_OF(request, struct arl_token, watch);
        HOLDS(request->state == ARL_QUEUED && token->queue != NULL && token->queue->token == token);
    }
    for (const struct arl_link *link = watch->unanswered.next; link != &watch->unanswered;
         link = link->next) {
        HOLDS(ARL_OF(link, struct arl_request, link)->state == ARL_UNANSWERED);
        unanswered++;
    }
    HOLDS(unanswered == watch->unanswered_count && unanswered <= ARL_RENEWS_UNANSWERED_MAX);
    for (const struct arl_link *link = engine->queues.next; link != &engine->queues; link = link->next) {
        const struct arl_waitq *queue = ARL_OF(link, struct arl_waitq, link);
        HOLDS(queue->holder == NULL || queue->holder->stall_limit <= 0 ||
              watch->shortest <= queue->lease.pace);
    }
    return NULL;
}

const char *inside_wrong(const struct arl_engine *engine)
{
    size_t waiting = 0, held = 0, owed = 0;
    for (const struct arl_link *link = engine->queues.next; link != &engine->queues; link = link->next) {
        const struct arl_waitq *queue = ARL_OF(link, struct arl_waitq, link);
        const char *wrong = queue_wrong(queue);
        if (wrong != NULL)
            return wrong;
        waiting += queue->waiter_count;
        held += queue->holder != NULL;
    }
    for (const struct arl_link *link = engine->settles.next; link != &engine->settles; link = link->next)
        owed += !ARL_OF(link, struct arl_token, settle)->answered;
    HOLDS(engine->waiting == waiting);
    HOLDS(engine->held == held);
    HOLDS(engine->owed == owed);
    HOLDS(engine->timers.count <= engine->timers.reserved);
    return watch_wrong(engine);
}
