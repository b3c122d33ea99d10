/* parse.h - bytes to outcomes, within caps that a hostile server cannot break.
 *
 * An error of a reader is final: the connection must be dropped, and the reader with it. */
#ifndef RESP_PARSE_H
#define RESP_PARSE_H

#include <stddef.h>

#include "core/arl.h"
#include "resp/format.h"

/* The caps, in bytes where not said otherwise. What we ask for is answered far below each of them. */
#define RESP_BUFFER_MAX 65536 /* fed and not yet parsed */
#define RESP_LINE_MAX 1024    /* of a line: status, error, number, header; without its CRLF */
#define RESP_BULK_MAX 4096    /* of a bulk string */
#define RESP_ELEMENTS_MAX 64  /* elements of one reply, those of arrays within it included */
#define RESP_DEPTH_MAX 4      /* arrays within arrays, the outermost counted */

/* A feed of so much is always within the caps where everything fed before was parsed as far as it goes
 * (resp_reader_next said 0): an unfinished item is at most a bulk string and its header. */
#define RESP_FEED_MAX (RESP_BUFFER_MAX - RESP_BULK_MAX - 64)

#define RESP_EPROTOCOL (-101) /* not the protocol, or not a reply to what was asked */
#define RESP_ECAP (-102)      /* one of the caps above was broken */

struct resp_reader;

struct resp_reply {
    enum arl_outcome outcome;
    const char *error;   /* text of an error reply without its '-' and line end, not NUL-terminated; borrowed
                          * until the next call with this reader. NULL: the reply is no error */
    size_t error_length; /* bytes of error; 0 where it is NULL */
};

/* A reader for one connection, or NULL (no memory). `memory` is kept and must outlive it; hiredis takes the
 * memory for its own buffer from malloc. */
struct resp_reader *resp_reader_new(const struct resp_memory *memory);

/* Frees the reader; NULL is fine. */
void resp_reader_del(struct resp_reader *reader);

/* Takes in `length` bytes (copied). 0, RESP_ECAP (RESP_BUFFER_MAX), ARL_ENOMEM, or the error that broke
 * the reader earlier. */
int resp_reader_feed(struct resp_reader *reader, const char *bytes, size_t length);

/* Parses the next reply as an answer to `awaited`. 1: *out is set. 0: more bytes are wanted. Negative:
 * RESP_EPROTOCOL (bad bytes, or a reply that `awaited` cannot have), RESP_ECAP, ARL_ENOMEM, or the error that
 * broke the reader earlier.
 * With ARL_VERBS nothing is awaited and any reply is unasked; it is read all the same, so that the text of an
 * error that the server sends before it hangs up can be told. Its outcome is ARL_UNKNOWN unless it is an
 * error that the table knows. */
int resp_reader_next(struct resp_reader *reader, enum arl_verb awaited, struct resp_reply *out);

/* Constant text for a negative code of this floor or of the core; never NULL. */
const char *resp_strerror(int code);

#endif
