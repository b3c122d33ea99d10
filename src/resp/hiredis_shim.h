/* hiredis_shim.h - everything that differs between hiredis 0.14 and 1.x; no other file looks at the version.
 *
 * What else differs and needs no code here: 1.x also reads RESP3 replies (0.14 calls them a protocol error);
 * the formatter returns an int in 0.14 and a long long in 1.x, which a long long takes from both; only 1.x
 * lets its allocator be replaced (hiredisSetAllocators), for the whole process, so that is never done here. */
#ifndef RESP_HIREDIS_SHIM_H
#define RESP_HIREDIS_SHIM_H

#include <hiredis/hiredis.h>

#if HIREDIS_MAJOR >= 1
typedef size_t resp_hiredis_count; /* how many elements: second argument of createArray */
#else
typedef int resp_hiredis_count;
#endif

/* The item that the reader is in the middle of, or NULL between two replies. */
static inline const redisReadTask *resp_hiredis_current(const redisReader *reader)
{
    if (reader->ridx < 0)
        return NULL;
#if HIREDIS_MAJOR >= 1
    return reader->task[reader->ridx];
#else
    return &reader->rstack[reader->ridx];
#endif
}

#endif
