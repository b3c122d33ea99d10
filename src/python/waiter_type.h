/* waiter_type.h - what the awaitable methods of Redisson return: a coroutine in C that is its own future.
 *
 * Driven as a coroutine (send, throw, close), it begins its call at the first send. While it waits it yields
 * itself, and then follows the protocol that asyncio.Task wants of a future. `_asyncio_future_blocking` is None
 * but for the moment between the yield and the task's taking it, so that asyncio.isfuture says False. */
#ifndef PYTHON_WAITER_TYPE_H
#define PYTHON_WAITER_TYPE_H

#include "python/compat.h"

#include <stdbool.h>

#include "core/arl.h"
#include "python/state.h"

struct connection;
struct redisson;
struct waiter;

enum call_step {
    CALL_ERROR = -1, /* an exception is set */
    CALL_WAIT = 0,   /* an event will wake it */
    CALL_DONE = 1    /* *result is a new reference */
};

/* One kind of call; constant. */
struct call {
    const char *name; /* as Python shows it */
    enum call_step (*begin)(struct waiter *waiter, PyObject **result);
    enum call_step (*resume)(struct waiter *waiter,
                             PyObject **result); /* looks again; may be called at any time */
    void (*abandon)(struct waiter *waiter); /* cancelled or closed while it waits: gives back what it has */
};

extern const struct call call_acquire, call_aenter; /* acquire_call.c */
extern const struct call call_release, call_aexit;  /* release_call.c */
extern const struct call call_extend, call_locked;  /* ask_call.c */

enum waiter_phase { WAITER_CREATED, WAITER_BEGUN, WAITER_FINISHED };

struct waiter {
    PyObject_HEAD const struct call *call;
    struct redisson *redisson;     /* owned until the call has ended */
    struct connection *connection; /* owned, from begin on; NULL before and afterwards */
    struct arl_handle *handle;     /* acquire, release: owned until given to the Redisson or dropped */
    struct arl_ask *ask;           /* extend, locked: owned until answered */
    PyObject *callback;            /* the first done callback and ... */
    PyObject *context;             /* ... its context, owned; NULL: none */
    PyObject *more;                /* list of (callback, context) beyond the first, or NULL */
    PyObject *message;             /* of cancel(), or NULL */
    PyObject *error;               /* text of the server's error or the dial's exception, or NULL */
    PyObject *raised;              /* __aexit__: what the body raised, or NULL */
    struct waiter *next_ready;     /* in the connection's list */
    arl_ns argument;               /* acquire: patience; extend: ttl */
    uint8_t phase;                 /* enum waiter_phase */
    uint8_t cause;                 /* enum arl_cause of an answered ask, else 0 */
    bool blocking;                 /* it was yielded, and the task has not looked yet */
    bool woken;                    /* as a future: done */
    bool cancelled;                /* as a future: cancelled */
    bool once;                     /* acquire(blocking=False) */
    bool ours;                     /* __aexit__: a CancelledError that left the body is ours alone */
};

extern PyType_Spec waiter_spec;

/* Is it a waiter? Needs no state, so that it can be asked while the interpreter shuts down. */
bool waiter_check(PyObject *object);

/* A new call on `redisson`, not begun. NULL with MemoryError, or RuntimeError while the interpreter shuts down. */
struct waiter *waiter_new(struct redisson *redisson, const struct call *call);

#endif
