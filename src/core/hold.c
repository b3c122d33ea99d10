#include "hold.h"

#include "ask.h"
#include "schedule.h"
#include "settle.h"
#include "waitq.h"
#include "watch.h"

/* ---- pauses of the turn ---- */

bool arl_hold_pauses(const struct arl_waitq *queue, arl_ns now)
{
    return queue->pause_until != 0 && queue->pause_until > arl_ns_add(now, ARL_EARLY);
}

void arl_hold_pause_starts(struct arl_waitq *queue, arl_ns now)
{
    if (queue->pause_until != ARL_NEVER)
        return;
    queue->pause_until = arl_ns_add(now, queue->pause);
    queue->claim.silent_since = ARL_NEVER;
}

void arl_hold_end_pause(struct arl_waitq *queue, arl_ns now)
{
    if (queue->pause_until == 0 || arl_hold_pauses(queue, now))
        return;
    queue->pause_until = 0;
    queue->claim.at_once = true;
    queue->claim.after_pause = true;
}

/* ---- the lease ---- */

bool arl_hold_is_valid(const struct arl_waitq *queue, arl_ns now)
{
    return queue->holder != NULL && now < queue->lease.valid_until;
}

/* How long (ns) K may still hold the token: a RENEW under way may be executed only now. */
static arl_ns may_live_for(const struct arl_token *token, arl_ns now)
{
    arl_ns known = token->gone_at - now;
    return token->renew.state == ARL_UNANSWERED ? arl_ns_max(known, token->renew.ttl) : known;
}

/* The lease that queue->token stands for goes to the head, or back to the server where it cannot. */
static void deliver(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_handle *next = arl_waitq_head(queue);
    if (next == NULL || may_live_for(queue->token, now) > next->ttl) {
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
    arl_watch_held(engine, queue);
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

void arl_hold_granted(struct arl_engine *engine, struct arl_waitq *queue, struct arl_token *token,
                      arl_ns sent_at, arl_ns ttl, arl_ns now)
{
    start_turn(queue, now);
    queue->token = token;
    queue->lease = (struct arl_lease){.ttl = ttl};
    arl_lease_confirm(&queue->lease, sent_at, ttl, &engine->random);
    arl_request_init(&token->renew, ARL_RENEW, ARL_FOR_LEASE);
    deliver(engine, queue, now);
}

bool arl_hold_leave(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *releaser,
                    arl_ns now)
{
    struct arl_token *token = queue->token;
    /* K may get to live longer than we know */
    bool extended = token->extends > 0 || token->watch.state == ARL_UNANSWERED;
    bool held = queue->holder->state == ARL_HELD;
    engine->counters.released += held;
    queue->holder = NULL;
    engine->held--;
    arl_ask_end_of_hold(engine, token);
    const struct arl_handle *next = arl_waitq_head(queue);
    bool turn_is_over = now >= queue->turn_ends;
    if (next != NULL && !turn_is_over && !extended && !engine->closed) {
        deliver(engine, queue, now);
        if (queue->holder != NULL) {
            engine->counters.handed_off++;
            return true;
        }
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
    token->held = held;
    arl_settle_answer_to(engine, token, releaser, now);
    return false;
}

/* Belief is gone: no holder, no lease; waiters go on at once. The token is the caller's. */
static struct arl_token *end_lease(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_token *token = queue->token;
    arl_schedule_run(queue, now); /* while it is known until when K was held */
    engine->counters.lost += queue->holder->state == ARL_HELD;
    queue->holder = NULL;
    queue->token = NULL;
    engine->held--;
    arl_ask_end_of_hold(engine, token);
    queue->claim.at_once = true;
    queue->claim.busy = false;
    return token;
}

void arl_hold_lose(struct arl_engine *engine, struct arl_waitq *queue, bool told, arl_ns now)
{
    struct arl_handle *handle = queue->holder;
    struct arl_token *token = end_lease(engine, queue, now);
    if (handle->state == ARL_GRANTED)
        arl_waitq_rejoin(engine, queue, handle);
    else
        arl_handle_end(engine, handle, ARL_LOST);
    if (told)
        arl_settle_not_ours(engine, token, now);
    else
        arl_settle_owe(engine, token);
}

void arl_hold_drop_lost(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    arl_settle_owe(engine, end_lease(engine, queue, now));
}

/* ---- renewals ---- */

void arl_hold_queue_renewal(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    if (!engine->up || queue->holder == NULL || queue->lease.renew_at > arl_ns_add(now, ARL_EARLY))
        return;
    if (queue->token->renew.state != ARL_IDLE)
        return;
    arl_outbox_queue(&engine->outbox, &queue->token->renew);
    queue->lease.renew_at = ARL_NEVER;
}

void arl_hold_renewal_sent(struct arl_engine *engine, struct arl_token *token, struct arl_request *request,
                           arl_ns now)
{
    struct arl_waitq *queue = token->queue;
    request->ttl = queue->lease.ttl;
    arl_token_may_live(token, arl_ns_add(now, request->ttl));
    engine->counters.renewals++;
    arl_waitq_arm(engine, queue);
}

void arl_hold_renewed(struct arl_engine *engine, struct arl_token *token, enum arl_outcome outcome,
                      const struct arl_request *request, arl_ns now)
{
    struct arl_waitq *queue = token->queue;
    if (queue->token != token)
        return; /* released meanwhile: harmless by its compare (rule 3) */
    struct arl_lease *lease = &queue->lease;
    switch (outcome) {
    case ARL_YES:
        token->renew.whole_script = false;
        arl_lease_confirm(lease, request->sent_at, request->ttl, &engine->random);
        arl_watch_held(engine, queue);
        if (request->ttl < lease->ttl && lease->valid_until - now < lease->ttl / 2)
            lease->renew_at = now; /* handed on meanwhile, to one who asks for more */
        return;
    case ARL_NO:
    case ARL_WRONG_TYPE:
        arl_hold_lose(engine, queue, true, now);
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

void arl_hold_down(struct arl_waitq *queue, arl_ns now)
{
    if (queue->holder == NULL)
        return;
    queue->token->renew.whole_script = false;
    queue->lease.renew_at = now;
}

void arl_hold_up(struct arl_waitq *queue, arl_ns now)
{
    if (queue->holder != NULL)
        queue->lease.renew_at = now; /* the server behind a new connection may be another one: ask */
}

/* ---- time ---- */

bool arl_hold_renewal_is_overdue(const struct arl_waitq *queue, arl_ns now)
{
    const struct arl_request *renew = &queue->token->renew;
    return renew->state == ARL_UNANSWERED &&
           arl_ns_add(renew->sent_at, arl_lease_patience(&queue->lease)) <= now;
}

void arl_hold_show(struct arl_waitq *queue, arl_ns now)
{
    if (queue->holder != NULL && queue->lease.show_at <= arl_ns_add(now, ARL_EARLY))
        queue->lease.show_at = arl_ns_add(now, queue->lease.pace / 6);
}

/* What concerns loss is armed ARL_EARLY later, so that a timer that fires early never finds it just not over. */
arl_ns arl_hold_deadline(const struct arl_engine *engine, const struct arl_waitq *queue)
{
    if (queue->holder == NULL)
        return ARL_NEVER;
    const struct arl_request *renew = &queue->token->renew;
    arl_ns at = arl_ns_add(queue->lease.valid_until, ARL_EARLY);
    if (engine->up && renew->state == ARL_UNANSWERED && !engine->reset_wanted)
        at = arl_ns_min(at, arl_ns_add(renew->sent_at, arl_lease_patience(&queue->lease) + ARL_EARLY));
    if (engine->up && renew->state == ARL_IDLE) /* else renew_at is of the watchdog's renewal */
        at = arl_ns_min(at, queue->lease.renew_at);
    if (queue->holder->stall_limit > 0)
        at = arl_ns_min(at, queue->lease.show_at);
    return at;
}
