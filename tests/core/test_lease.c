/* lease.c and ticks.h: until when a lease may be believed, and when it is renewed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/lease.h"

static void times_saturate(void **state)
{
    (void)state;
    assert_true(arl_ns_add(1, 2) == 3);
    assert_true(arl_ns_add(-5, 2) == -3);
    assert_true(arl_ns_add(ARL_NEVER, 1) == ARL_NEVER);
    assert_true(arl_ns_add(1, ARL_NEVER) == ARL_NEVER);
    assert_true(arl_ns_add(0, ARL_NEVER) == ARL_NEVER);
    assert_true(arl_ns_add(ARL_NEVER - 1, 1) == ARL_NEVER);
    assert_true(arl_ns_add(ARL_NEVER - 2, 1) == ARL_NEVER - 1);
    assert_true(arl_ns_add(INT64_MIN, 1) == INT64_MIN + 1);
}

static void rule_1_the_margin_is_1_percent_and_2_ms(void **state)
{
    (void)state;
    assert_true(arl_lease_margin(10 * ARL_SECOND) == 102 * ARL_MS);
    assert_true(arl_lease_margin(50 * ARL_MS) == ARL_MS * 5 / 2);
    assert_true(arl_lease_belief(7 * ARL_MS, 10 * ARL_SECOND) == (7 + 10000 - 102) * ARL_MS);
}

static void a_renewal_is_due_at_a_third_less_a_tenth_of_it_at_most(void **state)
{
    struct arl_random random = {1};
    arl_ns earliest = ARL_NEVER, latest = 0;
    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct arl_lease lease = {.ttl = 30 * ARL_SECOND};
        arl_lease_confirm(&lease, 5 * ARL_SECOND, 30 * ARL_SECOND, &random);
        assert_in_range(lease.renew_at, 14 * ARL_SECOND, 15 * ARL_SECOND);
        earliest = arl_ns_min(earliest, lease.renew_at);
        latest = arl_ns_max(latest, lease.renew_at);
    }
    assert_true(latest - earliest > ARL_SECOND * 9 / 10); /* spread */
}

static void belief_never_gets_shorter_by_an_answer(void **state)
{
    struct arl_random random = {1};
    struct arl_lease lease = {.ttl = ARL_SECOND};
    (void)state;
    arl_lease_confirm(&lease, 10 * ARL_SECOND, 100 * ARL_SECOND, &random);
    arl_ns until = lease.valid_until;
    arl_lease_confirm(&lease, 11 * ARL_SECOND, ARL_SECOND, &random);
    assert_true(lease.valid_until == until);
    assert_true(lease.renew_at < 12 * ARL_SECOND); /* renewals go by the shorter */
}

static void passed_on_it_goes_by_the_next_ones_ex(void **state)
{
    struct arl_lease lease = {
        .ttl = 10 * ARL_SECOND, .valid_until = 10 * ARL_SECOND, .renew_at = 3 * ARL_SECOND};
    (void)state;
    arl_lease_pass(&lease, 12 * ARL_SECOND, ARL_SECOND);
    assert_true(lease.ttl == 12 * ARL_SECOND && lease.renew_at == 3 * ARL_SECOND);
    arl_lease_pass(&lease, 3 * ARL_SECOND, ARL_SECOND);
    assert_true(lease.renew_at == 2 * ARL_SECOND); /* a third of 3 s from now */
    arl_lease_pass(&lease, 30 * ARL_SECOND, ARL_SECOND);
    assert_true(lease.renew_at == ARL_SECOND); /* less than half left: at once */
    lease.renew_at = ARL_NEVER;
    arl_lease_pass(&lease, 30 * ARL_SECOND, ARL_SECOND);
    assert_true(lease.renew_at == ARL_NEVER); /* one is on its way */
}

static void rule_5_how_long_a_renewal_may_stay_unanswered(void **state)
{
    struct arl_lease lease = {.ttl = 3 * ARL_SECOND};
    (void)state;
    assert_true(arl_lease_patience(&lease) == ARL_SECOND);
    lease.ttl = 60 * ARL_MS;
    assert_true(arl_lease_patience(&lease) == 200 * ARL_MS);
}

static void a_refused_renewal_is_tried_ten_times_a_lease_or_each_second(void **state)
{
    struct arl_lease lease = {.ttl = 3 * ARL_SECOND};
    (void)state;
    assert_true(arl_lease_retry_at(&lease, ARL_SECOND) == 1300 * ARL_MS);
    lease.ttl = 1000 * ARL_SECOND;
    assert_true(arl_lease_retry_at(&lease, ARL_SECOND) == 2 * ARL_SECOND);
    lease.ttl = 20 * ARL_MS;
    assert_true(arl_lease_retry_at(&lease, ARL_SECOND) == 1005 * ARL_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_saturate),
        cmocka_unit_test(rule_1_the_margin_is_1_percent_and_2_ms),
        cmocka_unit_test(a_renewal_is_due_at_a_third_less_a_tenth_of_it_at_most),
        cmocka_unit_test(belief_never_gets_shorter_by_an_answer),
        cmocka_unit_test(passed_on_it_goes_by_the_next_ones_ex),
        cmocka_unit_test(rule_5_how_long_a_renewal_may_stay_unanswered),
        cmocka_unit_test(a_refused_renewal_is_tried_ten_times_a_lease_or_each_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
