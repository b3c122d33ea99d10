/* hold.c: granted, handed on, renewed, lost. Turns and their pauses: test_turn.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static struct arl_want with_ttl(int ms)
{
    struct arl_want want = world_want("no1");
    want.ttl = ms * ARL_MS;
    want.tries = ARL_TRIES_WITHOUT_LIMIT;
    return want;
}

/* ---- rule 1: until when ---- */

static void rule_1_a_lease_counts_from_the_writing_of_its_command(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(10000);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 3000, ARL_YES);
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    assert_true(arl_engine_remaining(w.engine, a, w.now) == (7000 - 100 - 2) * ARL_MS); /* less 1 % + 2 ms */
    w.now += 6897 * ARL_MS;
    assert_true(arl_engine_look(w.engine, a, w.now));
    w.now += 1 * ARL_MS;
    assert_false(arl_engine_look(w.engine, a, w.now));
    world_forget(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_1_a_lease_over_before_its_reply_is_released_and_a_failed_try(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(100);
    want.tries = 1;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 98, ARL_YES);
    world_expect(&w, "1000 TRY no1 t1 100\n1098 slow\n1098 RELEASE no1 t1\n");
    assert_int_equal(arl_handle_state(a), ARL_WAITING);
    world_reply(&w, 0, ARL_YES);
    world_run(&w, 200); /* it waits as after a failed try, and has no other */
    assert_int_equal(arl_handle_cause(a), ARL_GAVE_UP);
    assert_int_equal(world_count(&w, "TRY"), 0);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void slow_is_told_once_for_each_connection(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(50);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    for (int i = 0; i < 3; i++) {
        world_reply(&w, 60, ARL_YES);
        world_reply(&w, 60, ARL_YES); /* of the RELEASE */
        world_run(&w, 1000);
    }
    assert_int_equal(world_count(&w, "slow"), 1);
    assert_int_equal(world_count(&w, "TRY"), 4);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_1_a_lease_over_before_the_task_runs_was_never_held(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(1000);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1000 TRY no1 t1 1000\n1000 granted A\n");
    w.now += 1000 * ARL_MS;
    assert_false(arl_engine_confirm(w.engine, a, w.now));
    assert_int_equal(arl_handle_state(a), ARL_WAITING);
    world_expect(&w, "2000 RELEASE no1 t1\n2000 TRY no1 t2 1000\n");
    world_reply(&w, 0, ARL_YES);
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "2000 granted A\n"); /* at the head still */
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

/* ---- handing on ---- */

static void with_less_than_half_its_ex_left_the_lease_is_renewed_at_once(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want shorter = with_ttl(1000), longer = with_ttl(30000);
    struct arl_handle *a = world_hold(&w, &shorter, "A");
    struct arl_handle *b = world_acquire(&w, &longer, "B");
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1000 granted B\n1000 RENEW no1 t1 30000\n");
    world_reply(&w, 5, ARL_YES);
    assert_true(arl_engine_remaining(w.engine, b, w.now) > 29 * ARL_SECOND);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_lease_with_more_left_than_the_next_ones_ex_is_not_handed_on(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want longer = with_ttl(30000), shorter = with_ttl(2000);
    struct arl_handle *a = world_hold(&w, &longer, "A");
    struct arl_handle *b = world_acquire(&w, &shorter, "B");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    assert_int_equal(arl_handle_state(a), ARL_RELEASING);
    world_expect(&w, "1000 RELEASE no1 t1\n1000 TRY no1 t2 2000\n"); /* in one write */
    world_reply(&w, 1, ARL_YES);
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1001 ended A done\n1001 granted B\n");
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_renewal_under_way_may_make_it_live_longer_than_the_next_ones_ex(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want longer = with_ttl(120), shorter = with_ttl(110);
    struct arl_handle *a = world_hold(&w, &longer, "A");
    struct arl_handle *b = world_acquire(&w, &shorter, "B");
    world_run(&w, 40);
    assert_int_equal(world_count(&w, "RENEW no1 t1 120"), 1);
    world_run(&w, 9); /* unanswered: it may be executed only now */
    world_forget(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1049 RELEASE no1 t1\n1049 TRY no1 t2 110\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_former_holders_second_release_harms_nobody(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(10000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    assert_true(arl_engine_confirm(w.engine, b, w.now));
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    arl_engine_drop(w.engine, a, w.now);
    assert_true(arl_engine_look(w.engine, b, w.now));
    world_expect(&w, "1000 granted B\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void rule_6_one_cancelled_when_handed_the_lease_passes_it_on(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(10000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    struct arl_handle *c = world_acquire(&w, &want, "C");
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now); /* granted, its task has not run */
    world_expect(&w, "1000 granted C\n");
    arl_engine_drop(w.engine, c, w.now);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_close(&w);
}

static void a_lost_lease_is_not_handed_on(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(1000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    w.now += 990 * ARL_MS; /* the loop was stalled */
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    world_expect(&w, "1990 ended A lost\n1990 RELEASE no1 t1\n1990 TRY no1 t2 1000\n");
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_lease_that_the_server_denies_is_not_handed_on(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(1000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_run(&w, 340);
    world_forget(&w);
    world_reply(&w, 0, ARL_NO);
    world_expect(&w, "1340 ended A lost\n1340 TRY no1 t2 1000\n");
    arl_engine_drop(w.engine, a, w.now); /* its exit concerns nobody */
    world_expect(&w, "");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void dropping_a_lost_holder_hands_nothing_on(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(1000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    w.now += 990 * ARL_MS;
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1990 RELEASE no1 t1\n1990 TRY no1 t2 1000\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

/* ---- rules 3 and 5: renewals ---- */

static void rule_3_no_renewal_is_written_after_release_was_called(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(3000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    w.now += 1100 * ARL_MS;
    arl_engine_tick(w.engine, w.now); /* a RENEW is queued, not written */
    assert_true(arl_engine_has_request(w.engine));
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    assert_false(arl_engine_look(w.engine, a, w.now)); /* belief went first */
    world_expect(&w, "2100 RELEASE no1 t1\n");
    world_run(&w, 1000);
    world_down(&w);
    world_up(&w);
    world_expect(&w, "3100 RELEASE no1 t1\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_3_the_answer_of_a_renewal_under_way_revives_nothing(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(3000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 1100);
    world_forget(&w);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_expect(&w, "2100 RELEASE no1 t1\n");
    world_reply(&w, 1, ARL_YES); /* of the RENEW */
    assert_false(arl_engine_look(w.engine, a, w.now));
    world_reply(&w, 1, ARL_YES);
    world_expect(&w, "2102 ended A done\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_5_a_renewal_goes_out_at_a_third_of_the_ttl(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(3000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 890);
    world_expect(&w, "");
    world_run(&w, 112);
    assert_int_equal(world_count(&w, "RENEW no1 t1 3000"), 1);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_5_a_failed_renewal_is_retried_until_the_leases_end(void **state)
{
    static const enum arl_outcome errors[] = {ARL_BUSY, ARL_UNKNOWN, ARL_REFUSED};
    static const int ttls[] = {100, 300, 3000, 100000};
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct world w;
        int answered = 0;
        world_open(&w, 1);
        struct arl_want want = with_ttl(ttls[i / 3]);
        struct arl_handle *a = world_hold(&w, &want, "A");
        while (arl_handle_state(a) == ARL_HELD) {
            world_run(&w, 1);
            if (arl_engine_unanswered(w.engine) == 0)
                continue;
            world_forget(&w);
            assert_int_equal(arl_engine_reply(w.engine, errors[i % 3], w.now), 0);
            answered++;
        }
        assert_in_range(answered, 5, 80);
        assert_int_equal(arl_handle_cause(a), ARL_LOST);
        arl_engine_drop(w.engine, a, w.now);
        world_close(&w);
    }
}

static void rule_5_a_renewal_unanswered_for_a_third_resets_the_connection(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(3000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 1002);
    world_forget(&w);
    world_run(&w, 880);
    world_expect(&w, "");
    world_run(&w, 130); /* far below the reply timeout of 5 s */
    assert_int_equal(world_count(&w, "reset"), 1);
    world_forget(&w);
    world_down(&w);
    world_up(&w);
    assert_int_equal(world_count(&w, "RENEW no1 t1 3000"), 1);
    world_reply(&w, 1, ARL_YES);
    assert_true(arl_engine_remaining(w.engine, a, w.now) > 2900 * ARL_MS);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_5_not_ours_is_a_loss_at_once(void **state)
{
    static const enum arl_outcome answers[] = {ARL_NO, ARL_WRONG_TYPE};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world w;
        world_open(&w, 1);
        struct arl_want want = with_ttl(3000);
        struct arl_handle *a = world_hold(&w, &want, "A");
        world_run(&w, 1100);
        world_forget(&w);
        world_reply(&w, 0, answers[i]);
        world_expect(&w, "2100 ended A lost\n"); /* and nothing to release */
        arl_engine_drop(w.engine, a, w.now);
        assert_false(arl_engine_wants_connection(w.engine));
        world_close(&w);
    }
}

static void rule_5_a_loss_by_time_sends_release(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(600);
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 201);
    world_forget(&w);
    world_run(&w, 398); /* the RENEW stays unanswered; reset is told, and not done */
    assert_int_equal(world_count(&w, "ended A lost"), 1);
    world_down(&w);
    world_up(&w);
    assert_int_equal(world_count(&w, "RELEASE no1 t1"), 1);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_10_a_look_that_finds_the_lease_over_is_final(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(3000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 1100);
    w.now += 2000 * ARL_MS; /* stalled, with the RENEW's answer unread */
    assert_false(arl_engine_look(w.engine, a, w.now));
    assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), 0);
    assert_false(arl_engine_look(w.engine, a, w.now));
    assert_int_equal(arl_handle_cause(a), ARL_LOST);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_10_replies_come_before_the_tick(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(3000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 1100);
    w.now += 2000 * ARL_MS; /* stalled beyond the lease's end; the RENEW of 1.0 s keeps it until 4.0 s */
    assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), 0);
    arl_engine_tick(w.engine, w.now);
    assert_true(arl_engine_look(w.engine, a, w.now));
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_10_a_timer_2_ms_early_is_due_for_a_renewal_never_for_loss(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = with_ttl(600);
    struct arl_handle *a = world_hold(&w, &want, "A");
    w.now = arl_engine_deadline(w.engine) - 2 * ARL_MS;
    arl_engine_tick(w.engine, w.now);
    assert_int_equal(world_count(&w, "RENEW"), 1);
    w.now += arl_engine_remaining(w.engine, a, w.now) - 1;
    arl_engine_tick(w.engine, w.now);
    assert_int_equal(arl_handle_state(a), ARL_HELD);
    world_run(&w, 3);
    assert_int_equal(arl_handle_cause(a), ARL_LOST);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_1_a_lease_counts_from_the_writing_of_its_command),
        cmocka_unit_test(rule_1_a_lease_over_before_its_reply_is_released_and_a_failed_try),
        cmocka_unit_test(slow_is_told_once_for_each_connection),
        cmocka_unit_test(rule_1_a_lease_over_before_the_task_runs_was_never_held),
        cmocka_unit_test(with_less_than_half_its_ex_left_the_lease_is_renewed_at_once),
        cmocka_unit_test(a_lease_with_more_left_than_the_next_ones_ex_is_not_handed_on),
        cmocka_unit_test(a_renewal_under_way_may_make_it_live_longer_than_the_next_ones_ex),
        cmocka_unit_test(a_former_holders_second_release_harms_nobody),
        cmocka_unit_test(rule_6_one_cancelled_when_handed_the_lease_passes_it_on),
        cmocka_unit_test(a_lost_lease_is_not_handed_on),
        cmocka_unit_test(a_lease_that_the_server_denies_is_not_handed_on),
        cmocka_unit_test(dropping_a_lost_holder_hands_nothing_on),
        cmocka_unit_test(rule_3_no_renewal_is_written_after_release_was_called),
        cmocka_unit_test(rule_3_the_answer_of_a_renewal_under_way_revives_nothing),
        cmocka_unit_test(rule_5_a_renewal_goes_out_at_a_third_of_the_ttl),
        cmocka_unit_test(rule_5_a_failed_renewal_is_retried_until_the_leases_end),
        cmocka_unit_test(rule_5_a_renewal_unanswered_for_a_third_resets_the_connection),
        cmocka_unit_test(rule_5_not_ours_is_a_loss_at_once),
        cmocka_unit_test(rule_5_a_loss_by_time_sends_release),
        cmocka_unit_test(rule_10_a_look_that_finds_the_lease_over_is_final),
        cmocka_unit_test(rule_10_replies_come_before_the_tick),
        cmocka_unit_test(rule_10_a_timer_2_ms_early_is_due_for_a_renewal_never_for_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
