/* Servers that are not there, and what any may answer besides "yes". */
#include <netinet/in.h>
#include <unistd.h>

#include "loop.h"
#include "support.h"

static const struct login nobody = {0};

/* ---- a server that is not there ---- */

static void comes_back(enum transport transport)
{
    struct world world;
    world_begin(&world, transport, nobody);
    server_down(world.server);
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    while (world_figures(&world).connections < 3)
        stand_still(ARL_MS);
    server_up(world.server);
    stand_still(3 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    assert_in_range(world_figures(&world).connections, 4, 8); /* at its pace, also while nobody was there */
    world_end(&world);
}

static void test_comes_back_over_tcp(void **state)
{
    (void)state;
    comes_back(OVER_TCP);
}

static void test_comes_back_over_unix(void **state)
{
    (void)state;
    comes_back(OVER_UNIX);
}

/* It goes away in the middle of a stall, and is back before the lease is over. */
static void test_goes_and_comes_back(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    server_down(world.server);
    stand_still(TTL / 2);
    server_up(world.server);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 3);
    assert_true(loop_holds(&world.loop, hold));
    assert_true(world_figures(&world).connections >= 2);
    assert_true(world_figures(&world).looks < 60); /* an end is not looked at again and again */
    world_end(&world);
}

/* Its queue of connections is full: what we send to connect is not answered at all. */
static void test_no_answer_to_the_connecting(void **state)
{
    (void)state;
    struct world world;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM, 0), fillers[4];
    assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(listener, 0), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, length);
    }
    world_begin(&world, OVER_TCP, nobody);
    struct watchdog_server where = {.address = (struct sockaddr *)&address, .address_length = length};
    assert_int_equal(watchdog_row_set_server(world.loop.row, &where), 0);
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    stand_still(5 * TTL / 2);
    assert_false(loop_holds(&world.loop, hold));
    assert_in_range(world_figures(&world).connections, 2,
                    3); /* 0.1 s, and a tenth of the ttl before the next */
    unsigned long looks = world_figures(&world).looks;
    assert_true(looks < 30); /* it slept while it waited */
    stand_still(TTL);
    assert_int_equal(world_figures(&world).looks, looks);
    world_end(&world);
    for (int i = 0; i < 4; i++)
        close(fillers[i]);
    close(listener);
}

/* ---- answers ---- */

/* The watchdog renews the lease no more, and does not end it: the loop's own connection decides. */
static void is_not_ours(const char *reply)
{
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    struct script script = server_well();
    script.eval = reply;
    server_set(world.server, script);
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    server_wait(world.server, SEEN_END, NULL, 1);
    assert_true(loop_holds(&world.loop, hold));
    stand_still(3 * TTL / 2);
    assert_int_equal(server_count(world.server, SEEN_COMMAND, "EVAL"), 1);
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    world_end(&world);
}

static void test_not_ours(void **state)
{
    (void)state;
    is_not_ours(":0\r\n");
    is_not_ours("-WRONGTYPE Operation against a key holding the wrong kind of value\r\n");
}

/* An error that passes: over the same connection each tenth of the ttl, until it has passed. */
static void test_busy(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    struct script script = server_well();
    script.eval = "-BUSY Redis is busy running a script.\r\n";
    server_set(world.server, script);
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 3);
    arl_ns first = server_entry(world.server, SEEN_COMMAND, "EVAL", 0).at;
    assert_true(server_entry(world.server, SEEN_COMMAND, "EVAL", 2).at - first >= 2 * TTL / 10);
    server_set(world.server, server_well());
    stand_still(2 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_back_over_tcp),
        cmocka_unit_test(test_comes_back_over_unix),
        cmocka_unit_test(test_goes_and_comes_back),
        cmocka_unit_test(test_no_answer_to_the_connecting),
        cmocka_unit_test(test_not_ours),
        cmocka_unit_test(test_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
