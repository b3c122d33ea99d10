/* The one timer: the lease's clock on the loop's. */
#include "python/clock.h"
#include "python/connection_type.h"
#include "python/engine_calls.h"
#include "python/errors.h"

/* A timer that fires so much late tells of a loop that stood still: replies may wait in the socket. */
#define TIMER_LATE (5 * ARL_MS)

/* So many turns of the loop until its sockets were looked at: uvloop runs callbacks before, asyncio after. */
#define TIMER_HOPS 2

#define TIMER_SOONEST 0.001 /* seconds; uvloop's timers count in milliseconds, and may fire early */

static arl_ns timer_deadline(struct connection *c)
{
    if (c->closed || connection_is_foreign(c))
        return ARL_NEVER;
    return arl_ns_min(engine_deadline(c), arl_ns_add(c->used, c->idle));
}

static PyObject *timer_call_at(struct connection *c, double delay)
{
    PyObject *time = PyObject_CallMethod(c->loop, "time", NULL);
    double now = time == NULL ? -1.0 : PyFloat_AsDouble(time);

    Py_XDECREF(time);
    if (now == -1.0 && PyErr_Occurred())
        return NULL;
    return PyObject_CallMethod(c->loop, "call_at", "dO", now + delay, c->tick_callback);
}

static void timer_set(struct connection *c, arl_ns deadline, double delay)
{
    connection_disarm(c);
    c->timer = timer_call_at(c, delay);
    if (c->timer == NULL)
        errors_report(c, "the timer of locks could not be set");
    else
        c->armed = deadline;
}

void connection_arm(struct connection *c, arl_ns now)
{
    arl_ns deadline = timer_deadline(c);

    connection_watch(c);
    if (deadline >= c->armed)
        return;
    timer_set(c, deadline, deadline <= now ? 0.0 : (double)(deadline - now) / 1e9);
}

void connection_disarm(struct connection *c)
{
    PyObject *timer = c->timer, *result;

    c->timer = NULL;
    c->armed = ARL_NEVER;
    c->hops = 0;
    if (timer == NULL)
        return;
    result = PyObject_CallMethod(timer, "cancel", NULL);
    if (result == NULL)
        errors_report(c, "the timer of locks could not be cancelled");
    Py_XDECREF(result);
    Py_DECREF(timer);
}

/* After a stall replies are fed before time is judged. True: this tick comes again later. */
static bool timer_postpone(struct connection *c, arl_ns now)
{
    if (c->hops == 0) {
        if (now - c->armed < TIMER_LATE || c->armed == ARL_NEVER || arl_engine_unanswered(c->engine) == 0)
            return false;
        c->hops = TIMER_HOPS;
    } else if (--c->hops == 0) {
        return false;
    }
    if (connection_call_soon(c, c->tick_callback, NULL, NULL) == 0)
        return true;
    errors_report(c, "the timer of locks could not be set");
    c->hops = 0;
    return false;
}

void connection_tick(struct connection *c)
{
    arl_ns now = clock_now(), deadline;

    if (c->closed || connection_is_foreign(c) || timer_postpone(c, now))
        return;
    Py_CLEAR(c->timer);
    c->armed = ARL_NEVER;
    engine_tick(c, now);
    connection_collect(c, NULL);
    if (!connection_is_idle(c)) {
        c->used = now; /* else the idle close would be due, and this be called, all the time */
    } else if (now >= arl_ns_add(c->used, c->idle - ARL_EARLY)) {
        connection_close(c);
        return;
    }
    deadline = timer_deadline(c);
    if (deadline <= arl_ns_add(now, ARL_EARLY)) /* it fired early and this is not due yet */
        timer_set(c, deadline, TIMER_SOONEST);
    connection_turn(c);
}
