/* watch.c: answers that come late, what is told of a stall, how it ends. */
#include "watched.h"

/* ---- results that come too late ---- */

static void a_result_after_the_loss_revives_nothing(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 1000);
    (void)state;
    w.now += 900 * ARL_MS;
    assert_int_equal(world_watch(&w), 1);
    w.now += 90 * ARL_MS;
    expect_held(&w, a, false);
    world_watch_reply(&w, 1, ARL_YES);
    expect_held(&w, a, false);
    assert_int_equal(arl_handle_cause(a), ARL_LOST);
    assert_int_equal(world_count(&w, "ended A lost"), 1);
    assert_int_equal(world_count(&w, "RELEASE no1 t1"), 1);
    close_held(&w, a);
}

/* Nobody has looked: then it never was over, since K has been ours all the time. */
static void a_result_before_the_first_look_is_in_time(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 1000);
    (void)state;
    w.now += 900 * ARL_MS;
    world_watch_reply(&w, 95, ARL_YES);
    expect_held(&w, a, true);
    close_held(&w, a);
}

static void a_result_after_the_release_revives_nothing(void **state)
{
    static const enum arl_outcome answers[] = {ARL_YES, ARL_NO, ARL_UNKNOWN};
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 1000);
        w.now += 900 * ARL_MS;
        assert_int_equal(world_watch(&w), 1);
        world_forget(&w);
        assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
        world_expect(&w, "1900 RELEASE no1 t1\n");
        if (i >= 3) /* RELEASE is answered first */
            world_reply(&w, 1, ARL_YES);
        world_watch_reply(&w, 1, answers[i % 3]);
        if (i < 3)
            world_reply(&w, 1, ARL_YES);
        expect_held(&w, a, false);
        arl_engine_tick(w.engine, w.now);
        world_expect(&w, i < 3 ? "1902 ended A done\n1902 stalled 902\n"
                               : "1902 ended A done\n1902 stalled 901\n");
        assert_int_equal(world_watch(&w), 0);
        assert_true(arl_engine_deadline(w.engine) == ARL_NEVER);
        assert_false(arl_engine_wants_connection(w.engine));
        close_held(&w, a);
    }
}

/* K has another token by then: what the former one's renewal says does not concern its lease. */
static void a_result_of_a_former_token_does_not_prolong_the_next_lease(void **state)
{
    static const enum arl_outcome answers[] = {ARL_YES, ARL_NO, ARL_UNKNOWN};
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 1000);
        struct arl_want want = kept("no1", 1000);
        struct arl_handle *b = world_acquire(&w, &want, "B");
        w.now += 900 * ARL_MS;
        assert_int_equal(world_watch(&w), 1);
        arl_engine_drop(w.engine, a, w.now);
        world_run(&w, 0);
        world_reply(&w, 0, ARL_YES); /* RELEASE; then a pause, since the turn was over */
        world_run(&w, 120);
        assert_int_equal(world_count(&w, "TRY no1 t2"), 1);
        assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), 0);
        w.now += 400 * ARL_MS;
        arl_ns left = arl_engine_remaining(w.engine, b, w.now), due = arl_engine_deadline(w.engine);
        world_watch_reply(&w, 0, answers[i]);
        assert_true(left > 0 && arl_engine_remaining(w.engine, b, w.now) == left);
        assert_true(arl_engine_deadline(w.engine) == due);
        arl_engine_drop(w.engine, b, w.now);
        world_close(&w);
    }
}

/* However a lease ends: what was found due for it is not written afterwards. */
static void what_was_found_due_is_not_written_once_the_lease_is_no_more(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 1000);
        world_run(&w, 335); /* its renewal is unanswered */
        w.now = arl_watch_deadline(w.engine);
        assert_true(arl_watch_is_due(w.engine, w.now));
        if (i == 0)
            assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
        else if (i == 1)
            arl_engine_drop(w.engine, a, w.now);
        else if (i == 2)
            expect_held(&w, a, (w.now += 400 * ARL_MS) == 0);
        else if (i == 3)
            assert_int_equal(arl_engine_reply(w.engine, ARL_NO, w.now), 0);
        else
            arl_engine_close(w.engine, w.now);
        assert_false(arl_watch_is_due(w.engine, w.now));
        assert_int_equal(world_watch(&w), 0);
        assert_true(arl_watch_is_over(w.engine, w.now));
        if (i != 1)
            arl_engine_drop(w.engine, a, w.now);
        world_close(&w);
    }
}

static void a_lease_found_due_is_handed_on_and_kept_for_the_next(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 60);
    struct arl_want want = kept("no1", 60);
    (void)state;
    struct arl_handle *b = world_acquire(&w, &want, "B");
    w.now += 45 * ARL_MS;
    assert_true(arl_watch_is_due(w.engine, w.now));
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_expect(&w, "1045 granted B\n1045 RENEW no1 t1 60\n");
    world_watch_reply(&w, 0, ARL_YES);
    world_stall(&w, 500, ARL_YES);
    assert_true(arl_engine_confirm(w.engine, b, w.now));
    arl_engine_drop(w.engine, b, w.now);
    close_held(&w, a);
}

/* The renewal that was written for A was cut: it may have been executed, or may be yet. B has the lease by then. */
static void a_lease_with_its_renewal_in_flight_is_not_handed_on(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 60);
        struct arl_want want = kept("no1", 60);
        struct arl_handle *b = world_acquire(&w, &want, "B");
        w.now += 45 * ARL_MS;
        assert_int_equal(world_watch(&w), 1);
        world_forget(&w);
        if (i == 0)
            assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
        else
            arl_engine_drop(w.engine, a, w.now);
        world_expect(&w, "1045 RELEASE no1 t1\n1045 TRY no1 t2 60\n"); /* in one write */
        world_watch_reply(&w, 1, ARL_YES);
        world_reply(&w, 0, ARL_YES);
        world_reply(&w, 0, ARL_YES);
        assert_true(arl_engine_confirm(w.engine, b, w.now));
        arl_engine_drop(w.engine, b, w.now);
        if (i == 0)
            arl_engine_drop(w.engine, a, w.now);
        world_close(&w);
    }
}

/* The holder's ex is long, the lease itself is short until it is renewed. */
static void a_lease_that_was_handed_on_is_kept_from_its_own_end(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 1000);
    struct arl_want longer = kept("no1", 30000);
    (void)state;
    struct arl_handle *b = world_acquire(&w, &longer, "B");
    w.now += 20 * ARL_MS;
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_expect(&w, "1020 granted B\n1020 RENEW no1 t1 30000\n");
    world_stall(&w, 4000, ARL_YES);
    assert_true(arl_engine_confirm(w.engine, b, w.now));
    assert_int_equal(world_count(&w, "WATCH RENEW no1 t1 30000"), 1);
    arl_engine_drop(w.engine, b, w.now);
    close_held(&w, a);
}

/* Its former holder was not to be kept: no look counted it, and nothing else calls for one. */
static void a_lease_that_comes_to_one_who_is_kept_is_looked_at(void **state)
{
    struct world w;
    struct arl_want first = kept("no1", 60), second = kept("no1", 60), other = kept("no2", 60);
    (void)state;
    first.stall_limit = 0;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &first, "A"), *c = world_hold(&w, &other, "C");
    struct arl_handle *b = world_acquire(&w, &second, "B");
    world_stall(&w, 45, WORLD_SILENT);
    assert_int_equal(world_count(&w, "WATCH RENEW no2"), 1);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    while (w.watched < 2 && w.now < 1057 * ARL_MS)
        world_stall(&w, 1, WORLD_SILENT);
    assert_int_equal(world_count(&w, "WATCH RENEW no1"), 1);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, c, w.now);
    close_held(&w, a);
}

/* A's renewal is unanswered while B's, which asks for more, is confirmed from outside: then A's arrives. */
static void an_older_answer_for_a_shorter_ttl_is_looked_at_by_that(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 60);
    struct arl_want longer = kept("no1", 6000);
    (void)state;
    struct arl_handle *b = world_acquire(&w, &longer, "B");
    world_run(&w, 21);
    assert_int_equal(world_count(&w, "RENEW no1 t1 60"), 1);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_stall(&w, 2500, ARL_YES);
    assert_int_equal(world_count(&w, "WATCH RENEW no1 t1 6000"), 2); /* the second look went by the longer */
    assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), 0);
    arl_ns stalled = arl_ns_max(arl_engine_deadline(w.engine), w.now) + 10 * ARL_MS;
    assert_true(arl_watch_deadline(w.engine) == stalled);
    arl_engine_drop(w.engine, b, w.now);
    close_held(&w, a);
}

static void once_it_is_answered_the_lease_is_handed_on_again(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 60);
    struct arl_want want = kept("no1", 60);
    (void)state;
    struct arl_handle *b = world_acquire(&w, &want, "B");
    w.now += 45 * ARL_MS;
    world_watch_reply(&w, 1, ARL_YES);
    world_forget(&w);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_expect(&w, "1046 granted B\n");
    arl_engine_drop(w.engine, b, w.now);
    close_held(&w, a);
}

static void an_engine_ends_with_a_released_tokens_renewal_in_flight(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 1000);
        w.now += 900 * ARL_MS;
        if (i % 2 == 0)
            assert_int_equal(world_watch(&w), 1);
        else
            assert_true(arl_watch_is_due(w.engine, w.now));
        if (i >= 2)
            world_down(&w);
        arl_engine_drop(w.engine, a, w.now);
        world_close(&w);
    }
}

static void a_record_outlives_its_lease_until_the_watchdogs_answer(void **state)
{
    (void)state;
    for (int i = 0; i < 3;
         i++) { /* an answer, or the connection goes, or the server told of the loss before */
        struct world w;
        struct arl_handle *a = open_held(&w, 1000);
        world_run(&w, 335);
        w.now += 500 * ARL_MS;
        assert_int_equal(world_watch(&w), 1);
        if (i == 2) {
            world_reply(&w, 0, ARL_NO);
            arl_engine_drop(w.engine, a, w.now);
        } else {
            arl_engine_drop(w.engine, a, w.now);
            world_reply(&w, 0, ARL_YES);
            world_reply(&w, 0, ARL_YES);
        }
        long blocks = w.allocations;
        if (i == 1)
            world_watch_down(&w);
        else
            world_watch_reply(&w, 0, ARL_YES);
        assert_true(w.allocations < blocks);
        world_close(&w);
    }
}

/* It may be executed late, with the loop's connection down: RELEASE stays owed for as long as that may matter. */
static void a_release_is_owed_while_the_renewal_in_flight_may_still_prolong_the_key(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) { /* released before its answer is given up, or after; or it never is */
        struct world w;
        struct arl_handle *a = open_held(&w, 1000);
        world_down(&w);
        w.now += 900 * ARL_MS;
        assert_int_equal(world_watch(&w), 1);
        if (i != 1)
            arl_engine_drop(w.engine, a, w.now);
        w.now += 80 * ARL_MS;
        if (i < 2)
            world_watch_down(&w); /* it may be executed as late as now */
        if (i == 1)
            arl_engine_drop(w.engine, a, w.now);
        w.now += 990 * ARL_MS;
        arl_engine_tick(w.engine, w.now);
        world_up(&w);
        assert_int_equal(world_count(&w, "RELEASE no1 t1"), 1);
        world_close(&w);
    }
}

/* ---- the watchdog's own sleep ---- */

static void one_that_woke_late_lets_the_loop_go_first(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 1000);
    (void)state;
    w.now += 900 * ARL_MS;
    arl_watch_woke_late(w.engine, w.now);
    assert_false(arl_watch_is_due(w.engine, w.now));
    assert_true(arl_watch_deadline(w.engine) == w.now + 50 * ARL_MS);
    w.now += 50 * ARL_MS;
    assert_true(arl_watch_is_due(w.engine, w.now));
    assert_int_equal(world_watch(&w), 1);
    close_held(&w, a);
}

/* ---- what is told ---- */

static void a_stall_is_told_once_with_its_length(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 1000);
    (void)state;
    world_stall(&w, 4000, ARL_YES);
    world_forget(&w);
    arl_engine_tick(w.engine, w.now);
    assert_int_equal(world_count(&w, "5000 stalled 4000\n"), 1);
    arl_engine_tick(w.engine, w.now);
    world_run(&w, 600);
    assert_int_equal(world_count(&w, "stalled"), 1);
    close_held(&w, a);
}

static void a_stall_in_which_nothing_was_written_is_not_told(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 1000);
    (void)state;
    w.now += 900 * ARL_MS;
    assert_true(arl_watch_is_due(w.engine, w.now)); /* but its connection is refused */
    world_watch_down(&w);
    arl_engine_tick(w.engine, w.now);
    assert_int_equal(world_count(&w, "stalled"), 0);
    close_held(&w, a);
}

/* ---- how it ends ---- */

static void its_connection_is_wanted_until_the_loop_turns_and_all_is_answered(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    (void)state;
    assert_true(arl_watch_is_over(w.engine, w.now));
    w.now = arl_watch_deadline(w.engine);
    assert_true(arl_watch_is_due(w.engine, w.now));
    assert_false(arl_watch_is_over(w.engine, w.now));
    world_watch_reply(&w, 10, ARL_YES);
    assert_false(arl_watch_is_over(w.engine, w.now)); /* the next is to come */
    w.now = arl_watch_deadline(w.engine);
    assert_int_equal(world_watch(&w), 1);
    arl_engine_tick(w.engine, w.now);
    assert_false(arl_watch_is_over(w.engine, w.now)); /* an answer is to come */
    assert_true(arl_watch_is_over(w.engine, w.now + ARL_SECOND));
    world_watch_reply(&w, 10, ARL_YES);
    assert_true(arl_watch_is_over(w.engine, w.now));
    close_held(&w, a);
}

static void with_nothing_held_it_has_nothing_to_do(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 1000);
    (void)state;
    world_stall(&w, 2000, ARL_YES);
    arl_engine_drop(w.engine, a, w.now);
    assert_true(arl_watch_deadline(w.engine) == ARL_NEVER);
    assert_true(arl_watch_is_over(w.engine, w.now));
    assert_false(arl_watch_is_due(w.engine, w.now));
    world_close(&w);
}

/* A renewal of the watchdog's is confirmed while the loop's own is unanswered, or queued behind 500 others. */
static void the_loop_does_not_spin_over_what_the_watchdog_has_renewed(void **state)
{
    static struct arl_handle *handles[501];
    struct world w;
    (void)state;
    for (int count = 1; count <= 501; count += 500) {
        world_open(&w, 1);
        for (int i = 0; i < count; i++) {
            char key[16];
            (void)snprintf(key, sizeof(key), "no%d", i);
            struct arl_want want = kept(key, 6000);
            handles[i] = world_hold(&w, &want, "A");
        }
        w.now += 2001 * ARL_MS;
        arl_engine_tick(w.engine, w.now);
        world_forget(&w); /* 500 are written, none is answered */
        w.now += 2900 * ARL_MS;
        int renewed = 0;
        while (world_watch(&w) > 0) {
            for (world_forget(&w); w.watched > 0; renewed++)
                world_watch_reply(&w, 0, ARL_YES);
        }
        assert_int_equal(renewed, count);
        arl_engine_tick(w.engine, w.now);
        assert_true(arl_engine_deadline(w.engine) > w.now);
        for (int i = 0; i < count; i++)
            arl_engine_drop(w.engine, handles[i], w.now);
        world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_result_after_the_loss_revives_nothing),
        cmocka_unit_test(a_result_before_the_first_look_is_in_time),
        cmocka_unit_test(a_result_after_the_release_revives_nothing),
        cmocka_unit_test(a_result_of_a_former_token_does_not_prolong_the_next_lease),
        cmocka_unit_test(what_was_found_due_is_not_written_once_the_lease_is_no_more),
        cmocka_unit_test(a_lease_found_due_is_handed_on_and_kept_for_the_next),
        cmocka_unit_test(a_lease_with_its_renewal_in_flight_is_not_handed_on),
        cmocka_unit_test(a_lease_that_was_handed_on_is_kept_from_its_own_end),
        cmocka_unit_test(a_lease_that_comes_to_one_who_is_kept_is_looked_at),
        cmocka_unit_test(an_older_answer_for_a_shorter_ttl_is_looked_at_by_that),
        cmocka_unit_test(once_it_is_answered_the_lease_is_handed_on_again),
        cmocka_unit_test(an_engine_ends_with_a_released_tokens_renewal_in_flight),
        cmocka_unit_test(a_record_outlives_its_lease_until_the_watchdogs_answer),
        cmocka_unit_test(a_release_is_owed_while_the_renewal_in_flight_may_still_prolong_the_key),
        cmocka_unit_test(one_that_woke_late_lets_the_loop_go_first),
        cmocka_unit_test(a_stall_is_told_once_with_its_length),
        cmocka_unit_test(a_stall_in_which_nothing_was_written_is_not_told),
        cmocka_unit_test(its_connection_is_wanted_until_the_loop_turns_and_all_is_answered),
        cmocka_unit_test(with_nothing_held_it_has_nothing_to_do),
        cmocka_unit_test(the_loop_does_not_spin_over_what_the_watchdog_has_renewed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
