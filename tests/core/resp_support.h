/* resp_support.h - what the tests of resp share: memory that counts what is out and fails the k-th allocation,
 * and a reader for a single reply. */
#ifndef RESP_SUPPORT_H
#define RESP_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "resp/parse.h"

#define COUNT_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

struct test_memory {
    long fail_at; /* the allocation that fails, counted from 1; 0: none */
    long count;   /* allocations asked for */
    long out;     /* allocations not given back */
};

static inline void *test_alloc(void *ctx, size_t size)
{
    struct test_memory *memory = ctx;
    void *block;

    memory->count++;
    if (memory->count == memory->fail_at)
        return NULL;
    block = malloc(size);
    assert_non_null(block);
    memory->out++;
    return block;
}

static inline void test_release(void *ctx, void *block)
{
    struct test_memory *memory = ctx;

    assert_non_null(block);
    memory->out--;
    free(block);
}

static inline struct resp_memory test_resp_memory(struct test_memory *memory)
{
    return (struct resp_memory){test_alloc, test_release, memory};
}

/* Numbers that look random and are the same in every run (xorshift64*). */
static inline uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1DULL;
}

/* Feeds a fresh reader with all at once; returns what resp_reader_next says first. The text of an error is
 * valid until the next call. */
static inline int test_read_once(const struct resp_memory *memory, enum arl_verb awaited, const char *bytes,
                                 size_t length, struct resp_reply *reply)
{
    static char text[RESP_LINE_MAX];
    struct resp_reader *reader = resp_reader_new(memory);
    int rc;

    assert_non_null(reader);
    rc = resp_reader_feed(reader, bytes, length);
    if (rc == 0)
        rc = resp_reader_next(reader, awaited, reply);
    if (rc == 1 && reply->error) {
        memcpy(text, reply->error, reply->error_length);
        reply->error = text;
    }
    resp_reader_del(reader);
    return rc;
}

#endif
