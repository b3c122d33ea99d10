/* world.h - an engine in a world of virtual time, whose inputs and outputs are written down as a trace.
 *
 * Each output is one line, "<ms> <what>": requests as "TRY no1 t1 10000", "RENEW no1 t1 10000", "RELEASE no1 t1",
 * "PEEK no1" (with " whole" where the script's text is sent), events as "granted A", "ended A lost",
 * "answered a done", "reset", "slow", "stalled 5000". The watchdog's are "WATCH RENEW no1 t1 10000", "WATCH down". Tokens are t1, t2, .. in the order they were drawn. Owners are names.
 * Tests compare whole traces: world_expect takes what came since the last call. */
#ifndef WORLD_H
#define WORLD_H

#include "core/arl.h"

struct world {
    struct arl_engine *engine;
    arl_ns now;
    int tokens_drawn;
    int no_entropy;   /* draw_token fails while set */
    long allocations; /* blocks that are out */
    long fail_after;  /* this many allocations succeed, then all fail; -1: never */
    int watched;      /* renewals of the watchdog's that are unanswered */
    char trace[65536];
    size_t trace_length;
};

/* A fresh world at 1,000 ms, the reply timeout 5 s, the connection down; `up` brings it up. */
void world_open(struct world *world, int up);

/* Ends it; fails the test if a block of memory is still out. */
void world_close(struct world *world);

/* What an acquire with the documented defaults wants: key, ex 10 s, 20 to 100 ms, 10 tries. */
struct arl_want world_want(const char *key);

/* Joins under an owner's name. */
struct arl_handle *world_acquire(struct world *world, const struct arl_want *want, const char *owner);

/* A handle that holds `key`: acquired, answered, confirmed; the trace of it is swallowed. */
struct arl_handle *world_hold(struct world *world, const struct arl_want *want, const char *owner);

/* Takes events and requests into the trace. */
void world_drain(struct world *world);

/* Drains, moves time on by `ms` and answers the oldest request. */
void world_reply(struct world *world, int ms, enum arl_outcome outcome);

/* Moves time on by `ms`, ticking and draining at each deadline on the way. */
void world_run(struct world *world, int ms);

void world_up(struct world *world);
void world_down(struct world *world);

/* ---- the watchdog, on its own connection ---- */

/* Takes its requests into the trace: how many. */
int world_watch(struct world *world);

/* Takes them, moves time on by `ms` and answers its oldest. */
void world_watch_reply(struct world *world, int ms, enum arl_outcome outcome);

/* Its connection is gone. */
void world_watch_down(struct world *world);

#define WORLD_SILENT (-1)

/* Moves time on by `ms` while the loop stands still. The watchdog looks when it asked for it; each renewal is
 * answered `answer` (enum arl_outcome) at once, or WORLD_SILENT: never, until the watchdog gives the connection up. */
void world_stall(struct world *world, int ms, int answer);

/* Drains and compares the trace since the last call; on a difference prints both and fails. */
void world_expect(struct world *world, const char *expected);

/* Drains and forgets the trace. */
void world_forget(struct world *world);

/* How often `text` stands in the trace since the last call (not forgotten by this). */
int world_count(struct world *world, const char *text);

#endif
