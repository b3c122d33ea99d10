/* resp_support.h - memory for the tests of resp: counts what is out, and fails the k-th allocation. */
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

#include "resp/format.h"

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

#endif
