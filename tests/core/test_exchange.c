/* exchange.c and outbox.c: what is written in which order, replies matched to it, and their deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "world.h"

static void rule_7_replies_are_matched_first_in_first_out(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_forget(&w);
    assert_int_equal(arl_engine_peek(w.engine, "no2", 3, (void *)(uintptr_t)"P", w.now, &ask), 0);
    world_expect(&w, "1000 PEEK no2\n");
    assert_int_equal(arl_engine_unanswered(w.engine), 2);
    assert_int_equal(arl_engine_awaited(w.engine), ARL_TRY);
    world_reply(&w, 1, ARL_YES);
    assert_int_equal(arl_engine_awaited(w.engine), ARL_PEEK);
    world_reply(&w, 1, ARL_NO);
    world_expect(&w, "1001 granted A\n1002 answered P not owned\n");
    assert_int_equal(arl_engine_awaited(w.engine), ARL_VERBS);
    assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), ARL_EUNASKED);
    arl_engine_drop_ask(w.engine, ask);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void rule_4_after_a_reconnect_releases_renewals_then_tries(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want one = world_want("no1"), two = world_want("no2"), three = world_want("no3"),
                    four = world_want("no4");
    struct arl_handle *doubtful = world_acquire(&w, &two, "B");
    struct arl_handle *held, *left;
    world_drain(&w);
    left = world_acquire(&w, &one, "A");
    world_reply(&w, 0, ARL_NO);
    world_reply(&w, 0, ARL_YES);
    held = world_acquire(&w, &three, "C");
    world_reply(&w, 0, ARL_YES);
    world_run(&w, 200);
    assert_int_equal(arl_handle_state(doubtful), ARL_WAITING);
    world_down(&w);
    struct arl_handle *fresh = world_acquire(&w, &four, "D");
    assert_int_equal(arl_engine_release(w.engine, left, w.now), 0);
    world_forget(&w);
    world_up(&w);
    world_expect(&w, "1200 RELEASE no1 t2\n1200 RENEW no2 t1 10000\n1200 RENEW no3 t3 10000\n"
                     "1200 TRY no4 t4 10000\n");
    arl_engine_drop(w.engine, doubtful, w.now);
    arl_engine_drop(w.engine, held, w.now);
    arl_engine_drop(w.engine, left, w.now);
    arl_engine_drop(w.engine, fresh, w.now);
    world_close(&w);
}

#define MANY 1200

static void hold_many(struct world *w, struct arl_handle **handles)
{
    for (int i = 0; i < MANY; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "many%d", i);
        struct arl_want want = world_want(key);
        handles[i] = world_hold(w, &want, "A");
    }
}

static void drop_many(struct world *w, struct arl_handle **handles)
{
    for (int i = 0; i < MANY; i++)
        arl_engine_drop(w->engine, handles[i], w->now);
}

static void at_most_500_renewals_are_unanswered_and_a_try_passes_them(void **state)
{
    static struct arl_handle *handles[MANY];
    struct world w;
    (void)state;
    world_open(&w, 1);
    hold_many(&w, handles);
    w.now += 4 * ARL_SECOND; /* all are due */
    arl_engine_tick(w.engine, w.now);
    struct arl_want want = world_want("no1");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    assert_int_equal(world_count(&w, "RENEW"), 500);
    assert_int_equal(world_count(&w, "TRY no1"), 1);
    world_forget(&w);
    world_reply(&w, 0, ARL_YES);
    assert_int_equal(world_count(&w, "RENEW"), 1);
    arl_engine_drop(w.engine, b, w.now);
    drop_many(&w, handles);
    world_close(&w);
}

static void rule_4_after_a_reconnect_a_try_waits_for_every_renewal(void **state)
{
    static struct arl_handle *handles[MANY];
    struct world w;
    (void)state;
    world_open(&w, 1);
    hold_many(&w, handles);
    world_down(&w);
    world_up(&w);
    struct arl_want want = world_want("no1");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    for (int answered = 0; answered < MANY - 500; answered++) {
        assert_int_equal(world_count(&w, "RENEW"), 500 + answered);
        assert_int_equal(world_count(&w, "TRY"), 0);
        assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), 0);
    }
    assert_int_equal(world_count(&w, "RENEW"), MANY);
    assert_int_equal(world_count(&w, "TRY"), 1);
    arl_engine_drop(w.engine, b, w.now);
    drop_many(&w, handles);
    world_close(&w);
}

/* ---- NOSCRIPT ---- */

static void a_script_the_server_does_not_know_goes_out_whole_once(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 3400);
    world_forget(&w);
    world_reply(&w, 0, ARL_NOT_EXECUTED);
    world_expect(&w, "4400 RENEW no1 t1 10000 whole\n");
    world_reply(&w, 0, ARL_NOT_EXECUTED); /* never asked in a circle */
    world_expect(&w, "");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_reply(&w, 0, ARL_NOT_EXECUTED);
    world_expect(&w, "4400 RELEASE no1 t1\n4400 RELEASE no1 t1 whole\n");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "4400 ended A done\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_script_unknown_is_decided_again_by_what_is_true_then(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 3400);
    world_forget(&w);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_reply(&w, 0, ARL_NOT_EXECUTED); /* of the RENEW: rule 3 */
    world_expect(&w, "4400 RELEASE no1 t1\n");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "4400 ended A done\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

/* ---- the deadline of a reply, and connections to be reset ---- */

static void a_reply_overdue_resets_the_connection_once(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_run(&w, 4999);
    world_forget(&w);
    world_run(&w, 100);
    world_expect(&w, "6002 reset\n");
    world_run(&w, 500);
    world_expect(&w, "");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void nothing_more_is_written_to_a_connection_to_be_reset(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1"), other = world_want("no2");
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 3400);
    world_forget(&w);
    world_reply(&w, 0, ARL_STALE); /* a replica since a failover */
    struct arl_handle *b = world_acquire(&w, &other, "B");
    world_expect(&w, "4400 reset\n");
    world_down(&w);
    world_up(&w);
    world_expect(&w, "4400 RENEW no1 t1 10000\n4400 TRY no2 t2 10000\n");
    arl_engine_drop(w.engine, a, w.now);
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void no_deadline_of_replies_is_never(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    arl_engine_set_reply_timeout(w.engine, ARL_NEVER);
    struct arl_want want = world_want("no1");
    struct arl_ask *ask;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    assert_int_equal(arl_engine_peek(w.engine, "no2", 3, NULL, w.now, &ask), 0);
    world_forget(&w);
    assert_true(arl_engine_deadline(w.engine) == ARL_NEVER);
    world_run(&w, 1000000);
    world_down(&w);
    world_run(&w, 1000000);
    world_expect(&w, "");
    assert_int_equal(arl_handle_state(a), ARL_WAITING);
    arl_engine_drop_ask(w.engine, ask);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_7_replies_are_matched_first_in_first_out),
        cmocka_unit_test(rule_4_after_a_reconnect_releases_renewals_then_tries),
        cmocka_unit_test(at_most_500_renewals_are_unanswered_and_a_try_passes_them),
        cmocka_unit_test(rule_4_after_a_reconnect_a_try_waits_for_every_renewal),
        cmocka_unit_test(a_script_the_server_does_not_know_goes_out_whole_once),
        cmocka_unit_test(a_script_unknown_is_decided_again_by_what_is_true_then),
        cmocka_unit_test(a_reply_overdue_resets_the_connection_once),
        cmocka_unit_test(nothing_more_is_written_to_a_connection_to_be_reset),
        cmocka_unit_test(no_deadline_of_replies_is_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
