/* schedule.h - the documented tries of the waiters of one wait queue, counted without a round trip.
 *
 * A schedule advances only while K is known to be held: by a holder of this process, or since the living
 * connection's last TRY was answered "no". Its time is therefore the wait queue's own: it stands still else. */
#ifndef ARL_SCHEDULE_H
#define ARL_SCHEDULE_H

#include "arl.h"

struct arl_engine;
struct arl_waitq;

/* Schedule time (ns) at `now`: how long K was known to be held while this wait queue existed. */
arl_ns arl_schedule_time(const struct arl_waitq *queue, arl_ns now);

/* Lets it run or stand still, by what is known of K now. */
void arl_schedule_run(struct arl_waitq *queue, arl_ns now);

/* Tries that fell due are counted as failed, and waiters that have no more give up. The one try that is not
 * counted here is that of a lone waiter without a holder: it is the wait queue's TRY (arl_waitq_is_unified). */
void arl_schedule_count(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now);

/* When (ns) the next try falls due; ARL_NEVER while it stands still. */
arl_ns arl_schedule_deadline(const struct arl_waitq *queue);

#endif
