/* From the engine to the tasks: taking events, waking whom they concern, then writing and arming. */
#include <string.h>

#include "python/clock.h"
#include "python/connection_type.h"
#include "python/engine_calls.h"
#include "python/errors.h"
#include "python/loss.h"
#include "python/redisson_type.h"
#include "python/waiter_future.h"

/* So many tasks are woken before their requests are written, while the server has nothing to do: 50 tasks with
 * keys of their own make 1.5 x as many pairs a second as with one write at the end. A write costs as much as
 * some ten wake-ups: while it works, the server gets the next requests in larger portions. */
#define WAKES_FOR_IDLE_SERVER 24
#define WAKES_FOR_BUSY_SERVER 256

/* ---- taking events; calls nobody, so that the engine's state and ours never part ---- */

static void turn_append(struct connection *c, struct waiter *waiter)
{
    if (waiter->woken || waiter->cancelled)
        return; /* it will look by itself when its task runs */
    waiter->woken = true;
    waiter->next_ready = NULL;
    *c->ready_end = (struct waiter *)Py_NewRef((PyObject *)waiter);
    c->ready_end = &waiter->next_ready;
}

static void turn_granted(struct connection *c, struct waiter *waiter)
{
    if (!waiter->cancelled) {
        turn_append(c, waiter);
        return;
    }
    /* Cancelled, and its task has not run yet: the lease belongs to nobody. */
    engine_drop(c, waiter->handle, clock_now());
    waiter->handle = NULL;
}

static void turn_explain(struct connection *c, struct waiter *waiter, enum arl_cause cause, PyObject *text)
{
    if (cause == ARL_SERVER_ERROR)
        Py_XSETREF(waiter->error, Py_XNewRef(text));
    else if (cause == ARL_UNREACHABLE)
        Py_XSETREF(waiter->error, Py_XNewRef(c->error));
}

static void turn_lost(struct connection *c, struct redisson *redisson, enum arl_cause cause)
{
    Py_INCREF(redisson); /* a note may cost a garbage collection; the engine's reference is borrowed */
    if (cause == ARL_LOST) {
        loss_note(c, redisson, LOSS_KNOWN);
        if (redisson->entered == REDISSON_ENTERED)
            redisson->entered = REDISSON_EMPTY;
    }
    redisson_lose(redisson);
    Py_DECREF(redisson);
}

static void turn_ended(struct connection *c, const struct arl_event *event, PyObject *text)
{
    struct waiter *waiter = event->owner;

    if (event->owner == NULL)
        return;
    if (!waiter_check(event->owner)) {
        turn_lost(c, event->owner, event->cause);
        return;
    }
    turn_explain(c, waiter, event->cause, text);
    turn_append(c, waiter);
}

static void turn_answered(struct connection *c, const struct arl_event *event, PyObject *text)
{
    struct waiter *waiter = event->owner;

    engine_drop_ask(c, event->ask);
    if (waiter == NULL)
        return;
    waiter->ask = NULL;
    waiter->cause = (uint8_t)event->cause;
    turn_explain(c, waiter, event->cause, text);
    turn_append(c, waiter);
}

void connection_collect(struct connection *c, PyObject *text)
{
    struct arl_event event;

    while (engine_next_event(c, &event)) {
        switch (event.kind) {
        case ARL_EVENT_GRANTED:
            turn_granted(c, event.owner);
            break;
        case ARL_EVENT_ENDED:
            turn_ended(c, &event, text);
            break;
        case ARL_EVENT_ANSWERED:
            turn_answered(c, &event, text);
            break;
        case ARL_EVENT_RESET:
            c->reset_wanted = true;
            break;
        case ARL_EVENT_SLOW:
            c->slow = true;
            break;
        case ARL_EVENT_STALLED:
            c->stalled_for = event.stalled_for;
            break;
        }
    }
}

/* ---- telling ---- */

/* The waiters that are ready; the connection has none afterwards. References go with them. */
static struct waiter *turn_take_ready(struct connection *c)
{
    struct waiter *first = c->ready;

    c->ready = NULL;
    c->ready_end = &c->ready;
    return first;
}

static struct waiter *turn_next(struct waiter *waiter)
{
    struct waiter *next = waiter->next_ready;

    waiter->next_ready = NULL;
    Py_DECREF(waiter);
    return next;
}

/* A task's own wake-up takes the result of a future of asyncio's without calling a method of it, and looks at
 * nothing else of what it is called with: it gets one that is done. Anybody else gets the waiter itself. */
PyObject *connection_news_for(struct connection *c, struct waiter *waiter, PyObject *callback)
{
    PyTypeObject *task = (PyTypeObject *)c->state->task_type;
    PyObject *self;

    if (!PyCFunction_CheckExact(callback) || c->done == NULL || task == NULL)
        return (PyObject *)waiter;
    self = PyCFunction_GET_SELF(callback);
    if (self == NULL || !PyObject_TypeCheck(self, task))
        return (PyObject *)waiter;
    return strcmp(((PyCFunctionObject *)callback)->m_ml->ml_name, "task_wakeup") == 0 ? c->done
                                                                                      : (PyObject *)waiter;
}

static void turn_tell_soon(struct connection *c, struct waiter *waiter)
{
    while (waiter != NULL) {
        if (waiter_call_back_soon(waiter) < 0)
            errors_report(c, "a waiter of a lock could not be woken");
        waiter = turn_next(waiter);
    }
}

void connection_deliver_soon(struct connection *c)
{
    if (c->ready != NULL)
        turn_tell_soon(c, turn_take_ready(c));
}

/* Runs the step of a task that waits, right here. False when it raised what must end the loop. */
static bool turn_run(struct connection *c, struct waiter *waiter)
{
    PyObject *callback = waiter->callback, *context = waiter->context, *result = NULL;
    bool fatal;

    if (callback == NULL)
        return true; /* its call has not been suspended: it looks by itself */
    if (waiter->more != NULL || context == NULL || PyContext_Enter(context) < 0) {
        PyErr_Clear(); /* the context is in use: the loop runs it later */
        if (waiter_call_back_soon(waiter) < 0)
            errors_report(c, "a waiter of a lock could not be woken");
        return true;
    }
    waiter->callback = waiter->context = NULL;
    result = PyObject_CallOneArg(callback, connection_news_for(c, waiter, callback));
    Py_DECREF(callback);
    if (result == NULL) {
        fatal = !PyErr_ExceptionMatches(PyExc_Exception);
        errors_report(c, "the step of a task that was given a lock failed");
    } else {
        fatal = false;
        Py_DECREF(result);
    }
    if (PyContext_Exit(context) < 0)
        PyErr_WriteUnraisable((PyObject *)c);
    Py_DECREF(context);
    return !fatal;
}

/* Requests of the tasks woken so far go out while others still run, so that the server works meanwhile. */
static void turn_write_early(struct connection *c, unsigned woken)
{
    bool idle = arl_engine_unanswered(c->engine) == 0;

    if (woken % (idle ? WAKES_FOR_IDLE_SERVER : WAKES_FOR_BUSY_SERVER) != 0)
        return;
    if (c->transport != NULL && !c->paused && !c->reset_wanted && arl_engine_has_request(c->engine))
        connection_write(c);
}

static void turn_wake(struct connection *c)
{
    struct waiter *waiter = turn_take_ready(c);
    unsigned woken = 0;

    c->waking++;
    while (waiter != NULL) {
        if (!turn_run(c, waiter)) {
            turn_tell_soon(c, turn_next(waiter));
            break;
        }
        waiter = turn_next(waiter);
        turn_write_early(c, ++woken);
    }
    c->waking--;
}

static void turn_log_stall(struct connection *c)
{
    double seconds = (double)c->stalled_for / 1e9;

    c->stalled_for = 0;
    state_warn(
        c->state,
        "the event loop stood still for %.3f s, blocked by code that runs on it: locks held meanwhile were "
        "renewed from outside, which goes on for stall_limit seconds at most",
        Py_BuildValue("(d)", seconds));
}

static void turn_log(struct connection *c)
{
    loss_tell(c);
    if (c->slow && !c->slow_told) {
        c->slow_told = true;
        state_warn(c->state, "a lease was over before its reply was read: ex is shorter than the round trip",
                   PyTuple_New(0));
    }
    c->slow = false;
    if (c->stalled_for != 0)
        turn_log_stall(c);
}

/* ---- writing, arming, dialling ---- */

static void turn_schedule_flush(struct connection *c)
{
    if (c->flush_wanted)
        return;
    c->flush_wanted = true;
    if (connection_call_soon(c, c->flush_callback, NULL, NULL) == 0)
        return;
    c->flush_wanted = false;
    errors_report(c, "the requests of locks could not be written");
}

static void turn_requests(struct connection *c, bool at_once)
{
    if (c->transport == NULL || c->paused || !arl_engine_has_request(c->engine))
        return;
    if (at_once || arl_engine_unanswered(c->engine) == 0)
        connection_write(c);
    else
        turn_schedule_flush(c);
}

static void turn_output(struct connection *c, arl_ns now, bool at_once)
{
    turn_requests(c, at_once);
    while (c->reset_wanted) {
        connection_reset(c);
        connection_collect(c, NULL);
        connection_deliver_soon(c);
    }
    connection_arm(c, now);
    if (c->transport == NULL)
        connection_dial(c);
    if (c->losses != NULL || c->slow || c->stalled_for != 0)
        turn_log(c);
}

void connection_pump(struct connection *c, arl_ns now)
{
    c->used = now;
    connection_collect(c, NULL);
    if (c->waking > 0 || connection_is_foreign(c))
        return; /* the end of the turn does the rest */
    connection_deliver_soon(c);
    turn_output(c, now, false);
}

void connection_turn(struct connection *c)
{
    Py_INCREF(c);
    if (c->writing > 0) /* called from within a call of ours: some task runs */
        connection_deliver_soon(c);
    else if (c->ready != NULL)
        turn_wake(c);
    if (c->waking == 0 && !connection_is_foreign(c)) { /* a task that was run may have forked */
        connection_deliver_soon(c);
        turn_output(c, clock_now(), true);
        if (c->orphan && connection_is_idle(c))
            connection_close(c);
    }
    Py_DECREF(c);
}

/* ---- from other threads ---- */

bool connection_on_loop(struct connection *c)
{
    PyObject *loop = state_running_loop(c->state);

    Py_XDECREF(loop);
    return loop == c->loop;
}

static int turn_call_threadsafe(struct connection *c)
{
    PyObject *result = PyObject_CallFunctionObjArgs(c->state->wake, c->loop, c->flush_callback, NULL);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static bool turn_loop_is_closed(struct connection *c)
{
    PyObject *closed = PyObject_CallMethod(c->loop, "is_closed", NULL);

    if (closed == NULL)
        PyErr_Clear();
    Py_XDECREF(closed);
    return closed == Py_True;
}

void connection_forget_ready(struct connection *c)
{
    struct waiter *waiter = turn_take_ready(c);

    while (waiter != NULL)
        waiter = turn_next(waiter);
}

/* Has the loop run our flush; false where it is closed. What fails for another reason, an interrupt or a call too
 * deep, is tried once more; then the connection's timer tells who is ready. */
static bool turn_wake_loop(struct connection *c)
{
    bool interrupted = false, closed = false;

    for (int tries = 0; tries < 2 && !closed; tries++) {
        c->flush_wanted = true; /* whatever runs meanwhile finds it wanted */
        if (turn_call_threadsafe(c) == 0)
            break;
        interrupted |= PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
        PyErr_Clear();
        c->flush_wanted = false;
        closed = turn_loop_is_closed(c);
    }
    if (interrupted)
        PyErr_SetInterrupt(); /* raised where the program can see it */
    return !closed;
}

void connection_pump_later(struct connection *c)
{
    PyObject *error;

    if (c->flush_callback == NULL || connection_is_foreign(c))
        return;
    error = compat_error_take();
    if (c->flush_wanted ? turn_loop_is_closed(c)
                        : !turn_wake_loop(c)) { /* wanted: perhaps before it was closed */
        c->flush_wanted = false;
        connection_forget_ready(c); /* nobody will be told */
    }
    compat_error_give(error);
}

void connection_pump_anywhere(struct connection *c, arl_ns now)
{
    if (connection_on_loop(c)) {
        connection_pump(c, now);
        return;
    }
    connection_collect(c, NULL);
    connection_pump_later(c);
}

int connection_call_soon(struct connection *c, PyObject *callback, PyObject *argument, PyObject *context)
{
    PyObject *stack[4] = {NULL, callback, argument, NULL};
    size_t count = argument == NULL ? 1 : 2;
    PyObject *handle;

    if (c->call_soon == NULL || state_check(c->state) < 0) { /* what is left of a loop that was collected */
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "the connection of the lock is gone");
        return -1;
    }
    if (context != NULL)
        stack[1 + count] = context;
    handle = PyObject_Vectorcall(c->call_soon, stack + 1, count | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                 context == NULL ? NULL : c->state->kwnames_context);
    Py_XDECREF(handle);
    return handle == NULL ? -1 : 0;
}
