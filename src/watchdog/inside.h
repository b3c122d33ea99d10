/* inside.h - what the files of this floor share. */
#ifndef WATCHDOG_INSIDE_H
#define WATCHDOG_INSIDE_H

#include <sys/types.h>

#include "watchdog/session.h"
#include "watchdog/waker.h"

struct pollfd;

struct watchdog_row {
    struct watchdog *watchdog;
    struct watchdog_row *next, **slot; /* list of the watchdog's; `slot` points here */
    /* Guarded by the watchdog's mutex. */
    struct server *server; /* owned; NULL: there is none */
    struct session session;
    /* Guarded by the row's. */
    pthread_mutex_t mutex;
    struct arl_engine *engine; /* borrowed */
    arl_ns look_at;            /* ns: the thread looks no later than this; ARL_NEVER where there is none */
    bool usable;               /* it has a server that has not refused */
    bool connected;            /* the session has a connection, or begins one */
};

struct watchdog {
    arl_ns (*clock)(void);
    pthread_mutex_t life; /* held while the thread starts and while it stops; before all others */
    pthread_mutex_t mutex;
    /* Guarded by the mutex. */
    struct watchdog_row *rows;
    size_t row_count;
    struct pollfd *polled; /* the thread's, which alone uses it while it runs; owned */
    struct pollfd
        *larger;     /* takes the place of `polled` before it is filled again; owned; NULL: none needed */
    size_t capacity; /* of the larger of them: one for each row and one for the waker */
    bool gone;       /* watchdog_del was called: the last row takes the rest with it */
    bool stopping;
    bool running;
    pthread_t thread; /* valid while running */
    pid_t task;       /* the kernel's number of the thread; 0 before it runs or where there is none */
    struct waker waker;
    struct watchdog_figures figures;
};

/* Frees what is left of it: no thread and no row. */
void watchdog_free(struct watchdog *watchdog);

/* The thread's look at a row, under the watchdog's mutex: whatever is possible or due now is done. `late`: the
 * thread slept longer than it asked for. When (ns) it is to look again; ARL_NEVER. */
arl_ns row_look(struct watchdog_row *row, bool late);

/* Closes the row's connection; what was unanswered is in doubt. Under the watchdog's mutex. */
void row_disconnect(struct watchdog_row *row);

/* No thread looks any more. Under the watchdog's mutex. */
void row_unwatch(struct watchdog_row *row);

/* In the child of a fork; `orderly`: no thread was running in the parent. */
void row_forked(struct watchdog_row *row, bool orderly);

/* The thread, for it alone: looks and sleeps until it is told to stop. */
void *thread_main(void *watchdog);

/* Under the watchdog's mutex: makes the thread go round once more, so that poll() lets go of what was closed. */
void thread_nudge(const struct watchdog *watchdog);

#endif
