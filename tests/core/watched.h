/* watched.h - what the tests of the watchdog share: a lease that it is to keep. */
#ifndef WATCHED_H
#define WATCHED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "world.h"

static inline struct arl_want kept(const char *key, int ttl_ms)
{
    struct arl_want want = world_want(key);
    want.ttl = ttl_ms * ARL_MS;
    want.tries = ARL_TRIES_WITHOUT_LIMIT;
    want.stall_limit = 60 * ARL_SECOND;
    return want;
}

/* A world where A holds "no1" for `ttl_ms`, granted at 1,000 ms. */
static inline struct arl_handle *open_held(struct world *w, int ttl_ms)
{
    world_open(w, 1);
    const struct arl_want want = kept("no1", ttl_ms);
    return world_hold(w, &want, "A");
}

static inline void close_held(struct world *w, struct arl_handle *a)
{
    world_forget(w);
    arl_engine_drop(w->engine, a, w->now);
    world_close(w);
}

static inline void expect_held(struct world *w, struct arl_handle *a, bool held)
{
    assert_int_equal(arl_engine_look(w->engine, a, w->now), held);
}

static inline struct arl_counters counters(const struct world *w)
{
    struct arl_counters count;
    arl_engine_count(w->engine, &count);
    return count;
}

#endif
