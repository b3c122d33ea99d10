/* connection_type.h - one connection: an engine, its socket's transport and its timer, on one event loop.
 *
 * Any number of locks of one (connection pool, loop) share it. It knows neither the client nor its pool but by
 * weak reference. While anything is held or waits, the locks hold it; its transport, timer and dial hold it
 * too. Closing is for good: the next acquire makes a new one. All functions want the GIL, and the loop's
 * thread unless they say otherwise. None sets an exception unless it says so: what fails here is reported
 * as unraisable, or costs the connection, which is then dialled anew. */
#ifndef PYTHON_CONNECTION_TYPE_H
#define PYTHON_CONNECTION_TYPE_H

#include "python/compat.h"

#include <stdbool.h>
#include <sys/stat.h>

#include "core/arl.h"
#include "python/fork.h"
#include "python/state.h"
#include "resp/format.h"
#include "resp/parse.h"

struct waiter;

/* A transport that ended before this age (ns) makes the next dial wait a little longer than the last did. */
#define CONNECTION_SETTLED (250 * ARL_MS)

#define CONNECTION_IDLE (30 * ARL_SECOND) /* what `idle` is, but for tests */

struct connection {
    PyObject_HEAD PyObject *weakrefs;
    struct module_state *state; /* of the module */
    PyObject *module; /* let go of last: the collector may clear the type, which holds it too, before */
    PyObject *loop;
    PyObject *client;   /* connect.Client */
    PyObject *pool_ref; /* weak reference to the pool, with a callback */

    struct arl_engine *engine;  /* owned until the object goes; every handle and ask on it holds the object */
    struct watchdog_row *row;   /* owned: the engine's mutex, and what the watchdog knows */
    struct resp_reader *reader; /* NULL while down */
    struct resp_buffer output;  /* reused for each write */
    PyObject *input;            /* memoryview of a bytearray of our own, what get_buffer gives */
    char *input_bytes;          /* the bytearray's memory */

    PyObject *transport; /* NULL while down */
    PyObject *write;     /* transport.write */
    PyObject *kept;      /* would close the transport if it were collected */
    int fd;              /* the socket, -1 while down; for the child of a fork alone */
    dev_t fd_device;     /* what fd was when it was taken over: a number may have been reused */
    ino_t fd_inode;

    PyObject *call_soon;      /* of the loop */
    PyObject *done;           /* a future of asyncio's that is done, with None for a result */
    PyObject *flush_callback; /* bound methods of this object */
    PyObject *tick_callback;
    PyObject *timer;    /* the loop's handle, or NULL */
    arl_ns armed;       /* when the timer is to fire, on the lease clock; ARL_NEVER: not armed */
    arl_ns opened_at;   /* when the transport was taken over */
    arl_ns used;        /* when anything was last wanted of it */
    arl_ns idle;        /* it closes when so long (ns) after that nothing is held or waits */
    PyObject *keeper;   /* the generator that the loop's shutdown closes */
    PyObject *dialling; /* the task that dials, or NULL */
    PyObject *error;    /* of the last dial that failed, or NULL */
    PyObject *closings; /* list of futures of _wait_closed, or NULL */

    struct waiter *ready; /* woken and not yet told, oldest first, each a strong reference */
    struct waiter **ready_end;
    PyObject *losses;             /* list of what loss.c has noted and not told yet, or NULL */
    struct connection *next;      /* in the module's list */
    struct connection **previous; /* what points here; NULL: not in the list */
    uint64_t bytes_in;            /* of replies */
    uint64_t bytes_out;           /* of commands */
    uint64_t reconnects;          /* transports taken over in the place of one that ended */
    unsigned hops;                /* turns of the loop until a late timer is served */
    unsigned short_lived;         /* transports in a row that ended before CONNECTION_SETTLED */
    unsigned leaving;             /* transports given up whose connection_lost has not come yet */
    unsigned waking;              /* tasks are being run from within a turn: their writes wait for its end */
    unsigned writing;             /* within a call of the transport's */
    bool paused;                  /* pause_writing */
    bool dial_wanted;             /* a dial is being set up */
    bool flush_wanted;            /* the flush callback is scheduled */
    bool reset_wanted;            /* the engine wants the connection reset */
    bool slow;                    /* ARL_EVENT_SLOW is to be logged */
    bool slow_told;               /* it was logged */
    bool unwatched;               /* that there is no thread was logged */
    arl_ns stalled_for;           /* ns: ARL_EVENT_STALLED is to be logged; 0: it is not */
    bool orphan;                  /* the pool is gone: close when idle */
    bool closed;                  /* for good */
    bool foreign;                 /* belongs to the parent of this process: ask connection_is_foreign */
};

/* Does it belong to the parent of this process? Then nothing of it is touched. */
static inline bool connection_is_foreign(const struct connection *connection)
{
    if (fork_is_unnoticed(connection->state))
        fork_happened(connection->state);
    return connection->foreign;
}

extern PyType_Spec connection_spec;

/* A new connection for a client, in the module's list, down. NULL with an exception: TypeError for a client that
 * is not supported, MemoryError, what the client's library raises. New reference. */
struct connection *connection_new(struct module_state *state, PyObject *redis, PyObject *loop);

/* Into the module's list, as its first. */
void connection_enlist(struct connection *connection);

/* Out of the module's list: nothing new finds it. Any thread. */
void connection_delist(struct connection *connection);

/* ---- after an input to the engine (connection_turn.c) ---- */

/* After an input from a user's call: events are told in the next turn of the loop, requests written now if
 * none is unanswered, else at the end of this turn. */
void connection_pump(struct connection *connection, arl_ns now);

/* The same from any thread and from a garbage collection: all of it in the loop's next turn. */
void connection_pump_later(struct connection *connection);

/* The same where either may be the case. */
void connection_pump_anywhere(struct connection *connection, arl_ns now);

/* On the loop while no task runs: wakes tasks at once, then writes. After an input from the loop. */
void connection_turn(struct connection *connection);

/* Takes the engine's events. `text`: of the error reply that was just fed, borrowed, or NULL. Calls nobody. */
void connection_collect(struct connection *connection, PyObject *text);

/* Tells what connection_collect took, each waiter in the loop's next turn. */
void connection_deliver_soon(struct connection *connection);

/* Lets go of the waiters that connection_collect took, untold. */
void connection_forget_ready(struct connection *connection);

/* loop.call_soon(callback, argument, context=context); argument and context may be NULL. 0, or -1 with an
 * exception. */
int connection_call_soon(struct connection *connection, PyObject *callback, PyObject *argument,
                         PyObject *context);

/* What a done callback of a waiter that was woken is to be called with; borrowed. */
PyObject *connection_news_for(struct connection *connection, struct waiter *waiter, PyObject *callback);

/* Does this thread run the connection's loop? */
bool connection_on_loop(struct connection *connection);

/* ---- the transport (connection_link.c) ---- */

/* A transport that stands, ours already. 0, or -1 with an exception and the transport aborted. */
int connection_opened(struct connection *connection, PyObject *transport, PyObject *kept);

/* Writes every request that the engine has. */
void connection_write(struct connection *connection);

/* Gives the transport up at once, resetting the socket; the engine is down. Its events are not yet taken. */
void connection_reset(struct connection *connection);

/* The transport says that it has closed. */
void connection_lost(struct connection *connection);

/* Feeds bytes that get_buffer's memory holds. */
void connection_feed(struct connection *connection, size_t length);

/* Nothing is held, waiting, owed or unanswered, or it has closed. */
bool connection_is_idle(const struct connection *connection);

/* For good: what waits or is held ends, the transport closes (reset if commands are unanswered). */
void connection_close(struct connection *connection);

/* Closes or resets the transport that was given up last, without a good-bye. */
void connection_abort(struct connection *connection);

/* A future that is done when connection_close has run its course. NULL with an exception. */
PyObject *connection_wait_closed(struct connection *connection);

/* ---- the watchdog (connection_watch.c) ---- */

/* Makes sure that the watchdog looks at the leases in time, should the loop stop now. Any thread with the GIL. */
void connection_watch(struct connection *connection);

/* A transport stands: the watchdog learns how to reach its server by itself, where it can. */
void connection_watch_server(struct connection *connection);

/* ---- the timer (connection_timer.c) ---- */

/* Makes sure that the timer fires when the engine or the idle close wants it. */
void connection_arm(struct connection *connection, arl_ns now);

/* The loop's timer fired. */
void connection_tick(struct connection *connection);

void connection_disarm(struct connection *connection);

/* ---- the dial (connection_dial.c) ---- */

/* Starts a dial where a connection is wanted, none stands and none is being dialled. */
void connection_dial(struct connection *connection);

/* A connection is wanted and it was not closed. */
bool connection_wants(const struct connection *connection);

/* Seconds to wait before the next dial: a server that breaks each connection is not dialled in a circle. */
double connection_pause(const struct connection *connection);

/* The dial's task has ended. */
void connection_dial_done(struct connection *connection, PyObject *task);

/* The client's retry policy is used up. `error` is borrowed. */
void connection_unreachable(struct connection *connection, PyObject *error);

/* Resolves the futures of _wait_closed when all is done. */
void connection_check_closed(struct connection *connection);

#endif
