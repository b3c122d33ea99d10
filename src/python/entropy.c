#define _DEFAULT_SOURCE /* getrandom beside -std=c11 */

#include "python/entropy.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "python/clock.h"

/* Fills `length` bytes, at most 256; 0 or -1. */
static int entropy_fill(void *bytes, size_t length)
{
#ifdef __linux__
    ssize_t got;

    do {
        got = getrandom(bytes, length, 0);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)length ? 0 : -1;
#else
    return getentropy(bytes, length);
#endif
}

int entropy_token(void *ctx, uint8_t token[ARL_TOKEN_SIZE])
{
    (void)ctx;
    if (entropy_fill(token, ARL_TOKEN_SIZE) != 0)
        return ARL_EENTROPY;
    token[6] = (uint8_t)((token[6] & 0x0f) | 0x40); /* RFC 9562, 5.4: version */
    token[8] = (uint8_t)((token[8] & 0x3f) | 0x80); /* RFC 9562, 4.1: variant */
    return 0;
}

uint64_t entropy_seed(void)
{
    uint64_t seed;

    if (entropy_fill(&seed, sizeof(seed)) != 0)
        seed = (uint64_t)clock_now();
    return seed;
}
