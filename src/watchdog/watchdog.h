/* watchdog.h - one native thread that renews leases while their event loop stands still.
 *
 * What is due, and until when, is the engine's to say (arl_watch_* of core/arl.h); here are the thread, and for
 * each engine a mutex and a connection of its own, which exists only while its loop is stalled. Nothing here
 * touches Python. Times are ns on the clock that watchdog_new was given.
 *
 * Order of the mutexes: the watchdog's own, then a row's. Whoever holds a row's calls the engine and nothing that
 * waits; the calls below that want a mutex free say so. */
#ifndef WATCHDOG_WATCHDOG_H
#define WATCHDOG_WATCHDOG_H

#include <pthread.h>
#include <sys/socket.h>

#include "core/arl.h"

struct watchdog;

/* One engine, and the mutex around every call into it. */
struct watchdog_row;

/* Where a server is and how to log in there. Texts are not NUL-terminated; lengths in bytes. */
struct watchdog_server {
    const struct sockaddr *address; /* numeric: AF_INET, AF_INET6 or AF_UNIX */
    socklen_t address_length;
    int database; /* selected where it is not 0 */
    const char *username;
    size_t username_length; /* 0: AUTH with the password alone */
    const char *password;   /* NULL: no AUTH */
    size_t password_length;
};

#define WATCHDOG_ETHREAD (-201) /* the system gave no thread or no descriptors */

/* A watchdog without rows and without a thread, or NULL (no memory). `clock` is the lease's clock (ns). */
struct watchdog *watchdog_new(arl_ns (*clock)(void));

/* Stops the thread; nothing but watchdog_row_del may be called for it afterwards, and its memory goes with the last
 * row. NULL is fine. */
void watchdog_del(struct watchdog *watchdog);

/* A row for an engine, or NULL (no memory). The engine must outlive the row. */
struct watchdog_row *watchdog_row_new(struct watchdog *watchdog, struct arl_engine *engine);

/* The row goes, its connection is closed and its password wiped: when this returns the thread touches the engine no
 * more. No mutex may be held. NULL is fine. */
void watchdog_row_del(struct watchdog_row *row);

/* The mutex of the engine: not recursive, held for the length of a call into it. */
void watchdog_row_enter(struct watchdog_row *row);
void watchdog_row_leave(struct watchdog_row *row);

/* From now on the row's leases can be kept over connections to this server, which is copied. 0, or ARL_ENOMEM and
 * the row has no server. No mutex may be held. */
int watchdog_row_set_server(struct watchdog_row *row, const struct watchdog_server *server);

/* The row has no server any more; what was kept of the password is wiped. No mutex may be held. */
void watchdog_row_clear_server(struct watchdog_row *row);

/* Must the thread be told of what the engine holds now: is there a lease to keep and no thread, or one that would
 * look too late? Between enter and leave, after the inputs of the loop; O(1). */
bool watchdog_row_wants_look(struct watchdog_row *row);

/* Starts the thread where there is none, else makes it look. 0 or WATCHDOG_ETHREAD. No mutex may be held. */
int watchdog_wake(struct watchdog *watchdog);

/* Ends the thread, closes its connections (their answers are in doubt) and waits, for at most 50 ms, until the
 * kernel counts it no more: for a fork, or the end. What rows know stays. No mutex may be held. */
void watchdog_stop(struct watchdog *watchdog);

/* In the child of a fork: there is no thread, whatever it was doing; no row is locked and none has a connection or a
 * server. Sockets that the child inherited from a fork without watchdog_stop are closed here (the parent's
 * are not touched by that). */
void watchdog_forked(struct watchdog *watchdog);

/* How many renewals are there, connections open, ..: for tests alone. */
struct watchdog_figures {
    unsigned long looks;       /* times that the thread woke */
    unsigned long connections; /* that were begun */
    unsigned long renewals;    /* that were written */
};
void watchdog_figures(struct watchdog *watchdog, struct watchdog_figures *out);

#endif
