/* mem.h - the allocator that arl_settings hands in. */
#ifndef ARL_MEM_H
#define ARL_MEM_H

#include "arl.h"

/* `size` zeroed bytes, or NULL. The caller owns them until arl_mem_free. */
void *arl_mem_new(const struct arl_settings *settings, size_t size);

/* Gives back what arl_mem_new gave; NULL is allowed. */
void arl_mem_free(const struct arl_settings *settings, void *memory);

/* A larger copy of an array of `used` bytes, the old one freed; NULL, and the old one untouched. */
void *arl_mem_grow(const struct arl_settings *settings, void *old, size_t used, size_t size);

#endif
