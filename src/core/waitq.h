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

/* The first turn (ns), how it grows while K is found free after each pause, and up to what. */
#define ARL_TURN_FIRST (50 * ARL_MS)
#define ARL_TURN_GROWN(turn) ((turn) / 10 * 13)
#define ARL_TURN_LAST (800 * ARL_MS)

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

struct arl_handle *arl_waitq_head(const struct arl_waitq *queue);

/* A pause of the turn is to come or runs at `now`: no TRY. */
bool arl_waitq_pauses(const struct arl_waitq *queue, arl_ns now);

/* One waiter with documented tries: its schedule and the wait queue's are one. */
bool arl_waitq_is_unified(const struct arl_waitq *queue);

/* Schedule time (ns) at `now`: how long K was known to be held while this wait queue existed. */
arl_ns arl_waitq_schedule_time(const struct arl_waitq *queue, arl_ns now);

/* Does the handle count tries by the documented schedule? */
bool arl_handle_has_schedule(const struct arl_handle *handle);

/* ---- changes of a handle's state; step the wait queue afterwards ---- */

/* ARL_WAITING, at the end of the queue. Room for its timers must have been reserved. */
void arl_waitq_join(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *handle,
                    arl_ns now);

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

/* ---- the lease ---- */

bool arl_waitq_is_held(const struct arl_waitq *queue, arl_ns now); /* a holder, and its lease valid */

/* The server granted the claim's token; its command was written at sent_at for ttl. Takes the token over. */
void arl_waitq_granted(struct arl_engine *engine, struct arl_waitq *queue, struct arl_token *token,
                       arl_ns sent_at, arl_ns ttl, arl_ns now);

/* The holder leaves: hands on (true) or owes RELEASE (false), answered to `releaser` if not NULL. The
 * holder's own state is the caller's to set. The lease must be valid. */
bool arl_waitq_leave(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *releaser,
                     arl_ns now);

/* The lease is over: `told` by the server (not ours), or else by time (RELEASE is owed). The holder is
 * lost, or, where it had not confirmed, waits again at the head. */
void arl_waitq_lose(struct arl_engine *engine, struct arl_waitq *queue, bool told, arl_ns now);

/* As above by time, where the holder itself has gone already: nobody is told. */
void arl_waitq_drop_lost(struct arl_engine *engine, struct arl_waitq *queue);

/* The renewal is written now: it asks for the holder's ex, and its deadline is to be watched. */
void arl_waitq_renewal_sent(struct arl_engine *engine, struct arl_token *token, struct arl_request *request,
                            arl_ns now);

/* Answer to a renewal of the lease, or of a former one of `token`. */
void arl_waitq_renewed(struct arl_engine *engine, struct arl_token *token, enum arl_outcome outcome,
                       const struct arl_request *request, arl_ns now);

/* The connection is gone (before the outbox forgets what was unanswered). / It stands again. */
void arl_waitq_down(struct arl_waitq *queue, arl_ns now);
void arl_waitq_up(struct arl_waitq *queue, arl_ns now);

/* The RELEASE that a pause waits for is answered or given up. */
void arl_waitq_pause_starts(struct arl_waitq *queue, arl_ns now);

#endif
