#include "mem.h"

#include <string.h>

void *arl_mem_new(const struct arl_settings *settings, size_t size)
{
    void *memory = settings->alloc(settings->ctx, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

void arl_mem_free(const struct arl_settings *settings, void *memory)
{
    if (memory != NULL)
        settings->release(settings->ctx, memory);
}

void *arl_mem_grow(const struct arl_settings *settings, void *old, size_t used, size_t size)
{
    void *memory = settings->alloc(settings->ctx, size);
    if (memory == NULL)
        return NULL;
    if (used > 0)
        memcpy(memory, old, used);
    arl_mem_free(settings, old);
    return memory;
}
