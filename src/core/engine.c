#include "engine.h"

#include "ask.h"
#include "hold.h"
#include "mem.h"
#include "settle.h"
#include "waitq.h"

/* ---- life ---- */

struct arl_engine *arl_engine_new(const struct arl_settings *settings)
{
    struct arl_engine *engine = arl_mem_new(settings, sizeof(*engine));
    if (engine == NULL)
        return NULL;
    engine->settings = *settings;
    engine->random.state = settings->seed;
    engine->table.seed = settings->seed;
    arl_outbox_init(&engine->outbox);
    arl_link_init(&engine->queues);
    arl_link_init(&engine->settles);
    arl_link_init(&engine->asks);
    arl_link_init(&engine->notices);
    arl_watch_init(&engine->watch);
    return engine;
}

/* Every request comes out of the outbox; records that only waited for an answer are freed. */
static void empty_outbox(struct arl_engine *engine)
{
    struct arl_request *request;
    for (int class = 0; class < ARL_CLASSES; class ++) {
        struct arl_link *link;
        while ((link = arl_list_first(&engine->outbox.queued[class])) != NULL)
            arl_outbox_unqueue(ARL_OF(link, struct arl_request, link));
    }
    while ((request = arl_outbox_answered(&engine->outbox)) != NULL) {
        switch ((enum arl_purpose)request->purpose) {
        case ARL_FOR_CLAIM_TRY:
        case ARL_FOR_SETTLE:
            arl_token_collect(engine, ARL_OF(request, struct arl_token, main));
            break;
        case ARL_FOR_CLAIM_DOUBT:
        case ARL_FOR_LEASE:
            arl_token_collect(engine, ARL_OF(request, struct arl_token, renew));
            break;
        case ARL_FOR_ASK:
            arl_ask_collect(engine, ARL_OF(request, struct arl_ask, request));
            break;
        }
    }
    engine->outbox.recovering = false;
}

void arl_engine_del(struct arl_engine *engine)
{
    struct arl_link *link;
    if (engine == NULL)
        return;
    arl_watch_down(engine, 0);
    empty_outbox(engine);
    while ((link = arl_list_first(&engine->asks)) != NULL)
        arl_ask_drop(engine, ARL_OF(link, struct arl_ask, link));
    while ((link = arl_list_pop(&engine->settles)) != NULL) {
        struct arl_token *token = ARL_OF(link, struct arl_token, settle);
        if (token->releaser != NULL)
            arl_handle_free(engine, token->releaser);
        arl_token_forget(engine, token);
    }
    while ((link = arl_list_first(&engine->queues)) != NULL)
        arl_waitq_del(engine, ARL_OF(link, struct arl_waitq, link));
    arl_table_free(&engine->table, &engine->settings);
    arl_timers_free(&engine->timers, &engine->settings);
    const struct arl_settings settings = engine->settings;
    arl_mem_free(&settings, engine);
}

void arl_engine_set_reply_timeout(struct arl_engine *engine, arl_ns reply_timeout)
{
    engine->settings.reply_timeout = reply_timeout;
}

/* Calls `visit` for each wait queue; it may free the one it is called for, no other. */
static void each_queue(struct arl_engine *engine,
                       void (*visit)(struct arl_engine *, struct arl_waitq *, arl_ns), arl_ns now)
{
    struct arl_link *next;
    for (struct arl_link *link = engine->queues.next; link != &engine->queues; link = next) {
        next = link->next;
        visit(engine, ARL_OF(link, struct arl_waitq, link), now);
    }
}

static void close_queue(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_handle *holder = queue->holder;
    arl_waitq_fail(engine, queue, ARL_CLOSED);
    if (holder != NULL) {
        arl_hold_leave(engine, queue, NULL, now);
        arl_handle_end(engine, holder, ARL_CLOSED);
    }
    arl_waitq_step(engine, queue, now);
}

void arl_engine_close(struct arl_engine *engine, arl_ns now)
{
    engine->closed = true;
    arl_ask_fail(engine, ARL_CLOSED);
    each_queue(engine, close_queue, now);
}

/* ---- events ---- */

void arl_notice_init(struct arl_notice *notice)
{
    arl_link_init(&notice->link);
}

void arl_notice_give(struct arl_engine *engine, struct arl_notice *notice, enum arl_event_kind kind)
{
    notice->kind = (uint8_t)kind;
    arl_link_remove(&notice->link);
    arl_list_push(&engine->notices, &notice->link);
}

void arl_notice_withdraw(struct arl_notice *notice)
{
    arl_link_remove(&notice->link);
}

void arl_engine_want_reset(struct arl_engine *engine)
{
    if (engine->up)
        engine->reset_wanted = true;
}

arl_ns arl_engine_silence(const struct arl_engine *engine)
{
    return arl_ns_add(engine->settings.reply_timeout, engine->settings.reply_timeout / 2);
}

bool arl_engine_next_event(struct arl_engine *engine, struct arl_event *out)
{
    *out = (struct arl_event){0};
    struct arl_link *link = arl_list_pop(&engine->notices);
    if (link != NULL) {
        struct arl_notice *notice = ARL_OF(link, struct arl_notice, link);
        out->kind = (enum arl_event_kind)notice->kind;
        if (out->kind == ARL_EVENT_ANSWERED) {
            out->ask = ARL_OF(notice, struct arl_ask, notice);
            out->owner = out->ask->owner;
            out->cause = (enum arl_cause)out->ask->cause;
        } else {
            out->handle = ARL_OF(notice, struct arl_handle, notice);
            out->owner = out->handle->owner;
            out->cause = (enum arl_cause)out->handle->cause;
        }
        return true;
    }
    if (engine->slow_wanted && !engine->slow_told) {
        engine->slow_told = true;
        out->kind = ARL_EVENT_SLOW;
        return true;
    }
    if (engine->watch.stalled_for != 0) {
        out->kind = ARL_EVENT_STALLED;
        out->stalled_for = engine->watch.stalled_for;
        engine->watch.stalled_for = 0;
        return true;
    }
    if (engine->reset_wanted && !engine->reset_told) {
        engine->reset_told = true;
        out->kind = ARL_EVENT_RESET;
        return true;
    }
    return false;
}

/* ---- inputs of the owner ---- */

static struct arl_handle *new_handle(struct arl_engine *engine, const struct arl_want *want, void *owner,
                                     arl_ns now)
{
    struct arl_handle *handle = arl_mem_new(&engine->settings, sizeof(*handle));
    if (handle == NULL)
        return NULL;
    arl_link_init(&handle->link);
    arl_notice_init(&handle->notice);
    handle->owner = owner;
    handle->ttl = want->ttl;
    handle->sleep_low = want->sleep_low;
    handle->sleep_high = want->sleep_high;
    handle->tries = want->tries;
    handle->stall_limit = want->stall_limit;
    handle->once = want->once;
    handle->patience.kind = ARL_TIMER_HANDLE;
    handle->state = ARL_ENDED; /* until it joins its wait queue */
    if (!want->once && want->patience != ARL_NEVER) {
        if (arl_timers_reserve(&engine->timers, &engine->settings) != 0) {
            arl_mem_free(&engine->settings, handle);
            return NULL;
        }
        handle->has_patience = true;
        handle->patience_until = arl_ns_add(now, want->patience);
    }
    return handle;
}

static int join(struct arl_engine *engine, const struct arl_want *want, struct arl_handle *handle, arl_ns now)
{
    struct arl_waitq *queue;
    int error = arl_waitq_get(engine, want->key, want->key_length, &queue);
    if (error != 0)
        return error;
    if (arl_handle_has_schedule(handle))
        error = arl_timers_reserve(&queue->schedule, &engine->settings);
    if (error != 0) {
        arl_waitq_step(engine, queue, now);
        return error;
    }
    bool taken = queue->holder != NULL || queue->waiter_count > 0;
    arl_waitq_join(engine, queue, handle, now);
    if (handle->has_patience)
        arl_timers_set(&engine->timers, &handle->patience, arl_ns_add(handle->patience_until, ARL_EARLY));
    if (handle->once && taken)
        arl_handle_end(engine, handle, ARL_GAVE_UP);
    arl_waitq_step(engine, queue, now);
    return 0;
}

int arl_engine_acquire(struct arl_engine *engine, const struct arl_want *want, void *owner, arl_ns now,
                       struct arl_handle **out)
{
    if (engine->closed)
        return ARL_ECLOSED;
    struct arl_handle *handle = new_handle(engine, want, owner, now);
    if (handle == NULL)
        return ARL_ENOMEM;
    if (arl_handle_has_schedule(handle) && want->tries == 0) {
        arl_handle_end(engine, handle, ARL_GAVE_UP);
    } else {
        int error = join(engine, want, handle, now);
        if (error != 0) {
            arl_handle_free(engine, handle);
            return error;
        }
    }
    *out = handle;
    return 0;
}

bool arl_engine_confirm(struct arl_engine *engine, struct arl_handle *handle, arl_ns now)
{
    bool valid = arl_engine_look(engine, handle, now);
    if (valid && handle->state == ARL_GRANTED) {
        handle->state = ARL_HELD;
        engine->counters.acquired++;
    }
    return valid;
}

bool arl_engine_look(struct arl_engine *engine, struct arl_handle *handle, arl_ns now)
{
    return arl_engine_remaining(engine, handle, now) > 0;
}

arl_ns arl_engine_remaining(struct arl_engine *engine, struct arl_handle *handle, arl_ns now)
{
    if (handle->state != ARL_GRANTED && handle->state != ARL_HELD)
        return 0;
    struct arl_waitq *queue = handle->queue;
    if (now < queue->lease.valid_until)
        return queue->lease.valid_until - now;
    arl_hold_lose(engine, queue, false, now);
    arl_waitq_step(engine, queue, now);
    return 0;
}

int arl_engine_release(struct arl_engine *engine, struct arl_handle *handle, arl_ns now)
{
    if (!arl_engine_look(engine, handle, now))
        return ARL_ENOTHELD;
    struct arl_waitq *queue = handle->queue;
    arl_notice_withdraw(&handle->notice);
    if (arl_hold_leave(engine, queue, handle, now)) {
        arl_handle_end(engine, handle, ARL_DONE);
        arl_notice_withdraw(&handle->notice);
    } else {
        handle->state = ARL_RELEASING;
    }
    arl_waitq_step(engine, queue, now);
    return 0;
}

void arl_engine_drop(struct arl_engine *engine, struct arl_handle *handle, arl_ns now)
{
    struct arl_waitq *queue = handle->queue;
    switch ((enum arl_state)handle->state) {
    case ARL_WAITING:
        arl_waitq_unlink(engine, handle);
        break;
    case ARL_GRANTED:
    case ARL_HELD:
        if (arl_hold_is_valid(queue, now))
            arl_hold_leave(engine, queue, NULL, now);
        else
            arl_hold_drop_lost(engine, queue, now);
        break;
    case ARL_RELEASING:
        handle->releasing->releaser = NULL;
        break;
    case ARL_ENDED:
        break;
    }
    arl_handle_leave_queue(engine, handle);
    arl_handle_free(engine, handle);
    if (queue != NULL)
        arl_waitq_step(engine, queue, now);
}

int arl_engine_extend(struct arl_engine *engine, struct arl_handle *handle, arl_ns ttl, void *owner,
                      arl_ns now, struct arl_ask **out)
{
    if (!arl_engine_look(engine, handle, now))
        return ARL_ENOTHELD;
    return arl_ask_extend(engine, handle->queue, ttl, owner, now, out);
}

int arl_engine_peek(struct arl_engine *engine, const char *key, size_t key_length, void *owner, arl_ns now,
                    struct arl_ask **out)
{
    if (engine->closed)
        return ARL_ECLOSED;
    return arl_ask_peek(engine, key, key_length, owner, now, out);
}

void arl_engine_drop_ask(struct arl_engine *engine, struct arl_ask *ask)
{
    arl_ask_drop(engine, ask);
}

/* ---- inputs of the connection ---- */

void arl_engine_up(struct arl_engine *engine, arl_ns now)
{
    arl_watch_turned(engine, now);
    engine->up = true;
    engine->reset_wanted = engine->reset_told = false;
    engine->slow_wanted = engine->slow_told = false;
    arl_settle_up(engine);
    arl_ask_up(engine);
    each_queue(engine, arl_waitq_up, now);
    engine->outbox.recovering = true;
}

void arl_engine_down(struct arl_engine *engine, arl_ns now)
{
    arl_watch_turned(engine, now);
    if (!engine->up)
        return;
    engine->up = false;
    engine->reset_wanted = engine->reset_told = false;
    arl_engine_doubt_unanswered(engine, now);
    each_queue(engine, arl_waitq_down, now);
    for (struct arl_link *link = engine->settles.next; link != &engine->settles; link = link->next)
        arl_settle_down(engine, ARL_OF(link, struct arl_token, settle));
    for (struct arl_link *link = engine->asks.next; link != &engine->asks; link = link->next)
        arl_ask_down(ARL_OF(link, struct arl_ask, link));
    empty_outbox(engine);
    each_queue(engine, arl_waitq_step, now);
}

static void unreachable_queue(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    if (!arl_hold_is_valid(queue, now)) /* behind a valid lease of ours they can still be served */
        arl_waitq_fail(engine, queue, ARL_UNREACHABLE);
    arl_waitq_step(engine, queue, now);
}

void arl_engine_unreachable(struct arl_engine *engine, arl_ns now)
{
    arl_watch_turned(engine, now);
    arl_ask_fail(engine, ARL_UNREACHABLE);
    arl_settle_fail(engine, ARL_UNREACHABLE);
    each_queue(engine, unreachable_queue, now);
}

/* ---- time ---- */

static arl_ns reply_deadline(const struct arl_engine *engine)
{
    const struct arl_request *oldest = arl_outbox_oldest(&engine->outbox);
    if (oldest == NULL || engine->reset_wanted)
        return ARL_NEVER;
    return arl_ns_add(arl_ns_add(oldest->sent_at, engine->settings.reply_timeout), ARL_EARLY);
}

static void timer_fired(struct arl_engine *engine, struct arl_timer *timer, arl_ns now)
{
    switch ((enum arl_timer_kind)timer->kind) {
    case ARL_TIMER_QUEUE:
        arl_waitq_tick(engine, ARL_OF(timer, struct arl_waitq, timer), now);
        break;
    case ARL_TIMER_TOKEN:
        arl_settle_tick(engine, ARL_OF(timer, struct arl_token, timer), now);
        break;
    case ARL_TIMER_HANDLE: {
        struct arl_handle *handle = ARL_OF(timer, struct arl_handle, patience);
        struct arl_waitq *queue = handle->queue;
        arl_handle_end(engine, handle, ARL_GAVE_UP);
        arl_waitq_step(engine, queue, now);
        break;
    }
    }
}

void arl_engine_tick(struct arl_engine *engine, arl_ns now)
{
    struct arl_timer *first;
    arl_ns due = arl_ns_add(now, ARL_EARLY);
    arl_watch_turned(engine, now);
    if (reply_deadline(engine) <= due)
        arl_engine_want_reset(engine);
    arl_ask_tick(engine, now);
    while ((first = arl_timers_first(&engine->timers)) != NULL && first->at <= due) {
        arl_timers_unset(&engine->timers, first);
        timer_fired(engine, first, now);
    }
}

arl_ns arl_engine_deadline(const struct arl_engine *engine)
{
    arl_ns at = arl_ns_min(arl_timers_deadline(&engine->timers), reply_deadline(engine));
    return arl_ns_min(at, arl_ask_deadline(engine));
}

bool arl_engine_wants_connection(const struct arl_engine *engine)
{
    return engine->waiting > 0 || engine->held > 0 || engine->owed > 0 || !arl_link_alone(&engine->asks);
}

bool arl_engine_holds(const struct arl_engine *engine)
{
    return engine->held > 0;
}

void arl_engine_count(const struct arl_engine *engine, struct arl_counters *out)
{
    *out = engine->counters;
}

size_t arl_engine_waiting_now(const struct arl_engine *engine)
{
    return engine->waiting;
}

size_t arl_engine_held_now(const struct arl_engine *engine)
{
    return engine->held;
}
