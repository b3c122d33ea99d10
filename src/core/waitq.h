/* waitq.h - who in this process wants one key, in order; the holder, the hand-off and its turns.
 *
 * A wait queue exists while somebody waits for or holds its key, its claim or a token of it is unsettled, or
 * a pause of its turn runs. arl_waitq_step ends every change: it lets the claim act, runs or stops the
 * waiters' schedules, arms the wait queue's one timer, and frees a wait queue that nobody needs. */
#ifndef ARL_WAITQ_H
#define ARL_WAITQ_H

#include "claim.h"
#include "engine.h"
#include "lease.h"
#include "table.h"
#include "timers.h"
#include "token.h"

struct arl_handle {
    struct arl_link link;    /* among the waiters while ARL_WAITING */
    struct arl_waitq *queue; /* NULL once ARL_ENDED */
    struct arl_notice notice;
    void *owner;
    arl_ns ttl;                  /* ns: ex */
    arl_ns sleep_low;            /* ns */
    arl_ns sleep_high;           /* ns */
    int64_t tries;               /* how many tries it has; ARL_TRIES_WITHOUT_LIMIT */
    int64_t failed;              /* how many failed by its own schedule */
    struct arl_timer schedule;   /* in queue->schedule: when the wait after its last failed try ends */
    struct arl_timer patience;   /* in the engine's timers: the end of blocking_timeout */
    arl_ns patience_until;       /* ns: when that is; valid where has_patience */
    arl_ns stall_limit;          /* ns: how long the watchdog may keep its lease; 0: it does not */
    struct arl_token *releasing; /* the token whose RELEASE it waits for, while ARL_RELEASING */
    uint8_t state;               /* enum arl_state */
    uint8_t cause;               /* enum arl_cause, once ARL_ENDED */
    bool once;                   /* gives up at the first "no" */
    bool has_patience;           /* room for the timer was reserved */
};

struct arl_waitq {
    struct arl_slot slot;    /* in the table; its key points behind this struct */
    struct arl_link link;    /* in engine->queues */
    struct arl_link waiters; /* handles ARL_WAITING, the head first */
    uint32_t waiter_count;
    uint32_t tokens;           /* token records that refer to this wait queue */
    struct arl_handle *holder; /* ARL_GRANTED or ARL_HELD; NULL: no lease */
    struct arl_token *token;   /* of the lease; owned; NULL without a holder */
    struct arl_lease lease;    /* valid while there is a holder */
    struct arl_claim claim;
    struct arl_timers
        schedule;           /* waiters' scheduled tries, in schedule time (ns that K was known to be held) */
    arl_ns schedule_passed; /* ns of schedule time up to schedule_since */
    arl_ns schedule_since;  /* ns: since when it runs; ARL_NEVER: it stands still */
    arl_ns turn_ends;       /* ns: the first holder to leave after this does not hand on */
    arl_ns turn;            /* ns: how long the next turn is */
    arl_ns pause;           /* ns: the drawn pause after a turn, while one is to come */
    arl_ns pause_until;     /* ns: 0 no pause; ARL_NEVER: it runs from RELEASE's answer */
    struct arl_timer timer; /* in the engine's timers */
    bool turn_continues;    /* RELEASE and TRY went out in one write: the turn is still the same */
};

/* The wait queue of a key, made where there is none: 0 or ARL_ENOMEM. Step it, or it stays for ever. */
int arl_waitq_get(struct arl_engine *engine, const char *key, size_t key_length, struct arl_waitq **out);

/* Frees the wait queue with all in it, whatever its state (the engine ends). */
void arl_waitq_del(struct arl_engine *engine, struct arl_waitq *queue);

/* See above. The wait queue may be gone afterwards. */
void arl_waitq_step(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now);

/* Its timer fired: does what is due, then steps. */
void arl_waitq_tick(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now);

/* Sets its timer for the earliest of what concerns it. */
void arl_waitq_arm(struct arl_engine *engine, struct arl_waitq *queue);

/* The connection is gone (before the outbox forgets what was unanswered; step later). / It stands again. */
void arl_waitq_down(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now);
void arl_waitq_up(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now);

struct arl_handle *arl_waitq_head(const struct arl_waitq *queue);

/* One waiter with documented tries: its schedule and the wait queue's are one. */
bool arl_waitq_is_unified(const struct arl_waitq *queue);

/* Does the handle count tries by the documented schedule? */
bool arl_handle_has_schedule(const struct arl_handle *handle);

/* ---- changes of a handle's state; step the wait queue afterwards ---- */

/* ARL_WAITING, at the end of the queue. Room for its timers must have been reserved. */
void arl_waitq_join(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *handle,
                    arl_ns now);

/* ARL_WAITING again, at the head: it was granted a lease that was over before its task ran (rule 1). */
void arl_waitq_rejoin(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *handle);

/* Out of the waiters; the state is the caller's to set. */
void arl_waitq_unlink(struct arl_engine *engine, struct arl_handle *handle);

/* It has nothing to do with its wait queue any more. */
void arl_handle_leave_queue(struct arl_engine *engine, struct arl_handle *handle);

/* Frees a handle that is in no list. */
void arl_handle_free(struct arl_engine *engine, struct arl_handle *handle);

/* ARL_ENDED for `cause`, with an event. */
void arl_handle_end(struct arl_engine *engine, struct arl_handle *handle, enum arl_cause cause);

/* Every waiter ends as `cause`. */
void arl_waitq_fail(struct arl_engine *engine, struct arl_waitq *queue, enum arl_cause cause);

#endif
