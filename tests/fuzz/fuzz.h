/* fuzz.h - what the fuzzers share: an input taken byte by byte, memory that runs out, and checks.
 *
 * Each fuzz_<target>.c is libFuzzer's LLVMFuzzerTestOneInput. Linked with replay.c instead of libFuzzer it is
 * a program that runs the files it is given, with any compiler. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- checks: what does not hold is said and aborts, which every fuzzer takes for a crash ---- */

#define FUZZ_CHECK(condition) fuzz_expect((condition), #condition, __FILE__, __LINE__)

static inline void fuzz_expect(bool condition, const char *text, const char *file, int line)
{
    if (condition)
        return;
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, text);
    abort();
}

/* ---- the input ---- */

struct fuzz_input {
    const uint8_t *at;
    const uint8_t *end;
};

static inline bool fuzz_more(const struct fuzz_input *input)
{
    return input->at < input->end;
}

/* The next byte; 0 behind the end. */
static inline unsigned fuzz_byte(struct fuzz_input *input)
{
    return fuzz_more(input) ? *input->at++ : 0;
}

/* 0 <= result < below <= 256 */
static inline unsigned fuzz_below(struct fuzz_input *input, unsigned below)
{
    return fuzz_byte(input) % below;
}

/* ---- memory ---- */

struct fuzz_memory {
    long out;      /* blocks not given back */
    unsigned fine; /* so many allocations succeed before .. */
    unsigned fail; /* .. so many fail */
};

static inline bool fuzz_fails(struct fuzz_memory *memory)
{
    if (memory->fail == 0)
        return false;
    if (memory->fine > 0) {
        memory->fine--;
        return false;
    }
    memory->fail--;
    return true;
}

static inline void *fuzz_alloc(void *ctx, size_t size)
{
    struct fuzz_memory *memory = ctx;
    if (fuzz_fails(memory))
        return NULL;
    void *block = malloc(size);
    FUZZ_CHECK(block != NULL);
    memory->out++;
    return block;
}

static inline void fuzz_release(void *ctx, void *block)
{
    struct fuzz_memory *memory = ctx;
    FUZZ_CHECK(block != NULL);
    memory->out--;
    free(block);
}

#endif
