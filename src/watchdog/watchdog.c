#define _DEFAULT_SOURCE

#include "watchdog/watchdog.h"

#include <poll.h>
#include <stdlib.h>

#include "watchdog/inside.h"

struct watchdog *watchdog_new(arl_ns (*clock)(void))
{
    struct watchdog *watchdog = calloc(1, sizeof(*watchdog));

    if (!watchdog)
        return NULL;
    if (pthread_mutex_init(&watchdog->life, NULL) != 0) {
        free(watchdog);
        return NULL;
    }
    if (pthread_mutex_init(&watchdog->mutex, NULL) != 0) {
        pthread_mutex_destroy(&watchdog->life);
        free(watchdog);
        return NULL;
    }
    watchdog->clock = clock;
    watchdog->waker = WAKER_NONE;
    return watchdog;
}

void watchdog_free(struct watchdog *watchdog)
{
    pthread_mutex_destroy(&watchdog->mutex);
    pthread_mutex_destroy(&watchdog->life);
    free(watchdog->polled);
    free(watchdog->larger);
    free(watchdog);
}

void watchdog_del(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    watchdog_stop(watchdog);
    pthread_mutex_lock(&watchdog->mutex);
    watchdog->gone = true;
    const bool last = watchdog->row_count == 0;
    pthread_mutex_unlock(&watchdog->mutex);
    if (last)
        watchdog_free(watchdog);
}

void watchdog_forked(struct watchdog *watchdog)
{
    const bool orderly = !watchdog->running;

    pthread_mutex_init(&watchdog->life, NULL);
    pthread_mutex_init(&watchdog->mutex, NULL);
    waker_close(&watchdog->waker);
    watchdog->running = watchdog->stopping = false;
    for (struct watchdog_row *row = watchdog->rows; row; row = row->next)
        row_forked(row, orderly);
}

void watchdog_figures(struct watchdog *watchdog, struct watchdog_figures *out)
{
    pthread_mutex_lock(&watchdog->mutex);
    *out = watchdog->figures;
    for (struct watchdog_row *row = watchdog->rows; row; row = row->next)
        out->renewals += row->session.asked;
    pthread_mutex_unlock(&watchdog->mutex);
}
