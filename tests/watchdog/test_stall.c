/* A loop that stands still, and a server that answers as it should. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "support.h"

#define TTL (300 * ARL_MS)

static void stand_still(arl_ns time)
{
    nanosleep(&(struct timespec){.tv_sec = time / ARL_SECOND, .tv_nsec = time % ARL_SECOND}, NULL);
}

struct world {
    struct watchdog *watchdog;
    struct server *server;
    struct loop loop;
};

static void begin(struct world *world, enum transport transport, struct login login)
{
    world->server = server_start(transport);
    world->watchdog = watchdog_new(clock_now);
    assert_non_null(world->watchdog);
    loop_init(&world->loop, world->watchdog);
    loop_serve(&world->loop, world->server, login);
}

static void end(struct world *world)
{
    loop_free(&world->loop);
    watchdog_del(world->watchdog);
    server_stop(world->server);
}

/* Four ttls without a turn, with database and user: held at the first look, and the connection closes. */
static void keeps_over(enum transport transport)
{
    struct world world;
    begin(&world, transport, (struct login){.database = 3, .username = "user", .password = "secret"});
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    stand_still(4 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    assert_string_equal(server_entry(world.server, SEEN_COMMAND, NULL, 0).text, "AUTH user secret");
    assert_string_equal(server_entry(world.server, SEEN_COMMAND, NULL, 1).text, "SELECT 3");
    assert_string_equal(server_entry(world.server, SEEN_COMMAND, NULL, 2).text,
                        "EVAL redisson:key 01000000-0000-0000-0000-000000000000 300");
    assert_int_equal(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    assert_int_equal(server_count(world.server, SEEN_COMMAND, "AUTH"), 1);
    assert_in_range(server_count(world.server, SEEN_COMMAND, "EVAL"), 7, 14);
    assert_int_equal(server_count(world.server, SEEN_END, NULL), 0);
    loop_turn(&world.loop);
    assert_in_range(world.loop.stalled_for, 4 * TTL, 5 * TTL);
    server_wait(world.server, SEEN_END, NULL, 1);
    assert_true(loop_holds(&world.loop, hold));
    end(&world);
}

static void test_keeps_over_tcp(void **state)
{
    (void)state;
    keeps_over(OVER_TCP);
}

static void test_keeps_over_unix(void **state)
{
    (void)state;
    keeps_over(OVER_UNIX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_over_tcp),
        cmocka_unit_test(test_keeps_over_unix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
