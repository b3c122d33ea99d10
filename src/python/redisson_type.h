/* redisson_type.h - the user's lock object. */
#ifndef PYTHON_REDISSON_TYPE_H
#define PYTHON_REDISSON_TYPE_H

#include "python/compat.h"

#include <stdbool.h>

#include "core/arl.h"
#include "python/args.h"
#include "python/loss.h"
#include "python/state.h"

struct connection;
struct waiter;

enum redisson_entered {
    REDISSON_OUTSIDE,
    REDISSON_ENTERED, /* in the body of its `async with` */
    REDISSON_EMPTY    /* the same, with None for a lock, or with one whose loss was told: nothing to leave */
};

struct redisson {
    PyObject_HEAD PyObject *weakrefs;
    struct module_state *state;    /* lives as long as the type */
    PyObject *redis;               /* the client, owned; NULL: __init__ has not run */
    PyObject *key;                 /* str, owned, with its UTF-8 cached */
    PyObject *carry;               /* owned */
    struct arl_handle *handle;     /* what is held, owned, or NULL */
    struct connection *connection; /* owned, set while handle is */
    struct waiter *acquiring;      /* the call that acquires, borrowed; NULL: none */
    arl_ns ttl;
    arl_ns sleep_low;
    arl_ns sleep_high;
    int64_t tries;
    arl_ns patience; /* ARGS_PATIENCE_UNSET: tries decides */
    arl_ns stall_limit;
    struct loss loss;
    uint8_t token[ARL_TOKEN_SIZE]; /* of the current or last lease; before the first one of its own */
    bool has_token;
    bool required;
    uint8_t entered; /* enum redisson_entered */
};

extern PyType_Spec redisson_spec;

/* After the type was made from its spec: constructs without a tuple of arguments. */
void redisson_type_speed_up(PyTypeObject *type);

/* Takes over a lease that was just confirmed: handle and connection, references stolen. */
void redisson_take(struct redisson *redisson, struct arl_handle *handle, struct connection *connection);

/* Is its lease certain now? Finds out without I/O. Any thread. */
bool redisson_looks_held(struct redisson *redisson);

/* Free to be acquired: 0, or -1 with RuntimeError. */
int redisson_check_free(struct redisson *redisson);

/* Held by an engine of the running loop: 1; not held: 0; held on another loop: -1 with RuntimeError. */
int redisson_check_loop(struct redisson *redisson);

/* The engine says that the lease is over: forgets handle and connection. */
void redisson_lose(struct redisson *redisson);

#endif
