/* hold.c: turns of handing on, and the pauses between them in which others find K free. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static struct arl_want patient(void)
{
    struct arl_want want = world_want("no1");
    want.sleep_low = want.sleep_high = 30 * ARL_MS;
    want.tries = ARL_TRIES_WITHOUT_LIMIT;
    return want;
}

/* A holds, B and C wait, and A leaves `ms` later. */
static void leave_after(struct world *w, int ms, struct arl_handle **b, struct arl_handle **c)
{
    const struct arl_want want = patient();
    struct arl_handle *a = world_hold(w, &want, "A");
    *b = world_acquire(w, &want, "B");
    *c = world_acquire(w, &want, "C");
    w->now += ms * ARL_MS;
    arl_engine_drop(w->engine, a, w->now);
}

static void within_its_turn_a_wait_queue_hands_on(void **state)
{
    struct world w;
    struct arl_handle *b, *c;
    (void)state;
    world_open(&w, 1);
    leave_after(&w, 49, &b, &c);
    world_expect(&w, "1049 granted B\n");
    arl_engine_drop(w.engine, c, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void after_its_turn_it_pauses_from_releases_answer_on(void **state)
{
    struct world w;
    struct arl_handle *b, *c;
    (void)state;
    world_open(&w, 1);
    leave_after(&w, 50, &b, &c); /* counted from when the lease came, whoever holds it now */
    world_expect(&w, "1050 RELEASE no1 t1\n");
    world_run(&w, 100);
    world_expect(&w, "");
    world_reply(&w, 0, ARL_YES);
    world_run(&w, 27);
    world_expect(&w, "");
    world_run(&w, 4);
    world_expect(&w, "1180 TRY no1 t2 10000\n");
    arl_engine_drop(w.engine, c, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_turn_is_counted_over_hand_offs(void **state)
{
    struct world w;
    struct arl_handle *b, *c;
    (void)state;
    world_open(&w, 1);
    leave_after(&w, 30, &b, &c);
    world_expect(&w, "1030 granted B\n");
    w.now += 20 * ARL_MS;
    arl_engine_drop(w.engine, b, w.now);
    world_expect(&w, "1050 RELEASE no1 t1\n");
    arl_engine_drop(w.engine, c, w.now);
    world_close(&w);
}

static void without_others_here_there_is_no_pause(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = patient();
    struct arl_handle *a = world_hold(&w, &want, "A");
    w.now += 60 * ARL_MS;
    arl_engine_drop(w.engine, a, w.now);
    world_forget(&w);
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_expect(&w, "1060 TRY no1 t2 10000\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_pause_belongs_to_the_key_whoever_comes_or_goes(void **state)
{
    struct world w;
    struct arl_handle *b, *c;
    (void)state;
    world_open(&w, 1);
    leave_after(&w, 50, &b, &c);
    world_reply(&w, 0, ARL_YES);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, c, w.now);
    world_forget(&w);
    world_run(&w, 10);
    struct arl_want want = patient();
    struct arl_handle *d = world_acquire(&w, &want, "D");
    world_run(&w, 17);
    world_expect(&w, "");
    world_run(&w, 4);
    world_expect(&w, "1080 TRY no1 t2 10000\n");
    arl_engine_drop(w.engine, d, w.now);
    world_close(&w);
}

static void a_pause_ends_without_anybody_and_leaves_nothing(void **state)
{
    struct world w;
    struct arl_handle *b, *c;
    (void)state;
    world_open(&w, 1);
    leave_after(&w, 50, &b, &c);
    world_reply(&w, 0, ARL_YES);
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, c, w.now);
    world_forget(&w);
    assert_false(arl_engine_wants_connection(w.engine));
    world_run(&w, 40);
    world_expect(&w, "");
    assert_true(arl_engine_deadline(w.engine) == ARL_NEVER);
    world_close(&w);
}

/* One turn to its end: whoever holds hands on to a waiter until the wait queue releases. How long (ms) it was. */
static int run_turn(struct world *w)
{
    const struct arl_want want = patient();
    struct arl_handle *holder = world_acquire(w, &want, "A"), *next;
    world_run(w, 40); /* a pause, where one runs */
    world_reply(w, 0, ARL_YES);
    arl_ns start = w->now;
    for (;;) {
        next = world_acquire(w, &want, "B");
        world_forget(w);
        arl_engine_drop(w->engine, holder, w->now);
        if (arl_handle_state(next) != ARL_GRANTED)
            break;
        holder = next;
        w->now += ARL_MS;
    }
    assert_int_equal(world_count(w, "RELEASE"), 1);
    world_reply(w, 0, ARL_YES);
    arl_engine_drop(w->engine, next, w->now);
    return (int)((w->now - start) / ARL_MS);
}

static void a_turn_grows_while_k_is_found_free_after_each_pause(void **state)
{
    struct world w;
    int last = 0;
    (void)state;
    world_open(&w, 1);
    assert_int_equal(run_turn(&w), 50);
    assert_int_equal(run_turn(&w), 65);
    assert_in_range(run_turn(&w), 84, 85);
    for (int i = 0; i < 12; i++)
        last = run_turn(&w);
    assert_int_equal(last, 800);
    struct arl_want want = patient();
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_run(&w, 40);
    world_reply(&w, 0, ARL_NO); /* another took it: from the start again */
    arl_engine_drop(w.engine, b, w.now);
    world_run(&w, 40);
    assert_int_equal(run_turn(&w), 50);
    world_close(&w);
}

static void a_failed_try_sets_the_turn_back(void **state)
{
    struct world w;
    struct arl_handle *b, *c;
    (void)state;
    world_open(&w, 1);
    leave_after(&w, 50, &b, &c);
    world_reply(&w, 0, ARL_YES);
    world_run(&w, 31);
    world_reply(&w, 0, ARL_YES); /* found free after a pause: 65 ms */
    w.now += 64 * ARL_MS;
    arl_engine_drop(w.engine, b, w.now);
    assert_int_equal(arl_handle_state(c), ARL_GRANTED);
    struct arl_want want = patient();
    b = world_acquire(&w, &want, "B");
    w.now += ARL_MS;
    arl_engine_drop(w.engine, c, w.now);
    world_reply(&w, 0, ARL_YES);
    world_run(&w, 31);
    world_reply(&w, 0, ARL_NO); /* another took it */
    world_run(&w, 31);
    world_reply(&w, 0, ARL_YES);
    c = world_acquire(&w, &want, "C");
    w.now += 50 * ARL_MS;
    world_forget(&w);
    arl_engine_drop(w.engine, b, w.now);
    assert_int_equal(world_count(&w, "RELEASE"), 1); /* 50 ms again */
    arl_engine_drop(w.engine, c, w.now);
    world_close(&w);
}

static void a_turn_goes_on_where_release_and_try_went_out_in_one_write(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want longer = patient(), shorter = patient();
    longer.ttl = 20 * ARL_SECOND;
    struct arl_handle *a = world_hold(&w, &longer, "A");
    struct arl_handle *b = world_acquire(&w, &shorter, "B");
    struct arl_handle *c = world_acquire(&w, &shorter, "C");
    w.now += 40 * ARL_MS;
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1040 RELEASE no1 t1\n1040 TRY no1 t2 10000\n");
    world_reply(&w, 1, ARL_YES);
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1041 granted B\n");
    w.now += 10 * ARL_MS;
    arl_engine_drop(w.engine, b, w.now);
    world_expect(&w, "1051 RELEASE no1 t2\n"); /* the turn of A's lease is over */
    arl_engine_drop(w.engine, c, w.now);
    world_close(&w);
}

static void a_pause_starts_though_its_release_is_refused_or_never_answered(void **state)
{
    struct world w;
    struct arl_handle *b, *c;
    (void)state;
    world_open(&w, 1);
    leave_after(&w, 50, &b, &c);
    world_reply(&w, 0, ARL_REFUSED);
    world_run(&w, 31);
    world_expect(&w, "1050 RELEASE no1 t1\n1080 TRY no1 t2 10000\n");
    world_reply(&w, 0, ARL_YES);
    world_forget(&w);
    w.now += 70 * ARL_MS;
    arl_engine_drop(w.engine, b, w.now);
    world_expect(&w, "1151 RELEASE no1 t2\n");
    world_down(&w);
    world_run(&w, 7000);
    assert_int_equal(arl_handle_state(c), ARL_WAITING);
    arl_engine_drop(w.engine, c, w.now);
    world_run(&w, 4000);
    assert_true(arl_engine_deadline(w.engine) == ARL_NEVER);
    world_close(&w);
}

static void a_lost_lease_makes_no_pause(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = patient();
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_run(&w, 3400);
    world_forget(&w);
    world_reply(&w, 0, ARL_NO);
    world_expect(&w, "4400 ended A lost\n4400 TRY no1 t2 10000\n");
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_its_turn_a_wait_queue_hands_on),
        cmocka_unit_test(after_its_turn_it_pauses_from_releases_answer_on),
        cmocka_unit_test(a_turn_is_counted_over_hand_offs),
        cmocka_unit_test(without_others_here_there_is_no_pause),
        cmocka_unit_test(a_pause_belongs_to_the_key_whoever_comes_or_goes),
        cmocka_unit_test(a_pause_ends_without_anybody_and_leaves_nothing),
        cmocka_unit_test(a_turn_grows_while_k_is_found_free_after_each_pause),
        cmocka_unit_test(a_failed_try_sets_the_turn_back),
        cmocka_unit_test(a_turn_goes_on_where_release_and_try_went_out_in_one_write),
        cmocka_unit_test(a_pause_starts_though_its_release_is_refused_or_never_answered),
        cmocka_unit_test(a_lost_lease_makes_no_pause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
