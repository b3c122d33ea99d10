/* schedule.c and backoff.c as waiters see them: the documented tries, and when they do not count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "world.h"

/* A schedule without chance: 40 ms after each try, and 40 ms more each from the fourth on. */
static struct arl_want steady(int64_t tries)
{
    struct arl_want want = world_want("no1");
    want.sleep_low = want.sleep_high = 40 * ARL_MS;
    want.tries = tries;
    return want;
}

/* Runs to the next request or end, and answers "no" at once. False when nothing came within 5 s. */
static bool next_no(struct world *w, const struct arl_handle *handle)
{
    for (int i = 0; i < 5000 && arl_handle_state(handle) == ARL_WAITING; i++) {
        world_run(w, 1);
        if (arl_engine_unanswered(w->engine) > 0)
            return arl_engine_reply(w->engine, ARL_NO, w->now) == 0;
    }
    return false;
}

static void a_lone_waiter_tries_at_the_documented_times(void **state)
{
    static const int pauses[] = {40, 40, 40, 80, 120, 160, 200}; /* the last before it gives up */
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = steady(7);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 0, ARL_NO);
    for (int i = 0; i < 6; i++) {
        arl_ns before = w.now;
        assert_true(next_no(&w, a));
        assert_in_range((w.now - before) / ARL_MS, pauses[i] - 3, pauses[i] + 1);
    }
    arl_ns before = w.now;
    assert_false(next_no(&w, a));
    assert_in_range((w.now - before) / ARL_MS, pauses[6] - 3, pauses[6] + 1);
    assert_int_equal(arl_handle_cause(a), ARL_GAVE_UP);
    assert_int_equal(world_count(&w, "TRY no1 t1"), 7); /* one token: each was answered (rule 2) */
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void behind_a_holder_of_this_process_tries_are_counted_without_io(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = steady(4);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_run(&w, 40 + 40 + 40 + 80 - 4);
    assert_int_equal(arl_handle_state(b), ARL_WAITING);
    world_run(&w, 4);
    assert_int_equal(arl_handle_state(b), ARL_ENDED);
    assert_int_equal(arl_handle_cause(b), ARL_GAVE_UP);
    assert_int_equal(world_count(&w, "TRY"), 0);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void each_waiter_gives_up_by_its_own_schedule_wherever_it_stands(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want longer = steady(ARL_TRIES_WITHOUT_LIMIT), two = steady(2), three = steady(3);
    struct arl_handle *a = world_hold(&w, &longer, "A");
    struct arl_handle *b = world_acquire(&w, &longer, "B");
    struct arl_handle *c = world_acquire(&w, &three, "C");
    struct arl_handle *d = world_acquire(&w, &two, "D");
    world_run(&w, 200);
    world_expect(&w, "1080 ended D gave up\n1120 ended C gave up\n");
    arl_engine_drop(w.engine, d, w.now);
    arl_engine_drop(w.engine, c, w.now);
    arl_engine_drop(w.engine, a, w.now);
    world_forget(&w);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_schedule_stands_still_while_the_server_gives_no_answer(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = steady(2);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 0, ARL_NO);
    world_run(&w, 20);
    world_down(&w);
    world_run(&w, 5000); /* its schedule would have ended at 80 ms */
    assert_int_equal(arl_handle_state(a), ARL_WAITING);
    world_forget(&w);
    world_up(&w);
    world_expect(&w, "6020 TRY no1 t1 10000\n");
    world_run(&w, 2000);
    assert_int_equal(arl_handle_state(a), ARL_WAITING);
    world_reply(&w, 0, ARL_NO); /* this TRY told that K is held: the schedule goes on where it stood */
    assert_true(next_no(&w, a));
    assert_int_equal(w.now / ARL_MS, 8020 + 20);
    world_run(&w, 45);
    assert_int_equal(arl_handle_cause(a), ARL_GAVE_UP);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_schedule_does_not_count_the_time_after_a_lease_ended_unseen(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want holder = steady(1), want = steady(10); /* 10 tries: 1.6 s */
    holder.ttl = ARL_SECOND;
    struct arl_handle *a = world_hold(&w, &holder, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    struct arl_handle *c = world_acquire(&w, &want, "C");
    w.now += 60 * ARL_SECOND; /* the process was stopped */
    arl_engine_tick(w.engine, w.now);
    world_expect(&w, "61000 ended A lost\n61000 TRY no1 t2 10000\n"); /* K is long gone */
    world_reply(&w, 0, ARL_NO);
    world_run(&w, 100);
    assert_int_equal(arl_handle_state(b), ARL_WAITING);
    assert_int_equal(arl_handle_state(c), ARL_WAITING);
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, c, w.now);
    world_close(&w);
}

static void sleeps_of_zero_neither_spin_nor_end_early(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = steady(50);
    want.sleep_low = want.sleep_high = 0;
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_run(&w, 40);
    assert_int_equal(arl_handle_state(b), ARL_WAITING);
    world_run(&w, 11);
    assert_int_equal(arl_handle_state(b), ARL_ENDED);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_billion_tries_cost_nothing_until_they_fall_due(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = steady(1000000000);
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_run(&w, 2000);
    assert_int_equal(arl_handle_state(b), ARL_WAITING);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_long_stall_is_not_counted_try_by_try(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    want.ttl = 2000000 * ARL_SECOND;
    struct arl_handle *a = world_hold(&w, &want, "A");
    want.sleep_low = want.sleep_high = 0;
    want.tries = 1000000000;
    struct arl_handle *b = world_acquire(&w, &want, "B");
    clock_t began = clock();
    w.now += 999999 * ARL_SECOND; /* the machine slept, and each try counts for a millisecond */
    arl_engine_tick(w.engine, w.now);
    assert_true(clock() - began < CLOCKS_PER_SEC);
    assert_int_equal(arl_handle_state(b), ARL_WAITING);
    world_run(&w, 2000);
    assert_int_equal(arl_handle_cause(b), ARL_GAVE_UP);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void of_several_waiters_the_queue_polls_as_one_task_would(void **state)
{
    static const int pauses[] = {40, 40, 40, 80, 120, 160, 200, 240, 280, 320, 320, 320};
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = steady(ARL_TRIES_WITHOUT_LIMIT);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_reply(&w, 0, ARL_NO);
    for (int i = 0; i < 12; i++) { /* i at most 9 */
        arl_ns before = w.now;
        assert_true(next_no(&w, a));
        assert_in_range((w.now - before) / ARL_MS, pauses[i] - 3, pauses[i] + 1);
    }
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_pause_of_the_queue_is_a_second_at_most(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = steady(ARL_TRIES_WITHOUT_LIMIT);
    want.sleep_low = want.sleep_high = 3 * ARL_SECOND;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 0, ARL_NO);
    for (int i = 0; i < 12; i++) {
        arl_ns before = w.now;
        assert_true(next_no(&w, a));
        assert_in_range((w.now - before) / ARL_MS, 997, 1001);
    }
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lone_waiter_tries_at_the_documented_times),
        cmocka_unit_test(behind_a_holder_of_this_process_tries_are_counted_without_io),
        cmocka_unit_test(each_waiter_gives_up_by_its_own_schedule_wherever_it_stands),
        cmocka_unit_test(a_schedule_stands_still_while_the_server_gives_no_answer),
        cmocka_unit_test(a_schedule_does_not_count_the_time_after_a_lease_ended_unseen),
        cmocka_unit_test(sleeps_of_zero_neither_spin_nor_end_early),
        cmocka_unit_test(a_billion_tries_cost_nothing_until_they_fall_due),
        cmocka_unit_test(a_long_stall_is_not_counted_try_by_try),
        cmocka_unit_test(of_several_waiters_the_queue_polls_as_one_task_would),
        cmocka_unit_test(a_pause_of_the_queue_is_a_second_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
