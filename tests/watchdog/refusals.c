#include "refusals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

/* How many calls still succeed, + 1; 0: all of them. */
static atomic_int left[REFUSALS];
static atomic_int counts[REFUSALS];

void refuse(enum refusal what, int after)
{
    atomic_store(&left[what], after + 1);
}

int refused(enum refusal what)
{
    return atomic_load(&counts[what]);
}

static bool is_refused(enum refusal what)
{
    int now = atomic_load(&left[what]);

    if (now == 0)
        return false;
    if (now > 1) {
        atomic_fetch_sub(&left[what], 1);
        return false;
    }
    atomic_fetch_add(&counts[what], 1);
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *),
                          void *ctx);
int __real_eventfd(unsigned count, int flags);
int __real_socket(int family, int type, int protocol);
int __real_poll(struct pollfd *polled, nfds_t count, int timeout);

void *__wrap_malloc(size_t size)
{
    return is_refused(REFUSE_MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_refused(REFUSE_MEMORY) ? NULL : __real_calloc(count, size);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*main)(void *),
                          void *ctx)
{
    return is_refused(REFUSE_THREAD) ? EAGAIN : __real_pthread_create(thread, attributes, main, ctx);
}

int __wrap_eventfd(unsigned count, int flags)
{
    if (!is_refused(REFUSE_EVENTFD))
        return __real_eventfd(count, flags);
    errno = EMFILE;
    return -1;
}

int __wrap_socket(int family, int type, int protocol)
{
    if (!is_refused(REFUSE_SOCKET))
        return __real_socket(family, type, protocol);
    errno = EMFILE;
    return -1;
}

int __wrap_poll(struct pollfd *polled, nfds_t count, int timeout)
{
    if (!is_refused(REFUSE_POLL))
        return __real_poll(polled, count, timeout);
    errno = EINVAL;
    return -1;
}
