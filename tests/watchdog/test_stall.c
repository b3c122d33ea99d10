/* A loop that stands still, and a server that answers as it should. */
#include <stdio.h>

#include "loop.h"
#include "support.h"

static const struct login nobody = {0};

static void eval_of_key(char text[128])
{
    snprintf(text, 128, "EVAL redisson:key 01000000-0000-0000-0000-000000000000 %d", TTL_MS);
}

/* Four ttls without a turn, with database and user: held at the first look, and the connection closes. */
static void keeps_over(enum transport transport)
{
    struct world world;
    char eval[128];
    world_begin(&world, transport, (struct login){.database = 3, .username = "user", .password = "secret"});
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    eval_of_key(eval);
    stand_still(4 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    assert_string_equal(server_entry(world.server, SEEN_COMMAND, NULL, 0).text, "AUTH user secret");
    assert_string_equal(server_entry(world.server, SEEN_COMMAND, NULL, 1).text, "SELECT 3");
    assert_string_equal(server_entry(world.server, SEEN_COMMAND, NULL, 2).text, eval);
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    assert_about(server_count(world.server, SEEN_COMMAND, "AUTH"), 1);
    assert_in_range(server_count(world.server, SEEN_COMMAND, "EVAL"), 6, 15);
    assert_in_range(loop_kept(&world.loop), 6, 15);
    int ends = server_count(world.server, SEEN_END, NULL);
    assert_int_equal(ends, server_count(world.server, SEEN_CONNECTION, NULL) - 1);
    loop_turn(&world.loop);
    assert_in_range(world.loop.stalled_for, 4 * TTL, 8 * TTL);
    server_wait(world.server, SEEN_END, NULL, ends + 1);
    assert_true(loop_holds(&world.loop, hold));
    assert_int_equal(world.loop.lost, 0);
    world_end(&world);
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

/* What the first connection of a stall says, with its EVAL left out. */
static void greets_with(struct login login, const char *first)
{
    struct world world;
    world_begin(&world, OVER_TCP, login);
    loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    assert_string_equal(server_entry(world.server, SEEN_COMMAND, NULL, 0).text, first);
    assert_true(server_entry(world.server, SEEN_COMMAND, "EVAL", 0).text[0] != '\0');
    world_end(&world);
}

static void test_greetings(void **state)
{
    (void)state;
    char eval[128];
    eval_of_key(eval);
    greets_with((struct login){.password = "p w\r\n"}, "AUTH p w\r\n");
    greets_with((struct login){.database = 12}, "SELECT 12");
    greets_with((struct login){.username = "user", .password = ""}, "AUTH user ");
    greets_with(nobody, eval);
}

/* Each stall has a connection of its own, and between them there is none. */
static void test_stalls_again(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_UNIX, nobody);
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    for (int stall = 1; stall <= 3; stall++) {
        server_wait(world.server, SEEN_CONNECTION, NULL, stall);
        server_wait(world.server, SEEN_COMMAND, "EVAL", server_count(world.server, SEEN_COMMAND, "EVAL") + 1);
        loop_turn(&world.loop);
        server_wait(world.server, SEEN_END, NULL, stall);
    }
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 3);
    assert_true(loop_holds(&world.loop, hold));
    world_end(&world);
}

/* More leases than may be unanswered at once, and more bytes than are formatted at once. */
static void test_keeps_many_leases(void **state)
{
    (void)state;
    enum { LEASES = 700 };
    struct world world;
    char key[16];
    world_begin(&world, OVER_TCP, nobody);
    for (int i = 0; i < LEASES; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        loop_hold(&world.loop, key, 3 * TTL, ARL_NEVER);
    }
    stand_still(5 * TTL);
    for (int i = 0; i < LEASES; i++)
        assert_true(loop_holds(&world.loop, i));
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    /* It slept where it could: a look for each answer at most, not a busy wait for them. */
    assert_true(world_figures(&world).looks < 3 * world_figures(&world).renewals);
    world_end(&world);
}

/* Fifty loops stop at once. */
static void test_keeps_many_loops(void **state)
{
    (void)state;
    enum { LOOPS = 50 };
    static struct loop loops[LOOPS];
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    for (int i = 0; i < LOOPS; i++) {
        loop_init(&loops[i], world.watchdog);
        loop_serve(&loops[i], world.server, (struct login){.database = i});
        loop_hold(&loops[i], "key", 2 * TTL, ARL_NEVER);
    }
    stand_still(4 * TTL);
    for (int i = 0; i < LOOPS; i++)
        assert_true(loop_holds(&loops[i], 0));
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), LOOPS);
    for (int i = 0; i < LOOPS; i++)
        loop_turn(&loops[i]);
    server_wait(world.server, SEEN_END, NULL, LOOPS);
    for (int i = 0; i < LOOPS; i++)
        loop_free(&loops[i]);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_over_tcp),    cmocka_unit_test(test_keeps_over_unix),
        cmocka_unit_test(test_greetings),         cmocka_unit_test(test_stalls_again),
        cmocka_unit_test(test_keeps_many_leases), cmocka_unit_test(test_keeps_many_loops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
