#include "waitq.h"

#include <string.h>

#include "ask.h"
#include "mem.h"
#include "settle.h"

/* A try that is only counted takes at least this long (ns), as a round trip would: pauses may be 0. */
#define TRY_COSTS ARL_MS

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
        arl_timers_set(&queue->schedule, &handle->schedule, arl_waitq_schedule_time(queue, now));
}

void arl_waitq_unlink(struct arl_engine *engine, struct arl_handle *handle)
{
    arl_link_remove(&handle->link);
    handle->queue->waiter_count--;
    engine->waiting--;
    arl_timers_unset(&handle->queue->schedule, &handle->schedule);
    arl_timers_unset(&engine->timers, &handle->patience);
}

/* Back to the head: it was granted a lease that was over before its task ran (rule 1). */
static void rejoin(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *handle)
{
    struct arl_handle *former = arl_waitq_head(queue);
    if (former != NULL && arl_handle_has_schedule(former) && former->schedule.place == 0)
        arl_timers_set(&queue->schedule, &former->schedule, queue->schedule_passed);
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

/* ---- the waiters' schedules run only while K is known to be held ---- */

arl_ns arl_waitq_schedule_time(const struct arl_waitq *queue, arl_ns now)
{
    if (queue->schedule_since == ARL_NEVER)
        return queue->schedule_passed;
    return queue->schedule_passed + (now - queue->schedule_since);
}

static void run_schedule(const struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    bool known_held =
        arl_waitq_is_held(queue, now) || (queue->holder == NULL && engine->up && queue->claim.busy &&
                                          queue->claim.state == ARL_CLAIM_IDLE && queue->pause_until == 0);
    if (known_held && queue->schedule_since == ARL_NEVER) {
        queue->schedule_since = now;
    } else if (!known_held && queue->schedule_since != ARL_NEVER) {
        queue->schedule_passed = arl_waitq_schedule_time(queue, now);
        queue->schedule_since = ARL_NEVER;
    }
}

/* Tries fall due one at a time: counted here, but for the one TRY that a lone waiter sends itself. */
static void count_tries(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_timer *first;
    arl_ns passed = arl_ns_add(arl_waitq_schedule_time(queue, now), ARL_EARLY);
    while (queue->schedule_since != ARL_NEVER && (first = arl_timers_first(&queue->schedule)) != NULL &&
           first->at <= passed) {
        struct arl_handle *handle = ARL_OF(first, struct arl_handle, schedule);
        if (handle->failed >= handle->tries) {
            arl_handle_end(engine, handle, ARL_GAVE_UP);
        } else if (queue->holder == NULL && arl_waitq_is_unified(queue)) {
            arl_timers_unset(&queue->schedule, first); /* the claim sees that its try is due */
        } else {
            arl_ns pause =
                arl_backoff_pause(&engine->random, handle->failed, handle->sleep_low, handle->sleep_high);
            handle->failed++;
            arl_timers_set(&queue->schedule, first, arl_ns_add(first->at, arl_ns_max(pause, TRY_COSTS)));
        }
    }
}

static arl_ns schedule_deadline(const struct arl_waitq *queue)
{
    if (queue->schedule_since == ARL_NEVER)
        return ARL_NEVER;
    arl_ns first = arl_timers_deadline(&queue->schedule);
    return first == ARL_NEVER ? ARL_NEVER : arl_ns_add(queue->schedule_since, first - queue->schedule_passed);
}

/* ---- pauses of the turn ---- */

bool arl_waitq_pauses(const struct arl_waitq *queue, arl_ns now)
{
    return queue->pause_until != 0 && queue->pause_until > arl_ns_add(now, ARL_EARLY);
}

void arl_waitq_pause_starts(struct arl_waitq *queue, arl_ns now)
{
    if (queue->pause_until == ARL_NEVER)
        queue->pause_until = arl_ns_add(now, queue->pause);
}

static void end_pause(struct arl_waitq *queue, arl_ns now)
{
    if (queue->pause_until == 0 || arl_waitq_pauses(queue, now))
        return;
    queue->pause_until = 0;
    queue->claim.at_once = true;
    queue->claim.after_pause = true;
}

/* ---- the lease ---- */

bool arl_waitq_is_held(const struct arl_waitq *queue, arl_ns now)
{
    return queue->holder != NULL && now < queue->lease.valid_until;
}

/* The lease that queue->token stands for goes to the head, or back to the server where it cannot. */
static void deliver(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_handle *next = arl_waitq_head(queue);
    if (next == NULL || queue->token->gone_at - now > next->ttl) {
        /* Nobody wants it, or K would outlive its holder's ex after a crash: RELEASE, and TRY in the same write. */
        struct arl_token *token = queue->token;
        queue->token = NULL;
        queue->turn_continues = next != NULL;
        queue->claim.at_once = true;
        arl_settle_owe(engine, token);
        return;
    }
    arl_waitq_unlink(engine, next);
    next->state = ARL_GRANTED;
    queue->holder = next;
    engine->held++;
    arl_lease_pass(&queue->lease, next->ttl, now);
    arl_notice_give(engine, &next->notice, ARL_EVENT_GRANTED);
}

static void start_turn(struct arl_waitq *queue, arl_ns now)
{
    if (queue->claim.after_pause)
        queue->turn = arl_ns_min(ARL_TURN_GROWN(queue->turn), ARL_TURN_LAST);
    queue->claim.after_pause = false;
    if (!queue->turn_continues)
        queue->turn_ends = arl_ns_add(now, queue->turn);
    queue->turn_continues = false;
}

void arl_waitq_granted(struct arl_engine *engine, struct arl_waitq *queue, struct arl_token *token,
                       arl_ns sent_at, arl_ns ttl, arl_ns now)
{
    start_turn(queue, now);
    queue->token = token;
    queue->lease = (struct arl_lease){.ttl = ttl};
    arl_lease_confirm(&queue->lease, sent_at, ttl, &engine->random);
    arl_request_init(&token->renew, ARL_RENEW, ARL_FOR_LEASE);
    deliver(engine, queue, now);
}

bool arl_waitq_leave(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *releaser,
                     arl_ns now)
{
    struct arl_token *token = queue->token;
    bool extended = token->extends > 0; /* K may get to live longer than we know */
    queue->holder = NULL;
    engine->held--;
    arl_ask_end_of_hold(engine, token);
    const struct arl_handle *next = arl_waitq_head(queue);
    bool turn_is_over = now >= queue->turn_ends;
    if (next != NULL && !turn_is_over && !extended && !engine->closed) {
        deliver(engine, queue, now);
        if (queue->holder != NULL)
            return true;
    } else {
        queue->token = NULL;
        if (next != NULL && turn_is_over) {
            queue->pause = arl_random_between(&engine->random, next->sleep_low, next->sleep_high);
            queue->pause_until = ARL_NEVER;
            token->starts_pause = true;
        }
        queue->turn_continues = next != NULL && !turn_is_over;
        queue->claim.at_once = true;
        arl_settle_owe(engine, token);
    }
    arl_settle_answer_to(engine, token, releaser, now);
    return false;
}

/* Belief is gone: no holder, no lease; waiters go on at once. The token is the caller's. */
static struct arl_token *end_lease(struct arl_engine *engine, struct arl_waitq *queue)
{
    struct arl_token *token = queue->token;
    queue->holder = NULL;
    queue->token = NULL;
    engine->held--;
    arl_ask_end_of_hold(engine, token);
    queue->claim.at_once = true;
    queue->claim.busy = false;
    return token;
}

void arl_waitq_lose(struct arl_engine *engine, struct arl_waitq *queue, bool told, arl_ns now)
{
    struct arl_handle *handle = queue->holder;
    struct arl_token *token = end_lease(engine, queue);
    if (handle->state == ARL_GRANTED)
        rejoin(engine, queue, handle);
    else
        arl_handle_end(engine, handle, ARL_LOST);
    if (told)
        arl_settle_not_ours(engine, token, now);
    else
        arl_settle_owe(engine, token);
}

void arl_waitq_drop_lost(struct arl_engine *engine, struct arl_waitq *queue)
{
    arl_settle_owe(engine, end_lease(engine, queue));
}

/* ---- renewals ---- */

static arl_ns deadline(const struct arl_engine *engine, const struct arl_waitq *queue);

static void queue_renewal(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    if (!engine->up || queue->holder == NULL || queue->lease.renew_at > arl_ns_add(now, ARL_EARLY))
        return;
    if (queue->token->renew.state != ARL_IDLE)
        return;
    arl_outbox_queue(&engine->outbox, &queue->token->renew);
    queue->lease.renew_at = ARL_NEVER;
}

void arl_waitq_renewal_sent(struct arl_engine *engine, struct arl_token *token, struct arl_request *request,
                            arl_ns now)
{
    struct arl_waitq *queue = token->queue;
    request->ttl = queue->lease.ttl;
    arl_token_may_live(token, arl_ns_add(now, request->ttl));
    arl_timers_set(&engine->timers, &queue->timer, deadline(engine, queue));
}

void arl_waitq_renewed(struct arl_engine *engine, struct arl_token *token, enum arl_outcome outcome,
                       const struct arl_request *request, arl_ns now)
{
    struct arl_waitq *queue = token->queue;
    if (queue == NULL || queue->token != token)
        return; /* released meanwhile: harmless by its compare (rule 3) */
    struct arl_lease *lease = &queue->lease;
    switch (outcome) {
    case ARL_YES:
        token->renew.whole_script = false;
        arl_token_may_live(token, arl_ns_add(now, request->ttl));
        arl_lease_confirm(lease, request->sent_at, request->ttl, &engine->random);
        if (request->ttl < lease->ttl && lease->valid_until - now < lease->ttl / 2)
            lease->renew_at = now; /* handed on meanwhile, to one who asks for more */
        return;
    case ARL_NO:
    case ARL_WRONG_TYPE:
        arl_waitq_lose(engine, queue, true, now);
        return;
    case ARL_NOT_EXECUTED:
        token->renew.whole_script = true;
        lease->renew_at = now;
        return;
    case ARL_STALE:
        arl_engine_want_reset(engine);
        lease->renew_at = now;
        return;
    case ARL_REFUSED:
    case ARL_BUSY:
    case ARL_UNKNOWN:
        lease->renew_at = arl_lease_retry_at(lease, now);
        return;
    }
}

void arl_waitq_down(struct arl_waitq *queue, arl_ns now)
{
    arl_claim_down(queue, now);
    if (queue->holder == NULL)
        return;
    if (queue->token->renew.state == ARL_UNANSWERED)
        arl_token_may_live(queue->token, arl_ns_add(now, queue->token->renew.ttl));
    queue->token->renew.whole_script = false;
    queue->lease.renew_at = now;
}

void arl_waitq_up(struct arl_waitq *queue, arl_ns now)
{
    arl_claim_up(queue);
    if (queue->holder != NULL)
        queue->lease.renew_at = now; /* the server behind a new connection may be another one: ask */
}

/* ---- time ---- */

static bool renewal_is_overdue(const struct arl_waitq *queue, arl_ns now)
{
    const struct arl_request *renew = &queue->token->renew;
    return renew->state == ARL_UNANSWERED &&
           arl_ns_add(renew->sent_at, arl_lease_patience(&queue->lease)) <= now;
}

/* What concerns loss is armed ARL_EARLY later, so that a timer that fires early never finds it just not over. */
static arl_ns lease_deadline(const struct arl_engine *engine, const struct arl_waitq *queue)
{
    if (queue->holder == NULL)
        return ARL_NEVER;
    const struct arl_request *renew = &queue->token->renew;
    arl_ns at = arl_ns_add(queue->lease.valid_until, ARL_EARLY);
    if (engine->up && renew->state == ARL_UNANSWERED && !engine->reset_wanted)
        at = arl_ns_min(at, arl_ns_add(renew->sent_at, arl_lease_patience(&queue->lease) + ARL_EARLY));
    if (engine->up)
        at = arl_ns_min(at, queue->lease.renew_at);
    return at;
}

static arl_ns deadline(const struct arl_engine *engine, const struct arl_waitq *queue)
{
    arl_ns at = lease_deadline(engine, queue);
    at = arl_ns_min(at, arl_claim_deadline(engine, queue));
    at = arl_ns_min(at, schedule_deadline(queue));
    return queue->pause_until == 0 ? at : arl_ns_min(at, queue->pause_until);
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
        arl_waitq_lose(engine, queue, false, now);
    else if (queue->holder != NULL && renewal_is_overdue(queue, now))
        arl_engine_want_reset(engine);
    fail_if_silent(engine, queue, now);
    arl_waitq_step(engine, queue, now);
}

void arl_waitq_step(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    end_pause(queue, now);
    run_schedule(engine, queue, now);
    count_tries(engine, queue, now);
    int error = arl_claim_step(engine, queue, now);
    if (error != 0) {
        arl_waitq_fail(engine, queue, error == ARL_ENOMEM ? ARL_NO_MEMORY : ARL_NO_ENTROPY);
        (void)arl_claim_step(engine, queue, now); /* nobody waits now: it only clears up */
    }
    queue_renewal(engine, queue, now);
    run_schedule(engine, queue, now);
    if (is_needed(queue))
        arl_timers_set(&engine->timers, &queue->timer, deadline(engine, queue));
    else
        free_queue(engine, queue);
}
