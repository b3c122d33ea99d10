/* Servers that talk nonsense or hang up: tried again each tenth of a ttl, until the lease is over. */
#include <stdlib.h>
#include <string.h>

#include "loop.h"
#include "support.h"

static const struct login nobody = {0};
static const struct login somebody = {.database = 2, .username = "user", .password = "secret"};

static void test_hangs_up(void **state)
{
    (void)state;
    struct script script = {.hangs_up = true};
    world_comes_again(script, nobody, "EVAL");
    world_comes_again(script, somebody, "AUTH");
    script.eval = ":"; /* half a reply */
    world_comes_again(script, nobody, "EVAL");
}

static void test_nonsense(void **state)
{
    (void)state;
    struct script script = server_well();
    script.eval = "HTTP/1.1 400 Bad Request\r\n\r\n";
    world_comes_again(script, nobody, "EVAL");
    script.eval = "+OK\r\n"; /* no answer to a script */
    world_comes_again(script, nobody, "EVAL");
    script.eval = "$999999999\r\n";
    world_comes_again(script, nobody, "EVAL");
    script.auth = "$-1\r\n";
    world_comes_again(script, somebody, "AUTH");
}

static void test_never_ends_its_line(void **state)
{
    (void)state;
    char *line = malloc(5000);
    assert_non_null(line);
    memset(line, 'x', 4999);
    line[0] = '+';
    line[4999] = '\0';
    struct script script = server_well();
    script.eval = line;
    world_comes_again(script, nobody, "EVAL");
    free(line);
}

/* A reply that nobody asked for, after one that was: what was renewed is renewed. */
static void test_unasked_reply(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    struct script script = server_well();
    script.eval = ":1\r\n:1\r\n";
    server_set(world.server, script);
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_CONNECTION, NULL, 3);
    assert_true(loop_holds(&world.loop, hold));
    assert_true(loop_kept(&world.loop) >= 2);
    world_end(&world);
}

/* Each reply in as many pieces as it has bytes. */
static void test_byte_by_byte(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, somebody);
    struct script script = server_well();
    script.one_byte = true;
    server_set(world.server, script);
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    stand_still(2 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hangs_up),
        cmocka_unit_test(test_nonsense),
        cmocka_unit_test(test_never_ends_its_line),
        cmocka_unit_test(test_unasked_reply),
        cmocka_unit_test(test_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
