/* backoff.c: the documented pauses, drawn from a seed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/backoff.h"

static void pauses_are_the_documented_ones(void **state)
{
    struct arl_random random = {7};
    (void)state;
    for (int64_t i = 0; i < 40; i++) {
        arl_ns base = 60 * ARL_MS * (i > 2 ? i - 2 : 0); /* mean * max(0, i - 2) */
        for (int draw = 0; draw < 200; draw++) {
            arl_ns pause = arl_backoff_pause(&random, i, 20 * ARL_MS, 100 * ARL_MS);
            assert_in_range(pause, base + 20 * ARL_MS, base + 100 * ARL_MS);
        }
    }
}

static void draws_reach_both_ends_evenly(void **state)
{
    struct arl_random random = {7};
    int counts[10] = {0};
    (void)state;
    for (int i = 0; i < 100000; i++)
        counts[arl_random_between(&random, 0, 9)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 9500, 10500);
}

static void nothing_between_is_the_lower_end(void **state)
{
    struct arl_random random = {7};
    (void)state;
    assert_true(arl_random_between(&random, 5, 5) == 5);
    assert_true(arl_random_between(&random, 5, 4) == 5);
    assert_true(arl_backoff_pause(&random, 1000, 0, 0) == 0);
}

static void one_seed_gives_one_sequence(void **state)
{
    struct arl_random one = {42}, other = {42}, third = {43};
    int differ = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        arl_ns drawn = arl_random_between(&one, 0, ARL_SECOND);
        assert_true(drawn == arl_random_between(&other, 0, ARL_SECOND));
        differ += drawn != arl_random_between(&third, 0, ARL_SECOND);
    }
    assert_true(differ > 90);
}

static void far_tries_saturate(void **state)
{
    struct arl_random random = {7};
    (void)state;
    assert_true(arl_backoff_pause(&random, INT64_MAX, ARL_SECOND, ARL_SECOND) == ARL_NEVER);
    assert_true(arl_backoff_pause(&random, 1000000000, ARL_SECOND, ARL_SECOND) ==
                (arl_ns)(1000000000 - 2) * ARL_SECOND + ARL_SECOND);
    arl_ns long_sleep = (arl_ns)1000000000 * ARL_SECOND;
    assert_true(arl_backoff_pause(&random, 100, long_sleep, long_sleep) == ARL_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses_are_the_documented_ones),
        cmocka_unit_test(draws_reach_both_ends_evenly),
        cmocka_unit_test(nothing_between_is_the_lower_end),
        cmocka_unit_test(one_seed_gives_one_sequence),
        cmocka_unit_test(far_tries_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
