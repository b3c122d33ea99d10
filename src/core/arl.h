/* arl.h - all that the floors above may know of the core: locks and time, without Python, Redis bytes,
 * sockets, threads, clocks or randomness of its own.
 *
 * An engine holds the locks of one event loop on one server. It is a pure function of its inputs: each
 * input carries `now` (ns, arl_ns of ticks.h), nothing blocks or sends. After every input the owner drains
 *   1. events   (arl_engine_next_event): what happened to its handles and asks;
 *   2. requests (arl_engine_next_request): what to write, in this order, at the moment of writing;
 * and arms one timer for arl_engine_deadline.
 *
 * An engine is not locked: one thread at a time. Pointers to handles and asks are valid until dropped;
 * every one must be dropped before arl_engine_del. Functions that can fail return 0 or a negative ARL_E*.
 * Memory is only taken in arl_engine_new, _acquire, _extend, _peek and when a token is drawn; whatever is
 * owed later (releases, renewals, events) was reserved by then and cannot fail. */
#ifndef ARL_H
#define ARL_H

#include <stdbool.h>
#include <stddef.h>

#include "ticks.h"

#define ARL_TOKEN_SIZE 16 /* bytes of a token: a uuid of version 4 */

/* ---- errors: negative, text by arl_strerror ---- */

enum {
    ARL_ENOMEM = -1,   /* the injected allocator gave nothing; the input had no effect */
    ARL_ENOTHELD = -2, /* the handle holds no valid lease */
    ARL_EUNASKED = -3, /* a reply that no request waits for: drop the connection */
    ARL_EENTROPY = -4, /* the injected source of tokens failed */
    ARL_ECLOSED = -5   /* the engine was closed (arl_engine_close): nothing new is taken on */
};

/* Constant text for a code above (or 0); never NULL. */
const char *arl_strerror(int code);

/* ---- what is handed in ---- */

struct arl_settings {
    void *(*alloc)(void *ctx, size_t size); /* NULL when there is none; needs no GIL */
    void (*release)(void *ctx, void *memory);
    /* Fills a fresh uuid of version 4; 0, or negative where the system has no randomness to give. */
    int (*draw_token)(void *ctx, uint8_t token[ARL_TOKEN_SIZE]);
    void *ctx;            /* handed to the three above */
    uint64_t seed;        /* of pauses and jitter; any value */
    arl_ns reply_timeout; /* ns: deadline of every reply; > 0 */
};

#define ARL_TRIES_WITHOUT_LIMIT (-1)

/* What one acquire wants. The key is copied; the core never looks inside it. */
struct arl_want {
    const char *key; /* the user's key, without the prefix it has on the server */
    size_t key_length;
    arl_ns ttl;        /* ns: `ex` */
    arl_ns sleep_low;  /* ns: sleeptime_l */
    arl_ns sleep_high; /* ns: sleeptime_h, >= sleep_low */
    int64_t tries;     /* retry_count, or ARL_TRIES_WITHOUT_LIMIT; not looked at where `patience` is set */
    arl_ns patience;   /* ns: blocking_timeout > 0; ARL_NEVER: not set, `tries` decides */
    bool once;         /* blocking=False or blocking_timeout=0: one TRY and no wait after it */
    /* ns: for so long after the loop's last turn the watchdog may renew; 0: never; ARL_NEVER: without limit */
    arl_ns stall_limit;
};

/* ---- requests: the table of verbs; how each looks on the wire is resp's ---- */

enum arl_verb {
    ARL_TRY,     /* set K to token for ttl if K is free */
    ARL_RENEW,   /* K mine: it lasts ttl or what is left, whichever is more */
    ARL_RELEASE, /* K mine: delete it */
    ARL_PEEK,    /* does K exist */
    ARL_VERBS    /* how many there are */
};

struct arl_request_view {
    enum arl_verb verb;
    bool whole_script; /* the server did not know the script's digest: send its text */
    const char *key;   /* borrowed, valid until the next input */
    size_t key_length;
    const uint8_t *token; /* ARL_TOKEN_SIZE bytes, borrowed likewise; NULL for ARL_PEEK */
    arl_ns ttl;           /* ns, for TRY and RENEW; else 0 */
};

/* What a reply says, whatever the verb. Which reply is which outcome: resp/outcome.c's table. */
enum arl_outcome {
    ARL_YES,          /* set; mine and renewed; mine and deleted; K exists */
    ARL_NO,           /* K is taken; not mine; not mine; K does not exist */
    ARL_NOT_EXECUTED, /* the digest is unknown to the server: the engine decides again */
    ARL_WRONG_TYPE,   /* K holds another type: certainly not our token */
    ARL_REFUSED,      /* an error that lasts; certainly nothing was changed */
    ARL_BUSY,         /* an error that passes (LOADING, BUSY, ..); certainly nothing was changed */
    ARL_STALE,        /* this connection is of no more use (READONLY, NOAUTH, ..); nothing was changed */
    ARL_UNKNOWN       /* any other error: it may or may not have been executed */
};

/* ---- handles: one acquire, and the hold it leads to ---- */

struct arl_engine;
struct arl_handle;
struct arl_ask; /* an extend or a peek that waits for its answer */

enum arl_state {
    ARL_WAITING,   /* in its wait queue */
    ARL_GRANTED,   /* it got the lease; the owner has not confirmed yet (arl_engine_confirm) */
    ARL_HELD,      /* confirmed, and not known to be over: ask arl_engine_look */
    ARL_RELEASING, /* RELEASE is owed or under way; belief is gone */
    ARL_ENDED      /* final; arl_handle_cause says why */
};

/* Why a handle is ARL_ENDED, or how an ask was answered. */
enum arl_cause {
    ARL_GAVE_UP = 1,  /* acquire: the tries or the patience ended, or the one try was answered "no" */
    ARL_DONE,         /* release: deleted, handed on, or sent again after a cut; ask: yes */
    ARL_NOT_OWNED,    /* release: answered "no", never in doubt; extend: not held (any more); peek: no */
    ARL_LOST,         /* hold: the lease is over or the server says that it is not ours */
    ARL_SERVER_ERROR, /* the error reply that was just fed to arl_engine_reply */
    ARL_UNREACHABLE,  /* the client's own retry policy is used up (arl_engine_unreachable) */
    ARL_NO_ANSWER,    /* the server did not answer in time */
    ARL_NO_MEMORY,    /* no memory for a token */
    ARL_NO_ENTROPY,   /* no randomness for a token */
    ARL_CLOSED        /* arl_engine_close */
};

enum arl_event_kind {
    ARL_EVENT_GRANTED,  /* handle: ARL_WAITING -> ARL_GRANTED; wake its task, which then confirms */
    ARL_EVENT_ENDED,    /* handle: now ARL_ENDED; see its cause. An owner that releases gets this too */
    ARL_EVENT_ANSWERED, /* ask: see its cause; drop it */
    ARL_EVENT_RESET,    /* the connection must be reset now (no linger), then arl_engine_down */
    ARL_EVENT_SLOW,   /* a lease was over before its reply was read: ttl below the round trip (once per up) */
    ARL_EVENT_STALLED /* the loop turns again; the watchdog has renewed meanwhile */
};

struct arl_event {
    enum arl_event_kind kind;
    struct arl_handle *handle; /* GRANTED, ENDED */
    struct arl_ask *ask;       /* ANSWERED */
    void *owner;               /* of the handle or the ask; NULL else */
    enum arl_cause cause;      /* ENDED, ANSWERED */
    arl_ns stalled_for;        /* ns, STALLED: from the loop's last turn before to the first after */
};

/* ---- the engine's life ---- */

/* A new engine, connection down, or NULL (no memory). `settings` is copied; its ctx must outlive it. */
struct arl_engine *arl_engine_new(const struct arl_settings *settings);

/* Frees the engine and everything in it; requests unsent are forgotten. Handles and asks die with it. */
void arl_engine_del(struct arl_engine *engine);

/* The deadline of a reply from now on (ns, > 0): it is known only when the client's connection was built. */
void arl_engine_set_reply_timeout(struct arl_engine *engine, arl_ns reply_timeout);

/* Nothing new is taken on any more: every waiter, hold and ask ends as ARL_CLOSED (holds are RELEASEd;
 * a release() that waits goes on waiting). Releases owed are still sent: idle says when all is done. */
void arl_engine_close(struct arl_engine *engine, arl_ns now);

/* ---- inputs of the owner ---- */

/* Joins the wait queue of a key. 0: *out is ARL_WAITING, or already ARL_ENDED (ARL_GAVE_UP, with its event:
 * tries == 0; `once` while this process holds or awaits the key). ARL_ENOMEM, ARL_ECLOSED: nothing happened. */
int arl_engine_acquire(struct arl_engine *engine, const struct arl_want *want, void *owner, arl_ns now,
                       struct arl_handle **out);

/* The task of a GRANTED handle runs: true and ARL_HELD, or, where the lease is over by now, false and the
 * handle waits again at the head of its queue. On a handle in any other state: whether it is ARL_HELD and valid. */
bool arl_engine_confirm(struct arl_engine *engine, struct arl_handle *handle, arl_ns now);

/* Is the lease certain at `now`? Finding it over is final: the handle is lost (event, RELEASE owed). */
bool arl_engine_look(struct arl_engine *engine, struct arl_handle *handle, arl_ns now);

/* How long (ns) the lease of a held handle is certain still; 0 when it is not held. Looks as above. */
arl_ns arl_engine_remaining(struct arl_engine *engine, struct arl_handle *handle, arl_ns now);

/* Ends a hold; belief is gone when this returns. 0: see arl_handle_state: ARL_ENDED with ARL_DONE (handed on
 * within the process; no event) or ARL_RELEASING (an ENDED event comes). ARL_ENOTHELD: nothing was held. */
int arl_engine_release(struct arl_engine *engine, struct arl_handle *handle, arl_ns now);

/* The owner takes no more interest; `handle` is invalid afterwards and no event for it comes. From any
 * state: a waiter is cancelled (its TRY in flight keeps its slot; a late grant goes to the next waiter or is
 * released), a lease granted or held is handed on or released, a release under way goes on. Never fails. */
void arl_engine_drop(struct arl_engine *engine, struct arl_handle *handle, arl_ns now);

/* Asks that the lease last at least `ttl` ns from now. 0: *out is answered by an event (ARL_DONE,
 * ARL_NOT_OWNED, ARL_SERVER_ERROR, ARL_NO_ANSWER, ..). ARL_ENOTHELD, ARL_ENOMEM: nothing happened. */
int arl_engine_extend(struct arl_engine *engine, struct arl_handle *handle, arl_ns ttl, void *owner,
                      arl_ns now, struct arl_ask **out);

/* Asks whether anybody holds the key. Answered by an event: ARL_DONE (somebody does), ARL_NOT_OWNED (nobody). */
int arl_engine_peek(struct arl_engine *engine, const char *key, size_t key_length, void *owner, arl_ns now,
                    struct arl_ask **out);

/* Gives an ask back, answered or not; no event for it comes afterwards. Its request may still be sent. */
void arl_engine_drop_ask(struct arl_engine *engine, struct arl_ask *ask);

/* ---- inputs of the connection ---- */

/* A connection stands. What is owed is queued anew: RELEASEs, RENEWs, then TRYs. */
void arl_engine_up(struct arl_engine *engine, arl_ns now);

/* The connection is gone; what was unanswered is in doubt. Harmless when already down. */
void arl_engine_down(struct arl_engine *engine, arl_ns now);

/* Connection down, and the client's own retry policy is used up: every waiter that only the server can serve,
 * every release() and ask that waits ends as ARL_UNREACHABLE. Holds go on until their lease ends. */
void arl_engine_unreachable(struct arl_engine *engine, arl_ns now);

/* The verb that the next reply answers, ARL_VERBS when none is awaited. */
enum arl_verb arl_engine_awaited(const struct arl_engine *engine);

/* The reply to the oldest unanswered request. 0 or ARL_EUNASKED. */
int arl_engine_reply(struct arl_engine *engine, enum arl_outcome outcome, arl_ns now);

/* Time passed. Feed what was received before this after a stall. */
void arl_engine_tick(struct arl_engine *engine, arl_ns now);

/* ---- outputs ---- */

/* Takes the next event; false when there is none. */
bool arl_engine_next_event(struct arl_engine *engine, struct arl_event *out);

/* Takes the next request to write and counts it as sent at `now`: call it only when the bytes go out now.
 * False when there is nothing to send (always while down, or to be reset). At most 500 RENEWs are unanswered. */
bool arl_engine_next_request(struct arl_engine *engine, arl_ns now, struct arl_request_view *out);

/* Would arl_engine_next_request give one? */
bool arl_engine_has_request(const struct arl_engine *engine);

/* How many requests are written and unanswered. */
size_t arl_engine_unanswered(const struct arl_engine *engine);

/* When (ns) arl_engine_tick is wanted next; ARL_NEVER. */
arl_ns arl_engine_deadline(const struct arl_engine *engine);

/* Something waits, is held, or is owed: a connection is wanted. */
bool arl_engine_wants_connection(const struct arl_engine *engine);

/* Is anything held (GRANTED or HELD)? */
bool arl_engine_holds(const struct arl_engine *engine);

/* What an engine has seen since it was made, over all its connections; they only rise. */
struct arl_counters {
    uint64_t acquired;          /* holds that began: handles confirmed */
    uint64_t handed_off;        /* leases passed on to a waiter of this process by one that left */
    uint64_t released;          /* holds that were left while their lease was certain */
    uint64_t given_up;          /* acquires whose tries or patience ended; cancelled ones do not count */
    uint64_t tries;             /* TRYs written */
    uint64_t renewals;          /* RENEWs of leases written by the loop's connection */
    uint64_t renewed_elsewhere; /* renewals of the watchdog's that were answered "yes" */
    uint64_t lost;              /* holds lost; one told late, by its RELEASE, was released as well */
};

/* The counters as they are now, copied. */
void arl_engine_count(const struct arl_engine *engine, struct arl_counters *out);

/* How many handles are ARL_WAITING, / GRANTED or HELD. */
size_t arl_engine_waiting_now(const struct arl_engine *engine);
size_t arl_engine_held_now(const struct arl_engine *engine);

/* ---- the watchdog: it renews, over a connection of its own, what a loop that stands still cannot ----
 *
 * These come from another thread: the owner locks around them and around its own inputs and outputs. They make
 * no request and no event of the loop's, and what a view has borrowed stays. The loop shows itself by the inputs
 * of its connection (its turns: up, down, unreachable, reply, tick); what a user's call asks is no turn, since
 * it may come from the very code that keeps the loop from turning. A loop is stalled for a lease where
 * arl_engine_deadline is overdue by a sixth of the lease's ttl without a turn since (of the shorter ttl, where it was
 * handed on to a longer and not renewed since). */

/* When (ns) the watchdog is to look at this engine next, if the loop does not turn: ARL_NEVER when there is no
 * lease to keep and no answer to wait for. O(1), and too early rather than too late. What is due already
 * (arl_watch_is_due) and not taken yet has no deadline. */
arl_ns arl_watch_deadline(const struct arl_engine *engine);

/* Is a renewal due for a stalled loop? A lease that is over at `now`, or whose stall_limit is, is not. */
bool arl_watch_is_due(struct arl_engine *engine, arl_ns now);

/* Takes the next renewal that is due and counts it as sent over the watchdog's connection at `now`; from here on
 * its lease is not handed on until the answer. False: none, or 500 are unanswered. The text of the script is
 * always wanted (whole_script). */
bool arl_watch_next_request(struct arl_engine *engine, arl_ns now, struct arl_request_view *out);

/* The answer to the watchdog's oldest request. "Not mine" does not end the lease: the loop's own connection
 * decides that; but the watchdog renews it no more. 0 or ARL_EUNASKED. */
int arl_watch_reply(struct arl_engine *engine, enum arl_outcome outcome, arl_ns now);

/* The watchdog's connection is gone, or cannot be opened: what was unanswered is in doubt. What is due is due
 * again a tenth of its ttl later. */
void arl_watch_down(struct arl_engine *engine, arl_ns now);

/* The watchdog itself woke later than it asked (the whole process stood still): the loop goes first. */
void arl_watch_woke_late(struct arl_engine *engine, arl_ns now);

/* For how long (ns) the watchdog waits for its connection to stand, and for it to be logged in. */
arl_ns arl_watch_patience(const struct arl_engine *engine);

/* May the watchdog's connection be closed? The loop has turned, or nothing is left to be kept, and nothing is
 * unanswered; or the oldest answer is overdue. */
bool arl_watch_is_over(const struct arl_engine *engine, arl_ns now);

/* ---- handles and asks ---- */

enum arl_state arl_handle_state(const struct arl_handle *handle);
enum arl_cause arl_handle_cause(const struct arl_handle *handle); /* of an ARL_ENDED one, else 0 */
void arl_handle_set_owner(struct arl_handle *handle, void *owner);
void *arl_handle_owner(const struct arl_handle *handle);
/* The token of the lease held (valid until the next input), or NULL when none is (WAITING, ENDED). */
const uint8_t *arl_handle_token(const struct arl_handle *handle);
const char *arl_handle_key(const struct arl_handle *handle,
                           size_t *length); /* valid while not ENDED, else NULL */

#endif
