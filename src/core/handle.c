/* handle.c - one acquire and the hold it leads to, seen from outside. */
#include "mem.h"
#include "waitq.h"

void arl_handle_free(struct arl_engine *engine, struct arl_handle *handle)
{
    arl_notice_withdraw(&handle->notice);
    arl_timers_unset(&engine->timers, &handle->patience);
    if (handle->has_patience)
        arl_timers_unreserve(&engine->timers, &engine->settings);
    arl_mem_free(&engine->settings, handle);
}

void arl_handle_end(struct arl_engine *engine, struct arl_handle *handle, enum arl_cause cause)
{
    if (handle->state == ARL_WAITING)
        arl_waitq_unlink(engine, handle);
    arl_handle_leave_queue(engine, handle);
    handle->state = ARL_ENDED;
    handle->cause = (uint8_t)cause;
    if (cause == ARL_GAVE_UP)
        engine->counters.given_up++;
    arl_notice_give(engine, &handle->notice, ARL_EVENT_ENDED);
}

void arl_handle_leave_queue(struct arl_engine *engine, struct arl_handle *handle)
{
    if (handle->queue != NULL && arl_handle_has_schedule(handle))
        arl_timers_unreserve(&handle->queue->schedule, &engine->settings);
    handle->queue = NULL;
    handle->releasing = NULL;
}

enum arl_state arl_handle_state(const struct arl_handle *handle)
{
    return (enum arl_state)handle->state;
}

enum arl_cause arl_handle_cause(const struct arl_handle *handle)
{
    return (enum arl_cause)handle->cause;
}

void arl_handle_set_owner(struct arl_handle *handle, void *owner)
{
    handle->owner = owner;
}

void *arl_handle_owner(const struct arl_handle *handle)
{
    return handle->owner;
}

const uint8_t *arl_handle_token(const struct arl_handle *handle)
{
    switch ((enum arl_state)handle->state) {
    case ARL_GRANTED:
    case ARL_HELD:
        return handle->queue->token->id;
    case ARL_RELEASING:
        return handle->releasing != NULL ? handle->releasing->id : NULL;
    case ARL_WAITING:
    case ARL_ENDED:
        break;
    }
    return NULL;
}

const char *arl_handle_key(const struct arl_handle *handle, size_t *length)
{
    *length = handle->queue != NULL ? handle->queue->slot.key_length : 0;
    return handle->queue != NULL ? handle->queue->slot.key : NULL;
}
