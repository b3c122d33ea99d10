/* extend() and locked(): one question to the server, one answer. */
#include "python/clock.h"
#include "python/connection_type.h"
#include "python/engine_calls.h"
#include "python/errors.h"
#include "python/loss.h"
#include "python/redisson_type.h"
#include "python/registry.h"
#include "python/waiter_type.h"

static enum call_step ask_refused(struct waiter *w, int code)
{
    w->ask = NULL;
    if (code == ARL_ENOTHELD) {
        loss_set_not_owned(w->redisson);
        return CALL_ERROR;
    }
    errors_set_code(w->redisson->state, w->connection, w->redisson->key, code);
    return CALL_ERROR;
}

/* The call was cancelled, or this is the child of a fork, and yet it is driven on. */
static enum call_step ask_gone(struct waiter *w)
{
    PyErr_SetNone(w->redisson->state->cancelled_error);
    return CALL_ERROR;
}

/* ---- extend ---- */

static enum call_step extend_resume(struct waiter *w, PyObject **result)
{
    if (w->cancelled || connection_is_foreign(w->connection))
        return ask_gone(w);
    if (w->cause == 0)
        return CALL_WAIT;
    if (w->cause == ARL_DONE) {
        *result = Py_NewRef(Py_None);
        return CALL_DONE;
    }
    if (w->cause == ARL_NOT_OWNED) {
        loss_set_not_owned(w->redisson);
        return CALL_ERROR;
    }
    errors_set_cause(w->redisson->state, w->connection, w->redisson->key, w->cause, w->error);
    return CALL_ERROR;
}

static enum call_step extend_begin(struct waiter *w, PyObject **result)
{
    struct redisson *r = w->redisson;
    int held = redisson_check_loop(r);
    arl_ns now = clock_now();
    int code;

    if (held < 0)
        return CALL_ERROR;
    if (held == 0)
        return ask_refused(w, ARL_ENOTHELD);
    w->connection = (struct connection *)Py_NewRef((PyObject *)r->connection);
    code = engine_extend(w->connection, r->handle, w->argument, w, now, &w->ask);
    if (code < 0)
        w->ask = NULL;
    connection_pump(w->connection, now); /* the look may have found the lease over */
    return code < 0 ? ask_refused(w, code) : extend_resume(w, result);
}

/* ---- locked ---- */

static enum call_step locked_resume(struct waiter *w, PyObject **result)
{
    if (w->cancelled || connection_is_foreign(w->connection))
        return ask_gone(w);
    if (w->cause == 0)
        return CALL_WAIT;
    if (w->cause == ARL_DONE || w->cause == ARL_NOT_OWNED) {
        *result = PyBool_FromLong(w->cause == ARL_DONE);
        return CALL_DONE;
    }
    errors_set_cause(w->redisson->state, w->connection, w->redisson->key, w->cause, w->error);
    return CALL_ERROR;
}

static enum call_step locked_begin(struct waiter *w, PyObject **result)
{
    struct redisson *r = w->redisson;
    Py_ssize_t length;
    const char *key = PyUnicode_AsUTF8AndSize(r->key, &length);
    arl_ns now = clock_now();
    int code;

    w->connection = registry_connection(r->state, r->redis);
    if (w->connection == NULL)
        return CALL_ERROR;
    code = engine_peek(w->connection, key, (size_t)length, w, now, &w->ask);
    if (code < 0)
        return ask_refused(w, code);
    connection_pump(w->connection, now);
    return locked_resume(w, result);
}

static void ask_abandon(struct waiter *w)
{
    (void)w; /* the ask itself is given back by the waiter */
}

const struct call call_extend = {"Redisson.extend", extend_begin, extend_resume, ask_abandon};
const struct call call_locked = {"Redisson.locked", locked_begin, locked_resume, ask_abandon};
