/* engine_calls.h - the calls into a connection's engine that the watchdog's thread may call into as well: each holds
 * the row's mutex for its length. Nothing else in this floor calls these functions of arl.h; those that only
 * read what the watchdog never changes (arl_engine_has_request, _unanswered, _awaited, _holds, _wants_connection,
 * the handles') are called as they are. In the child of a fork there is no other thread, and no mutex. */
#ifndef PYTHON_ENGINE_CALLS_H
#define PYTHON_ENGINE_CALLS_H

#include "python/connection_type.h"
#include "watchdog/watchdog.h"

/* True: the mutex is held. */
static inline bool engine_enter(struct connection *c)
{
    if (connection_is_foreign(c))
        return false;
    watchdog_row_enter(c->row);
    return true;
}

static inline void engine_leave(struct connection *c, bool entered)
{
    if (entered)
        watchdog_row_leave(c->row);
}

/* TYPE engine_NAME(connection, PARAMETERS): arl_engine_NAME(engine, ARGUMENTS) with the mutex held. */
#define ENGINE_CALL(TYPE, NAME, PARAMETERS, ARGUMENTS)                                                       \
    static inline TYPE engine_##NAME PARAMETERS                                                              \
    {                                                                                                        \
        bool entered = engine_enter(c);                                                                      \
        TYPE result = arl_engine_##NAME ARGUMENTS;                                                           \
                                                                                                             \
        engine_leave(c, entered);                                                                            \
        return result;                                                                                       \
    }

#define ENGINE_ACTION(NAME, PARAMETERS, ARGUMENTS)                                                           \
    static inline void engine_##NAME PARAMETERS                                                              \
    {                                                                                                        \
        bool entered = engine_enter(c);                                                                      \
                                                                                                             \
        arl_engine_##NAME ARGUMENTS;                                                                         \
        engine_leave(c, entered);                                                                            \
    }

ENGINE_CALL(int, acquire,
            (struct connection * c, const struct arl_want *want, void *owner, arl_ns now,
             struct arl_handle **out),
            (c->engine, want, owner, now, out))
ENGINE_CALL(bool, confirm, (struct connection * c, struct arl_handle *handle, arl_ns now),
            (c->engine, handle, now))
ENGINE_CALL(bool, look, (struct connection * c, struct arl_handle *handle, arl_ns now),
            (c->engine, handle, now))
ENGINE_CALL(arl_ns, remaining, (struct connection * c, struct arl_handle *handle, arl_ns now),
            (c->engine, handle, now))
ENGINE_CALL(int, release, (struct connection * c, struct arl_handle *handle, arl_ns now),
            (c->engine, handle, now))
ENGINE_ACTION(drop, (struct connection * c, struct arl_handle *handle, arl_ns now), (c->engine, handle, now))
ENGINE_CALL(int, extend,
            (struct connection * c, struct arl_handle *handle, arl_ns ttl, void *owner, arl_ns now,
             struct arl_ask **out),
            (c->engine, handle, ttl, owner, now, out))
ENGINE_CALL(int, peek,
            (struct connection * c, const char *key, size_t key_length, void *owner, arl_ns now,
             struct arl_ask **out),
            (c->engine, key, key_length, owner, now, out))
ENGINE_ACTION(drop_ask, (struct connection * c, struct arl_ask *ask), (c->engine, ask))

ENGINE_ACTION(up, (struct connection * c, arl_ns now), (c->engine, now))
ENGINE_ACTION(down, (struct connection * c, arl_ns now), (c->engine, now))
ENGINE_ACTION(unreachable, (struct connection * c, arl_ns now), (c->engine, now))
ENGINE_CALL(int, reply, (struct connection * c, enum arl_outcome outcome, arl_ns now),
            (c->engine, outcome, now))
ENGINE_ACTION(tick, (struct connection * c, arl_ns now), (c->engine, now))
ENGINE_ACTION(close, (struct connection * c, arl_ns now), (c->engine, now))

ENGINE_CALL(bool, next_event, (struct connection * c, struct arl_event *out), (c->engine, out))
ENGINE_CALL(bool, next_request, (struct connection * c, arl_ns now, struct arl_request_view *out),
            (c->engine, now, out))
ENGINE_ACTION(count, (struct connection * c, struct arl_counters *out), (c->engine, out))
ENGINE_CALL(arl_ns, deadline, (struct connection * c), (c->engine))

#undef ENGINE_CALL
#undef ENGINE_ACTION

#endif
