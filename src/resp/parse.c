/* parse.c - bytes to outcomes: hiredis's reader within our caps.
 *
 * The reader builds no objects here: its callbacks note what the outermost item is and count. So a reply
 * costs no allocation, and nested replies no memory beyond hiredis's own stack. */
#include "resp/parse.h"

#include <string.h>

#include "resp/hiredis_shim.h"
#include "resp/outcome.h"

#define BULK_HEADER 6 /* bytes of the header of a bulk string within the cap: up to four digits, CRLF */

struct resp_reader {
    redisReader *hiredis; /* owned */
    redisReplyObjectFunctions callbacks;
    const struct resp_memory *memory;
    int broken;      /* 0, or the error that every later call gets */
    size_t elements; /* of the reply being read, so far */
    /* The outermost item of the reply that was read last. */
    enum resp_kind kind;
    bool is_error;
    long long integer;
    size_t error_length;
    char error[RESP_LINE_MAX]; /* copied: hiredis moves its buffer before it hands a reply out */
};

/* ---- callbacks of hiredis: NULL stops it, anything else stands for the object that was asked for ---- */

static struct resp_reader *reader_of(const redisReadTask *task)
{
    return task->privdata;
}

static void *refuse(struct resp_reader *reader, int code)
{
    reader->broken = code;
    return NULL;
}

static void *on_line(const redisReadTask *task, const char *text, size_t length)
{
    struct resp_reader *reader = reader_of(task);

    if (length > RESP_LINE_MAX)
        return refuse(reader, RESP_ECAP);
    if (task->parent)
        return reader;
    if (task->type == REDIS_REPLY_ERROR) {
        reader->is_error = true;
        reader->error_length = length;
        memcpy(reader->error, text, length);
    } else if (task->type == REDIS_REPLY_STATUS && length == 2 && memcmp(text, "OK", 2) == 0) {
        reader->kind = RESP_OK;
    }
    return reader;
}

static void *on_bulk(const redisReadTask *task, const char *text, size_t length)
{
    if (length > RESP_BULK_MAX)
        return refuse(reader_of(task), RESP_ECAP);
    /* hiredis has seen that two bytes more are there, but not which. */
    if (memcmp(text + length, "\r\n", 2) != 0)
        return refuse(reader_of(task), RESP_EPROTOCOL);
    return reader_of(task);
}

static void *on_string(const redisReadTask *task, char *text, size_t length)
{
    if (task->type == REDIS_REPLY_STATUS || task->type == REDIS_REPLY_ERROR)
        return on_line(task, text, length);
    return on_bulk(task, text, length); /* RESP3's other strings too: all end in CRLF */
}

static void *on_array(const redisReadTask *task, resp_hiredis_count elements)
{
    struct resp_reader *reader = reader_of(task);
    int depth = 0;

    for (const redisReadTask *level = task; level; level = level->parent)
        depth++;
    if (depth > RESP_DEPTH_MAX || (size_t)elements > RESP_ELEMENTS_MAX - reader->elements)
        return refuse(reader, RESP_ECAP);
    reader->elements += (size_t)elements;
    return reader;
}

static void *on_integer(const redisReadTask *task, long long value)
{
    struct resp_reader *reader = reader_of(task);

    if (!task->parent) {
        reader->kind = RESP_INTEGER;
        reader->integer = value;
    }
    return reader;
}

static void *on_nil(const redisReadTask *task)
{
    struct resp_reader *reader = reader_of(task);

    if (!task->parent)
        reader->kind = RESP_NIL;
    return reader;
}

static void on_free(void *object)
{
    (void)object; /* nothing was made */
}

/* ---- the reader ---- */

struct resp_reader *resp_reader_new(const struct resp_memory *memory)
{
    struct resp_reader *reader = memory->alloc(memory->ctx, sizeof(*reader));

    if (!reader)
        return NULL;
    *reader = (struct resp_reader){.memory = memory};
    /* RESP3's doubles and booleans have no callback: hiredis then puts a constant in their place. */
    reader->callbacks.createString = on_string;
    reader->callbacks.createArray = on_array;
    reader->callbacks.createInteger = on_integer;
    reader->callbacks.createNil = on_nil;
    reader->callbacks.freeObject = on_free;
    reader->hiredis = redisReaderCreateWithFunctions(&reader->callbacks);
    if (!reader->hiredis) {
        memory->release(memory->ctx, reader);
        return NULL;
    }
    reader->hiredis->privdata = reader;
    /* Keep the buffer: our caps bound it, and 0.14 asserts that there is memory for its successor. */
    reader->hiredis->maxbuf = 0;
    return reader;
}

void resp_reader_del(struct resp_reader *reader)
{
    if (!reader)
        return;
    redisReaderFree(reader->hiredis);
    reader->memory->release(reader->memory->ctx, reader);
}

/* Why hiredis stopped; the reader stays broken. */
static int break_reader(struct resp_reader *reader)
{
    if (reader->broken == 0)
        reader->broken = reader->hiredis->err == REDIS_ERR_OOM ? ARL_ENOMEM : RESP_EPROTOCOL;
    return reader->broken;
}

static size_t unparsed(const struct resp_reader *reader)
{
    return reader->hiredis->len - reader->hiredis->pos;
}

int resp_reader_feed(struct resp_reader *reader, const char *bytes, size_t length)
{
    if (reader->broken)
        return reader->broken;
    if (length > RESP_BUFFER_MAX - unparsed(reader))
        return reader->broken = RESP_ECAP;
    if (length > 0 && redisReaderFeed(reader->hiredis, bytes, length) != REDIS_OK)
        return break_reader(reader);
    return 0;
}

/* Is this unfinished bulk string longer than its cap? As soon as its header says so, if that is there. */
static bool bulk_breaks_cap(const char *bytes, size_t length)
{
    size_t announced = 0;

    for (size_t i = 0; i < length && i < BULK_HEADER && bytes[i] >= '0' && bytes[i] <= '9'; i++)
        announced = announced * 10 + (size_t)(bytes[i] - '0');
    return announced > RESP_BULK_MAX || length >= BULK_HEADER + RESP_BULK_MAX + 2;
}

/* hiredis wants more bytes. Without this it would buffer, and search again and again, whatever comes. */
static bool unfinished_breaks_cap(const struct resp_reader *reader)
{
    const redisReadTask *task = resp_hiredis_current(reader->hiredis);
    const size_t length = unparsed(reader);

    if (!task || task->type < 0 || length == 0)
        return false;
    /* The type's byte is parsed already. RESP3's verbatim strings get no more room than a line. */
    if (task->type == REDIS_REPLY_STRING)
        return bulk_breaks_cap(reader->hiredis->buf + reader->hiredis->pos, length);
    return length > RESP_LINE_MAX + 1; /* a lone CR may stand behind the line */
}

/* What the reply that was just read says. 1 or RESP_EPROTOCOL. */
static int answer(struct resp_reader *reader, enum arl_verb awaited, struct resp_reply *out)
{
    *out = (struct resp_reply){.outcome = ARL_UNKNOWN};
    if (reader->is_error) {
        out->error = reader->error;
        out->error_length = reader->error_length;
        out->outcome = resp_outcome_of_error(awaited, reader->error, reader->error_length);
        return 1;
    }
    if (awaited == ARL_VERBS || resp_outcome_of_reply(awaited, reader->kind, reader->integer, &out->outcome))
        return 1;
    return reader->broken = RESP_EPROTOCOL;
}

int resp_reader_next(struct resp_reader *reader, enum arl_verb awaited, struct resp_reply *out)
{
    void *object = NULL;
    int rc;

    if (reader->broken)
        return reader->broken;
    if (redisReaderGetReply(reader->hiredis, &object) != REDIS_OK)
        return break_reader(reader);
    if (!object) {
        if (unfinished_breaks_cap(reader))
            return reader->broken = RESP_ECAP;
        return 0;
    }
    rc = answer(reader, awaited, out);
    reader->kind = RESP_OTHER;
    reader->is_error = false;
    reader->elements = 0;
    return rc;
}

const char *resp_strerror(int code)
{
    switch (code) {
    case RESP_EPROTOCOL:
        return "the server's reply is not one to what was asked";
    case RESP_ECAP:
        return "the server's reply is larger than any reply to what was asked";
    case RESP_ETOOLONG:
        return "the lock's key is too long";
    default:
        return arl_strerror(code);
    }
}
