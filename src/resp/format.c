/* format.c - requests to bytes, with hiredis's formatter (0.3 us for a command, its malloc included). */
#include "resp/format.h"

#include <string.h>

#include "resp/hiredis_shim.h"
#include "resp/scripts.h"

#define MAX_WORDS 6
#define TTL_TEXT 24        /* room for any int64_t in decimal and its NUL */
#define FIRST_CAPACITY 512 /* bytes: three requests or four with keys as they are in practice */

/* What a command is put together from. */
enum word {
    END, /* no more words */
    SET,
    PTTL,
    NX,
    PX,
    ONE_KEY, /* how many keys a script gets */
    FIXED,   /* how many of the above there are; below: words that depend on the request */
    SCRIPT_COMMAND,
    SCRIPT,
    KEY,
    TOKEN,
    TTL
};

static const char *const fixed_words[FIXED] = {
    [SET] = "SET", [PTTL] = "PTTL", [NX] = "NX", [PX] = "PX", [ONE_KEY] = "1",
};

/* The one place where a verb meets the wire. */
static const enum word commands[ARL_VERBS][MAX_WORDS + 1] = {
    [ARL_TRY] = {SET, KEY, TOKEN, NX, PX, TTL},
    [ARL_RENEW] = {SCRIPT_COMMAND, SCRIPT, ONE_KEY, KEY, TOKEN, TTL},
    [ARL_RELEASE] = {SCRIPT_COMMAND, SCRIPT, ONE_KEY, KEY, TOKEN},
    [ARL_PEEK] = {PTTL, KEY},
};

/* A command's words, and the texts that some of them point to. */
struct command {
    int count;
    const char *words[MAX_WORDS];
    size_t lengths[MAX_WORDS];
    char key[sizeof(RESP_PREFIX) - 1 + RESP_KEY_MAX];
    char token[RESP_TOKEN_TEXT];
    char ttl[TTL_TEXT];
};

static void add_word(struct command *command, const char *word, size_t length)
{
    command->words[command->count] = word;
    command->lengths[command->count] = length;
    command->count++;
}

static void add_script(struct command *command, const struct arl_request_view *request)
{
    const struct resp_script *script = resp_script_of(request->verb);

    if (request->whole_script)
        add_word(command, script->text, strlen(script->text));
    else
        add_word(command, script->sha1, RESP_SHA1_LENGTH);
}

static void add_key(struct command *command, const struct arl_request_view *request)
{
    const size_t prefix = sizeof(RESP_PREFIX) - 1;

    memcpy(command->key, RESP_PREFIX, prefix);
    memcpy(command->key + prefix, request->key, request->key_length);
    add_word(command, command->key, prefix + request->key_length);
}

/* The server counts in milliseconds: rounded up, so that it never lets go before we do. */
static void add_ttl(struct command *command, arl_ns ttl)
{
    arl_ns ms = ttl / ARL_MS + (ttl % ARL_MS > 0);
    char *first = command->ttl + TTL_TEXT;

    if (ms < 1)
        ms = 1;
    for (; ms > 0; ms /= 10)
        *--first = (char)('0' + ms % 10);
    add_word(command, first, (size_t)(command->ttl + TTL_TEXT - first));
}

static void add(struct command *command, enum word word, const struct arl_request_view *request)
{
    switch (word) {
    case SCRIPT_COMMAND:
        if (request->whole_script)
            add_word(command, "EVAL", 4);
        else
            add_word(command, "EVALSHA", 7);
        break;
    case SCRIPT:
        add_script(command, request);
        break;
    case KEY:
        add_key(command, request);
        break;
    case TOKEN:
        resp_token_text(request->token, command->token);
        add_word(command, command->token, RESP_TOKEN_TEXT - 1);
        break;
    case TTL:
        add_ttl(command, request->ttl);
        break;
    default:
        add_word(command, fixed_words[word], strlen(fixed_words[word]));
        break;
    }
}

/* Makes room for `more` bytes. 0 or ARL_ENOMEM, the buffer unchanged. */
static int buffer_reserve(struct resp_buffer *buffer, size_t more)
{
    size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
    char *data;

    if (buffer->capacity - buffer->length >= more)
        return 0;
    while (capacity - buffer->length < more)
        capacity *= 2;
    data = buffer->memory->alloc(buffer->memory->ctx, capacity);
    if (!data)
        return ARL_ENOMEM;
    if (buffer->data) {
        memcpy(data, buffer->data, buffer->length);
        buffer->memory->release(buffer->memory->ctx, buffer->data);
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

static int buffer_append(struct resp_buffer *buffer, const char *bytes, size_t length)
{
    int rc = buffer_reserve(buffer, length);

    if (rc == 0) {
        memcpy(buffer->data + buffer->length, bytes, length);
        buffer->length += length;
    }
    return rc;
}

int resp_format(struct resp_buffer *out, const struct arl_request_view *request)
{
    struct command command;
    char *bytes = NULL;
    long long length;
    int rc;

    if (request->key_length > RESP_KEY_MAX)
        return RESP_ETOOLONG;
    command.count = 0;
    for (const enum word *word = commands[request->verb]; *word != END; word++)
        add(&command, *word, request);
    length = redisFormatCommandArgv(&bytes, command.count, command.words, command.lengths);
    if (length < 0)
        return ARL_ENOMEM;
    rc = buffer_append(out, bytes, (size_t)length);
    redisFreeCommand(bytes);
    return rc;
}

void resp_buffer_free(struct resp_buffer *buffer)
{
    if (buffer->data)
        buffer->memory->release(buffer->memory->ctx, buffer->data);
    buffer->data = NULL;
    buffer->length = buffer->capacity = 0;
}

void resp_token_text(const uint8_t token[ARL_TOKEN_SIZE], char out[RESP_TOKEN_TEXT])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < ARL_TOKEN_SIZE; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = digits[token[i] >> 4];
        *out++ = digits[token[i] & 15];
    }
    *out = '\0';
}
