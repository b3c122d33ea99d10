/* owner.h - the owner of one engine, as the fuzzer plays it: it keeps to arl.h's contract whatever the input
 * says, keeps book of what it was told and of what it wrote, and checks both after each input.
 *
 * The server behind it is a liar: any request may be answered by any outcome. So nothing here depends on what
 * a server really holds; the simulator judges that. */
#ifndef OWNER_H
#define OWNER_H

#include "core/arl.h"
#include "fuzz.h"

#define OWNER_SLOTS 14
#define OWNER_ASKS 5
#define OWNER_KEYS 4
#define OWNER_TOKENS 4096
#define OWNER_WIRE 256 /* requests unanswered; then the transport is full and nothing is written */
#define OWNER_WATCH 64 /* the same of the watchdog's connection */

struct owner_slot {
    struct arl_handle *handle; /* NULL: the slot is free */
    unsigned key;
    long place;         /* the order of joining */
    arl_ns stall_limit; /* ns */
    bool granted;
    bool ended; /* told, or known from a call's return */
};

struct owner_token {
    unsigned key;
    arl_ns proved;    /* ns: until when answers so far allow belief (rule 1) */
    bool tried;       /* a TRY was written */
    bool answered_no; /* and the last one was answered "no" */
    bool dead;        /* its release was called, or a RELEASE written */
    bool denied;      /* a RENEW was answered "not yours" */
    bool watched;     /* a RENEW of the watchdog's is unanswered */
    bool let_go;      /* the watchdog was told "not yours" */
};

struct owner_request {
    enum arl_verb verb;
    unsigned token; /* 0 for PEEK */
    arl_ns sent_at;
    arl_ns ttl;
    bool whole;
};

struct owner {
    struct arl_engine *engine;
    struct fuzz_memory memory;
    arl_ns now;
    struct owner_slot slots[OWNER_SLOTS];
    struct arl_ask *asks[OWNER_ASKS];
    unsigned drawn;
    struct owner_request wire[OWNER_WIRE]; /* a ring: unanswered, the oldest at `first` */
    unsigned first;
    unsigned unanswered;
    struct owner_request watch[OWNER_WATCH]; /* likewise, of the watchdog's connection */
    unsigned watch_first;
    unsigned watch_unanswered;
    arl_ns turned_at;   /* ns: when the loop last turned */
    arl_ns woke_at;     /* ns: when the watchdog last woke late */
    arl_ns stalled_for; /* ns: of a stall that is to be told; 0: none is */
    bool watch_wrote;   /* something, since that turn */
    uint64_t acquired;  /* what the counters have to say */
    uint64_t tries;
    uint64_t renewed_elsewhere;
    long places;
    unsigned no_entropy; /* so many draws fail */
    bool up;
    bool fresh;  /* nothing was written since it came up */
    bool paused; /* the transport takes nothing */
    bool lazy;   /* the outputs are taken only after the next input */
    bool reset;  /* the engine wants a reset */
    bool closed;
    struct owner_token
        tokens[OWNER_TOKENS]; /* by number, from 1; last, since only what is drawn is cleared */
};

/* A fresh owner and its engine, the connection down; false where memory fails (starves). */
bool owner_open(struct owner *owner, arl_ns reply_timeout, uint64_t seed, bool starves);

/* Drops all and ends the engine; nothing may be left. */
void owner_close(struct owner *owner);

/* The bytes of a key's name. */
const char *owner_key(unsigned key, size_t *length);

/* ---- inputs; each takes the outputs afterwards, unless lazy, and checks ---- */

void owner_acquire(struct owner *owner, struct arl_want want, unsigned key);
void owner_confirm(struct owner *owner, struct owner_slot *slot);
void owner_look(struct owner *owner, struct owner_slot *slot);
void owner_release(struct owner *owner, struct owner_slot *slot);
void owner_drop(struct owner *owner, struct owner_slot *slot);
void owner_extend(struct owner *owner, struct owner_slot *slot, arl_ns ttl);
void owner_peek(struct owner *owner, unsigned key);
void owner_drop_ask(struct owner *owner, unsigned ask);
void owner_shut(struct owner *owner);
void owner_up(struct owner *owner);
void owner_down(struct owner *owner);
void owner_unreachable(struct owner *owner);
void owner_reply(struct owner *owner, enum arl_outcome outcome);
void owner_tick(struct owner *owner);

/* The watchdog's thread wakes: it closes its connection where that is over, or else writes what is due. */
void owner_watch_look(struct owner *owner);
void owner_watch_reply(struct owner *owner, enum arl_outcome outcome);
void owner_watch_down(struct owner *owner);
void owner_watch_woke_late(struct owner *owner);

/* Moves time on, without an input. */
void owner_pass(struct owner *owner, arl_ns time);

/* Takes events, then writes requests. */
void owner_drain(struct owner *owner);

/* ---- owner_check.c ---- */

/* The number of a token, 0 for NULL. */
unsigned owner_number(const uint8_t *token);

/* What must hold after any input. */
void owner_check(const struct owner *owner);

/* What must hold once the events are taken. */
void owner_check_told(const struct owner *owner);

/* A request is about to be put on the wire. */
void owner_check_written(struct owner *owner, const struct arl_request_view *view);

/* A request is answered: what follows for its token. */
void owner_note_reply(struct owner *owner, const struct owner_request *request, enum arl_outcome outcome);

#endif
