/* When the watchdog has nothing to do, or no more: limits, releases, loops that live, a process that was stopped. */
#include "loop.h"
#include "support.h"

static const struct login nobody = {0};

/* ---- not kept ---- */

static void test_stall_limit(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    int limited = loop_hold(&world.loop, "limited", TTL, 2 * TTL);
    arl_ns turned = clock_now();
    int unlimited = loop_hold(&world.loop, "unlimited", TTL, ARL_NEVER);
    stand_still(7 * TTL / 2);
    assert_false(loop_holds(&world.loop, limited));
    assert_true(loop_holds(&world.loop, unlimited));
    int last = server_count(world.server, SEEN_COMMAND, "EVAL redisson:limited") - 1;
    assert_true(last >= 1);
    assert_true(server_entry(world.server, SEEN_COMMAND, "EVAL redisson:limited", last).at <
                turned + 2 * TTL + TTL / 6);
    world_end(&world);
}

/* With a limit of 0 there is no need of a thread, and with a limit for all its connection closes in the end. */
static void test_no_limit_no_look(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    int never = loop_hold(&world.loop, "never", TTL, 0);
    stand_still(3 * TTL / 2);
    assert_false(loop_holds(&world.loop, never));
    assert_int_equal(world_figures(&world).looks, 0);
    loop_hold(&world.loop, "briefly", TTL, TTL);
    server_wait(world.server, SEEN_END, NULL, 1);
    stand_still(TTL);
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    world_end(&world);
}

/* The body that blocks the loop releases: nothing is renewed after that. */
static void test_release_in_a_stall(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    loop_release(&world.loop, hold);
    arl_ns released = clock_now();
    server_wait(world.server, SEEN_END, NULL, 1);
    stand_still(TTL);
    int last = server_count(world.server, SEEN_COMMAND, "EVAL") - 1;
    assert_true(server_entry(world.server, SEEN_COMMAND, "EVAL", last).at < released + TTL / 4);
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    world_end(&world);
}

/* A row without a server, or one whose server was taken away in a stall. */
static void test_without_a_server(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    watchdog_row_clear_server(world.loop.row);
    server_wait(world.server, SEEN_END, NULL, 1);
    stand_still(3 * TTL / 2);
    assert_false(loop_holds(&world.loop, hold));
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    world_end(&world);
}

/* ---- a loop that lives ---- */

static void test_living_loop(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    loop_hold(&world.loop, "key", 2 * ARL_SECOND, ARL_NEVER);
    loop_run(&world.loop, 3 * ARL_SECOND);
    assert_int_equal(world_figures(&world).connections, 0);
    assert_in_range(world_figures(&world).looks, 1, 5); /* one at first, then each half a ttl */
    assert_int_equal(world.loop.stalled_for, 0);
    loop_release(&world.loop, 0);
    stand_still(ARL_SECOND);
    unsigned long looks = world_figures(&world).looks;
    stand_still(ARL_SECOND / 2);
    assert_int_equal(world_figures(&world).looks, looks); /* with nothing to keep it sleeps */
    world_end(&world);
}

/* The loop lives, its own server is gone: that is no stall. */
static void test_living_loop_without_answers(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    loop_hold(&world.loop, "key", 3 * TTL, ARL_NEVER);
    watchdog_row_enter(world.loop.row);
    arl_engine_down(world.loop.engine, clock_now());
    watchdog_row_leave(world.loop.row);
    loop_run(&world.loop, 4 * TTL);
    assert_int_equal(world.loop.lost, 1);
    assert_int_equal(world_figures(&world).connections, 0);
    world_end(&world);
}

/* ---- a process that was stopped: its clock went on, and its thread wakes later than it asked ---- */

#define SLEPT (5500 * ARL_MS) /* the thread wanted to wake after 5 s: half of a ttl of 10 s */

static void wait_for_look(const struct world *world)
{
    unsigned long looks = world_figures(world).looks;
    clock_forward(SLEPT);
    assert_int_equal(watchdog_wake(world->watchdog), 0);
    while (world_figures(world).looks == looks)
        stand_still(ARL_MS);
}

static void begin_long_hold(struct world *world)
{
    world_begin(world, OVER_TCP, nobody);
    loop_hold(&world->loop, "key", 10 * ARL_SECOND, ARL_NEVER);
    while (world_figures(world).looks == 0)
        stand_still(ARL_MS);
}

static void test_woke_late_and_the_loop_too(void **state)
{
    (void)state;
    struct world world;
    begin_long_hold(&world);
    wait_for_look(&world);
    loop_turn(&world.loop);
    stand_still(600 * ARL_MS);
    assert_int_equal(world_figures(&world).connections, 0);
    world_end(&world);
}

static void test_woke_late_and_the_loop_does_not(void **state)
{
    (void)state;
    struct world world;
    begin_long_hold(&world);
    arl_ns before = clock_now() + SLEPT;
    wait_for_look(&world);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    arl_ns asked = server_entry(world.server, SEEN_COMMAND, "EVAL", 0).at;
    assert_in_range(asked - before, 500 * ARL_MS, 3 * ARL_SECOND); /* a twentieth of the ttl for the loop */
    /* The loop turns again: the connection ends at once, not when the thread looks of itself. */
    while (loop_kept(&world.loop) == 0)
        stand_still(ARL_MS);
    stand_still(20 * ARL_MS);
    loop_turn(&world.loop);
    arl_ns turned = clock_now();
    server_wait(world.server, SEEN_END, NULL, 1);
    assert_true(server_entry(world.server, SEEN_END, NULL, 0).at - turned < ARL_SECOND);
    world_end(&world);
}

/* A connection that is closed while the thread waits for it ends at once: poll() would keep it open. */
static void test_without_a_server_while_it_sleeps(void **state)
{
    (void)state;
    struct world world;
    begin_long_hold(&world);
    wait_for_look(&world);
    while (loop_kept(&world.loop) == 0)
        stand_still(ARL_MS);
    stand_still(20 * ARL_MS);
    arl_ns cleared = clock_now();
    watchdog_row_clear_server(world.loop.row);
    server_wait(world.server, SEEN_END, NULL, 1);
    assert_true(server_entry(world.server, SEEN_END, NULL, 0).at - cleared < ARL_SECOND);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stall_limit),
        cmocka_unit_test(test_no_limit_no_look),
        cmocka_unit_test(test_release_in_a_stall),
        cmocka_unit_test(test_without_a_server),
        cmocka_unit_test(test_living_loop),
        cmocka_unit_test(test_living_loop_without_answers),
        cmocka_unit_test(test_woke_late_and_the_loop_too),
        cmocka_unit_test(test_woke_late_and_the_loop_does_not),
        cmocka_unit_test(test_without_a_server_while_it_sleeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
