#include "schedule.h"

#include "hold.h"
#include "waitq.h"

/* A try that is only counted takes at least this long (ns), as a round trip would: pauses may be 0. */
#define TRY_COSTS ARL_MS

arl_ns arl_schedule_time(const struct arl_waitq *queue, arl_ns now)
{
    if (queue->schedule_since == ARL_NEVER)
        return queue->schedule_passed;
    if (queue->holder != NULL) /* not beyond the end of its lease, however late that is seen */
        now = arl_ns_max(arl_ns_min(now, queue->lease.valid_until), queue->schedule_since);
    return queue->schedule_passed + (now - queue->schedule_since);
}

void arl_schedule_run(struct arl_waitq *queue, arl_ns now)
{
    bool known_held =
        arl_hold_is_valid(queue, now) || (queue->holder == NULL && queue->claim.busy &&
                                          queue->claim.state == ARL_CLAIM_IDLE && queue->pause_until == 0);
    if (known_held && queue->schedule_since == ARL_NEVER) {
        queue->schedule_since = now;
    } else if (!known_held && queue->schedule_since != ARL_NEVER) {
        queue->schedule_passed = arl_schedule_time(queue, now);
        queue->schedule_since = ARL_NEVER;
    }
}

/* The first timer's handle has a try that fell due by `passed`: it is counted as failed. */
static void count_tries(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *handle,
                        arl_ns passed)
{
    struct arl_timer *timer = &handle->schedule;
    arl_ns pause = arl_backoff_pause(&engine->random, handle->failed, handle->sleep_low, handle->sleep_high);
    int64_t due = 1;
    if (handle->sleep_low + handle->sleep_high <= 1) /* pauses never grow: after a long stall all at once */
        due = arl_ns_min(1 + (passed - timer->at) / TRY_COSTS, handle->tries - handle->failed);
    handle->failed += due;
    arl_timers_set(&queue->schedule, timer, arl_ns_add(timer->at, due * arl_ns_max(pause, TRY_COSTS)));
}

void arl_schedule_count(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now)
{
    struct arl_timer *first;
    arl_ns passed = arl_ns_add(arl_schedule_time(queue, now), ARL_EARLY);
    while (queue->schedule_since != ARL_NEVER && (first = arl_timers_first(&queue->schedule)) != NULL &&
           first->at <= passed) {
        struct arl_handle *handle = ARL_OF(first, struct arl_handle, schedule);
        if (handle->failed >= handle->tries) {
            arl_handle_end(engine, handle, ARL_GAVE_UP);
        } else if (queue->holder == NULL && arl_waitq_is_unified(queue)) {
            arl_timers_unset(&queue->schedule, first); /* the claim sees that its try is due */
        } else {
            count_tries(engine, queue, handle, passed);
        }
    }
}

arl_ns arl_schedule_deadline(const struct arl_waitq *queue)
{
    if (queue->schedule_since == ARL_NEVER)
        return ARL_NEVER;
    arl_ns first = arl_timers_deadline(&queue->schedule);
    return first == ARL_NEVER ? ARL_NEVER : arl_ns_add(queue->schedule_since, first - queue->schedule_passed);
}
