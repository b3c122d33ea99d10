/* format.h - requests to bytes. */
#ifndef RESP_FORMAT_H
#define RESP_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "core/arl.h"

#define RESP_PREFIX "redisson:" /* before the user's key: what a lock is called on the server */
#define RESP_KEY_MAX 2048       /* bytes of the user's key, without the prefix */
#define RESP_TOKEN_TEXT 37      /* a uuid's text: 36 characters and the NUL */

#define RESP_ETOOLONG (-103) /* a key above RESP_KEY_MAX; nothing was appended */

/* Where memory comes from. It must outlive all that was made with it. */
struct resp_memory {
    void *(*alloc)(void *ctx, size_t size); /* NULL when there is none */
    void (*release)(void *ctx, void *memory);
    void *ctx; /* handed to both */
};

/* Bytes that wait to be written. Begin with zeros and `memory` set; empty it by setting `length` to 0. */
struct resp_buffer {
    char *data;      /* owned; NULL while nothing was ever appended */
    size_t length;   /* bytes of data that are set */
    size_t capacity; /* bytes that data has room for */
    const struct resp_memory *memory;
};

/* Appends the bytes of one request to `out`; everything in `request` is copied. 0, ARL_ENOMEM or
 * RESP_ETOOLONG; with an error `out` holds exactly what it held before. */
int resp_format(struct resp_buffer *out, const struct arl_request_view *request);

/* Gives the memory back; the buffer is empty and can be used again. */
void resp_buffer_free(struct resp_buffer *buffer);

/* A token's text on the server: the uuid in lower case with dashes, NUL at the end. */
void resp_token_text(const uint8_t token[ARL_TOKEN_SIZE], char out[RESP_TOKEN_TEXT]);

#endif
