/* claim.h - the wait queue's one bid on the server: a token, whether its TRY is in flight or in doubt, and
 * when to try next. At most one acquiring command of a wait queue is under way (rule 4).
 *
 *   IDLE -> QUEUED -> SENT -> IDLE (answered)          QUEUED -> IDLE (nobody wants it any more)
 *   SENT -> DOUBT (cut) -> ASKING -> IDLE (answered)   ASKING -> DOUBT (cut, or decide again) */
#ifndef ARL_CLAIM_H
#define ARL_CLAIM_H

#include "arl.h"

struct arl_engine;
struct arl_waitq;
struct arl_token;
struct arl_request;

enum arl_claim_state {
    ARL_CLAIM_IDLE,   /* nothing under way; a token here was answered "no" and may be tried again */
    ARL_CLAIM_QUEUED, /* a TRY is to be written */
    ARL_CLAIM_SENT,   /* a TRY is unanswered */
    ARL_CLAIM_DOUBT,  /* its connection is gone: the token may or may not be on the server */
    ARL_CLAIM_ASKING  /* a RENEW that settles the doubt is queued or unanswered */
};

struct arl_claim {
    struct arl_token *token; /* owned; NULL: a fresh one is drawn for the next TRY */
    arl_ns poll_at;          /* ns: the wait queue's own next TRY, where it has more than one waiter */
    arl_ns
        silent_since;  /* ns: sending of the oldest unanswered TRY, or when the connection went; ARL_NEVER */
    uint8_t state;     /* enum arl_claim_state */
    uint8_t failed;    /* TRYs answered "no" in a row, up to ARL_POLLS_MAX */
    bool at_once;      /* the next TRY waits for no pause of the schedule */
    bool busy;         /* this connection's last TRY was answered "no": K is known to be held */
    bool after_pause;  /* the next TRY is the first after a pause of the turn */
    bool whole_script; /* the RENEW in doubt was answered NOSCRIPT */
};

/* "i at most 9": a wait queue's pauses grow no further. */
#define ARL_POLLS_MAX 10

void arl_claim_init(struct arl_claim *claim);

/* A first waiter came: its TRY goes out at once. */
void arl_claim_restart(struct arl_claim *claim);

/* Does what is due at `now`: queues a TRY, or the RENEW that settles a doubt, takes back what nobody wants.
 * Returns 0, or ARL_ENOMEM / ARL_EENTROPY where no token could be drawn. */
int arl_claim_step(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now);

/* When (ns) step has something to do next by itself; ARL_NEVER. */
arl_ns arl_claim_deadline(const struct arl_engine *engine, const struct arl_waitq *queue);

/* Its request is written now: what it asks for goes by the head. */
void arl_claim_sent(struct arl_waitq *queue, struct arl_request *request, arl_ns now);

/* Answers to the TRY and to the RENEW that settles a doubt. */
void arl_claim_try_answered(struct arl_engine *engine, struct arl_waitq *queue, enum arl_outcome outcome,
                            const struct arl_request *request, arl_ns now);
void arl_claim_doubt_answered(struct arl_engine *engine, struct arl_waitq *queue, enum arl_outcome outcome,
                              const struct arl_request *request, arl_ns now);

/* The connection is gone: what was queued is taken back, what was unanswered is in doubt. Called before the
 * outbox forgets which is which. / A connection stands again. Step the wait queue afterwards. */
void arl_claim_down(struct arl_waitq *queue, arl_ns now);
void arl_claim_up(struct arl_waitq *queue);

#endif
