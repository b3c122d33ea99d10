/* Servers that refuse: for good, for now, or over this connection. */
#include "loop.h"
#include "support.h"

static const struct login nobody = {0};
static const struct login somebody = {.database = 2, .username = "user", .password = "secret"};

/* ---- a refused greeting ---- */

/* The greeting is refused: one connection, one greeting, whatever happens after it. */
static void is_refused(struct script script, const char *command)
{
    struct world world;
    world_begin(&world, OVER_TCP, somebody);
    server_set(world.server, script);
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_END, NULL, 1);
    loop_serve(&world.loop, world.server, somebody); /* says nothing new */
    loop_turn(&world.loop);
    stand_still(TTL + TTL / 5);
    assert_false(loop_holds(&world.loop, hold));
    assert_int_equal(server_count(world.server, SEEN_CONNECTION, NULL), 1);
    assert_int_equal(server_count(world.server, SEEN_COMMAND, command), 1);
    assert_int_equal(server_count(world.server, SEEN_COMMAND, "EVAL"), 0);
    /* Another setting is another matter. */
    server_set(world.server, server_well());
    loop_serve(&world.loop, world.server, (struct login){.password = "another"});
    loop_turn(&world.loop);
    hold = loop_hold(&world.loop, "another", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL redisson:another", 1);
    world_end(&world);
}

static void test_refused_password(void **state)
{
    (void)state;
    struct script script = server_well();
    script.auth = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    is_refused(script, "AUTH");
}

static void test_refused_by_acl(void **state)
{
    (void)state;
    struct script script = server_well();
    script.auth = "-NOPERM this user has no permissions to run the 'auth' command\r\n";
    is_refused(script, "AUTH");
}

static void test_refused_by_a_server_without_passwords(void **state)
{
    (void)state;
    struct script script = server_well();
    script.auth = "-ERR AUTH <password> called without any password configured for the default user.\r\n";
    is_refused(script, "AUTH");
}

static void test_refused_database(void **state)
{
    (void)state;
    struct script script = server_well();
    script.select = "-ERR DB index is out of range\r\n";
    is_refused(script, "SELECT");
}

/* ---- what passes: tried again each tenth of a ttl, until the lease is over ---- */

static void test_too_many_clients(void **state)
{
    (void)state;
    struct script script = {.at_once = "-ERR max number of clients reached\r\n", .hangs_up = true};
    world_comes_again(script, somebody, NULL);
    world_comes_again(script, nobody, NULL);
}

static void test_loading(void **state)
{
    (void)state;
    world_comes_again((struct script){.auth = "-LOADING Redis is loading the dataset in memory\r\n"},
                      somebody, "AUTH");
}

static void test_silence(void **state)
{
    (void)state;
    struct script script = server_well();
    script.eval = NULL;
    world_comes_again(script, nobody, "EVAL");
    world_comes_again((struct script){0}, somebody, "AUTH");
}

/* An error that says that this connection is of no more use: a new one, a tenth of the ttl later. */
static void test_stale(void **state)
{
    (void)state;
    struct script script = server_well();
    script.eval = "-READONLY You can't write against a read only replica.\r\n";
    world_comes_again(script, nobody, "EVAL");
    script.eval = "-NOAUTH Authentication required.\r\n";
    world_comes_again(script, nobody, "EVAL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_password),
        cmocka_unit_test(test_refused_by_acl),
        cmocka_unit_test(test_refused_by_a_server_without_passwords),
        cmocka_unit_test(test_refused_database),
        cmocka_unit_test(test_too_many_clients),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_stale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
