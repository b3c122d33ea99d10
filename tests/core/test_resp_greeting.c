/* test_resp_greeting.c - what a connection says first, exactly; and which refusals of it last. */
#include "resp_support.h"

#include "resp/greeting.h"

struct row {
    struct resp_login login;
    unsigned replies;
    const char *bytes;
    size_t length;
};

#define LOGIN(name, word, number)                                                                            \
    {.database = (number),                                                                                   \
     .username = (name),                                                                                     \
     .username_length = sizeof(name) - 1,                                                                    \
     .password = (word),                                                                                     \
     .password_length = sizeof(word) - 1}
#define BYTES(text) text, sizeof(text) - 1

static const struct row rows[] = {
    {{0}, 0, BYTES("")},
    {{.database = 15}, 1, BYTES("*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n")},
    {LOGIN("", "secret", 0), 1, BYTES("*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n")},
    {LOGIN("user", "secret", 0), 1, BYTES("*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$6\r\nsecret\r\n")},
    {LOGIN("user", "", 0), 1, BYTES("*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$0\r\n\r\n")},
    {LOGIN("", "a\0\r\n\xff", 0), 1, BYTES("*2\r\n$4\r\nAUTH\r\n$5\r\na\0\r\n\xff\r\n")},
    {LOGIN("user", "ten--bytes", 2147483647), 2,
     BYTES(
         "*3\r\n$4\r\nAUTH\r\n$4\r\nuser\r\n$10\r\nten--bytes\r\n*2\r\n$6\r\nSELECT\r\n$10\r\n2147483647\r\n")},
    /* A user name without a password does not log in. */
    {{.username = "user", .username_length = 4, .database = 1},
     1,
     BYTES("*2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n")},
};

static void test_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[256];

        assert_int_equal(resp_format_greeting(NULL, &rows[i].login), rows[i].length);
        assert_int_equal(resp_greeting_replies(&rows[i].login), rows[i].replies);
        memset(out, '?', sizeof(out));
        assert_int_equal(resp_format_greeting(out, &rows[i].login), rows[i].length);
        assert_memory_equal(out, rows[i].bytes, rows[i].length);
        assert_int_equal(out[rows[i].length], '?');
    }
}

static bool is_refused(const char *bytes)
{
    struct test_memory counted = {0};
    struct resp_memory memory = test_resp_memory(&counted);
    struct resp_reply reply;

    assert_int_equal(test_read_once(&memory, ARL_TRY, bytes, strlen(bytes), &reply), 1);
    return resp_greeting_is_refused(&reply);
}

static void test_what_lasts(void **state)
{
    (void)state;
    assert_true(is_refused("-WRONGPASS invalid username-password pair or user is disabled.\r\n"));
    assert_true(is_refused("-NOAUTH Authentication required.\r\n"));
    assert_true(is_refused("-NOPERM this user has no permissions to run the 'select' command\r\n"));
    assert_true(is_refused("-ERR invalid password\r\n"));
    assert_true(is_refused("-ERR DB index is out of range\r\n"));
    assert_true(is_refused("-ERR\r\n"));
    assert_true(is_refused("-DENIED Redis is running in protected mode\r\n"));
}

static void test_what_passes(void **state)
{
    (void)state;
    assert_false(is_refused("+OK\r\n"));
    assert_false(is_refused("-LOADING Redis is loading the dataset in memory\r\n"));
    assert_false(is_refused("-BUSY Redis is busy running a script.\r\n"));
    assert_false(is_refused("-ERR max number of clients reached\r\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_what_lasts),
        cmocka_unit_test(test_what_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
