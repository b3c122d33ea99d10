/* thread.c - the watchdog's one thread: how it lives, sleeps and ends. */
#define _DEFAULT_SOURCE

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "watchdog/inside.h"

#define STACK_SIZE ((size_t)256 * 1024) /* bytes; a few of it are used, sanitizers use more */
/* ns: a busy machine's scheduler is late by some ms; by this much only a process that was stopped, or a machine that
 * slept. Where it is not so after all, a renewal comes a twentieth of its ttl later. */
#define LATE (20 * ARL_MS)
#define GONE_WITHIN (50 * ARL_MS) /* ns: for the kernel to stop counting a thread that was joined */

/* ---- the thread ---- */

static arl_ns look_at_rows(struct watchdog *watchdog, bool late)
{
    arl_ns at = ARL_NEVER;

    watchdog->figures.looks++;
    for (struct watchdog_row *row = watchdog->rows; row; row = row->next)
        at = arl_ns_min(at, row_look(row, late));
    return at;
}

/* Fills in what poll() is to wait for; how many. */
static nfds_t prepare_poll(struct watchdog *watchdog)
{
    nfds_t count = 1;

    if (watchdog->larger) {
        struct pollfd *former = watchdog->polled;

        watchdog->polled = watchdog->larger;
        watchdog->larger = NULL;
        free(former); /* last: after a fork in between nothing is freed twice */
    }
    watchdog->polled[0] = (struct pollfd){.fd = watchdog->waker.read_end, .events = POLLIN};
    for (struct watchdog_row *row = watchdog->rows; row; row = row->next)
        if (row->session.state != SESSION_NONE)
            watchdog->polled[count++] =
                (struct pollfd){.fd = row->session.fd, .events = session_events(&row->session, row->server)};
    return count;
}

/* For poll(): how long until `at`, in ms, rounded up; -1: without limit. */
static int milliseconds_until(arl_ns at, arl_ns now)
{
    if (at == ARL_NEVER)
        return -1;
    if (at <= now)
        return 0;
    return (int)arl_ns_min((at - now + ARL_MS - 1) / ARL_MS, INT_MAX);
}

void *thread_main(void *argument)
{
    const struct timespec pause = {.tv_nsec = 10 * ARL_MS};
    struct watchdog *watchdog = argument;
    arl_ns asked = ARL_NEVER; /* when the thread wanted to wake */
    bool late = false;

    pthread_mutex_lock(&watchdog->mutex);
#ifdef __linux__
    watchdog->task = (pid_t)syscall(SYS_gettid);
#endif
    while (!watchdog->stopping) {
        /* Never twice in a row: on a machine that is always late nothing would be renewed. */
        late = !late && asked != ARL_NEVER && watchdog->clock() > asked + LATE;
        waker_hush(&watchdog->waker);
        asked = look_at_rows(watchdog, late);
        nfds_t count = prepare_poll(watchdog);
        int timeout = milliseconds_until(asked, watchdog->clock());
        pthread_mutex_unlock(&watchdog->mutex);
        if (poll(watchdog->polled, count, timeout) < 0)
            nanosleep(&pause, NULL); /* too many for the system: not as fast as it can refuse */
        pthread_mutex_lock(&watchdog->mutex);
    }
    pthread_mutex_unlock(&watchdog->mutex);
    return NULL;
}

void thread_nudge(const struct watchdog *watchdog)
{
    if (watchdog->running)
        waker_ring(&watchdog->waker);
}

/* ---- its beginning ---- */

/* With all signals blocked: they are for the threads of the program. 0 or an errno. */
static int create(struct watchdog *watchdog)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int rc = pthread_attr_init(&attributes);

    if (rc != 0)
        return rc;
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    rc = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (rc == 0) {
        rc = pthread_create(&watchdog->thread, &attributes, thread_main, watchdog);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    pthread_attr_destroy(&attributes);
    return rc;
}

/* Under both mutexes. */
static int start(struct watchdog *watchdog)
{
    if (watchdog->row_count == 0)
        return 0;
    if (waker_open(&watchdog->waker) < 0)
        return WATCHDOG_ETHREAD;
    watchdog->stopping = false;
    watchdog->task = 0;
    if (create(watchdog) != 0) {
        waker_close(&watchdog->waker);
        return WATCHDOG_ETHREAD;
    }
    watchdog->running = true;
    return 0;
}

int watchdog_wake(struct watchdog *watchdog)
{
    bool awake;
    int rc = 0;

    pthread_mutex_lock(&watchdog->mutex);
    awake = watchdog->running && !watchdog->stopping;
    thread_nudge(watchdog);
    pthread_mutex_unlock(&watchdog->mutex);
    if (awake)
        return 0;
    pthread_mutex_lock(&watchdog->life);
    pthread_mutex_lock(&watchdog->mutex);
    if (!watchdog->running)
        rc = start(watchdog);
    pthread_mutex_unlock(&watchdog->mutex);
    pthread_mutex_unlock(&watchdog->life);
    return rc;
}

/* ---- its end ---- */

/* A thread that was joined may be counted for a moment more, and who forks then is warned of it. */
static void wait_until_uncounted(pid_t task)
{
#ifdef __linux__
    const struct timespec moment = {.tv_nsec = 50000};
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/task/%ld", (long)task);
    for (arl_ns waited = 0; waited < GONE_WITHIN && access(path, F_OK) == 0; waited += moment.tv_nsec)
        nanosleep(&moment, NULL);
#else
    (void)task;
#endif
}

/* Tells it to end; false where there is none. */
static bool tell_to_stop(struct watchdog *watchdog)
{
    bool running;

    pthread_mutex_lock(&watchdog->mutex);
    running = watchdog->running;
    watchdog->stopping = running;
    thread_nudge(watchdog);
    pthread_mutex_unlock(&watchdog->mutex);
    return running;
}

void watchdog_stop(struct watchdog *watchdog)
{
    pthread_mutex_lock(&watchdog->life);
    if (tell_to_stop(watchdog)) {
        pthread_join(watchdog->thread, NULL);
        wait_until_uncounted(watchdog->task);
        pthread_mutex_lock(&watchdog->mutex);
        watchdog->running = watchdog->stopping = false;
        waker_close(&watchdog->waker);
        for (struct watchdog_row *row = watchdog->rows; row; row = row->next)
            row_unwatch(row);
        pthread_mutex_unlock(&watchdog->mutex);
    }
    pthread_mutex_unlock(&watchdog->life);
}
