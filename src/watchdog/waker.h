/* waker.h - a descriptor by which one thread wakes another out of poll(). */
#ifndef WATCHDOG_WAKER_H
#define WATCHDOG_WAKER_H

struct waker {
    int read_end;  /* -1: there is none; polled for input */
    int write_end; /* the same descriptor where the system has eventfd */
};

#define WAKER_NONE ((struct waker){-1, -1})

/* 0, or -1 where the system gives no descriptors. Close-on-exec, non-blocking. */
int waker_open(struct waker *waker);

/* Harmless where there is none. */
void waker_close(struct waker *waker);

/* From any thread; never blocks. */
void waker_ring(const struct waker *waker);

/* Takes in all rings so far. */
void waker_hush(const struct waker *waker);

#endif
