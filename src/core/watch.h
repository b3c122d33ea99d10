/* watch.h - what the watchdog renews for a loop that stands still, and until when (arl.h has its inputs). */
#ifndef ARL_WATCH_H
#define ARL_WATCH_H

#include "arl.h"
#include "list.h"

struct arl_waitq;

struct arl_watch {
    struct arl_link due;        /* requests (field watch of a token) that the last look found due */
    struct arl_link unanswered; /* those written, first in first out */
    size_t unanswered_count;
    arl_ns turned_at; /* ns: when the loop last turned */
    arl_ns shortest;  /* ns: no lease to be kept has a shorter pace; ARL_NEVER: there is none */
    arl_ns look_at;   /* ns: nothing falls due before, as the last look since the turn found; 0: not looked */
    arl_ns woke_at;   /* ns: when the watchdog last woke late */
    arl_ns stalled_for; /* ns: to be told, 0: nothing */
    bool used;          /* a renewal was written since the last turn */
};

void arl_watch_init(struct arl_watch *watch);

/* The loop turns: nothing more is due, and what the watchdog did for it is told. */
void arl_watch_turned(struct arl_engine *engine, arl_ns now);

/* The lease has a new holder, or the loop renewed it: its pace may be a shorter one. */
void arl_watch_held(struct arl_engine *engine, const struct arl_waitq *queue);

#endif
