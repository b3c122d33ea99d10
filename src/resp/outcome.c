/* outcome.c - which reply is which outcome.
 *
 * "Nothing was changed" holds for every error listed here, inside a script too: each of our commands writes
 * once, as its last act, so one that ended in an error did not get as far as its write. An error that is not
 * listed may come from anywhere (a proxy that lost its server, say) and stays in doubt. */
#include "resp/outcome.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "resp/scripts.h"

static const struct reply_row {
    enum arl_verb verb;
    enum resp_kind kind;
    long long low, high; /* of an integer, both included */
    enum arl_outcome outcome;
} replies[] = {
    {ARL_TRY, RESP_OK, 0, 0, ARL_YES},
    {ARL_TRY, RESP_NIL, 0, 0, ARL_NO},
    {ARL_RENEW, RESP_INTEGER, 1, 1, ARL_YES},
    {ARL_RENEW, RESP_INTEGER, 0, 0, ARL_NO},
    {ARL_RELEASE, RESP_INTEGER, 1, 1, ARL_YES},
    {ARL_RELEASE, RESP_INTEGER, 0, 0, ARL_NO},
    {ARL_PEEK, RESP_INTEGER, -1, LLONG_MAX, ARL_YES}, /* -1: there without an expiry; 0: there for < 1 ms */
    {ARL_PEEK, RESP_INTEGER, -2, -2, ARL_NO},
};

struct error_row {
    const char *text;
    enum arl_outcome outcome;
};

/* Errors known by their first word. */
static const struct error_row codes[] = {
    {"NOSCRIPT", ARL_NOT_EXECUTED},
    {"WRONGTYPE", ARL_WRONG_TYPE},
    /* It will not do this until somebody changes something. */
    {"OOM", ARL_REFUSED},
    {"NOPERM", ARL_REFUSED},
    {"MOVED", ARL_REFUSED},
    {"ASK", ARL_REFUSED},
    {"CROSSSLOT", ARL_REFUSED},
    {"MISCONF", ARL_REFUSED},
    {"NOREPLICAS", ARL_REFUSED},
    {"EXECABORT", ARL_REFUSED},
    /* It passes by itself. */
    {"LOADING", ARL_BUSY},
    {"BUSY", ARL_BUSY},
    {"TRYAGAIN", ARL_BUSY},
    {"CLUSTERDOWN", ARL_BUSY},
    /* Another connection may get further: another server behind the name, or the password sent again. */
    {"READONLY", ARL_STALE},
    {"MASTERDOWN", ARL_STALE},
    {"NOAUTH", ARL_STALE},
    {"WRONGPASS", ARL_STALE},
    {"DENIED", ARL_STALE},
};

/* Errors whose first word is only ERR, or that have none inside a script: known by how their text begins. */
static const struct error_row texts[] = {
    {"max number of clients", ARL_STALE},
    {"unknown command", ARL_REFUSED},
    {"Unknown Redis command", ARL_REFUSED},               /* in a script */
    {"Unknown command", ARL_REFUSED},                     /* in a script, Valkey */
    {"The user executing the script can't", ARL_REFUSED}, /* ACL in a script, Redis 6 and 7.0 */
    {"ACL failure in script", ARL_REFUSED},               /* ACL in a script, Redis 7.2 and Valkey */
    {"invalid expire time", ARL_REFUSED},
    {"wrong number of arguments", ARL_REFUSED},
    {"syntax error", ARL_REFUSED},
    {"Script killed by user", ARL_BUSY}, /* only done to a script that has not written */
};

/* A piece of a text, never NUL-terminated. */
struct slice {
    const char *at;
    size_t length;
};

static bool begins_with(struct slice text, const char *prefix)
{
    const size_t length = strlen(prefix);

    return text.length >= length && memcmp(text.at, prefix, length) == 0;
}

static struct slice skip(struct slice text, size_t count)
{
    return (struct slice){text.at + count, text.length - count};
}

/* Takes away `prefix` where the text begins with it. */
static bool skip_prefix(struct slice *text, const char *prefix)
{
    if (!begins_with(*text, prefix))
        return false;
    *text = skip(*text, strlen(prefix));
    return true;
}

/* Goes behind the next `mark`; false, and nothing done, where there is none. */
static bool skip_behind(struct slice *text, const char *mark)
{
    for (struct slice rest = *text; rest.length > 0; rest = skip(rest, 1)) {
        if (skip_prefix(&rest, mark)) {
            *text = rest;
            return true;
        }
    }
    return false;
}

/* Redis 6 wraps what goes wrong in a script, in one or two places and sometimes with the error's own dash:
 *     ERR Error running script (call to f_..): @user_script:1: @user_script: 1: -READONLY You can't .. */
static void unwrap(struct slice *text)
{
    if (!begins_with(*text, "ERR Error running script") || !skip_behind(text, "): "))
        return;
    while (skip_prefix(text, "@user_script:")) {
        skip_prefix(text, " ");
        while (text->length > 0 && isdigit((unsigned char)text->at[0]))
            *text = skip(*text, 1);
        skip_prefix(text, ": ");
    }
    skip_prefix(text, "-");
}

static bool first_word_is(struct slice text, const char *word)
{
    return skip_prefix(&text, word) && (text.length == 0 || text.at[0] == ' ');
}

static enum arl_outcome look_up(struct slice text)
{
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (first_word_is(text, codes[i].text))
            return codes[i].outcome;
    skip_prefix(&text, "ERR ");
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (begins_with(text, texts[i].text))
            return texts[i].outcome;
    return ARL_UNKNOWN;
}

enum arl_outcome resp_outcome_of_error(enum arl_verb verb, const char *text, size_t length)
{
    struct slice slice = {text, length};
    enum arl_outcome outcome;

    unwrap(&slice);
    outcome = look_up(slice);
    /* TRY and PEEK send no digest and take a key of any type: from there both tell nothing of the key. */
    if ((outcome == ARL_NOT_EXECUTED || outcome == ARL_WRONG_TYPE) && !resp_script_of(verb))
        return ARL_UNKNOWN;
    return outcome;
}

bool resp_outcome_of_reply(enum arl_verb verb, enum resp_kind kind, long long integer, enum arl_outcome *out)
{
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        const struct reply_row *row = &replies[i];

        if (row->verb != verb || row->kind != kind)
            continue;
        if (kind == RESP_INTEGER && (integer < row->low || integer > row->high))
            continue;
        *out = row->outcome;
        return true;
    }
    return false;
}
