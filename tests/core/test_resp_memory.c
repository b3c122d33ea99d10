/* test_resp_memory.c - the k-th allocation fails, for every k: nothing crashes, leaks or is left half done.
 *
 * Our own allocations go through struct resp_memory. hiredis takes its own: 1.x lets its allocator be
 * replaced; for 0.14 malloc itself is (glibc, and neither a sanitizer nor valgrind, which bring their own).
 * Elsewhere with 0.14 only our own allocations fail. */
#include "resp_support.h"

#include "resp/hiredis_shim.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

/* Both kinds of allocation count here; off while `armed` is false. */
static struct test_memory all;
static bool armed;

static void *counted_block(void *block)
{
    if (armed && block)
        all.out++;
    return block;
}

static bool fails_now(void)
{
    if (!armed)
        return false;
    all.count++;
    return all.count == all.fail_at;
}

static void count_freed(const void *block)
{
    if (armed && block)
        all.out--;
}

#if HIREDIS_MAJOR >= 1

static void *fail_malloc(size_t size)
{
    return fails_now() ? NULL : counted_block(malloc(size));
}

static void *fail_calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : counted_block(calloc(count, size));
}

static void *fail_realloc(void *block, size_t size)
{
    if (fails_now())
        return NULL;
    return block ? realloc(block, size) : counted_block(malloc(size));
}

static char *fail_strdup(const char *text)
{
    char *copy = fail_malloc(strlen(text) + 1);

    return copy ? strcpy(copy, text) : NULL;
}

static void fail_free(void *block)
{
    count_freed(block);
    free(block);
}

static void replace_allocators(void)
{
    hiredisAllocFuncs functions = {fail_malloc, fail_calloc, fail_realloc, fail_strdup, fail_free};

    hiredisSetAllocators(&functions);
}

#define OURS_ARE_COUNTED_APART 1

#elif defined(__GLIBC__) && !defined(SANITIZED)

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void __libc_free(void *block);

void *malloc(size_t size)
{
    return fails_now() ? NULL : counted_block(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails_now() ? NULL : counted_block(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    if (fails_now())
        return NULL;
    return block ? __libc_realloc(block, size) : counted_block(__libc_malloc(size));
}

void free(void *block)
{
    count_freed(block);
    __libc_free(block);
}

static void replace_allocators(void)
{
}

#else

static void replace_allocators(void)
{
}

#define OURS_ARE_COUNTED_APART 1

#endif

/* struct resp_memory over malloc, which may be the one above that counts already. */
static void *our_alloc(void *ctx, size_t size)
{
    (void)ctx;
#ifdef OURS_ARE_COUNTED_APART
    return fails_now() ? NULL : counted_block(malloc(size));
#else
    return malloc(size);
#endif
}

static void our_release(void *ctx, void *block)
{
    (void)ctx;
#ifdef OURS_ARE_COUNTED_APART
    count_freed(block);
#endif
    free(block);
}

static const struct resp_memory memory = {our_alloc, our_release, NULL};

/* Runs `scenario` with the k-th allocation failing, until k is more than it asks for. Returns how often it
 * failed. `scenario` says whether it met a failure. */
static long fail_each(bool (*scenario)(void))
{
    for (long k = 1;; k++) {
        bool failed;

        all = (struct test_memory){.fail_at = k};
        armed = true;
        failed = scenario();
        armed = false;
        assert_int_equal(all.out, 0);
        assert_int_equal(failed, all.count >= k);
        if (!failed)
            return k - 1;
    }
}

/* Formats until the buffer has grown several times. With a failure the buffer is as before, and goes on. */
static bool scenario_format(void)
{
    static const uint8_t token[ARL_TOKEN_SIZE] = {1};
    struct resp_buffer out = {.memory = &memory};
    bool failed = false;

    for (int i = 0; i < 60; i++) {
        struct arl_request_view request = {.verb = (enum arl_verb)(i % ARL_VERBS),
                                           .key = "no1",
                                           .key_length = 3,
                                           .token = token,
                                           .ttl = ARL_SECOND};
        const size_t before = out.length;
        const int rc = resp_format(&out, &request);

        if (rc == 0) {
            if (out.length <= before)
                return !failed;
            continue;
        }
        if (rc != ARL_ENOMEM || out.length != before || failed)
            return !failed;
        failed = true;
    }
    resp_buffer_free(&out);
    return failed;
}

/* Reads replies of all kinds in feeds large enough that hiredis's buffer grows. */
static bool scenario_read(void)
{
    static char bytes[RESP_FEED_MAX];
    struct resp_reader *reader = resp_reader_new(&memory);
    struct resp_reply reply;
    int rc = 0;

    if (!reader)
        return true;
    for (size_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = "-READONLY no\r\n*1\r\n:1\r\n$1\r\na\r\n"[at % 29];
    for (size_t more = 1; more < sizeof(bytes) && rc == 0; more = more * 3 + 1) {
        rc = resp_reader_feed(reader, bytes, more - more % 29);
        while (rc == 0 && (rc = resp_reader_next(reader, ARL_VERBS, &reply)) == 1)
            rc = 0;
    }
    if (rc != 0 && (rc != ARL_ENOMEM || resp_reader_feed(reader, ":1\r\n", 4) != ARL_ENOMEM))
        rc = 0; /* any other error is a failure of the test: the caller sees that none was told */
    resp_reader_del(reader);
    return rc != 0;
}

static void test_format(void **state)
{
    (void)state;
    assert_true(fail_each(scenario_format) >= 4); /* the buffer's growth at the least */
}

static void test_read(void **state)
{
    (void)state;
    assert_true(fail_each(scenario_read) >= 1); /* the reader itself at the least */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_read),
    };

    replace_allocators();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
