/* claim.c: the wait queue's one bid on the server, in flight, in doubt, answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void a_lease_settled_late_is_not_granted_where_it_may_outlive_the_holders_ex(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want longer = world_want("no1"), shorter = world_want("no1");
    longer.ttl = 5 * ARL_SECOND;
    shorter.ttl = ARL_SECOND;
    struct arl_handle *a = world_acquire(&w, &longer, "A");
    struct arl_handle *b = world_acquire(&w, &shorter, "B");
    world_down(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_run(&w, 5500);
    world_forget(&w);
    world_up(&w);
    world_expect(&w, "6500 RENEW no1 t1 1000\n");
    /* The TRY may have reached the server only a moment ago, from the old connection. */
    world_reply(&w, 1, ARL_YES);
    world_expect(&w, "6501 RELEASE no1 t1\n6501 TRY no1 t2 1000\n");
    world_reply(&w, 1, ARL_YES);
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "6502 granted B\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void rule_2_a_token_is_tried_again_after_no_alone(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    want.tries = ARL_TRIES_WITHOUT_LIMIT;
    want.sleep_low = want.sleep_high = 40 * ARL_MS;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 0, ARL_NO);
    world_run(&w, 50);
    world_expect(&w, "1000 TRY no1 t1 10000\n1040 TRY no1 t1 10000\n");
    world_down(&w);
    world_up(&w);
    world_reply(&w, 0, ARL_NO); /* unanswered at a cut and not ours: dead */
    world_expect(&w, "1050 RENEW no1 t1 10000\n1050 RELEASE no1 t1\n1050 TRY no1 t2 10000\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_2_a_token_that_was_not_written_keeps_its_worth(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    arl_engine_down(w.engine, w.now);
    world_expect(&w, "");
    world_up(&w);
    world_expect(&w, "1000 TRY no1 t1 10000\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_4_a_try_in_doubt_is_settled_by_renew_and_held(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_down(&w);
    world_run(&w, 100);
    world_up(&w);
    world_reply(&w, 5, ARL_YES);
    world_expect(&w, "1000 TRY no1 t1 10000\n1100 RENEW no1 t1 10000\n1105 granted A\n");
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    assert_true(arl_engine_remaining(w.engine, a, w.now) == (9995 - 102) * ARL_MS);
    world_run(&w, 600); /* held: not released once more */
    world_expect(&w, "");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_4_held_for_a_moment_it_is_released_once_more(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_down(&w);
    world_up(&w);
    world_reply(&w, 5, ARL_YES);
    arl_engine_drop(w.engine, a, w.now);
    world_reply(&w, 5, ARL_YES);
    world_forget(&w);
    world_run(&w, 700);
    world_expect(&w, "1600 RELEASE no1 t1\n");
    world_close(&w);
}

static void rule_4_a_doubt_cut_again_is_asked_again(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_down(&w);
    for (int i = 0; i < 3; i++) {
        world_forget(&w);
        world_up(&w);
        world_expect(&w, "1000 RENEW no1 t1 10000\n");
        world_down(&w);
    }
    world_up(&w);
    world_forget(&w);
    world_reply(&w, 0, ARL_NOT_EXECUTED);
    world_expect(&w, "1000 RENEW no1 t1 10000 whole\n");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1000 granted A\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_6_a_doubt_that_nobody_waits_for_is_released(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_drain(&w);
    arl_engine_drop(w.engine, a, w.now); /* while its TRY is unanswered: the slot stays */
    world_down(&w);
    assert_true(arl_engine_wants_connection(w.engine));
    world_forget(&w);
    world_up(&w);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_close(&w);
}

static void rule_6_one_cancelled_while_its_doubt_is_asked_leaves_no_key(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_down(&w);
    world_up(&w);
    world_forget(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_close(&w);
}

static void an_error_to_a_doubt_is_the_waiters_and_the_token_is_released(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_down(&w);
    world_up(&w);
    world_forget(&w);
    world_reply(&w, 0, ARL_REFUSED);
    world_expect(&w, "1000 ended A server error\n1000 RELEASE no1 t1\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_server_that_answers_no_try_is_silent_whatever_else_it_answers(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    want.tries = ARL_TRIES_WITHOUT_LIMIT;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    for (int i = 0; i < 7; i++) {
        world_run(&w, 1000);
        world_down(&w);
        world_up(&w);
        world_reply(&w, 0, ARL_NO); /* of the doubt; the RELEASE and the next TRY are not answered */
        world_forget(&w);
    }
    assert_int_equal(arl_handle_state(a), ARL_WAITING);
    world_run(&w, 600);
    assert_int_equal(arl_handle_cause(a), ARL_NO_ANSWER);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_ttl_that_was_answered_no_binds_nobody(void **state)
{
    struct world w;
    struct arl_want longer = world_want("no1"), shorter = world_want("no1");
    (void)state;
    longer.ttl = 3600 * ARL_SECOND;
    shorter.ttl = ARL_SECOND;
    world_open(&w, 1);
    struct arl_handle *a = world_acquire(&w, &longer, "A");
    world_reply(&w, 1, ARL_NO);
    struct arl_handle *b = world_acquire(&w, &shorter, "B");
    arl_engine_drop(w.engine, a, w.now);
    world_run(&w, 300);
    world_forget(&w);
    world_reply(&w, 1, ARL_YES);
    world_expect(&w, "1302 granted B\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_2_a_token_is_tried_again_after_no_alone),
        cmocka_unit_test(rule_2_a_token_that_was_not_written_keeps_its_worth),
        cmocka_unit_test(rule_4_a_try_in_doubt_is_settled_by_renew_and_held),
        cmocka_unit_test(rule_4_held_for_a_moment_it_is_released_once_more),
        cmocka_unit_test(rule_4_a_doubt_cut_again_is_asked_again),
        cmocka_unit_test(rule_6_a_doubt_that_nobody_waits_for_is_released),
        cmocka_unit_test(rule_6_one_cancelled_while_its_doubt_is_asked_leaves_no_key),
        cmocka_unit_test(an_error_to_a_doubt_is_the_waiters_and_the_token_is_released),
        cmocka_unit_test(a_server_that_answers_no_try_is_silent_whatever_else_it_answers),
        cmocka_unit_test(a_lease_settled_late_is_not_granted_where_it_may_outlive_the_holders_ex),
        cmocka_unit_test(a_ttl_that_was_answered_no_binds_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
