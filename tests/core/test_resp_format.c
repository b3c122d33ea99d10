/* test_resp_format.c - each verb's bytes, exactly. */
#include "resp_support.h"

#include <stdio.h>

#include "resp/scripts.h"

#define TOKEN_TEXT "00112233-4455-4677-8899-aabbccddeeff"

static const uint8_t token[ARL_TOKEN_SIZE] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x46, 0x77,
                                              0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};

static struct test_memory counted;
static struct resp_memory memory;

static int set_up(void **state)
{
    (void)state;
    counted = (struct test_memory){0};
    memory = test_resp_memory(&counted);
    return 0;
}

static int all_given_back(void **state)
{
    (void)state;
    assert_int_equal(counted.out, 0);
    return 0;
}

static struct arl_request_view request_of(enum arl_verb verb, bool whole_script)
{
    return (struct arl_request_view){.verb = verb,
                                     .whole_script = whole_script,
                                     .key = "no1",
                                     .key_length = 3,
                                     .token = verb == ARL_PEEK ? NULL : token,
                                     .ttl = verb == ARL_TRY || verb == ARL_RENEW ? 10 * ARL_SECOND : 0};
}

static void assert_bytes(const struct arl_request_view *request, const char *bytes, size_t length)
{
    struct resp_buffer out = {.memory = &memory};

    assert_int_equal(resp_format(&out, request), 0);
    assert_int_equal(out.length, length);
    assert_memory_equal(out.data, bytes, length);
    resp_buffer_free(&out);
    assert_null(out.data);
    assert_int_equal(out.length, 0);
}

static void test_token_text(void **state)
{
    char text[RESP_TOKEN_TEXT];

    (void)state;
    resp_token_text(token, text);
    assert_string_equal(text, TOKEN_TEXT);
}

static void test_plain_commands(void **state)
{
    static const struct {
        enum arl_verb verb;
        const char *bytes;
    } rows[] = {
        {ARL_TRY, "*6\r\n$3\r\nSET\r\n$12\r\nredisson:no1\r\n$36\r\n" TOKEN_TEXT
                  "\r\n$2\r\nNX\r\n$2\r\nPX\r\n$5\r\n10000\r\n"},
        {ARL_PEEK, "*2\r\n$4\r\nPTTL\r\n$12\r\nredisson:no1\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arl_request_view request = request_of(rows[i].verb, false);

        assert_bytes(&request, rows[i].bytes, strlen(rows[i].bytes));
        /* A plain command has no script that could be sent whole. */
        request.whole_script = true;
        assert_bytes(&request, rows[i].bytes, strlen(rows[i].bytes));
    }
}

static void test_scripts(void **state)
{
    static const struct {
        enum arl_verb verb;
        int words;
        const char *values; /* what comes behind the key */
    } rows[] = {
        {ARL_RENEW, 6, "$36\r\n" TOKEN_TEXT "\r\n$5\r\n10000\r\n"},
        {ARL_RELEASE, 5, "$36\r\n" TOKEN_TEXT "\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int whole = 0; whole <= 1; whole++) {
            const struct arl_request_view request = request_of(rows[i].verb, whole);
            const struct resp_script *script = resp_script_of(rows[i].verb);
            const char *sent = whole ? script->text : script->sha1;
            char bytes[1024];
            int length = snprintf(bytes, sizeof(bytes),
                                  "*%d\r\n$%d\r\n%s\r\n$%zu\r\n%s\r\n$1\r\n1\r\n$12\r\nredisson:no1\r\n%s",
                                  rows[i].words, whole ? 4 : 7, whole ? "EVAL" : "EVALSHA", strlen(sent),
                                  sent, rows[i].values);

            assert_in_range(length, 1, sizeof(bytes) - 1);
            assert_bytes(&request, bytes, (size_t)length);
        }
    }
}

static void test_ttl_is_whole_milliseconds_rounded_up(void **state)
{
    static const struct {
        arl_ns ttl;
        const char *text;
    } rows[] = {
        {0, "1"},
        {1, "1"},
        {ARL_MS - 1, "1"},
        {ARL_MS, "1"},
        {ARL_MS + 1, "2"},
        {50 * ARL_MS, "50"},
        {1500 * ARL_MS + 1, "1501"},
        {10 * ARL_SECOND, "10000"},
        {1000000000 * ARL_SECOND, "1000000000000"},
        {ARL_NEVER, "9223372036855"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arl_request_view request = request_of(ARL_TRY, false);
        struct resp_buffer out = {.memory = &memory};
        char tail[64];
        size_t length = (size_t)snprintf(tail, sizeof(tail), "$2\r\nPX\r\n$%zu\r\n%s\r\n",
                                         strlen(rows[i].text), rows[i].text);

        request.ttl = rows[i].ttl;
        assert_int_equal(resp_format(&out, &request), 0);
        assert_true(out.length > length);
        assert_memory_equal(out.data + out.length - length, tail, length);
        resp_buffer_free(&out);
    }
}

static void test_key_is_bytes(void **state)
{
    static const char key[] = "a\0b\r\n\xc3\xa4 $1";
    struct arl_request_view request = request_of(ARL_PEEK, false);
    static const char bytes[] = "*2\r\n$4\r\nPTTL\r\n$19\r\nredisson:a\0b\r\n\xc3\xa4 $1\r\n";

    (void)state;
    request.key = key;
    request.key_length = sizeof(key) - 1;
    assert_bytes(&request, bytes, sizeof(bytes) - 1);
}

static void test_longest_key(void **state)
{
    char key[RESP_KEY_MAX + 1];
    char bytes[RESP_KEY_MAX + 64];
    struct arl_request_view request = request_of(ARL_PEEK, false);
    struct resp_buffer out = {.memory = &memory};
    int head = snprintf(bytes, sizeof(bytes), "*2\r\n$4\r\nPTTL\r\n$2057\r\nredisson:");

    (void)state;
    memset(key, 'k', sizeof(key));
    memset(bytes + head, 'k', RESP_KEY_MAX);
    memcpy(bytes + head + RESP_KEY_MAX, "\r\n", 2);
    request.key = key;
    request.key_length = RESP_KEY_MAX;
    assert_bytes(&request, bytes, (size_t)head + RESP_KEY_MAX + 2);

    request.key_length = RESP_KEY_MAX + 1;
    assert_int_equal(resp_format(&out, &request), RESP_ETOOLONG);
    assert_int_equal(out.length, 0);
    assert_null(out.data);
}

/* Requests stand one behind the other, as if each had been formatted alone; the buffer is used again. */
static void test_many_requests(void **state)
{
    struct resp_buffer all = {.memory = &memory};
    struct resp_buffer one = {.memory = &memory};
    long taken;

    (void)state;
    for (int round = 0; round < 2; round++) {
        size_t at = 0;

        all.length = 0;
        for (int i = 0; i < 1000; i++) {
            struct arl_request_view request = request_of((enum arl_verb)(i % ARL_VERBS), i % 7 == 0);

            assert_int_equal(resp_format(&all, &request), 0);
            one.length = 0;
            assert_int_equal(resp_format(&one, &request), 0);
            assert_int_equal(all.length - at, one.length);
            assert_memory_equal(all.data + at, one.data, one.length);
            at = all.length;
        }
        if (round == 0)
            taken = counted.count;
    }
    assert_int_equal(counted.count, taken); /* the second round found all the room it needed */
    resp_buffer_free(&all);
    resp_buffer_free(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_token_text, set_up, all_given_back),
        cmocka_unit_test_setup_teardown(test_plain_commands, set_up, all_given_back),
        cmocka_unit_test_setup_teardown(test_scripts, set_up, all_given_back),
        cmocka_unit_test_setup_teardown(test_ttl_is_whole_milliseconds_rounded_up, set_up, all_given_back),
        cmocka_unit_test_setup_teardown(test_key_is_bytes, set_up, all_given_back),
        cmocka_unit_test_setup_teardown(test_longest_key, set_up, all_given_back),
        cmocka_unit_test_setup_teardown(test_many_requests, set_up, all_given_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
