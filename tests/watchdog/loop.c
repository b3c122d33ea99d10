#include "loop.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support.h"

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void give_back(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static int draw(void *ctx, uint8_t token[ARL_TOKEN_SIZE])
{
    struct loop *loop = ctx;
    memset(token, 0, ARL_TOKEN_SIZE);
    token[0] = (uint8_t)++loop->drawn;
    token[1] = (uint8_t)(loop->drawn >> 8);
    return 0;
}

void loop_init(struct loop *loop, struct watchdog *watchdog)
{
    *loop = (struct loop){.watchdog = watchdog, .renews = true};
    struct arl_settings settings = {.alloc = take,
                                    .release = give_back,
                                    .draw_token = draw,
                                    .ctx = loop,
                                    .seed = 1,
                                    .reply_timeout = 5 * ARL_SECOND};
    loop->engine = arl_engine_new(&settings);
    assert_non_null(loop->engine);
    loop->row = watchdog_row_new(watchdog, loop->engine);
    assert_non_null(loop->row);
    watchdog_row_enter(loop->row);
    arl_engine_up(loop->engine, clock_now());
    watchdog_row_leave(loop->row);
}

void loop_free(struct loop *loop)
{
    watchdog_row_del(loop->row);
    for (int i = 0; i < loop->count; i++)
        if (loop->holds[i] != NULL)
            arl_engine_drop(loop->engine, loop->holds[i], clock_now());
    arl_engine_del(loop->engine);
}

void loop_serve(struct loop *loop, const struct server *server, struct login login)
{
    struct sockaddr_storage address;
    struct watchdog_server where = {.address = (struct sockaddr *)&address,
                                    .address_length = server_address(server, &address),
                                    .database = login.database,
                                    .username = login.username,
                                    .username_length = login.username ? strlen(login.username) : 0,
                                    .password = login.password,
                                    .password_length = login.password ? strlen(login.password) : 0};
    assert_int_equal(watchdog_row_set_server(loop->row, &where), 0);
}

/* ---- a turn; all but the last under the row's mutex ---- */

static void answer_requests(struct loop *loop)
{
    struct arl_request_view view;
    while (arl_engine_next_request(loop->engine, clock_now(), &view))
        if (view.verb != ARL_RENEW || loop->renews)
            assert_int_equal(arl_engine_reply(loop->engine, ARL_YES, clock_now()), 0);
}

static void take_events(struct loop *loop)
{
    struct arl_event event;
    while (arl_engine_next_event(loop->engine, &event)) {
        if (event.kind == ARL_EVENT_GRANTED)
            arl_engine_confirm(loop->engine, event.handle, clock_now());
        if (event.kind == ARL_EVENT_STALLED)
            loop->stalled_for = event.stalled_for;
        if (event.kind == ARL_EVENT_ENDED && event.cause == ARL_LOST)
            loop->lost++;
    }
}

/* Leaves the row, and tells the watchdog where it must know. */
static void leave(struct loop *loop)
{
    bool wants = watchdog_row_wants_look(loop->row);
    watchdog_row_leave(loop->row);
    if (wants)
        watchdog_wake(loop->watchdog);
}

static void finish(struct loop *loop)
{
    answer_requests(loop);
    take_events(loop);
    answer_requests(loop);
    leave(loop);
}

void loop_turn(struct loop *loop)
{
    watchdog_row_enter(loop->row);
    arl_engine_tick(loop->engine, clock_now());
    finish(loop);
}

void loop_run(struct loop *loop, arl_ns time)
{
    arl_ns end = clock_now() + time;
    while (clock_now() < end) {
        watchdog_row_enter(loop->row);
        arl_ns due = arl_engine_deadline(loop->engine);
        watchdog_row_leave(loop->row);
        if (due <= clock_now())
            loop_turn(loop);
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

/* ---- holds ---- */

int loop_try_hold(struct loop *loop, const char *key, arl_ns ttl, arl_ns stall_limit)
{
    struct arl_want want = {.key = key,
                            .key_length = strlen(key),
                            .ttl = ttl,
                            .sleep_low = 10 * ARL_MS,
                            .sleep_high = 20 * ARL_MS,
                            .tries = 3,
                            .patience = ARL_NEVER,
                            .stall_limit = stall_limit};
    int index = loop->count++;
    assert_true(index < LOOP_HOLDS);
    watchdog_row_enter(loop->row);
    assert_int_equal(arl_engine_acquire(loop->engine, &want, NULL, clock_now(), &loop->holds[index]), 0);
    finish(loop);
    return loop_holds(loop, index) ? index : -1;
}

int loop_hold(struct loop *loop, const char *key, arl_ns ttl, arl_ns stall_limit)
{
    int index = loop_try_hold(loop, key, ttl, stall_limit);
    assert_true(index >= 0);
    return index;
}

void loop_release(struct loop *loop, int hold)
{
    watchdog_row_enter(loop->row);
    assert_int_equal(arl_engine_release(loop->engine, loop->holds[hold], clock_now()), 0);
    finish(loop);
    watchdog_row_enter(loop->row);
    arl_engine_drop(loop->engine, loop->holds[hold], clock_now());
    loop->holds[hold] = NULL;
    leave(loop);
}

bool loop_holds(struct loop *loop, int hold)
{
    watchdog_row_enter(loop->row);
    bool holds = arl_engine_look(loop->engine, loop->holds[hold], clock_now());
    watchdog_row_leave(loop->row);
    return holds;
}

unsigned long loop_kept(struct loop *loop)
{
    struct arl_counters counters;
    watchdog_row_enter(loop->row);
    arl_engine_count(loop->engine, &counters);
    watchdog_row_leave(loop->row);
    return (unsigned long)counters.renewed_elsewhere;
}

/* ---- the world ---- */

void world_begin(struct world *world, enum transport transport, struct login login)
{
    world->server = server_start(transport);
    world->watchdog = watchdog_new(clock_now);
    assert_non_null(world->watchdog);
    loop_init(&world->loop, world->watchdog);
    loop_serve(&world->loop, world->server, login);
}

void world_end(struct world *world)
{
    loop_free(&world->loop);
    watchdog_del(world->watchdog);
    server_stop(world->server);
}

struct watchdog_figures world_figures(const struct world *world)
{
    struct watchdog_figures figures;
    watchdog_figures(world->watchdog, &figures);
    return figures;
}

void stand_still(arl_ns time)
{
    nanosleep(&(struct timespec){.tv_sec = time / ARL_SECOND, .tv_nsec = time % ARL_SECOND}, NULL);
}

void world_comes_again(struct script script, struct login login, const char *command)
{
    const arl_ns ttl = 2 * TTL;
    struct world world;
    world_begin(&world, OVER_TCP, login);
    server_set(world.server, script);
    int hold = loop_hold(&world.loop, "key", ttl, ARL_NEVER);
    stand_still(5 * ttl / 4);
    assert_false(loop_holds(&world.loop, hold));
    int connections = server_count(world.server, SEEN_CONNECTION, NULL);
    assert_in_range(connections, 2, 6); /* half a ttl is left when it begins */
    if (command != NULL)
        assert_true(server_count(world.server, SEEN_COMMAND, command) >= 2);
    assert_int_equal(loop_kept(&world.loop), 0);
    stand_still(ttl / 4);
    assert_int_equal(server_count(world.server, SEEN_CONNECTION, NULL), connections);
    world_end(&world);
}
