/* test_resp_parse.c - replies in pieces, the caps, and what no server of ours would send. */
#include "resp_support.h"

static struct test_memory counted;
static struct resp_memory memory;

static int set_up(void **state)
{
    counted = (struct test_memory){0};
    memory = test_resp_memory(&counted);
    *state = resp_reader_new(&memory);
    assert_non_null(*state);
    return 0;
}

static int tear_down(void **state)
{
    resp_reader_del(*state);
    assert_int_equal(counted.out, 0);
    return 0;
}

/* ---- a stream of replies, in pieces of any size ---- */

static const char stream[] = "+OK\r\n$-1\r\n:1\r\n:0\r\n:1\r\n:-2\r\n:1234\r\n"
                             "-READONLY You can't write against a read only replica.\r\n"
                             "-NOSCRIPT No matching script. Please use EVAL.\r\n"
                             "*2\r\n$3\r\nabc\r\n*1\r\n:7\r\n";

static const struct {
    enum arl_verb verb;
    enum arl_outcome outcome;
} in_stream[] = {
    {ARL_TRY, ARL_YES},       {ARL_TRY, ARL_NO},      {ARL_RENEW, ARL_YES},
    {ARL_RENEW, ARL_NO},      {ARL_RELEASE, ARL_YES}, {ARL_PEEK, ARL_NO},
    {ARL_PEEK, ARL_YES},      {ARL_TRY, ARL_STALE},   {ARL_RENEW, ARL_NOT_EXECUTED},
    {ARL_VERBS, ARL_UNKNOWN},
};

/* Reads all that is there; returns how many replies of the stream were read in all. */
static size_t read_stream(struct resp_reader *reader, size_t seen)
{
    struct resp_reply reply;
    int rc;

    for (;;) {
        const size_t row = seen % COUNT_OF(in_stream);

        rc = resp_reader_next(reader, in_stream[row].verb, &reply);
        if (rc != 1)
            break;
        assert_int_equal(reply.outcome, in_stream[row].outcome);
        seen++;
    }
    assert_int_equal(rc, 0);
    return seen;
}

static void test_stream_in_pieces(void **state)
{
    struct resp_reader *reader = *state;
    const size_t length = sizeof(stream) - 1;
    size_t seen = 0, expected = 0;

    for (size_t piece = 1; piece <= length; piece++) {
        for (size_t at = 0; at < length; at += piece) {
            const size_t more = length - at < piece ? length - at : piece;

            assert_int_equal(resp_reader_feed(reader, stream + at, more), 0);
            seen = read_stream(reader, seen);
        }
        expected += COUNT_OF(in_stream);
        assert_int_equal(seen, expected);
    }
    assert_int_equal(counted.count, 1); /* the reader itself: no reply took memory */
}

/* As much at once as may be fed, over and over, cut anywhere. */
static void test_largest_feeds(void **state)
{
    struct resp_reader *reader = *state;
    static char bytes[8 * RESP_FEED_MAX];
    const size_t length = sizeof(stream) - 1;
    size_t seen = 0;

    for (size_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = stream[at % length];
    for (size_t at = 0; at < sizeof(bytes); at += RESP_FEED_MAX) {
        assert_int_equal(resp_reader_feed(reader, bytes + at, RESP_FEED_MAX), 0);
        seen = read_stream(reader, seen);
    }
    assert_in_range(seen, sizeof(bytes) / length * COUNT_OF(in_stream),
                    (sizeof(bytes) / length + 1) * COUNT_OF(in_stream));
}

/* ---- the caps ---- */

/* A reply of `head`, then `fill` repeated until `length` bytes stand behind head, then `tail`. */
static size_t build(char *out, const char *head, char fill, size_t length, const char *tail)
{
    size_t at = strlen(head);

    memcpy(out, head, at);
    memset(out + at, fill, length);
    at += length;
    memcpy(out + at, tail, strlen(tail));
    return at + strlen(tail);
}

static const struct {
    const char *head;
    char fill;
    size_t length;
    const char *tail;
    int rc; /* as an unasked reply: 1, 0 or an error */
} caps[] = {
    {"-", 'e', RESP_LINE_MAX, "\r\n", 1},
    {"-", 'e', RESP_LINE_MAX + 1, "\r\n", RESP_ECAP},
    {"-", 'e', RESP_LINE_MAX, "", 0},
    {"-", 'e', RESP_LINE_MAX, "\r", 0},
    {"-", 'e', RESP_LINE_MAX + 1, "\r", RESP_ECAP},
    {"-", 'e', RESP_LINE_MAX + 2, "", RESP_ECAP},
    {"+", '\r', RESP_LINE_MAX + 2, "", RESP_ECAP},
    {":", '1', RESP_LINE_MAX + 2, "", RESP_ECAP},
    {"*", '1', RESP_LINE_MAX + 2, "", RESP_ECAP},
    {"+", 'x', RESP_BUFFER_MAX - 1, "", RESP_ECAP},
    {"+", 'x', RESP_BUFFER_MAX, "", RESP_ECAP},
    {"$4096\r\n", 'b', RESP_BULK_MAX, "\r\n", 1},
    {"$4096\r\n", 'b', RESP_BULK_MAX, "\r", 0},
    {"$4096\r\n", 'b', RESP_BULK_MAX, "xx", RESP_EPROTOCOL},
    {"$4097\r\n", 'b', RESP_BULK_MAX + 1, "\r\n", RESP_ECAP},
    {"$4097\r\n", 'b', 0, "", RESP_ECAP},
    {"$4097", 'b', 0, "", RESP_ECAP},
    {"$99999999", 'b', 0, "", RESP_ECAP},
    {"$", 'b', RESP_BULK_MAX + 8, "", RESP_ECAP},
    {"$", '1', RESP_BULK_MAX, "", RESP_ECAP},
    {"$-2\r\n", 'b', 0, "", RESP_EPROTOCOL},
    {"*64\r\n", '\n', 0, ":1\r\n", 0},
    {"*65\r\n", '\n', 0, "", RESP_ECAP},
    {"*-2\r\n", '\n', 0, "", RESP_EPROTOCOL},
    {"*2147483647\r\n", '\n', 0, "", RESP_ECAP},
    {"*1\r\n*1\r\n*1\r\n*1\r\n", '\n', 0, ":1\r\n", 1},
    {"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", '\n', 0, ":1\r\n", RESP_ECAP},
    {"*2\r\n*62\r\n", '\n', 0, "", 0},
    {"*2\r\n*63\r\n", '\n', 0, "", RESP_ECAP},
    {"*3\r\n*0\r\n*-1\r\n*0\r\n", '\n', 0, "", 1},
    {"*1\r\n-", 'e', RESP_LINE_MAX + 1, "\r\n", RESP_ECAP},
    {"*1\r\n-", 'e', RESP_LINE_MAX, "\r\n", 1},
    {"*1\r\n$4097\r\n", 'e', 0, "", RESP_ECAP},
};

static void test_caps(void **state)
{
    static char bytes[RESP_BUFFER_MAX + 64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(caps); i++) {
        struct resp_reply reply;
        const size_t length = build(bytes, caps[i].head, caps[i].fill, caps[i].length, caps[i].tail);
        const int rc = test_read_once(&memory, ARL_VERBS, bytes, length, &reply);

        if (rc != caps[i].rc)
            print_error("row %zu: %s..\n", i, caps[i].head);
        assert_int_equal(rc, caps[i].rc);
    }
}

/* The same, a byte at a time: a cap breaks at the first byte too many, and not later than when fed at once. */
static void test_caps_byte_by_byte(void **state)
{
    static char bytes[RESP_BUFFER_MAX + 64];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(caps); i++) {
        struct resp_reader *reader = resp_reader_new(&memory);
        const size_t length = build(bytes, caps[i].head, caps[i].fill, caps[i].length, caps[i].tail);
        struct resp_reply reply;
        int rc = 0;

        assert_non_null(reader);
        for (size_t at = 0; at < length && rc == 0; at++) {
            assert_int_equal(resp_reader_feed(reader, bytes + at, 1), 0);
            rc = resp_reader_next(reader, ARL_VERBS, &reply);
        }
        assert_int_equal(rc, caps[i].rc);
        resp_reader_del(reader);
    }
}

static void test_buffer_cap(void **state)
{
    struct resp_reader *reader = *state;
    static char bytes[RESP_BUFFER_MAX];

    for (size_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = ":1\r\n"[at % 4];
    assert_int_equal(resp_reader_feed(reader, bytes, sizeof(bytes)), 0);
    assert_int_equal(resp_reader_feed(reader, bytes, 1), RESP_ECAP);
    assert_int_equal(resp_reader_feed(reader, bytes, 0), RESP_ECAP);
}

/* Endless elements: caught by the count, though hiredis keeps none of them. */
static void test_endless_nesting(void **state)
{
    struct resp_reader *reader = *state;
    struct resp_reply reply;
    int rc = resp_reader_feed(reader, "*20\r\n", 5);

    for (int i = 0; i < 20 && rc == 0; i++) {
        assert_int_equal(resp_reader_feed(reader, "*20\r\n:1\r\n", 9), 0);
        rc = resp_reader_next(reader, ARL_VERBS, &reply);
        for (int k = 0; k < 19 && rc == 0; k++)
            rc = resp_reader_feed(reader, ":1\r\n", 4);
    }
    assert_int_equal(rc, RESP_ECAP);
}

/* ---- broken readers and bad bytes ---- */

static void test_broken_stays_broken(void **state)
{
    static const char *const breaking[] = {"?\r\n", "*65\r\n", ":1x\r\n", "$5000\r\n", "$1\r\nabc", ":7\r\n"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(breaking); i++) {
        struct resp_reader *reader = resp_reader_new(&memory);
        struct resp_reply reply;
        int rc;

        assert_non_null(reader);
        assert_int_equal(resp_reader_feed(reader, breaking[i], strlen(breaking[i])), 0);
        rc = resp_reader_next(reader, ARL_RENEW, &reply);
        assert_true(rc == RESP_EPROTOCOL || rc == RESP_ECAP);
        assert_int_equal(resp_reader_feed(reader, ":1\r\n", 4), rc);
        assert_int_equal(resp_reader_next(reader, ARL_RENEW, &reply), rc);
        assert_int_equal(resp_reader_next(reader, ARL_VERBS, &reply), rc);
        resp_reader_del(reader);
    }
}

/* Nothing of a reply is left over for the next one. */
static void test_replies_are_apart(void **state)
{
    static const struct {
        enum arl_verb verb;
        const char *first, *second;
    } rows[] = {
        {ARL_RENEW, ":1\r\n", "$1\r\n0\r\n"},
        {ARL_TRY, "+OK\r\n", "*1\r\n+OK\r\n"},
        {ARL_TRY, "$-1\r\n", "+no\r\n"},
        {ARL_TRY, "-BUSY\r\n", "+no\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct resp_reader *reader = resp_reader_new(&memory);
        struct resp_reply reply;

        assert_non_null(reader);
        assert_int_equal(resp_reader_feed(reader, rows[i].first, strlen(rows[i].first)), 0);
        assert_int_equal(resp_reader_feed(reader, rows[i].second, strlen(rows[i].second)), 0);
        assert_int_equal(resp_reader_next(reader, rows[i].verb, &reply), 1);
        assert_int_equal(resp_reader_next(reader, rows[i].verb, &reply), RESP_EPROTOCOL);
        resp_reader_del(reader);
    }
}

static void test_nothing_to_read(void **state)
{
    struct resp_reader *reader = *state;
    struct resp_reply reply;

    assert_int_equal(resp_reader_next(reader, ARL_TRY, &reply), 0);
    assert_int_equal(resp_reader_feed(reader, "", 0), 0);
    assert_int_equal(resp_reader_next(reader, ARL_TRY, &reply), 0);
    resp_reader_del(NULL);
}

/* Feeds bytes in random pieces until they end or the reader breaks. Whatever they are, each reply keeps to
 * its contract. */
static void feed_anything(const char *bytes, size_t length, uint64_t *seed)
{
    struct resp_reader *reader = resp_reader_new(&memory);
    struct resp_reply reply;
    int rc = 0;

    assert_non_null(reader);
    for (size_t at = 0; at < length && rc >= 0;) {
        const size_t want = 1 + test_random(seed) % 64;
        const size_t more = want < length - at ? want : length - at;

        rc = resp_reader_feed(reader, bytes + at, more);
        at += more;
        while (rc == 0) {
            rc = resp_reader_next(reader, (enum arl_verb)(test_random(seed) % (ARL_VERBS + 1)), &reply);
            if (rc != 1)
                break;
            assert_in_range(reply.outcome, ARL_YES, ARL_UNKNOWN);
            assert_true(reply.error ? reply.error_length <= RESP_LINE_MAX : reply.error_length == 0);
            rc = 0;
        }
    }
    assert_true(rc == 0 || rc == RESP_EPROTOCOL || rc == RESP_ECAP);
    resp_reader_del(reader);
}

static void test_garbage(void **state)
{
    static const char likely[] = "+-:$*_#,(=%~>|0123456789\r\n\r\nOK ERRMOVED\0\xff";
    uint64_t seed = 20;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char bytes[256];

        for (size_t at = 0; at < sizeof(bytes); at++)
            bytes[at] =
                round % 4 == 0 ? (char)test_random(&seed) : likely[test_random(&seed) % (sizeof(likely) - 1)];
        feed_anything(bytes, 1 + test_random(&seed) % sizeof(bytes), &seed);
    }
}

static void test_mutations(void **state)
{
    uint64_t seed = 5;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char bytes[2 * sizeof(stream)];
        size_t length = sizeof(stream) - 1;

        memcpy(bytes, stream, length);
        for (uint64_t edits = 1 + test_random(&seed) % 4; edits > 0; edits--) {
            const size_t at = test_random(&seed) % length;
            const size_t tail = length - at;

            switch (test_random(&seed) % 4) {
            case 0:
                bytes[at] = (char)test_random(&seed);
                break;
            case 1: /* cut a piece out */
                memmove(bytes + at, bytes + at + tail / 2, tail - tail / 2);
                length -= tail / 2;
                break;
            case 2: /* one byte more */
                memmove(bytes + at + 1, bytes + at, tail);
                bytes[at] = "0123456789\r\n-$*"[test_random(&seed) % 15];
                length++;
                break;
            default: /* a byte from elsewhere */
                bytes[at] = stream[test_random(&seed) % (sizeof(stream) - 1)];
                break;
            }
        }
        feed_anything(bytes, length, &seed);
    }
}

static void test_texts_of_errors(void **state)
{
    static const int codes[] = {RESP_EPROTOCOL, RESP_ECAP, RESP_ETOOLONG, ARL_ENOMEM};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(codes); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(resp_strerror(codes[i]), resp_strerror(codes[j]));
    assert_string_equal(resp_strerror(ARL_ENOMEM), arl_strerror(ARL_ENOMEM));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_stream_in_pieces),
        TEST(test_largest_feeds),
        TEST(test_caps),
        TEST(test_caps_byte_by_byte),
        TEST(test_buffer_cap),
        TEST(test_endless_nesting),
        TEST(test_broken_stays_broken),
        TEST(test_replies_are_apart),
        TEST(test_nothing_to_read),
        TEST(test_garbage),
        TEST(test_mutations),
        TEST(test_texts_of_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
