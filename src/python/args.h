/* args.h - arguments from Python, checked. Each error names the argument. */
#ifndef PYTHON_ARGS_H
#define PYTHON_ARGS_H

#include "python/compat.h"

#include <stdbool.h>

#include "core/arl.h"

enum args_redisson {
    ARGS_REDIS,
    ARGS_KEY,
    ARGS_EX,
    ARGS_SLEEPTIME_L,
    ARGS_SLEEPTIME_H,
    ARGS_RETRY_COUNT,
    ARGS_CARRY,
    ARGS_POSITIONAL, /* those above may be given by position */
    ARGS_RETRY_TIMES = ARGS_POSITIONAL,
    ARGS_BLOCKING_TIMEOUT,
    ARGS_REQUIRED,
    ARGS_ON_LOST,
    ARGS_STALL_LIMIT,
    ARGS_REDISSON
};

extern const char *const args_redisson_names[ARGS_REDISSON];

/* How long to wait: nanoseconds >= 0 (0: one try, ARL_NEVER: without limit), or not given. */
#define ARGS_PATIENCE_UNSET ((arl_ns) - 1)

/* The constructor's arguments in C. */
struct args_settings {
    arl_ns ttl;
    arl_ns sleep_low;
    arl_ns sleep_high;
    int64_t tries; /* ARL_TRIES_WITHOUT_LIMIT for None */
    arl_ns patience;
    arl_ns stall_limit; /* 0: never, ARL_NEVER: without limit */
    PyObject *on_lost;  /* callable, borrowed, or NULL */
    bool cancel;        /* on_lost="cancel" */
    bool required;
};

/* What a method takes: at most `positional` by position, `names[0..required)` must be given. */
struct args_shape {
    const char *function;
    const char *const *names;
    int count;
    int positional;
    int required;
};

/* Sorts a vectorcall's arguments into out[count], borrowed, NULL where not given. `interned`: the names as
 * interned strings, or NULL. 0, or -1 with TypeError. */
int args_sort(const struct args_shape *shape, PyObject *const *interned, PyObject *const *args,
              Py_ssize_t nargs, PyObject *kwnames, PyObject **out);

extern const struct args_shape args_redisson_shape;

/* The same from a tuple and a dictionary (or NULL). */
int args_sort_tuple(const struct args_shape *shape, PyObject *args, PyObject *kwargs, PyObject **out);

/* Checks the numbers among the constructor's arguments. 0, or -1 with TypeError or ValueError. */
int args_settings(PyObject *const *given, struct args_settings *out);

/* The text that a key becomes: str as it is, int and uuid.UUID as format() makes them. New reference, encodable
 * as UTF-8 with 1 to 2,048 bytes; NULL with TypeError or ValueError. */
PyObject *args_key(PyObject *key, PyObject *uuid_type);

/* A lease's length, `ex` or extend's `seconds`. 0, or -1 with TypeError or ValueError naming `name`. */
int args_ttl(PyObject *value, const char *name, arl_ns *out);

/* A blocking_timeout. NULL and None: ARGS_PATIENCE_UNSET. 0, or -1 with TypeError or ValueError. */
int args_patience(PyObject *value, arl_ns *out);

#endif
