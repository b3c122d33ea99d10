/* engine.h - what the files of the core share: the engine itself, and how events are noted. */
#ifndef ARL_ENGINE_H
#define ARL_ENGINE_H

#include "arl.h"
#include "backoff.h"
#include "list.h"
#include "outbox.h"
#include "table.h"
#include "timers.h"
#include "watch.h"

enum arl_timer_kind { ARL_TIMER_QUEUE, ARL_TIMER_HANDLE, ARL_TIMER_TOKEN };

struct arl_engine {
    struct arl_settings settings;
    struct arl_random random;
    struct arl_table table;   /* key -> wait queue */
    struct arl_timers timers; /* of wait queues, of handles with patience, of tokens to settle */
    struct arl_outbox outbox;
    struct arl_link queues;  /* every wait queue in the table, oldest first */
    struct arl_link settles; /* tokens whose RELEASE is owed, in the order of their release */
    struct arl_link asks;    /* asks not answered yet, oldest first */
    struct arl_link notices; /* what happened and was not taken yet: struct arl_notice */
    struct arl_watch watch;
    size_t waiting; /* handles ARL_WAITING */
    size_t held;    /* handles ARL_GRANTED or ARL_HELD */
    size_t owed;    /* settles whose RELEASE is not answered */
    struct arl_counters counters;
    bool up;
    bool closed;
    bool reset_wanted; /* the connection is to be reset; cleared by down */
    bool reset_told;   /* the event was taken */
    bool slow_wanted;  /* a lease was over before its reply was read; told once for each connection */
    bool slow_told;
};

/* An event waiting to be taken; part of a handle or an ask, at most one each. */
struct arl_notice {
    struct arl_link link;
    uint8_t kind; /* enum arl_event_kind */
};

void arl_notice_init(struct arl_notice *notice);

/* Notes an event; one already noted for the same struct is replaced. */
void arl_notice_give(struct arl_engine *engine, struct arl_notice *notice, enum arl_event_kind kind);

/* Takes back what was noted and not taken. */
void arl_notice_withdraw(struct arl_notice *notice);

/* The connection is to be reset: a reply is overdue, or the server refuses this connection. */
void arl_engine_want_reset(struct arl_engine *engine);

/* The connection is gone (exchange.c): whatever is unanswered may have been executed as late as now. */
void arl_engine_doubt_unanswered(struct arl_engine *engine, arl_ns now);

/* How long (ns) a waiter or a releaser bears with a silent server: 1.5 x the deadline of a reply. */
arl_ns arl_engine_silence(const struct arl_engine *engine);

#endif
