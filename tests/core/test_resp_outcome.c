/* test_resp_outcome.c - which reply is which outcome; errors as real servers word them. */
#include "resp_support.h"

#include <stdio.h>

#include "resp/hiredis_shim.h"

static struct test_memory counted;
static struct resp_memory memory;

static int set_up(void **state)
{
    (void)state;
    counted = (struct test_memory){0};
    memory = test_resp_memory(&counted);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_int_equal(counted.out, 0);
    return 0;
}

/* ---- replies that are no errors ---- */

static const struct {
    enum arl_verb verb;
    const char *bytes;
    int rc;
    enum arl_outcome outcome;
} plain[] = {
    {ARL_TRY, "+OK\r\n", 1, ARL_YES},
    {ARL_TRY, "$-1\r\n", 1, ARL_NO},
    {ARL_TRY, "*-1\r\n", 1, ARL_NO},
    {ARL_TRY, "+QUEUED\r\n", RESP_EPROTOCOL, 0},
    {ARL_TRY, "+OKAY\r\n", RESP_EPROTOCOL, 0},
    {ARL_TRY, "+\r\n", RESP_EPROTOCOL, 0},
    {ARL_TRY, ":1\r\n", RESP_EPROTOCOL, 0},
    {ARL_TRY, "$2\r\nOK\r\n", RESP_EPROTOCOL, 0},
    {ARL_TRY, "*1\r\n+OK\r\n", RESP_EPROTOCOL, 0},
    {ARL_TRY, "*1\r\n$-1\r\n", RESP_EPROTOCOL, 0},
    {ARL_TRY, "*0\r\n", RESP_EPROTOCOL, 0},
    {ARL_RENEW, ":1\r\n", 1, ARL_YES},
    {ARL_RENEW, ":0\r\n", 1, ARL_NO},
    {ARL_RENEW, ":2\r\n", RESP_EPROTOCOL, 0},
    {ARL_RENEW, ":-1\r\n", RESP_EPROTOCOL, 0},
    {ARL_RENEW, "+OK\r\n", RESP_EPROTOCOL, 0},
    {ARL_RENEW, "$-1\r\n", RESP_EPROTOCOL, 0},
    {ARL_RENEW, "$1\r\n1\r\n", RESP_EPROTOCOL, 0},
    {ARL_RENEW, "*1\r\n:1\r\n", RESP_EPROTOCOL, 0},
    {ARL_RELEASE, ":1\r\n", 1, ARL_YES},
    {ARL_RELEASE, ":0\r\n", 1, ARL_NO},
    {ARL_RELEASE, ":2\r\n", RESP_EPROTOCOL, 0},
    {ARL_RELEASE, "$-1\r\n", RESP_EPROTOCOL, 0},
    {ARL_PEEK, ":-2\r\n", 1, ARL_NO},
    {ARL_PEEK, ":-1\r\n", 1, ARL_YES},
    {ARL_PEEK, ":0\r\n", 1, ARL_YES},
    {ARL_PEEK, ":9223372036854775807\r\n", 1, ARL_YES},
    {ARL_PEEK, ":-3\r\n", RESP_EPROTOCOL, 0},
    {ARL_PEEK, "$-1\r\n", RESP_EPROTOCOL, 0},
    {ARL_VERBS, "+PONG\r\n", 1, ARL_UNKNOWN},
    {ARL_VERBS, "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n", 1, ARL_UNKNOWN},
};

static void test_plain_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(plain); i++) {
        struct resp_reply reply;

        assert_int_equal(
            test_read_once(&memory, plain[i].verb, plain[i].bytes, strlen(plain[i].bytes), &reply),
            plain[i].rc);
        if (plain[i].rc != 1)
            continue;
        assert_int_equal(reply.outcome, plain[i].outcome);
        assert_null(reply.error);
        assert_int_equal(reply.error_length, 0);
    }
}

/* hiredis 1.x reads RESP3, 0.14 does not; neither may take anything but its null for an answer. */
static void test_resp3_replies(void **state)
{
    static const char *const replies[] = {
        "_\r\n",
        "#t\r\n",
        ",1.5\r\n",
        "(123\r\n",
        "=6\r\ntxt:OK\r\n",
        "%1\r\n+OK\r\n:1\r\n",
        "~1\r\n:1\r\n",
        ">2\r\n+a\r\n:1\r\n",
        "|1\r\n+a\r\n:1\r\n",
    };
    const bool reads_resp3 = HIREDIS_MAJOR >= 1;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(replies); i++) {
        struct resp_reply reply;
        const size_t length = strlen(replies[i]);
        const bool null = i == 0;

        for (int verb = 0; verb < ARL_VERBS; verb++)
            assert_int_equal(test_read_once(&memory, (enum arl_verb)verb, replies[i], length, &reply),
                             reads_resp3 && null && verb == ARL_TRY ? 1 : RESP_EPROTOCOL);
        if (reads_resp3 && null) {
            assert_int_equal(test_read_once(&memory, ARL_TRY, replies[i], length, &reply), 1);
            assert_int_equal(reply.outcome, ARL_NO);
        }
        assert_int_equal(test_read_once(&memory, ARL_VERBS, replies[i], length, &reply),
                         reads_resp3 ? 1 : RESP_EPROTOCOL);
    }
}

/* ---- errors, as real servers word them ---- */

#define SHA "3c9c9e0fad36a4c131785264072fb16c2f7347b2"
#define IN_SCRIPT_6 "ERR Error running script (call to f_" SHA "): @user_script:2: "
#define IN_SCRIPT_6_TWICE IN_SCRIPT_6 "@user_script: 2: "
#define IN_SCRIPT_7 " script: " SHA ", on @user_script:2."
#define IN_SCRIPT_VALKEY " script: on @user_script:2."

static const struct {
    const char *text;
    enum arl_outcome outcome;
} errors[] = {
    /* Redis 6.2.5 */
    {"NOSCRIPT No matching script. Please use EVAL.", ARL_NOT_EXECUTED},
    {IN_SCRIPT_6 "WRONGTYPE Operation against a key holding the wrong kind of value", ARL_WRONG_TYPE},
    {IN_SCRIPT_6_TWICE "The user executing the script can't run this command or subcommand", ARL_REFUSED},
    {IN_SCRIPT_6_TWICE "The user executing the script can't access at least one of the keys mentioned in the "
                       "command arguments",
     ARL_REFUSED},
    {IN_SCRIPT_6_TWICE "Unknown Redis command called from Lua script", ARL_REFUSED},
    {IN_SCRIPT_6_TWICE "-READONLY You can't write against a read only replica.", ARL_STALE},
    {IN_SCRIPT_6_TWICE "-MISCONF Redis is configured to save RDB snapshots, but it is currently not able to "
                       "persist on disk. Commands that may modify the data set are disabled, because this "
                       "instance is configured to report errors during writes if RDB snapshotting fails "
                       "(stop-writes-on-bgsave-error option). Please check the Redis logs for details about "
                       "the RDB error.",
     ARL_REFUSED},
    {IN_SCRIPT_6_TWICE "-OOM command not allowed when used memory > 'maxmemory'.", ARL_REFUSED},
    {IN_SCRIPT_6 "Script killed by user with SCRIPT KILL...", ARL_BUSY},
    {"NOPERM this user has no permissions to run the 'evalsha' command or its subcommand", ARL_REFUSED},
    {"ERR unknown command `PEXPIRE`, with args beginning with: `redisson:no1`, ", ARL_REFUSED},
    {"ERR invalid expire time in set", ARL_REFUSED},
    /* Redis 7.0.15 */
    {"WRONGTYPE Operation against a key holding the wrong kind of value" IN_SCRIPT_7, ARL_WRONG_TYPE},
    {"ERR The user executing the script can't run this command or subcommand" IN_SCRIPT_7, ARL_REFUSED},
    {"ERR Unknown Redis command called from script" IN_SCRIPT_7, ARL_REFUSED},
    {"READONLY You can't write against a read only replica." IN_SCRIPT_7, ARL_STALE},
    {"NOREPLICAS Not enough good replicas to write." IN_SCRIPT_7, ARL_REFUSED},
    {"ERR Script killed by user with SCRIPT KILL..." IN_SCRIPT_7, ARL_BUSY},
    {"NOPERM this user has no permissions to run the 'pttl' command", ARL_REFUSED},
    {"NOPERM this user has no permissions to access one of the keys used as arguments", ARL_REFUSED},
    {"ERR unknown command 'SET', with args beginning with: 'redisson:no1' ", ARL_REFUSED},
    {"ERR invalid expire time in 'set' command", ARL_REFUSED},
    {"ERR wrong number of arguments for 'evalsha' command", ARL_REFUSED},
    {"ERR syntax error", ARL_REFUSED},
    /* Valkey 9.1.2 */
    {"NOSCRIPT No matching script.", ARL_NOT_EXECUTED},
    {"WRONGTYPE Operation against a key holding the wrong kind of value" IN_SCRIPT_VALKEY, ARL_WRONG_TYPE},
    {"ERR ACL failure in script: User u has no permissions to run the 'pexpire' command" IN_SCRIPT_VALKEY,
     ARL_REFUSED},
    {"ERR Unknown command called from script" IN_SCRIPT_VALKEY, ARL_REFUSED},
    {"READONLY You can't write against a read only replica." IN_SCRIPT_VALKEY, ARL_STALE},
    {"NOREPLICAS Not enough good replicas to write." IN_SCRIPT_VALKEY, ARL_REFUSED},
    {"ERR Script killed by user with SCRIPT KILL." IN_SCRIPT_VALKEY, ARL_BUSY},
    {"NOPERM User u has no permissions to run the 'set' command", ARL_REFUSED},
    {"NOPERM No permissions to access a key", ARL_REFUSED},
    {"BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", ARL_BUSY},
    /* All of them */
    {"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", ARL_BUSY},
    {"OOM command not allowed when used memory > 'maxmemory'.", ARL_REFUSED},
    {"READONLY You can't write against a read only replica.", ARL_STALE},
    {"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", ARL_STALE},
    {"NOAUTH Authentication required.", ARL_STALE},
    {"WRONGPASS invalid username-password pair or user is disabled.", ARL_STALE},
    {"ERR max number of clients reached", ARL_STALE},
    {"ERR max number of clients + cluster connections reached", ARL_STALE},
    {"DENIED Redis is running in protected mode because protected mode is enabled", ARL_STALE},
    {"LOADING Redis is loading the dataset in memory", ARL_BUSY},
    {"CLUSTERDOWN Hash slot not served", ARL_BUSY},
    {"TRYAGAIN Multiple keys request during rehashing of slot", ARL_BUSY},
    {"MOVED 3999 127.0.0.1:6381", ARL_REFUSED},
    {"ASK 3999 127.0.0.1:6381", ARL_REFUSED},
    {"CROSSSLOT Keys in request don't hash to the same slot", ARL_REFUSED},
    {"MISCONF Errors writing to the AOF file: No space left on device", ARL_REFUSED},
    {"EXECABORT Transaction discarded because of previous errors.", ARL_REFUSED},
    {"READONLY", ARL_STALE},
    /* In doubt: not listed, or only alike */
    {"", ARL_UNKNOWN},
    {"ERR", ARL_UNKNOWN},
    {"ERR ", ARL_UNKNOWN},
    {"-", ARL_UNKNOWN},
    {"ERR upstream failure", ARL_UNKNOWN},
    {"BUSYKEY Target key name already exists.", ARL_UNKNOWN},
    {"ASKING for it", ARL_UNKNOWN},
    {"readonly in lower case", ARL_UNKNOWN},
    {"ERR Protocol error: unbalanced quotes in request", ARL_UNKNOWN},
    {"ERR Error running script", ARL_UNKNOWN},
    {"ERR Error running script (call to f_" SHA "): ", ARL_UNKNOWN},
    {IN_SCRIPT_6, ARL_UNKNOWN},
    {IN_SCRIPT_6_TWICE "-", ARL_UNKNOWN},
    {"ERR Error running script (call to f_" SHA "): @user_script:", ARL_UNKNOWN},
    {IN_SCRIPT_6 "attempt to index a nil value, READONLY", ARL_UNKNOWN},
};

static void assert_error(enum arl_verb verb, const char *text, enum arl_outcome outcome)
{
    char bytes[RESP_LINE_MAX + 4];
    struct resp_reply reply;
    int length = snprintf(bytes, sizeof(bytes), "-%s\r\n", text);

    assert_int_equal(test_read_once(&memory, verb, bytes, (size_t)length, &reply), 1);
    assert_int_equal(reply.error_length, strlen(text));
    assert_memory_equal(reply.error, text, strlen(text));
    if (reply.outcome != outcome)
        print_error("outcome of: %s\n", text);
    assert_int_equal(reply.outcome, outcome);
}

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(errors); i++) {
        for (int verb = 0; verb <= ARL_VERBS; verb++) {
            const bool script = verb == ARL_RENEW || verb == ARL_RELEASE;
            const enum arl_outcome outcome = errors[i].outcome;
            const bool of_scripts = outcome == ARL_NOT_EXECUTED || outcome == ARL_WRONG_TYPE;

            assert_error((enum arl_verb)verb, errors[i].text, of_scripts && !script ? ARL_UNKNOWN : outcome);
        }
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_plain_replies),
        TEST(test_resp3_replies),
        TEST(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
