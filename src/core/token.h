/* token.h - one value on the server: drawn for one lease, tried, held, released, forgotten.
 *
 * A token record is reserved when it is drawn and carries the nodes for all its later requests, so that what
 * is owed for it never needs memory. It is owned by one of, in this order: the claim of its wait queue, the
 * lease of its wait queue, the engine's list of settles. It outlives them while a RENEW, the watchdog's too, is
 * unanswered. */
#ifndef ARL_TOKEN_H
#define ARL_TOKEN_H

#include "outbox.h"
#include "timers.h"

/* A token whose TRY was unanswered at a cut is RELEASEd once more so much later (ns, rule 4). */
#define ARL_AGAIN_AFTER (600 * ARL_MS)

struct arl_engine;
struct arl_waitq;
struct arl_handle;

struct arl_token {
    uint8_t id[ARL_TOKEN_SIZE];
    struct arl_waitq *queue;     /* its key; kept alive by this record */
    struct arl_request main;     /* its TRY, later its RELEASE */
    struct arl_request renew;    /* RENEW, for the lease or for a TRY in doubt */
    struct arl_request watch;    /* the watchdog's RENEW of the lease */
    arl_ns watch_at;             /* ns: not before does the watchdog renew it; ARL_NEVER: no more */
    arl_ns answer_by;            /* ns: until when the watchdog waits for its renewal's answer */
    struct arl_link settle;      /* in engine->settles from the release on */
    struct arl_handle *releaser; /* whose release() waits for the answer; or NULL */
    struct arl_timer timer;      /* of the settle: the earliest of what follows */
    arl_ns gone_at;              /* ns: by then K no longer holds it, as far as we can know */
    arl_ns again_at;             /* ns: RELEASE once more (rule 4), or ARL_NEVER */
    arl_ns retry_at;             /* ns: the server was busy: RELEASE again, or ARL_NEVER */
    arl_ns give_up_at;           /* ns: until when the releaser waits, or ARL_NEVER */
    uint32_t extends;            /* asks whose answer concerns it */
    bool settling;               /* in engine->settles: dead, never tried, renewed or handed on again */
    bool answered;               /* the RELEASE was answered; only again_at keeps the record */
    bool held;                   /* its RELEASE is a holder's, who believed in it: "no" is a loss told late */
    bool in_doubt;               /* a RELEASE was unanswered at a cut: "no" counts as released */
    bool starts_pause;           /* the wait queue's pause runs from this RELEASE's answer */
};

/* A record with a freshly drawn token, referring to `queue`. 0, ARL_ENOMEM or ARL_EENTROPY. */
int arl_token_draw(struct arl_engine *engine, struct arl_waitq *queue, struct arl_token **out);

/* Nobody needs it any more: freed now, or when its unanswered RENEW is answered. It must not be settling.
 * Gives up its reference to the wait queue (arl_waitq_unref). */
void arl_token_forget(struct arl_engine *engine, struct arl_token *token);

/* A request of a token was answered: frees a forgotten record if that was the last. */
void arl_token_collect(struct arl_engine *engine, struct arl_token *token);

/* It may be on the server until `until` (ns). */
void arl_token_may_live(struct arl_token *token, arl_ns until);

/* Its TRY or RENEW for `ttl` (ns) came out so: one that was, or may have been, executed was so by now. */
void arl_token_note_outcome(struct arl_token *token, enum arl_outcome outcome, arl_ns ttl, arl_ns now);

#endif
