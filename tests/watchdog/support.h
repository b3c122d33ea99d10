/* support.h - cmocka and what it needs before it. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The thread sanitizer is at work. It follows no threads of a child that was forked from several, and maps more
 * memory than can be searched. */
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZER 1
#endif
#endif
#ifndef THREAD_SANITIZER
#define THREAD_SANITIZER 0
#endif

/* A connection more than it needs: a busy machine may be late for the deadline of a reply. */
#define assert_about(count, wanted) assert_in_range(count, wanted, (wanted) + 3)

#endif
