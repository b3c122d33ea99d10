/* state.h - what belongs to one module object: types, imported functions, and the list of connections. */
#ifndef PYTHON_STATE_H
#define PYTHON_STATE_H

#include "python/compat.h"

#include <sys/types.h>

#include "python/args.h"

struct connection;
struct watchdog;

struct module_state {
    PyTypeObject *redisson_type;
    PyTypeObject *connection_type;
    PyTypeObject *waiter_type;

    PyObject *get_running_loop;  /* asyncio.events._get_running_loop: None where no loop runs */
    PyObject *task_type;         /* asyncio.Task */
    PyObject *cancelled_error;   /* asyncio.CancelledError */
    PyObject *invalid_state;     /* asyncio.InvalidStateError */
    PyObject *current_task;      /* asyncio.current_task */
    PyObject *iscoroutine;       /* asyncio.iscoroutine */
    PyObject *lock_lost;         /* aioredlock_c.exceptions.LockLostError */
    PyObject *lock_not_owned;    /* redis.exceptions.LockNotOwnedError */
    PyObject *lock_not_acquired; /* aioredlock_c.exceptions.LockNotAcquiredError */
    PyObject *uuid_type;         /* uuid.UUID */
    PyObject *logger;            /* logging.getLogger("aioredlock_c") */
    PyObject *raise_later;       /* call_soon(raise_later, error) raises `error` out of the loop */

    PyObject *loss_call;   /* of loss.c: call_soon(loss_call, noted) calls on_lost, and ... */
    PyObject *loss_cancel; /* ... call_soon(loss_cancel, noted) cancels the body */
    PyObject *telling;     /* set of tasks that run what on_lost returned */

    PyObject *describe; /* of aioredlock_c.connect, imported when first needed: it imports this module */
    PyObject *pool_of;
    PyObject *dial;
    PyObject *start_keeper;
    PyObject *stop_keeper;
    PyObject *wake;
    PyObject *remember; /* of aioredlock_c.counters */

    PyObject *known_type;     /* the type of the client that was checked last, and ... */
    PyObject *known_pool_ref; /* ... a weak reference to its pool */

    PyObject *str_connection_pool; /* interned names */
    PyObject *str_global;          /* the default key */
    PyObject *kwnames_context;     /* ("context",) */
    PyObject *argument_names[ARGS_REDISSON];

    struct connection *connections; /* borrowed, last used first; those closed for good are not in it */
    pid_t pid;                      /* the process that the connections belong to */
    volatile unsigned char *mark;   /* 1; the kernel makes it 0 in the child of a fork; NULL: it cannot */
    struct watchdog *watchdog;      /* owned */
};

extern PyModuleDef core_module; /* defined in module.c; constant but for what CPython keeps in it */

/* The state of the module that made `type`, or that made one of its bases. */
struct module_state *state_of_type(PyTypeObject *type);

/* The module is in use: 0; the interpreter shuts down and has cleared it: -1 with RuntimeError. */
int state_check(struct module_state *state);

/* The running loop of this thread, new reference; NULL without an exception when none runs. */
PyObject *state_running_loop(struct module_state *state);

/* logger.warning(format, ...): `arguments` is a tuple, stolen (NULL: an exception is set). What a handler
 * raises is reported as unraisable. */
void state_warn(struct module_state *state, const char *format, PyObject *arguments);

#endif
