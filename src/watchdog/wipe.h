/* wipe.h - memory that held a secret. */
#ifndef WATCHDOG_WIPE_H
#define WATCHDOG_WIPE_H

#include <stddef.h>

/* Zeros over `length` bytes; volatile, so that the compiler cannot drop what nobody reads afterwards. */
static inline void wipe(void *memory, size_t length)
{
    volatile unsigned char *byte = memory;

    while (length-- > 0)
        *byte++ = 0;
}

#endif
