/* acquire() and __aenter__: into the wait queue, and out of it with a lease or without. */
#include <string.h>

#include "python/clock.h"
#include "python/connection_type.h"
#include "python/engine_calls.h"
#include "python/errors.h"
#include "python/redisson_type.h"
#include "python/registry.h"
#include "python/waiter_type.h"

/* ---- what is wanted ---- */

static void acquire_want(const struct waiter *w, struct arl_want *want)
{
    struct redisson *r = w->redisson;
    arl_ns patience = w->argument != ARGS_PATIENCE_UNSET ? w->argument : r->patience;
    Py_ssize_t length;

    want->key = PyUnicode_AsUTF8AndSize(r->key, &length); /* cached since the object was made: cannot fail */
    want->key_length = (size_t)length;
    want->ttl = r->ttl;
    want->sleep_low = r->sleep_low;
    want->sleep_high = r->sleep_high;
    want->tries = r->tries;
    want->stall_limit = r->stall_limit;
    want->patience = ARL_NEVER;
    want->once = w->once || patience == 0;
    if (want->once)
        want->tries = 1;
    else if (patience == ARL_NEVER)
        want->tries = ARL_TRIES_WITHOUT_LIMIT;
    else if (patience != ARGS_PATIENCE_UNSET)
        want->patience = patience;
}

/* ---- how it ends ---- */

static enum call_step acquire_not(struct waiter *w, PyObject **result)
{
    struct redisson *r = w->redisson;

    if (w->call == &call_acquire) {
        *result = Py_NewRef(Py_False);
        return CALL_DONE;
    }
    if (r->required) {
        errors_set_cause(r->state, w->connection, r->key, ARL_GAVE_UP, NULL);
        return CALL_ERROR;
    }
    r->entered = REDISSON_EMPTY;
    *result = Py_NewRef(Py_None);
    return CALL_DONE;
}

static enum call_step acquire_ended(struct waiter *w, PyObject **result)
{
    struct redisson *r = w->redisson;
    enum arl_cause cause = arl_handle_cause(w->handle);

    engine_drop(w->connection, w->handle, clock_now());
    w->handle = NULL;
    r->acquiring = NULL;
    if (cause == ARL_GAVE_UP)
        return acquire_not(w, result);
    errors_set_cause(r->state, w->connection, r->key, cause, w->error);
    return CALL_ERROR;
}

static enum call_step acquire_held(struct waiter *w, PyObject **result)
{
    struct redisson *r = w->redisson;
    bool body = w->call == &call_aenter;

    if (loss_hold_begins(r, body) < 0) {
        connection_pump_later(w->connection); /* the lease is given back with the call */
        return CALL_ERROR;
    }
    redisson_take(r, w->handle, (struct connection *)Py_NewRef((PyObject *)w->connection));
    w->handle = NULL;
    r->acquiring = NULL;
    if (!body) {
        *result = Py_NewRef(Py_True);
    } else {
        r->entered = REDISSON_ENTERED;
        *result = Py_NewRef((PyObject *)r);
    }
    return CALL_DONE;
}

/* The lease was given; whether it still stands is looked at now that the task runs. */
static enum call_step acquire_granted(struct waiter *w, PyObject **result)
{
    struct connection *c = w->connection;
    arl_ns now = clock_now();

    if (engine_confirm(c, w->handle, now)) {
        if (arl_engine_has_request(c->engine))
            connection_pump(c, now);
        return acquire_held(w, result);
    }
    connection_pump(c, now);
    return arl_handle_state(w->handle) == ARL_ENDED ? acquire_ended(w, result) : CALL_WAIT;
}

static enum call_step acquire_resume(struct waiter *w, PyObject **result)
{
    if (w->handle == NULL || connection_is_foreign(w->connection)) {
        PyErr_SetNone(w->redisson->state->cancelled_error);
        return CALL_ERROR;
    }
    switch (arl_handle_state(w->handle)) {
    case ARL_GRANTED:
        return acquire_granted(w, result);
    case ARL_ENDED:
        return acquire_ended(w, result);
    default:
        return CALL_WAIT;
    }
}

static enum call_step acquire_begin(struct waiter *w, PyObject **result)
{
    struct redisson *r = w->redisson;
    struct arl_want want;
    arl_ns now;
    int code;

    if (redisson_check_free(r) < 0 || loss_check(r, w->call == &call_aenter) < 0)
        return CALL_ERROR;
    w->connection = registry_connection(r->state, r->redis);
    if (w->connection == NULL || redisson_check_free(r) < 0) /* again: Python code has run */
        return CALL_ERROR;
    acquire_want(w, &want);
    now = clock_now();
    code = engine_acquire(w->connection, &want, w, now, &w->handle);
    if (code < 0) {
        w->handle = NULL;
        errors_set_code(r->state, w->connection, r->key, code);
        return CALL_ERROR;
    }
    r->acquiring = w;
    if (arl_handle_state(w->handle) == ARL_ENDED)
        return acquire_ended(w, result);
    connection_pump(w->connection, now);
    return acquire_resume(w, result);
}

static void acquire_abandon(struct waiter *w)
{
    if (w->redisson->acquiring == w)
        w->redisson->acquiring = NULL;
}

const struct call call_acquire = {"Redisson.acquire", acquire_begin, acquire_resume, acquire_abandon};
const struct call call_aenter = {"Redisson.__aenter__", acquire_begin, acquire_resume, acquire_abandon};
