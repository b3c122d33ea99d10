/* loop.h - stands in for an event loop: an engine with its row, and a connection of the loop's own on which
 * everything is granted at once. It stands still while the test does not call loop_turn. */
#ifndef LOOP_H
#define LOOP_H

#include "server.h"
#include "support.h"
#include "watchdog/watchdog.h"

#define LOOP_HOLDS 800

/* ns: of the leases of most tests. */
#define TTL_MS (THREAD_SANITIZER ? 800 : 400)
#define TTL (TTL_MS * ARL_MS)

struct loop {
    struct watchdog *watchdog;
    struct arl_engine *engine;
    struct watchdog_row *row;
    struct arl_handle *holds[LOOP_HOLDS];
    int count;
    bool renews;        /* its own renewals are answered "yes"; else with silence */
    arl_ns stalled_for; /* what the last STALLED event said; 0: there was none */
    int drawn;          /* tokens */
    int lost;           /* holds */
};

struct login {
    int database;
    const char *username, *password;
};

void loop_init(struct loop *loop, struct watchdog *watchdog);
void loop_free(struct loop *loop);

/* The watchdog learns of the server. */
void loop_serve(struct loop *loop, const struct server *server, struct login login);

/* Acquires a key; the index of the hold, or -1 where its lease was over before this thread came to look. */
int loop_try_hold(struct loop *loop, const char *key, arl_ns ttl, arl_ns stall_limit);

/* The same; a lease that is over fails the test. */
int loop_hold(struct loop *loop, const char *key, arl_ns ttl, arl_ns stall_limit);
void loop_release(struct loop *loop, int hold);

/* A turn: a tick, the requests and their replies, the events; and the watchdog is told where it wants to be. */
void loop_turn(struct loop *loop);

/* Turns whenever something is due, for `time` (ns). */
void loop_run(struct loop *loop, arl_ns time);

/* Is the lease certain now? Asked without a turn. */
bool loop_holds(struct loop *loop, int hold);

/* How many renewals of the watchdog's were answered "yes". */
unsigned long loop_kept(struct loop *loop);

/* A watchdog, a server and one loop. */
struct world {
    struct watchdog *watchdog;
    struct server *server;
    struct loop loop;
};

void world_begin(struct world *world, enum transport transport, struct login login);
void world_end(struct world *world);

struct watchdog_figures world_figures(const struct world *world);

/* A test: with this script there are connections again and again, but not more than one each tenth of the ttl,
 * and `command` comes (NULL: it need not); the lease is not kept, and nothing is tried for it any more. */
void world_comes_again(struct script script, struct login login, const char *command);

/* Sleeps: this thread, and with it the loop, stands still for so long (ns). */
void stand_still(arl_ns time);

#endif
