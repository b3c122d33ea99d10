/* The reader of replies: any bytes, in pieces of any size.
 *
 * The first bytes of an input say how the rest is cut, how often it is repeated, what is awaited, and whether
 * its high bytes stand for whole words of the protocol. What a stream says does not depend on how it is cut; a
 * reader that wants more never holds more than its caps. */
#include "fuzz.h"
#include "resp/parse.h"

#include <string.h>

#define HEADER 4
#define SPELLED_MAX 32768
#define STREAM_MAX 262144     /* bytes, repetitions included */
#define REPLIES_MAX 1024      /* that are compared between two ways of cutting */
#define HEAP_MAX (192 * 1024) /* of one reader: hiredis doubles its buffer as it grows */

/* A reply is at most all its elements at their largest, headers included. */
#define REPLY_MAX ((size_t)(RESP_ELEMENTS_MAX + 1) * (RESP_BULK_MAX + RESP_LINE_MAX + 4))

/* The sanitizers' count of the heap; not there in other builds. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t heap_now(void)
{
    return __sanitizer_get_current_allocated_bytes != NULL ? __sanitizer_get_current_allocated_bytes() : 0;
}

/* What bytes from 128 on stand for, where the input wants it: hiredis gives a fuzzer no hints. */
static const char *const words[] = {
    "+OK\r\n",      "$-1\r\n",
    ":1\r\n",       ":0\r\n",
    ":-2\r\n",      "*-1\r\n",
    "*0\r\n",       "*1\r\n",
    "*2\r\n",       "*63\r\n",
    "*64\r\n",      "*65\r\n",
    "$0\r\n",       "$1\r\n",
    "$4096\r\n",    "$4097\r\n",
    "$99999\r\n",   "$3\r\nabc\r\n",
    "$3\r\nabcd\n", "\r\n",
    "-ERR ",        "-NOSCRIPT x\r\n",
    "-READONLY ",   "-WRONGTYPE ",
    "-BUSY ",       "-MISCONF ",
    "-LOADING ",    "-NOPERM ",
    "-MOVED 1 ",    "-ERR max number of clients reached\r\n",
    "%1\r\n",       "~1\r\n",
    ">1\r\n",       "_\r\n",
    "#t\r\n",       ",1.5\r\n",
    "(123\r\n",     "=7\r\ntxt:abc\r\n",
    "|1\r\n",       ":9223372036854775808\r\n",
};

#define LONG_WORD 200 /* from here on a byte stands for a run of itself */

/* What the input's bytes stand for; returns how many bytes that is. */
static size_t spell_out(const uint8_t *data, size_t size, uint8_t *out, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        const size_t word = data[i] >= 128 ? data[i] - 128u : SIZE_MAX;
        const size_t run = data[i] >= LONG_WORD ? (data[i] - LONG_WORD) * 23u + 1 : 1;
        const bool spelled = word < sizeof(words) / sizeof(words[0]);
        const size_t length = spelled ? strlen(words[word]) : run;
        if (length > room - used)
            break;
        if (spelled)
            memcpy(out + used, words[word], length);
        else
            memset(out + used, data[i] < 128 ? data[i] : 'x', length);
        used += length;
    }
    return used;
}

struct plan {
    const uint8_t *bytes; /* borrowed: the stream is these, repeated */
    size_t length;
    size_t total;
    size_t piece;  /* bytes of a feed .. */
    size_t spread; /* .. and how much it varies */
    unsigned verbs;
};

struct answers {
    struct {
        enum arl_outcome outcome;
        size_t error_length;
        uint32_t error_sum;
    } rows[REPLIES_MAX];
    size_t count;
    bool broken;
};

static enum arl_verb awaited(const struct plan *plan, size_t reply)
{
    unsigned fixed = plan->verbs & 7;
    if (fixed <= ARL_VERBS)
        return (enum arl_verb)fixed;
    return (enum arl_verb)((reply * (plan->verbs >> 3) + reply / 3) % (ARL_VERBS + 1));
}

static void note(struct answers *answers, const struct resp_reply *reply)
{
    uint32_t sum = 0;
    FUZZ_CHECK(reply->outcome >= ARL_YES && reply->outcome <= ARL_UNKNOWN);
    FUZZ_CHECK(reply->error_length <= RESP_LINE_MAX);
    FUZZ_CHECK(reply->error != NULL || reply->error_length == 0);
    for (size_t i = 0; i < reply->error_length; i++)
        sum = sum * 31 + (unsigned char)reply->error[i];
    if (answers->count < REPLIES_MAX) {
        answers->rows[answers->count].outcome = reply->outcome;
        answers->rows[answers->count].error_length = reply->error_length;
        answers->rows[answers->count].error_sum = sum;
    }
    answers->count++;
}

static bool is_error(int rc)
{
    return rc == RESP_EPROTOCOL || rc == RESP_ECAP; /* memory is there, as far as we ask for it */
}

static void check_broken(struct resp_reader *reader, int rc)
{
    struct resp_reply reply;
    FUZZ_CHECK(is_error(rc));
    FUZZ_CHECK(resp_reader_feed(reader, "+OK\r\n", 5) == rc);
    FUZZ_CHECK(resp_reader_next(reader, ARL_TRY, &reply) == rc);
    FUZZ_CHECK(resp_strerror(rc)[0] != '\0');
}

/* Copies the next piece out, into a block of its own size: a sanitizer sees a read beyond it. */
static char *take_piece(const struct plan *plan, size_t at, size_t length)
{
    char *piece = malloc(length > 0 ? length : 1);
    FUZZ_CHECK(piece != NULL);
    for (size_t i = 0; i < length; i++)
        piece[i] = (char)plan->bytes[(at + i) % plan->length];
    return piece;
}

/* All replies that are there. 0 or the error. */
static int read_all(struct resp_reader *reader, const struct plan *plan, struct answers *answers)
{
    struct resp_reply reply;
    int rc;
    while ((rc = resp_reader_next(reader, awaited(plan, answers->count), &reply)) == 1)
        note(answers, &reply);
    return rc;
}

static size_t piece_at(const struct plan *plan, size_t number, size_t at)
{
    size_t length = plan->piece + (plan->spread > 0 ? number * 2654435761u % (plan->spread + 1) : 0);
    return length < plan->total - at ? length : plan->total - at;
}

static void read_stream(const struct plan *plan, struct answers *answers)
{
    struct fuzz_memory counted = {0};
    const struct resp_memory memory = {fuzz_alloc, fuzz_release, &counted};
    size_t heap = heap_now(), since_reply = 0;
    struct resp_reader *reader = resp_reader_new(&memory);
    int rc = 0;
    FUZZ_CHECK(reader != NULL);
    for (size_t at = 0, number = 0, length; rc == 0 && at < plan->total; at += length, number++) {
        length = piece_at(plan, number, at);
        char *piece = take_piece(plan, at, length);
        size_t before = answers->count;
        FUZZ_CHECK(resp_reader_feed(reader, piece, length) ==
                   0); /* within RESP_FEED_MAX, all parsed before */
        free(piece);
        rc = read_all(reader, plan, answers);
        since_reply = answers->count > before ? 0 : since_reply + length;
        FUZZ_CHECK(rc != 0 || since_reply <= REPLY_MAX);
        FUZZ_CHECK(heap_now() <= heap + HEAP_MAX);
    }
    if (rc != 0)
        check_broken(reader, rc);
    answers->broken = rc != 0;
    resp_reader_del(reader);
    FUZZ_CHECK(counted.out == 0);
    FUZZ_CHECK(heap_now() == heap);
}

static void compare(const struct answers *one, const struct answers *other)
{
    size_t count = one->count < REPLIES_MAX ? one->count : REPLIES_MAX;
    FUZZ_CHECK(one->count == other->count && one->broken == other->broken);
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(one->rows[i].outcome == other->rows[i].outcome);
        FUZZ_CHECK(one->rows[i].error_length == other->rows[i].error_length);
        FUZZ_CHECK(one->rows[i].error_sum == other->rows[i].error_sum);
    }
}

/* Fed and not parsed in between: the cap on the buffer holds, and not a byte earlier. */
static void overfill(const struct plan *plan)
{
    struct fuzz_memory counted = {0};
    const struct resp_memory memory = {fuzz_alloc, fuzz_release, &counted};
    struct resp_reader *reader = resp_reader_new(&memory);
    size_t fed = 0;
    int rc = 0;
    FUZZ_CHECK(reader != NULL);
    while (rc == 0) {
        char *piece = take_piece(plan, fed, plan->piece);
        rc = resp_reader_feed(reader, piece, plan->piece);
        free(piece);
        fed += plan->piece;
        FUZZ_CHECK(rc == (fed > RESP_BUFFER_MAX ? RESP_ECAP : 0));
    }
    check_broken(reader, rc);
    resp_reader_del(reader);
    FUZZ_CHECK(counted.out == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 2, 3, 7, 16, 100, 1024, 4096, 4097, 16384};
    static struct answers cut, whole; /* large */
    static uint8_t spelled[SPELLED_MAX];
    if (size <= HEADER)
        return 0;
    struct plan plan = {
        .bytes = data + HEADER,
        .length = size - HEADER,
        .piece = pieces[data[0] % (sizeof(pieces) / sizeof(pieces[0]))],
        .spread = data[0] / 16u * 3u,
        .verbs = data[1],
    };
    if (data[3] % 2 == 1) {
        plan.length = spell_out(plan.bytes, plan.length, spelled, sizeof(spelled));
        plan.bytes = spelled;
    }
    if (plan.length == 0)
        return 0;
    plan.total = plan.length * (data[2] < 128 ? 1u : 1u + data[2] % 64u * 4u);
    plan.total = plan.total < STREAM_MAX ? plan.total : STREAM_MAX;
    cut.count = whole.count = 0;
    read_stream(&plan, &cut);
    plan.piece = RESP_FEED_MAX;
    plan.spread = 0;
    read_stream(&plan, &whole);
    compare(&cut, &whole);
    if (data[3] >= 0xF8) { /* seldom: it copies much */
        plan.piece = pieces[5 + data[0] % 5u];
        overfill(&plan);
    }
    return 0;
}
