/* What must hold at any time, over all engines and within each. */
#include "core/hold.h"
#include "core/token.h"
#include "core/waitq.h"
#include "fleet.h"

#include <string.h>

bool fleet_believes(const struct fleet_member *member, const struct fleet_slot *slot)
{
    const struct arl_handle *handle = slot->handle;
    return (handle->state == ARL_GRANTED || handle->state == ARL_HELD) &&
           fleet_now(member) < handle->queue->lease.valid_until;
}

static uint64_t token_of(const struct fleet_slot *slot)
{
    uint64_t number;
    memcpy(&number, slot->handle->queue->token->id, sizeof(number));
    return number;
}

/* Never two believers; what one believes is so on the server; a released token is not believed in. */
static void check_belief(struct fleet *fleet)
{
    int believers[MODEL_KEYS] = {0};
    for (int i = 0; i < FLEET_MEMBERS; i++) {
        struct fleet_member *member = &fleet->members[i];
        for (int j = 0; j < FLEET_SLOTS; j++) {
            const struct fleet_slot *slot = &member->slots[j];
            if (slot->handle == NULL || !fleet_believes(member, slot))
                continue;
            uint64_t token = token_of(slot);
            FLEET_CHECK(fleet, !fleet->tokens[token].dead && !fleet->tokens[token].denied);
            FLEET_CHECK(fleet, ++believers[slot->key] == 1 || fleet->unsafe);
            FLEET_CHECK(fleet, model_holder(&fleet->model, slot->key) == token || fleet->unsafe);
            if (!fleet->tokens[token].extended &&
                !fleet->unsafe) /* after a crash K lives no longer than ex */
                FLEET_CHECK(fleet, fleet->model.keys[slot->key].ends_at - fleet->model.now <= slot->want.ttl);
        }
    }
}

static void check_waiters(struct fleet *fleet, const struct arl_waitq *queue)
{
    uint32_t count = 0;
    for (const struct arl_link *link = queue->waiters.next; link != &queue->waiters; link = link->next) {
        const struct arl_handle *handle = ARL_OF(link, struct arl_handle, link);
        FLEET_CHECK(fleet, handle->state == ARL_WAITING && handle->queue == queue);
        FLEET_CHECK(fleet, handle->schedule.place != 0 || count == 0 || !arl_handle_has_schedule(handle));
        count++;
    }
    FLEET_CHECK(fleet, count == queue->waiter_count);
}

static void check_queue(struct fleet_member *member, const struct arl_waitq *queue)
{
    struct fleet *fleet = member->fleet;
    const struct arl_claim *claim = &queue->claim;
    check_waiters(fleet, queue);
    FLEET_CHECK(fleet, (queue->holder == NULL) == (queue->token == NULL));
    if (queue->holder != NULL)
        FLEET_CHECK(fleet, claim->state == ARL_CLAIM_IDLE && claim->token == NULL);
    if (queue->waiter_count == 0)
        FLEET_CHECK(fleet, claim->state == ARL_CLAIM_IDLE || claim->state == ARL_CLAIM_SENT ||
                               claim->state == ARL_CLAIM_ASKING);
    if (claim->state == ARL_CLAIM_IDLE && claim->token != NULL)
        FLEET_CHECK(fleet, queue->waiter_count > 0 && claim->token->main.state == ARL_IDLE);
    /* Nobody is forgotten: something is under way, or a timer runs. */
    bool under_way = claim->state == ARL_CLAIM_QUEUED || claim->state == ARL_CLAIM_SENT ||
                     claim->state == ARL_CLAIM_ASKING;
    bool releasing = queue->pause_until == ARL_NEVER;
    FLEET_CHECK(fleet, queue->waiter_count == 0 || under_way || releasing || queue->timer.place != 0);
    FLEET_CHECK(fleet,
                queue->waiter_count + queue->tokens > 0 || queue->holder != NULL || queue->pause_until != 0);
}

static void check_engine(struct fleet_member *member)
{
    struct fleet *fleet = member->fleet;
    const struct arl_engine *engine = member->engine;
    size_t waiting = 0, held = 0, owed = 0;
    for (int i = 0; i < FLEET_SLOTS; i++) {
        const struct fleet_slot *slot = &member->slots[i];
        if (slot->handle == NULL)
            continue;
        waiting += slot->handle->state == ARL_WAITING;
        held += slot->handle->state == ARL_GRANTED || slot->handle->state == ARL_HELD;
        FLEET_CHECK(fleet, slot->ended == (slot->handle->state == ARL_ENDED));
        if (slot->handle->state == ARL_GRANTED || slot->handle->state == ARL_HELD)
            FLEET_CHECK(fleet, slot->granted);
        if (member->closed)
            FLEET_CHECK(fleet, slot->handle->state == ARL_RELEASING || slot->handle->state == ARL_ENDED);
    }
    for (const struct arl_link *link = engine->settles.next; link != &engine->settles; link = link->next)
        owed += !ARL_OF(link, struct arl_token, settle)->answered;
    FLEET_CHECK(fleet, engine->waiting == waiting);
    FLEET_CHECK(fleet, engine->held == held);
    FLEET_CHECK(fleet, engine->owed == owed);
    FLEET_CHECK(fleet, engine->up == member->up);
    FLEET_CHECK(fleet, engine->timers.count <= engine->timers.reserved);
    for (const struct arl_link *link = engine->queues.next; link != &engine->queues; link = link->next)
        check_queue(member, ARL_OF(link, struct arl_waitq, link));
}

void fleet_check(struct fleet *fleet)
{
    check_belief(fleet);
    for (int i = 0; i < FLEET_MEMBERS; i++)
        check_engine(&fleet->members[i]);
}
