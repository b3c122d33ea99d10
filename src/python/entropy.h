/* entropy.h - tokens from the system's randomness, without a pool of ours that a fork could repeat. */
#ifndef PYTHON_ENTROPY_H
#define PYTHON_ENTROPY_H

#include "core/arl.h"

/* Fills a fresh uuid of version 4. 0, or ARL_EENTROPY where the system has none to give. `ctx` is not used:
 * the shape is that of arl_settings.draw_token. */
int entropy_token(void *ctx, uint8_t token[ARL_TOKEN_SIZE]);

/* A seed for pauses and jitter; falls back on the clock. */
uint64_t entropy_seed(void);

#endif
