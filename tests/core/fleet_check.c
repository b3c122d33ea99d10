/* What must hold at any time, over all engines and within each. */
#include "core/hold.h"
#include "core/token.h"
#include "core/waitq.h"
#include "fleet.h"
#include "inside.h"

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

static void check_engine(struct fleet_member *member)
{
    struct fleet *fleet = member->fleet;
    const struct arl_engine *engine = member->engine;
    const char *wrong = inside_wrong(engine);
    size_t waiting = 0, held = 0;
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
    fleet_expect(fleet, wrong == NULL, wrong, __LINE__);
    FLEET_CHECK(fleet, engine->waiting == waiting);
    FLEET_CHECK(fleet, engine->held == held);
    FLEET_CHECK(fleet, engine->up == member->up);
}

void fleet_check(struct fleet *fleet)
{
    check_belief(fleet);
    for (int i = 0; i < FLEET_MEMBERS; i++)
        check_engine(&fleet->members[i]);
}
