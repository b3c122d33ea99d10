#define _DEFAULT_SOURCE

#include <poll.h>
#include <stdlib.h>

#include "watchdog/inside.h"

/* ---- the list ---- */

/* Room in what is polled for one row more. The thread may be using the former room: it changes over itself. */
static int reserve(struct watchdog *watchdog)
{
    size_t capacity = watchdog->capacity > 0 ? watchdog->capacity * 2 : 8;
    struct pollfd *larger;

    if (watchdog->row_count + 2 <= watchdog->capacity)
        return 0;
    larger = calloc(capacity, sizeof(*larger));
    if (!larger)
        return ARL_ENOMEM;
    free(watchdog->larger);
    watchdog->larger = larger;
    watchdog->capacity = capacity;
    return 0;
}

static void enlist(struct watchdog_row *row)
{
    struct watchdog *watchdog = row->watchdog;

    row->next = watchdog->rows;
    row->slot = &watchdog->rows;
    if (row->next)
        row->next->slot = &row->next;
    watchdog->rows = row;
    watchdog->row_count++;
}

static void delist(struct watchdog_row *row)
{
    *row->slot = row->next;
    if (row->next)
        row->next->slot = row->slot;
    row->watchdog->row_count--;
}

/* ---- life ---- */

struct watchdog_row *watchdog_row_new(struct watchdog *watchdog, struct arl_engine *engine)
{
    struct watchdog_row *row = calloc(1, sizeof(*row));
    int rc;

    if (!row)
        return NULL;
    if (pthread_mutex_init(&row->mutex, NULL) != 0) {
        free(row);
        return NULL;
    }
    row->watchdog = watchdog;
    row->engine = engine;
    row->look_at = ARL_NEVER;
    session_init(&row->session, &(struct session_owner){engine, &row->mutex, watchdog->clock});
    pthread_mutex_lock(&watchdog->mutex);
    rc = reserve(watchdog);
    if (rc == 0)
        enlist(row);
    pthread_mutex_unlock(&watchdog->mutex);
    if (rc == 0)
        return row;
    pthread_mutex_destroy(&row->mutex);
    free(row);
    return NULL;
}

void watchdog_row_del(struct watchdog_row *row)
{
    struct watchdog *watchdog;
    bool last;

    if (!row)
        return;
    watchdog = row->watchdog;
    watchdog_row_clear_server(row);
    pthread_mutex_lock(&watchdog->mutex);
    watchdog->figures.renewals += row->session.asked;
    delist(row);
    last = watchdog->gone && watchdog->row_count == 0;
    pthread_mutex_unlock(&watchdog->mutex);
    pthread_mutex_destroy(&row->mutex);
    free(row);
    if (last)
        watchdog_free(watchdog);
}

void row_forked(struct watchdog_row *row, bool orderly)
{
    pthread_mutex_init(&row->mutex, NULL); /* whoever held it lives in the parent alone */
    if (orderly)
        session_close(&row->session);
    else
        session_abandon(&row->session);
    server_del(row->server);
    row->server = NULL;
    row->usable = row->connected = false;
    row->look_at = ARL_NEVER;
}

/* ---- the engine's mutex ---- */

void watchdog_row_enter(struct watchdog_row *row)
{
    pthread_mutex_lock(&row->mutex);
}

void watchdog_row_leave(struct watchdog_row *row)
{
    pthread_mutex_unlock(&row->mutex);
}

bool watchdog_row_wants_look(struct watchdog_row *row)
{
    if (!row->usable)
        return false;
    if (arl_watch_deadline(row->engine) < row->look_at)
        return true;
    /* The loop turns again: the connection is not kept until the thread looks of itself. */
    return row->connected && arl_watch_is_over(row->engine, row->watchdog->clock());
}

/* ---- the server ---- */

static void use(struct watchdog_row *row, bool usable)
{
    watchdog_row_enter(row);
    row->usable = usable;
    row->look_at = ARL_NEVER;
    watchdog_row_leave(row);
}

/* Under the watchdog's mutex. */
static void replace_server(struct watchdog_row *row, struct server *server)
{
    if (row->session.state != SESSION_NONE) {
        row_disconnect(row);
        thread_nudge(row->watchdog);
    }
    server_del(row->server);
    row->server = server;
    use(row, server != NULL);
}

int watchdog_row_set_server(struct watchdog_row *row, const struct watchdog_server *from)
{
    struct server *server = server_new(from);

    pthread_mutex_lock(&row->watchdog->mutex);
    if (server && row->server && server_is_same(server, row->server))
        server_del(server); /* and what it refused stays refused */
    else
        replace_server(row, server);
    pthread_mutex_unlock(&row->watchdog->mutex);
    return server ? 0 : ARL_ENOMEM;
}

void watchdog_row_clear_server(struct watchdog_row *row)
{
    pthread_mutex_lock(&row->watchdog->mutex);
    replace_server(row, NULL);
    pthread_mutex_unlock(&row->watchdog->mutex);
}

/* ---- the thread's look ---- */

static void down(struct watchdog_row *row)
{
    watchdog_row_enter(row);
    row->connected = false;
    arl_watch_down(row->engine, row->watchdog->clock());
    watchdog_row_leave(row);
}

void row_disconnect(struct watchdog_row *row)
{
    session_close(&row->session);
    down(row);
}

void row_unwatch(struct watchdog_row *row)
{
    if (row->session.state != SESSION_NONE)
        row_disconnect(row);
    watchdog_row_enter(row);
    row->look_at = ARL_NEVER;
    watchdog_row_leave(row);
}

static void fail(struct watchdog_row *row, int rc)
{
    if (rc == SESSION_EREFUSED) {
        row->server->refused = true;
        use(row, false);
    }
    row_disconnect(row);
}

static bool is_due(struct watchdog_row *row)
{
    bool due;

    watchdog_row_enter(row);
    due = arl_watch_is_due(row->engine, row->watchdog->clock());
    watchdog_row_leave(row);
    return due;
}

static void connect_where_due(struct watchdog_row *row)
{
    arl_ns patience;

    if (!is_due(row))
        return;
    row->watchdog->figures.connections++;
    watchdog_row_enter(row);
    patience = arl_watch_patience(row->engine);
    row->connected = true;
    watchdog_row_leave(row);
    if (session_open(&row->session, row->server, patience) < 0)
        row_disconnect(row);
}

/* Results first, then what is over, then what is due. */
static void turn(struct watchdog_row *row)
{
    bool over;
    int rc;

    if (row->session.state != SESSION_NONE) {
        rc = session_turn(&row->session, row->server);
        if (rc < 0) {
            fail(row, rc);
        } else {
            watchdog_row_enter(row);
            over = arl_watch_is_over(row->engine, row->watchdog->clock());
            watchdog_row_leave(row);
            if (over)
                row_disconnect(row);
        }
    }
    if (row->session.state == SESSION_NONE && !row->server->refused)
        connect_where_due(row);
    if (session_is_free(&row->session) && (rc = session_ask(&row->session)) < 0)
        fail(row, rc);
}

/* When to look again, which is promised to whoever asks watchdog_row_wants_look. */
static arl_ns promise(struct watchdog_row *row)
{
    arl_ns at = ARL_NEVER, now;
    /* What is due meanwhile has to wait for the connection, or for the answers before it. */
    const bool waits = row->session.state != SESSION_NONE &&
                       (row->session.state != SESSION_READY || row->session.unanswered > 0);

    watchdog_row_enter(row);
    if (row->usable) {
        now = row->watchdog->clock();
        at = !waits && arl_watch_is_due(row->engine, now) ? now : arl_watch_deadline(row->engine);
        at = arl_ns_min(at, row->session.wait_until);
    }
    row->look_at = at;
    watchdog_row_leave(row);
    return at;
}

arl_ns row_look(struct watchdog_row *row, bool late)
{
    if (!row->server || row->server->refused)
        return ARL_NEVER;
    if (late) {
        watchdog_row_enter(row);
        arl_watch_woke_late(row->engine, row->watchdog->clock());
        watchdog_row_leave(row);
    }
    turn(row);
    return promise(row);
}
