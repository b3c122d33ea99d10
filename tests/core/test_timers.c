/* timers.c: a heap of deadlines, against a plain array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/backoff.h"
#include "core/timers.h"

#define NODES 200

static long blocks;
static bool starving;

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    if (starving)
        return NULL;
    blocks++;
    return malloc(size);
}

static void give(void *ctx, void *memory)
{
    (void)ctx;
    blocks--;
    free(memory);
}

static const struct arl_settings settings = {.alloc = take, .release = give};

static arl_ns earliest(const struct arl_timer *nodes)
{
    arl_ns at = ARL_NEVER;
    for (int i = 0; i < NODES; i++) {
        if (nodes[i].place != 0)
            at = arl_ns_min(at, nodes[i].at);
    }
    return at;
}

static void the_first_is_always_the_earliest(void **state)
{
    struct arl_timers timers = {0};
    struct arl_timer nodes[NODES] = {0};
    struct arl_random random = {3};
    (void)state;
    for (int i = 0; i < NODES; i++)
        assert_int_equal(arl_timers_reserve(&timers, &settings), 0);
    for (int i = 0; i < 100000; i++) {
        struct arl_timer *node = &nodes[arl_random_between(&random, 0, NODES - 1)];
        switch (arl_random_between(&random, 0, 3)) {
        case 0:
            arl_timers_unset(&timers, node);
            assert_int_equal(node->place, 0);
            break;
        case 1:
            arl_timers_set(&timers, node, ARL_NEVER);
            assert_int_equal(node->place, 0);
            break;
        default:
            arl_timers_set(&timers, node, arl_random_between(&random, 0, 50)); /* many alike */
            break;
        }
        assert_true(arl_timers_deadline(&timers) == earliest(nodes));
        struct arl_timer *first = arl_timers_first(&timers);
        assert_true(first == NULL || (first->place == 1 && first->at == earliest(nodes)));
    }
    for (int i = 0; i < NODES; i++) {
        arl_timers_unset(&timers, &nodes[i]);
        arl_timers_unreserve(&timers, &settings);
    }
    assert_int_equal(timers.count, 0);
    assert_int_equal(blocks, 0); /* the memory went with the last promise */
}

static void they_come_out_in_order(void **state)
{
    struct arl_timers timers = {0};
    struct arl_timer nodes[NODES] = {0};
    struct arl_random random = {5};
    arl_ns last = 0;
    (void)state;
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(arl_timers_reserve(&timers, &settings), 0);
        arl_timers_set(&timers, &nodes[i], arl_random_between(&random, 0, 1000));
    }
    for (int i = 0; i < NODES; i++) {
        struct arl_timer *first = arl_timers_first(&timers);
        assert_true(first->at >= last);
        last = first->at;
        arl_timers_unset(&timers, first);
    }
    assert_null(arl_timers_first(&timers));
    arl_timers_free(&timers, &settings);
    assert_int_equal(blocks, 0);
}

static void a_promise_that_cannot_be_kept_is_not_made(void **state)
{
    struct arl_timers timers = {0};
    struct arl_timer nodes[5] = {0};
    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(arl_timers_reserve(&timers, &settings), 0);
        arl_timers_set(&timers, &nodes[i], 10 - i);
    }
    starving = true;
    assert_int_equal(arl_timers_reserve(&timers, &settings), ARL_ENOMEM);
    starving = false;
    assert_int_equal(timers.reserved, 4);
    assert_true(arl_timers_deadline(&timers) == 7);
    assert_int_equal(arl_timers_reserve(&timers, &settings), 0);
    arl_timers_set(&timers, &nodes[4], 1);
    assert_ptr_equal(arl_timers_first(&timers), &nodes[4]);
    arl_timers_free(&timers, &settings);
    assert_int_equal(blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_always_the_earliest),
        cmocka_unit_test(they_come_out_in_order),
        cmocka_unit_test(a_promise_that_cannot_be_kept_is_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
