#include "waitq.h"

#include <string.h>

#include "hold.h"
#include "mem.h"
#include "schedule.h"

/* ---- life ---- */

int arl_waitq_get(struct arl_engine *engine, const char *key, size_t key_length, struct arl_waitq **out)
{
    struct arl_slot *slot = arl_table_find(&engine->table, key, key_length);
    if (slot != NULL) {
        *out = ARL_OF(slot, struct arl_waitq, slot);
        return 0;
    }
    struct arl_waitq *queue = arl_mem_new(&engine->settings, sizeof(*queue) + key_length);
    if (queue == NULL)
        return ARL_ENOMEM;
    char *copy = (char *)(queue + 1);
    memcpy(copy, key, key_length);
    queue->slot.key = copy;
    queue->slot.key_length = (uint32_t)key_length;
    if (arl_timers_reserve(&engine->timers, &engine->settings) != 0)
        goto no_room;
    if (arl_table_add(&engine->table, &engine->settings, &queue->slot) != 0)
        goto no_slot;
    arl_list_push(&engine->queues, &queue->link);
    arl_link_init(&queue->waiters);
    arl_claim_init(&queue->claim);
    queue->schedule_since = ARL_NEVER;
    queue->turn = ARL_TURN_FIRST;
    queue->timer.kind = ARL_TIMER_QUEUE;
    *out = queue;
    return 0;

no_slot:
    arl_timers_unreserve(&engine->timers, &engine->settings);
no_room:
    arl_mem_free(&engine->settings, queue);
    return ARL_ENOMEM;
}

static void free_queue(struct arl_engine *engine, struct arl_waitq *queue)
{
    arl_timers_unset(&engine->timers, &queue->timer);
    arl_timers_unreserve(&engine->timers, &engine->settings);
    arl_timers_free(&queue->schedule, &engine->settings);
    arl_table_remove(&engine->table, &engine->settings, &queue->slot);
    arl_link_remove(&queue->link);
    arl_mem_free(&engine->settings, queue);
}

void arl_waitq_del(struct arl_engine *engine, struct arl_waitq *queue)
{
    struct arl_link *link;
    while ((link = arl_list_first(&queue->waiters)) != NULL) {
        struct arl_handle *handle = ARL_OF(link, struct arl_handle, link);
        arl_waitq_unlink(engine, handle);
        arl_handle_free(engine, handle);
    }
    if (queue->holder != NULL)
        arl_handle_free(engine, queue->holder);
    if (queue->token != NULL)
        arl_token_forget(engine, queue->token);
    if (queue->claim.token != NULL)
        arl_token_forget(engine, queue->claim.token);
    free_queue(engine, queue);
}

static bool is_needed(const struct arl_waitq *queue)
{
    return queue->waiter_count > 0 || queue->holder != NULL || queue->tokens > 0 || queue->pause_until != 0;
}

/* ---- waiters ---- */

struct arl_handle *arl_waitq_head(const struct arl_waitq *queue)
{
    struct arl_link *first = arl_list_first(&queue->waiters);
    return first != NULL ? ARL_OF(first, struct arl_handle, link) : NULL;
}

bool arl_handle_has_schedule(const struct arl_handle *handle)
{
    return !handle->once && !handle->has_patience && handle->tries != ARL_TRIES_WITHOUT_LIMIT;
}

bool arl_waitq_is_unified(const struct arl_waitq *queue)
{
    return queue->waiter_count == 1 && arl_handle_has_schedule(arl_waitq_head(queue));
}

static void link_waiter(struct arl_engine *engine, struct arl_handle *handle)
{
    handle->state = ARL_WAITING;
    handle->queue->waiter_count++;
    engine->waiting++;
}

void arl_waitq_join(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *handle, arl_ns now)
{
    bool alone = queue->waiter_count == 0 && queue->holder == NULL;
    handle->queue = queue;
    arl_list_push(&queue->waiters, &handle->link);
    link_waiter(engine, handle);
    if (alone)
        arl_claim_restart(&queue->claim);
    else if (arl_handle_has_schedule(handle)) /* its first try falls due now, without a round trip */
        arl_timers_set(&queue->schedule, &handle->schedule, arl_schedule_time(queue, now));
}

void arl_waitq_unlink(struct arl_engine *engine, struct arl_handle *handle)
{
    arl_link_remove(&handle->link);
    handle->queue->waiter_count--;
    engine->waiting--;
    arl_timers_unset(&handle->queue->schedule, &handle->schedule);
    arl_timers_unset(&engine->timers, &handle->patience);
}

void arl_waitq_rejoin(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *handle)
{
    arl_notice_withdraw(&handle->notice);
    arl_list_push_front(&queue->waiters, &handle->link);
    link_waiter(engine, handle);
    if (handle->has_patience)
        arl_timers_set(&engine->timers, &handle->patience, arl_ns_add(handle->patience_until, ARL_EARLY));
}

void arl_waitq_fail(struct arl_engine *engine, struct arl_waitq *queue, enum arl_cause cause)
{
    while (queue->waiter_count > 0)
        arl_handle_end(engine, arl_waitq_head(queue), cause);
}

/* ---- time ---- */

static arl_ns deadline(const struct arl_engine *engine, const struct arl_waitq *queue)
{
    arl_ns at = arl_hold_deadline(engine, queue);
    at = arl_ns_min(at, arl_claim_deadline(engine, queue));
    at = arl_ns_min(at, arl_schedule_deadline(queue));
    return queue->pause_until == 0 ? at : arl_ns_min(at, queue->pause_until);
}

void arl_waitq_arm(struct arl_engine *engine, struct arl_waitq *queue)
{
    arl_timers_set(&engine->timers, &queue->timer, deadline(engine, queue));
}

void arl_waitq_down(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    (void)engine;
    arl_claim_down(queue, now);
    arl_hold_down(queue, now);
}

void arl_waitq_up(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    arl_claim_up(queue);
    arl_hold_up(queue, now);
    arl_waitq_step(engine, queue, now);
}

static void fail_if_silent(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    arl_ns since = queue->claim.silent_since;
    if (queue->holder == NULL && queue->waiter_count > 0 && since != ARL_NEVER &&
        arl_ns_add(since, arl_engine_silence(engine)) <= now)
        arl_waitq_fail(engine, queue, ARL_NO_ANSWER);
}

void arl_waitq_tick(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    if (queue->holder != NULL && now >= queue->lease.valid_until)
        arl_hold_lose(engine, queue, false, now);
    else if (queue->holder != NULL && arl_hold_renewal_is_overdue(queue, now))
        arl_engine_want_reset(engine);
    arl_hold_show(queue, now);
    fail_if_silent(engine, queue, now);
    arl_waitq_step(engine, queue, now);
}

void arl_waitq_step(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    arl_hold_end_pause(queue, now);
    arl_schedule_run(queue, now);
    arl_schedule_count(engine, queue, now);
    int error = arl_claim_step(engine, queue, now);
    if (error != 0) {
        arl_waitq_fail(engine, queue, error == ARL_ENOMEM ? ARL_NO_MEMORY : ARL_NO_ENTROPY);
        (void)arl_claim_step(engine, queue, now); /* nobody waits now: it only clears up */
    }
    arl_hold_queue_renewal(engine, queue, now);
    arl_schedule_run(queue, now);
    if (is_needed(queue))
        arl_waitq_arm(engine, queue);
    else
        free_queue(engine, queue);
}
