#include "watchdog/watchdog.h"

#include <stdlib.h>

struct watchdog {
    arl_ns (*clock)(void);
};

struct watchdog_row {
    pthread_mutex_t mutex;
};

struct watchdog *watchdog_new(arl_ns (*clock)(void))
{
    struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
    if (watchdog != NULL)
        watchdog->clock = clock;
    return watchdog;
}

void watchdog_del(struct watchdog *watchdog)
{
    free(watchdog);
}

struct watchdog_row *watchdog_row_new(struct watchdog *watchdog, struct arl_engine *engine)
{
    struct watchdog_row *row = calloc(1, sizeof(*row));
    (void)watchdog;
    (void)engine;
    if (row != NULL && pthread_mutex_init(&row->mutex, NULL) != 0) {
        free(row);
        row = NULL;
    }
    return row;
}

void watchdog_row_del(struct watchdog_row *row)
{
    if (row == NULL)
        return;
    pthread_mutex_destroy(&row->mutex);
    free(row);
}

void watchdog_row_enter(struct watchdog_row *row)
{
    (void)pthread_mutex_lock(&row->mutex);
}

void watchdog_row_leave(struct watchdog_row *row)
{
    (void)pthread_mutex_unlock(&row->mutex);
}

int watchdog_row_set_server(struct watchdog_row *row, const struct watchdog_server *server)
{
    (void)row;
    (void)server;
    return 0;
}

void watchdog_row_clear_server(struct watchdog_row *row)
{
    (void)row;
}

bool watchdog_row_wants_look(struct watchdog_row *row)
{
    (void)row;
    return false;
}

int watchdog_wake(struct watchdog *watchdog)
{
    (void)watchdog;
    return 0;
}

void watchdog_stop(struct watchdog *watchdog)
{
    (void)watchdog;
}

void watchdog_forked(struct watchdog *watchdog)
{
    (void)watchdog;
}
