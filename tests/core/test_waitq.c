/* waitq.c: who waits, in which order, and what ends a wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "world.h"

static struct arl_want patient(const char *key)
{
    struct arl_want want = world_want(key);
    want.tries = ARL_TRIES_WITHOUT_LIMIT;
    return want;
}

static void first_come_first_served(void **state)
{
    static const char *const names[] = {"B", "C", "D", "E"};
    static const char *const granted[] = {"1000 granted B\n", "1000 granted C\n", "1000 granted D\n",
                                          "1000 granted E\n"};
    struct world w;
    struct arl_handle *waiters[4];
    (void)state;
    world_open(&w, 1);
    struct arl_want want = patient("no1");
    struct arl_handle *holder = world_hold(&w, &want, "A");
    for (int i = 0; i < 4; i++)
        waiters[i] = world_acquire(&w, &want, names[i]);
    for (int i = 0; i < 4; i++) {
        arl_engine_drop(w.engine, holder, w.now);
        world_expect(&w, granted[i]);
        holder = waiters[i];
    }
    arl_engine_drop(w.engine, holder, w.now);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_close(&w);
}

static void one_key_does_not_wait_for_another(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want one = world_want("no1"), two = world_want("no2");
    struct arl_handle *a = world_acquire(&w, &one, "A");
    struct arl_handle *b = world_acquire(&w, &two, "B");
    world_expect(&w, "1000 TRY no1 t1 10000\n1000 TRY no2 t2 10000\n");
    world_reply(&w, 1, ARL_NO);
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1001 granted B\n");
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void rule_4_one_try_at_most_is_under_way(void **state)
{
    struct world w;
    struct arl_handle *handles[5];
    (void)state;
    world_open(&w, 1);
    struct arl_want want = patient("no1");
    for (int i = 0; i < 5; i++)
        handles[i] = world_acquire(&w, &want, "A");
    world_run(&w, 4900);
    world_expect(&w, "1000 TRY no1 t1 10000\n");
    for (int i = 0; i < 5; i++)
        arl_engine_drop(w.engine, handles[i], w.now);
    world_expect(&w, "");
    world_close(&w);
}

static void rule_6_a_cancelled_waiter_leaves_no_key(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_drain(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_forget(&w);
    world_reply(&w, 3, ARL_YES); /* granted too late */
    world_expect(&w, "1003 RELEASE no1 t1\n");
    assert_true(arl_engine_wants_connection(w.engine));
    world_reply(&w, 3, ARL_YES);
    assert_false(arl_engine_wants_connection(w.engine));
    world_close(&w);
}

static void rule_6_a_try_not_written_is_taken_back(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "");
    assert_true(arl_engine_deadline(w.engine) == ARL_NEVER);
    world_close(&w);
}

static void rule_4_a_late_grant_goes_to_the_next_waiter(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_forget(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_reply(&w, 3, ARL_YES);
    world_expect(&w, "1003 granted B\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void a_try_written_for_one_who_left_is_not_the_next_ones(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1"), once = world_want("no1");
    once.once = true;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_forget(&w);
    arl_engine_drop(w.engine, a, w.now);
    struct arl_handle *b = world_acquire(&w, &once, "B");
    world_reply(&w, 3, ARL_NO);
    world_expect(&w, "1003 TRY no1 t1 10000\n");
    world_reply(&w, 3, ARL_NO);
    world_expect(&w, "1006 ended B gave up\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void once_is_one_try_or_none(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1"), once = world_want("no1");
    once.once = true;
    struct arl_handle *a = world_acquire(&w, &once, "A");
    world_reply(&w, 1, ARL_NO);
    world_expect(&w, "1000 TRY no1 t1 10000\n1001 ended A gave up\n");
    arl_engine_drop(w.engine, a, w.now);
    struct arl_handle *b = world_hold(&w, &want, "B"); /* held here: no I/O */
    struct arl_handle *c = world_acquire(&w, &once, "C");
    assert_int_equal(arl_handle_state(c), ARL_ENDED);
    world_expect(&w, "1001 ended C gave up\n");
    arl_engine_drop(w.engine, c, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void once_does_not_queue_behind_waiters(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1"), once = world_want("no1");
    once.once = true;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &once, "B");
    world_expect(&w, "1000 ended B gave up\n1000 TRY no1 t1 10000\n");
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void patience_ends_a_wait_never_early(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1"), other = world_want("no1");
    other.patience = 300 * ARL_MS;
    other.tries = 0; /* not looked at */
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &other, "B");
    w.now += 299 * ARL_MS;
    arl_engine_tick(w.engine, w.now);
    world_expect(&w, "");
    world_run(&w, 3);
    world_expect(&w, "1302 ended B gave up\n");
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void patience_ends_a_wait_for_a_silent_server_too(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 0);
    struct arl_want want = world_want("no1");
    want.patience = 300 * ARL_MS;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_run(&w, 400);
    world_expect(&w, "1302 ended A gave up\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void all_waiters_of_a_silent_server_end_in_one_turn(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 0);
    struct arl_want want = world_want("no1"); /* a documented schedule stands still meanwhile */
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_run(&w, 1000);
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_run(&w, 6400);
    world_expect(&w, "");
    world_run(&w, 200);
    world_expect(&w, "8502 ended A no answer\n8502 ended B no answer\n"); /* 1.5 x 5 s */
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

/* A server that takes connections and answers nothing: each is reset after 5 s, and another stands at once. */
static void run_mute(struct world *w, int ms)
{
    arl_ns end = w->now + ms * ARL_MS;
    while (w->now < end) {
        world_run(w, 10);
        if (world_count(w, "reset") > 0) {
            world_forget(w);
            world_down(w);
            world_up(w);
        }
    }
}

static void waiters_of_a_mute_server_end_although_it_takes_connections(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = patient("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    run_mute(&w, 7400);
    assert_int_equal(arl_handle_state(a), ARL_WAITING);
    run_mute(&w, 200);
    assert_int_equal(arl_handle_state(a), ARL_ENDED);
    assert_int_equal(arl_handle_cause(a), ARL_NO_ANSWER);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void waiters_behind_an_unanswered_release_end_too(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = patient("no1");
    want.ttl = 100000 * ARL_SECOND;
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 60); /* its turn is over: a pause from RELEASE's answer on */
    struct arl_handle *b = world_acquire(&w, &want, "B");
    arl_engine_drop(w.engine, a, w.now);
    run_mute(&w, 13000);
    assert_int_equal(arl_handle_state(b), ARL_ENDED);
    assert_int_equal(arl_handle_cause(b), ARL_NO_ANSWER);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void unreachable_fails_those_that_only_the_server_can_serve(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want held = world_want("no1"), free_key = world_want("no2");
    struct arl_handle *a = world_hold(&w, &held, "A");
    struct arl_handle *b = world_acquire(&w, &held, "B");
    world_down(&w);
    struct arl_handle *c = world_acquire(&w, &free_key, "C");
    arl_engine_unreachable(w.engine, w.now);
    world_expect(&w, "1000 ended C unreachable\n");
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1000 granted B\n"); /* a hand-off needs no server */
    arl_engine_drop(w.engine, b, w.now);
    arl_engine_drop(w.engine, c, w.now);
    world_close(&w);
}

static void an_error_of_the_server_ends_every_waiter(void **state)
{
    static const enum arl_outcome errors[] = {ARL_REFUSED, ARL_BUSY, ARL_UNKNOWN, ARL_WRONG_TYPE, ARL_STALE};
    static const char *const after[] = {"", "", "1000 RELEASE no1 t1\n", "", "1000 reset\n"};
    (void)state;
    for (int i = 0; i < 5; i++) {
        char expected[128];
        struct world w;
        world_open(&w, 1);
        struct arl_want want = world_want("no1");
        struct arl_handle *a = world_acquire(&w, &want, "A");
        struct arl_handle *b = world_acquire(&w, &want, "B");
        world_forget(&w);
        world_reply(&w, 0, errors[i]);
        (void)snprintf(expected, sizeof(expected), "1000 ended A server error\n1000 ended B server error\n%s",
                       after[i]);
        world_expect(&w, expected);
        arl_engine_drop(w.engine, a, w.now);
        arl_engine_drop(w.engine, b, w.now);
        world_close(&w);
    }
}

static void no_token_ends_every_waiter(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 0);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    w.no_entropy = 1;
    world_up(&w);
    world_expect(&w, "1000 ended A no entropy\n1000 ended B no entropy\n");
    w.no_entropy = 0;
    w.fail_after = 0;
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void closing_ends_waiters_and_releases_what_is_held(void **state)
{
    struct world w;
    struct arl_handle *c;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    arl_engine_close(w.engine, w.now);
    world_expect(&w, "1000 ended B closed\n1000 ended A closed\n1000 RELEASE no1 t1\n");
    assert_false(arl_engine_look(w.engine, a, w.now));
    assert_int_equal(arl_engine_acquire(w.engine, &want, NULL, w.now, &c), ARL_ECLOSED);
    assert_true(arl_engine_wants_connection(w.engine));
    world_reply(&w, 1, ARL_YES);
    assert_false(arl_engine_wants_connection(w.engine));
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_come_first_served),
        cmocka_unit_test(one_key_does_not_wait_for_another),
        cmocka_unit_test(rule_4_one_try_at_most_is_under_way),
        cmocka_unit_test(rule_6_a_cancelled_waiter_leaves_no_key),
        cmocka_unit_test(rule_6_a_try_not_written_is_taken_back),
        cmocka_unit_test(rule_4_a_late_grant_goes_to_the_next_waiter),
        cmocka_unit_test(a_try_written_for_one_who_left_is_not_the_next_ones),
        cmocka_unit_test(once_is_one_try_or_none),
        cmocka_unit_test(once_does_not_queue_behind_waiters),
        cmocka_unit_test(patience_ends_a_wait_never_early),
        cmocka_unit_test(patience_ends_a_wait_for_a_silent_server_too),
        cmocka_unit_test(all_waiters_of_a_silent_server_end_in_one_turn),
        cmocka_unit_test(waiters_of_a_mute_server_end_although_it_takes_connections),
        cmocka_unit_test(waiters_behind_an_unanswered_release_end_too),
        cmocka_unit_test(unreachable_fails_those_that_only_the_server_can_serve),
        cmocka_unit_test(an_error_of_the_server_ends_every_waiter),
        cmocka_unit_test(no_token_ends_every_waiter),
        cmocka_unit_test(closing_ends_waiters_and_releases_what_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
