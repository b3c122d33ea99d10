/* release() and __aexit__: belief goes first, then the server is told. */
#include "python/clock.h"
#include "python/connection_type.h"
#include "python/engine_calls.h"
#include "python/errors.h"
#include "python/loss.h"
#include "python/redisson_type.h"
#include "python/waiter_type.h"

static enum call_step release_done(PyObject **result)
{
    *result = Py_NewRef(Py_None);
    return CALL_DONE;
}

/* ---- leaving the body of `async with` ---- */

/* `what` went wrong while a body was left; to raise it would hide how the body ended. */
static void release_warn(struct redisson *r, const char *format, PyObject *what)
{
    state_warn(r->state, format, what == NULL ? PyTuple_Pack(1, r->key) : PyTuple_Pack(2, r->key, what));
}

/* The lock of a body that was to be cancelled is lost: how `async with` ends. */
static enum call_step release_leave_cancelled(struct waiter *w, PyObject **result)
{
    struct redisson *r = w->redisson;
    PyObject *error;

    if (w->raised != NULL && !w->ours) {
        loss_warn(r); /* what the body raised goes on */
        return release_done(result);
    }
    loss_set_error(r);
    if (w->raised != NULL) {
        error = compat_error_take();
        PyException_SetCause(error, Py_NewRef(w->raised));
        compat_error_give(error);
    }
    return CALL_ERROR;
}

/* Not held any more, `found` just now or before: told unless it was. */
static enum call_step release_leave_not_held(struct waiter *w, enum loss_how found, PyObject **result)
{
    struct redisson *r = w->redisson;

    if (r->loss.cancel && (found != LOSS_NONE || r->loss.how != LOSS_NONE)) {
        if (found != LOSS_NONE)
            loss_note_raised(w->connection, r, found);
        return release_leave_cancelled(w, result);
    }
    if (found != LOSS_NONE) {
        loss_note(w->connection, r, found);
        loss_tell(w->connection);
    } else if (r->entered == REDISSON_ENTERED) {
        release_warn(r, "lock %r: not held any more when its body was left", NULL);
    }
    return release_done(result);
}

static enum call_step release_leave_error(struct waiter *w, PyObject **result)
{
    PyObject *error;

    if (w->raised == NULL)
        return CALL_ERROR;
    error = compat_error_take();
    release_warn(w->redisson, "lock %r: could not be released: %s", error);
    Py_XDECREF(error);
    return release_done(result);
}

/* ---- how it ends ---- */

/* Not held any more, and release() says so. */
static enum call_step release_not_held(struct waiter *w, enum loss_how found)
{
    struct redisson *r = w->redisson;

    if (found != LOSS_NONE) {
        loss_note_raised(w->connection, r, found);
        if (r->entered == REDISSON_ENTERED)
            r->entered = REDISSON_EMPTY;
    }
    loss_set_not_owned(r);
    return CALL_ERROR;
}

static enum call_step release_lost(struct waiter *w, enum loss_how found, PyObject **result)
{
    enum call_step step;

    if (w->call != &call_aexit)
        return release_not_held(w, found);
    step = release_leave_not_held(w, found, result);
    w->redisson->entered = REDISSON_OUTSIDE;
    return step;
}

static enum call_step release_end(struct waiter *w, enum arl_cause cause, PyObject **result)
{
    struct redisson *r = w->redisson;
    bool leaving = w->call == &call_aexit;
    enum call_step step;

    if (cause == ARL_NOT_OWNED || cause == ARL_LOST)
        return release_lost(w, LOSS_LATE, result);
    if (cause == ARL_DONE) {
        step = release_done(result);
    } else {
        errors_set_cause(r->state, w->connection, r->key, cause, w->error);
        step = leaving ? release_leave_error(w, result) : CALL_ERROR;
    }
    if (leaving)
        r->entered = REDISSON_OUTSIDE;
    return step;
}

static enum call_step release_resume(struct waiter *w, PyObject **result)
{
    enum arl_cause cause;

    if (connection_is_foreign(w->connection))
        return release_done(result);
    if (w->handle != NULL && arl_handle_state(w->handle) != ARL_ENDED)
        return CALL_WAIT;
    cause = w->handle == NULL ? ARL_DONE : arl_handle_cause(w->handle);
    if (w->handle != NULL)
        engine_drop(w->connection, w->handle, clock_now());
    w->handle = NULL;
    return release_end(w, cause, result);
}

/* ---- how it begins ---- */

/* The hold becomes this call's own. */
static void release_take(struct waiter *w)
{
    struct redisson *r = w->redisson;

    w->handle = r->handle;
    w->connection = r->connection;
    r->handle = NULL;
    r->connection = NULL;
}

static enum call_step release_begin(struct waiter *w, PyObject **result)
{
    struct redisson *r = w->redisson;
    int ours = w->call == &call_aexit ? loss_body_ends(r) : 0;
    int held = ours < 0 ? -1 : redisson_check_loop(r);
    arl_ns now = clock_now();
    int code;

    if (held < 0)
        return CALL_ERROR;
    w->ours = ours > 0 && PyErr_GivenExceptionMatches(w->raised, r->state->cancelled_error);
    if (held == 0)
        return release_lost(w, LOSS_NONE, result);
    release_take(w);
    arl_handle_set_owner(w->handle, w);
    code = engine_release(w->connection, w->handle, now);
    if (code < 0) {
        engine_drop(w->connection, w->handle, now);
        w->handle = NULL;
        connection_pump(w->connection, now);
        return release_lost(w, LOSS_KNOWN, result);
    }
    connection_pump(w->connection, now);
    return release_resume(w, result);
}

/* The release goes on by itself. */
static void release_abandon(struct waiter *w)
{
    if (w->call == &call_aexit)
        w->redisson->entered = REDISSON_OUTSIDE;
}

const struct call call_release = {"Redisson.release", release_begin, release_resume, release_abandon};
const struct call call_aexit = {"Redisson.__aexit__", release_begin, release_resume, release_abandon};
