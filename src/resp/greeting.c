#include "resp/greeting.h"

#include <string.h>

#define DIGITS 24 /* room for any size_t in decimal */

/* Where the next bytes go; with `out` NULL they are only counted. */
struct cursor {
    char *out;
    size_t length;
};

static void put(struct cursor *cursor, const char *bytes, size_t length)
{
    if (cursor->out && length > 0)
        memcpy(cursor->out + cursor->length, bytes, length);
    cursor->length += length;
}

/* Writes `number` in decimal to the end of `text`; gives its first digit. */
static const char *decimal(char text[DIGITS], size_t number)
{
    char *first = text + DIGITS;

    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return first;
}

/* A line of the protocol: `kind`, a number, CRLF. */
static void put_header(struct cursor *cursor, char kind, size_t number)
{
    char text[DIGITS];
    const char *first = decimal(text, number);

    put(cursor, &kind, 1);
    put(cursor, first, (size_t)(text + DIGITS - first));
    put(cursor, "\r\n", 2);
}

static void put_word(struct cursor *cursor, const char *word, size_t length)
{
    put_header(cursor, '$', length);
    put(cursor, word, length);
    put(cursor, "\r\n", 2);
}

static void put_auth(struct cursor *cursor, const struct resp_login *login)
{
    const bool named = login->username_length > 0;

    put_header(cursor, '*', named ? 3 : 2);
    put_word(cursor, "AUTH", 4);
    if (named)
        put_word(cursor, login->username, login->username_length);
    put_word(cursor, login->password, login->password_length);
}

static void put_select(struct cursor *cursor, size_t database)
{
    char text[DIGITS];
    const char *first = decimal(text, database);

    put_header(cursor, '*', 2);
    put_word(cursor, "SELECT", 6);
    put_word(cursor, first, (size_t)(text + DIGITS - first));
}

size_t resp_format_greeting(char *out, const struct resp_login *login)
{
    struct cursor cursor = {.out = out};

    if (login->password)
        put_auth(&cursor, login);
    if (login->database > 0)
        put_select(&cursor, (size_t)login->database);
    return cursor.length;
}

unsigned resp_greeting_replies(const struct resp_login *login)
{
    return (login->password ? 1u : 0u) + (login->database > 0 ? 1u : 0u);
}

bool resp_greeting_is_refused(const struct resp_reply *reply)
{
    static const char full[] = "ERR max number of clients";
    const size_t length = sizeof(full) - 1;

    if (!reply->error || reply->outcome == ARL_BUSY)
        return false;
    return reply->error_length < length || memcmp(reply->error, full, length) != 0;
}
