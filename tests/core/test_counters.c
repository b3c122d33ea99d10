/* What the engine counts, each at the one place where it happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static struct arl_counters counted(const struct world *w)
{
    struct arl_counters counters;
    arl_engine_count(w->engine, &counters);
    return counters;
}

/* All counters at once, so that none rises unseen. */
static void expect(const struct world *w, struct arl_counters expected)
{
    struct arl_counters now = counted(w);
    assert_memory_equal(&now, &expected, sizeof(now));
}

static void an_engine_begins_with_zeros(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    expect(&w, (struct arl_counters){0});
    assert_int_equal(arl_engine_waiting_now(w.engine), 0);
    assert_int_equal(arl_engine_held_now(w.engine), 0);
    world_close(&w);
}

static void a_hold_is_counted_when_it_begins_and_when_it_is_left(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    assert_int_equal(arl_engine_waiting_now(w.engine), 1);
    expect(&w, (struct arl_counters){0}); /* the TRY is queued, not written */
    world_reply(&w, 5, ARL_YES);
    expect(&w, (struct arl_counters){.tries = 1}); /* granted, and its task has not run */
    assert_int_equal(arl_engine_waiting_now(w.engine), 0);
    assert_int_equal(arl_engine_held_now(w.engine), 1);
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1});
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .released = 1});
    assert_int_equal(arl_engine_held_now(w.engine), 0);
    world_reply(&w, 5, ARL_YES);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .released = 1});
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_lease_granted_to_one_who_left_is_no_hold(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 5, ARL_YES);
    arl_engine_drop(w.engine, a, w.now);
    world_reply(&w, 5, ARL_NO); /* what nobody believed in cannot be lost */
    expect(&w, (struct arl_counters){.tries = 1});
    world_close(&w);
}

static void a_lease_passed_on_is_two_holds(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    assert_true(arl_engine_confirm(w.engine, b, w.now));
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 2, .released = 1, .handed_off = 1});
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now); /* collected: left as well */
    world_reply(&w, 5, ARL_YES);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 2, .released = 2, .handed_off = 1});
    world_close(&w);
}

static void who_gives_up_is_counted_and_who_is_cancelled_is_not(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    arl_engine_drop(w.engine, b, w.now);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1});
    want.tries = 0;
    b = world_acquire(&w, &want, "B");
    want.once = true;
    struct arl_handle *c = world_acquire(&w, &want, "C");
    want.once = false;
    want.patience = 50 * ARL_MS;
    struct arl_handle *d = world_acquire(&w, &want, "D");
    world_run(&w, 100);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .given_up = 3});
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, c, w.now);
    arl_engine_drop(w.engine, d, w.now);
    world_reply(&w, 5, ARL_YES);
    world_close(&w);
}

static void an_acquire_that_fails_has_not_given_up(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 5, ARL_REFUSED);
    expect(&w, (struct arl_counters){.tries = 1});
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void renewals_are_counted_as_they_are_written(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 3500);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .renewals = 1});
    world_reply(&w, 5, ARL_YES);
    world_run(&w, 3500);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .renewals = 2});
    world_reply(&w, 5, ARL_NO);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .renewals = 2, .lost = 1});
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_loss_by_time_counts_once_whatever_the_server_says_later(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    w.now += 20 * ARL_SECOND; /* the loop stood still */
    assert_false(arl_engine_look(w.engine, a, w.now));
    assert_false(arl_engine_look(w.engine, a, w.now));
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .lost = 1});
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    world_reply(&w, 5, ARL_NO); /* the RELEASE that a loss by time owes */
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .lost = 1});
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_lease_that_was_over_when_its_holder_was_collected_was_lost(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    w.now += 20 * ARL_SECOND;
    arl_engine_drop(w.engine, a, w.now);
    world_reply(&w, 5, ARL_NO);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .lost = 1});
    world_close(&w);
}

static void a_release_answered_no_is_a_loss_told_late(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    arl_engine_drop(w.engine, a, w.now); /* the release was cancelled: lost all the same */
    world_reply(&w, 5, ARL_NO);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .released = 1, .lost = 1});
    world_close(&w);
}

static void a_release_in_doubt_answered_no_is_none(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_drain(&w);
    world_down(&w);
    world_up(&w);
    world_reply(&w, 5, ARL_NO);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 1, .released = 1});
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_lease_passed_on_and_lost_is_lost_by_its_last_holder_alone(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    assert_true(arl_engine_confirm(w.engine, b, w.now));
    w.now += 20 * ARL_SECOND;
    assert_false(arl_engine_look(w.engine, b, w.now));
    world_reply(&w, 5, ARL_NO);
    expect(&w, (struct arl_counters){.tries = 1, .acquired = 2, .released = 1, .handed_off = 1, .lost = 1});
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_engine_begins_with_zeros),
        cmocka_unit_test(a_hold_is_counted_when_it_begins_and_when_it_is_left),
        cmocka_unit_test(a_lease_granted_to_one_who_left_is_no_hold),
        cmocka_unit_test(a_lease_passed_on_is_two_holds),
        cmocka_unit_test(who_gives_up_is_counted_and_who_is_cancelled_is_not),
        cmocka_unit_test(an_acquire_that_fails_has_not_given_up),
        cmocka_unit_test(renewals_are_counted_as_they_are_written),
        cmocka_unit_test(a_loss_by_time_counts_once_whatever_the_server_says_later),
        cmocka_unit_test(a_lease_that_was_over_when_its_holder_was_collected_was_lost),
        cmocka_unit_test(a_release_answered_no_is_a_loss_told_late),
        cmocka_unit_test(a_release_in_doubt_answered_no_is_none),
        cmocka_unit_test(a_lease_passed_on_and_lost_is_lost_by_its_last_holder_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
