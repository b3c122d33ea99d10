#define _DEFAULT_SOURCE

#include "watchdog/waker.h"

#include <stdint.h>
#include <unistd.h>

#include "watchdog/descriptor.h"

#ifdef __linux__
#include <sys/eventfd.h>

int waker_open(struct waker *waker)
{
    waker->read_end = waker->write_end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return waker->read_end < 0 ? -1 : 0;
}

#else

int waker_open(struct waker *waker)
{
    int ends[2];

    if (pipe(ends) != 0)
        return -1;
    *waker = (struct waker){ends[0], ends[1]};
    if (descriptor_prepare(ends[0]) && descriptor_prepare(ends[1]))
        return 0;
    waker_close(waker);
    return -1;
}

#endif

void waker_close(struct waker *waker)
{
    if (waker->write_end == waker->read_end)
        waker->write_end = -1;
    descriptor_close(&waker->read_end);
    descriptor_close(&waker->write_end);
}

void waker_ring(const struct waker *waker)
{
    const uint64_t one = 1;

    /* Full means that it was rung already. */
    if (write(waker->write_end, &one, sizeof(one)) < 0)
        return;
}

void waker_hush(const struct waker *waker)
{
    char rings[64];

    while (read(waker->read_end, rings, sizeof(rings)) == (ssize_t)sizeof(rings))
        continue;
}
