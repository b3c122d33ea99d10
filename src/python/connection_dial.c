/* The dial: connect.dial as a task of the loop, and what is told when all is over. */
#include "python/clock.h"
#include "python/connection_type.h"
#include "python/engine_calls.h"
#include "python/errors.h"

#define DIAL_PAUSE 0.1      /* seconds; after a dial that ended as it should not */
#define DIAL_LAST_PAUSE 1.0 /* seconds; the longest pause for short-lived transports */

bool connection_wants(const struct connection *c)
{
    return !c->closed && !connection_is_foreign(c) && arl_engine_wants_connection(c->engine);
}

double connection_pause(const struct connection *c)
{
    double pause = DIAL_PAUSE;

    if (c->short_lived < 2)
        return 0.0; /* a single cut is mended at once */
    if (arl_engine_holds(c->engine))
        return pause; /* what is held cannot wait for long */
    for (unsigned i = 2; i < c->short_lived && pause < DIAL_LAST_PAUSE; i++)
        pause *= 2.0;
    return pause < DIAL_LAST_PAUSE ? pause : DIAL_LAST_PAUSE;
}

/* The loop makes no task of the coroutine: it is closed, lest it warn that nobody awaited it. */
static void dial_close(PyObject *coroutine)
{
    PyObject *error = compat_error_take();
    PyObject *result = PyObject_CallMethod(coroutine, "close", NULL);

    if (result == NULL)
        PyErr_Clear();
    Py_XDECREF(result);
    compat_error_give(error);
}

/* A task of the loop that dials, with a done callback; new reference. */
static PyObject *dial_task(struct connection *c)
{
    PyObject *coroutine = PyObject_CallOneArg(c->state->dial, (PyObject *)c);
    PyObject *task = coroutine == NULL ? NULL : PyObject_CallMethod(c->loop, "create_task", "O", coroutine);
    PyObject *done = NULL, *result = NULL;

    if (coroutine != NULL && task == NULL)
        dial_close(coroutine);
    Py_XDECREF(coroutine);
    if (task != NULL)
        done = PyObject_GetAttrString((PyObject *)c, "_dial_done");
    if (done != NULL)
        result = PyObject_CallMethod(task, "add_done_callback", "O", done);
    Py_XDECREF(done);
    if (result == NULL)
        Py_CLEAR(task);
    Py_XDECREF(result);
    return task;
}

/* In a context of its own: the task that happened to come first is not to be kept alive by our socket. */
static PyObject *dial_task_in_context(struct connection *c)
{
    PyObject *context = PyContext_New(), *task = NULL;

    if (context != NULL && PyContext_Enter(context) == 0) {
        task = dial_task(c);
        if (PyContext_Exit(context) < 0)
            Py_CLEAR(task);
    }
    Py_XDECREF(context);
    return task;
}

/* No task dials: who waits is told why, and so is the loop, on behalf of what is held or owed. */
static void dial_not_begun(struct connection *c)
{
    PyObject *error = compat_error_take();

    if (error != NULL && PyObject_IsInstance(error, PyExc_Exception) == 1)
        connection_unreachable(c, error);
    compat_error_give(error);
    errors_report(c, "no connection for locks could be dialled");
}

void connection_dial(struct connection *c)
{
    PyObject *task;

    if (c->dial_wanted || c->transport != NULL || !connection_wants(c))
        return;
    c->dial_wanted = true; /* an eager task comes back here before this function returns */
    task = dial_task_in_context(c);
    Py_XSETREF(c->dialling, task);
    if (task != NULL)
        return;
    c->dial_wanted = false;
    dial_not_begun(c);
}

static void dial_again_later(struct connection *c)
{
    PyObject *handle = PyObject_CallMethod(c->loop, "call_later", "dO", DIAL_PAUSE, c->flush_callback);

    if (handle == NULL)
        errors_report(c, "no connection for locks could be dialled");
    Py_XDECREF(handle);
}

/* What a task that was not cancelled raised, new reference, or NULL. */
static PyObject *dial_error(PyObject *task)
{
    PyObject *error = PyObject_CallMethod(task, "exception", NULL);

    if (error == NULL)
        return compat_error_take();
    if (error != Py_None)
        return error;
    Py_DECREF(error);
    return NULL;
}

static bool dial_was_cancelled(PyObject *task)
{
    PyObject *cancelled = PyObject_CallMethod(task, "cancelled", NULL);

    if (cancelled == NULL)
        PyErr_Clear();
    Py_XDECREF(cancelled);
    return cancelled == Py_True;
}

void connection_dial_done(struct connection *c, PyObject *task)
{
    PyObject *error = dial_was_cancelled(task) ? NULL : dial_error(task);

    c->dial_wanted = false;
    Py_CLEAR(c->dialling);
    if (error != NULL) {
        connection_unreachable(c, error);
        if (connection_wants(c) && !c->dial_wanted)
            dial_again_later(c);
        Py_DECREF(error);
    }
    /* Cancelled by others, or wanted anew since the dial looked last. */
    if (!c->closed && !connection_is_foreign(c) && error == NULL)
        connection_turn(c);
    connection_check_closed(c);
}

void connection_unreachable(struct connection *c, PyObject *error)
{
    if (c->closed || connection_is_foreign(c) || c->transport != NULL)
        return;
    Py_XSETREF(c->error, Py_NewRef(error));
    engine_unreachable(c, clock_now());
    connection_collect(c, NULL);
    connection_deliver_soon(c);
}

/* ---- the end ---- */

static void dial_stop_keeper(struct connection *c)
{
    PyObject *keeper = c->keeper, *running, *result;

    c->keeper = NULL;
    if (keeper == NULL)
        return;
    running = PyObject_GetAttrString(keeper, "ag_running");
    if (running == Py_False) { /* else the loop's shutdown closes it, and with it us */
        result = PyObject_CallOneArg(c->state->stop_keeper, keeper);
        if (result == NULL)
            errors_report(c, "the keeper of a connection of locks could not be stopped");
        Py_XDECREF(result);
    }
    Py_XDECREF(running);
    Py_DECREF(keeper);
}

static void dial_resolve(struct connection *c, PyObject *future)
{
    PyObject *done = PyObject_CallMethod(future, "done", NULL), *result = NULL;

    if (done == Py_False)
        result = PyObject_CallMethod(future, "set_result", "O", Py_None);
    if (done == NULL || (done == Py_False && result == NULL))
        errors_report(c, "the end of a connection of locks could not be told");
    Py_XDECREF(done);
    Py_XDECREF(result);
}

void connection_check_closed(struct connection *c)
{
    PyObject *closings = c->closings;

    if (!connection_is_foreign(c) &&
        (!c->closed || c->leaving > 0 || c->dialling != NULL || c->transport != NULL))
        return;
    c->closings = NULL;
    for (Py_ssize_t i = 0; closings != NULL && i < PyList_GET_SIZE(closings); i++)
        dial_resolve(c, PyList_GET_ITEM(closings, i));
    Py_XDECREF(closings);
    if (!connection_is_foreign(c))
        dial_stop_keeper(c);
}
