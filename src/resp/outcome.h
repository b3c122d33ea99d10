/* outcome.h - which reply is which outcome: the one table of it. Used by parse.c. */
#ifndef RESP_OUTCOME_H
#define RESP_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>

#include "core/arl.h"

/* What a reply that is no error can be, as far as anybody cares. */
enum resp_kind {
    RESP_OTHER, /* anything else: no verb is answered so */
    RESP_OK,    /* the status OK */
    RESP_NIL,   /* the null of a bulk string or an array, or RESP3's */
    RESP_INTEGER
};

/* The outcome of a reply to `verb`; `integer` is looked at for RESP_INTEGER. False where `verb` cannot be
 * answered so. */
bool resp_outcome_of_reply(enum arl_verb verb, enum resp_kind kind, long long integer, enum arl_outcome *out);

/* The outcome of an error reply to `verb` (ARL_VERBS: to nothing) with this text, its '-' not included. */
enum arl_outcome resp_outcome_of_error(enum arl_verb verb, const char *text, size_t length);

#endif
