/* ledger.h - every token that was drawn in a schedule, ours and foreign, and what became of it. */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include "core/arl.h"

struct sim;

#define LEDGER_FOREIGN (-1) /* process of a poller's token */
#define LEDGER_NOBODY 0     /* the number of no token */

/* How the last TRY of a token was answered. */
enum last_try { TRY_NEVER, TRY_PENDING, TRY_SAID_NO, TRY_SAID_YES, TRY_IN_DOUBT };

struct token {
    uint8_t id[ARL_TOKEN_SIZE];
    int process;     /* index of who drew it, or LEDGER_FOREIGN */
    int incarnation; /* of that process: it may have been killed since */
    int key;         /* known when it is first written, -1 before */
    uint64_t number; /* of its SET, for the register; 0: it was never set */
    enum last_try last_try;
    bool known;         /* its owner was told that it holds K: believed in it, now or formerly */
    bool over;          /* belief is over, or its release was called: dead for ever */
    bool lost;          /* the owner was told so */
    bool restored;      /* a failover to a copy brought it back */
    bool released;      /* a RELEASE was written on this connection, or answered on any */
    bool late;          /* a RENEW of it was executed from a cut connection: its ttl ends it */
    bool excused;       /* an error reply or a cut: the RELEASE may take longer */
    bool watch_refused; /* the watchdog was told "not yours" */
    bool seen_over;     /* a look found its lease over: final */
    int watched;        /* renewals of the watchdog's in flight */
    arl_ns release_at;  /* ns, true: when its first RELEASE was written; ARL_NEVER */
    arl_ns doubted_at;  /* ns, true: the cut that left its TRY unanswered; ARL_NEVER */
    arl_ns gone_at;     /* ns, true: an unsafe fault took its key; ARL_NEVER */
};

struct ledger {
    struct token *tokens; /* [0] is nobody's */
    uint32_t count;
    uint32_t capacity;
};

/* Draws a fresh token for a process (or LEDGER_FOREIGN); its number in the ledger. */
uint32_t ledger_draw(struct sim *sim, int process, int incarnation);

/* The number of a token by its bytes; it must have been drawn here. */
uint32_t ledger_find(const struct sim *sim, const uint8_t id[ARL_TOKEN_SIZE]);

static inline struct token *ledger_token(struct ledger *ledger, uint32_t number)
{
    return &ledger->tokens[number];
}

void ledger_clear(struct ledger *ledger);
void ledger_free(struct ledger *ledger);

#endif
