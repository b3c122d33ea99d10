/* settle.c: RELEASEs that are owed, until they are answered or K is gone anyway. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

/* An acquire whose TRY was unanswered at a cut, and who has left since. */
static void cut_and_leave(struct world *w, int ttl_ms)
{
    struct arl_want want = world_want("no1");
    want.ttl = ttl_ms * ARL_MS;
    struct arl_handle *a = world_acquire(w, &want, "A");
    world_down(w);
    arl_engine_drop(w->engine, a, w->now);
    world_up(w);
    world_forget(w);
}

static void expect_nothing_owed(struct world *w)
{
    world_drain(w);
    assert_false(arl_engine_wants_connection(w->engine));
    assert_true(arl_engine_deadline(w->engine) == ARL_NEVER);
    world_close(w);
}

static void rule_4_a_token_unanswered_at_a_cut_is_released_once_more(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    cut_and_leave(&w, 10000);
    world_reply(&w, 5, ARL_NO);
    assert_false(arl_engine_wants_connection(w.engine));
    world_expect(&w, "");
    world_run(&w, 1000);
    world_expect(&w, "1600 RELEASE no1 t1\n");
    world_reply(&w, 5, ARL_YES);
    expect_nothing_owed(&w);
}

static void an_answer_after_the_lease_is_gone_counts_once(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    cut_and_leave(&w, 300);
    world_run(&w, 400); /* K is gone by now */
    assert_false(arl_engine_wants_connection(w.engine));
    world_reply(&w, 5, ARL_NO);
    world_run(&w, 300);
    world_expect(&w, "1600 RELEASE no1 t1\n");
    world_reply(&w, 5, ARL_NO);
    expect_nothing_owed(&w);
}

static void rule_4_a_release_under_way_is_not_the_one_once_more(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    cut_and_leave(&w, 300);
    world_run(&w, 650); /* the RELEASE written at the cut is unanswered still */
    world_expect(&w, "");
    world_reply(&w, 5, ARL_NO);
    world_run(&w, 10);
    world_expect(&w, "1655 RELEASE no1 t1\n");
    world_reply(&w, 5, ARL_NO);
    expect_nothing_owed(&w);
}

static void a_release_not_written_before_the_lease_is_gone_never_is(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    cut_and_leave(&w, 300);
    world_down(&w);
    arl_engine_up(w.engine, w.now); /* the transport takes nothing: what is queued stays */
    w.now += 400 * ARL_MS;
    arl_engine_tick(w.engine, w.now);
    assert_false(arl_engine_has_request(w.engine));
    world_run(&w, 300);
    world_expect(&w, "1600 RELEASE no1 t1\n");
    world_reply(&w, 5, ARL_NO);
    expect_nothing_owed(&w);
}

static void a_script_unknown_after_the_lease_is_gone_is_not_repeated(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    cut_and_leave(&w, 300);
    world_run(&w, 400);
    world_reply(&w, 0, ARL_NOT_EXECUTED);
    world_expect(&w, "");
    world_run(&w, 300);
    world_expect(&w, "1600 RELEASE no1 t1 whole\n");
    world_reply(&w, 5, ARL_NO);
    expect_nothing_owed(&w);
}

/* A held `no1` for 10 s and called release; RELEASE is written. */
static struct arl_handle *released(struct world *w)
{
    struct arl_want want = world_want("no1");
    world_open(w, 1);
    struct arl_handle *a = world_hold(w, &want, "A");
    assert_int_equal(arl_engine_release(w->engine, a, w->now), 0);
    world_expect(w, "1000 RELEASE no1 t1\n");
    return a;
}

static void what_release_answers_is_what_the_holder_is_told(void **state)
{
    static const enum arl_outcome outcomes[] = {ARL_YES, ARL_NO, ARL_WRONG_TYPE, ARL_REFUSED};
    static const char *const told[] = {"1001 ended A done\n", "1001 ended A not owned\n",
                                       "1001 ended A not owned\n", "1001 ended A server error\n"};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world w;
        struct arl_handle *a = released(&w);
        world_reply(&w, 1, outcomes[i]);
        world_expect(&w, told[i]);
        arl_engine_drop(w.engine, a, w.now);
        expect_nothing_owed(&w);
    }
}

static void a_release_in_doubt_that_is_answered_no_is_done(void **state)
{
    struct world w;
    (void)state;
    struct arl_handle *a = released(&w);
    world_down(&w);
    world_up(&w);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_reply(&w, 1, ARL_NO);
    world_expect(&w, "1001 ended A done\n");
    arl_engine_drop(w.engine, a, w.now);
    expect_nothing_owed(&w);
}

static void a_release_that_was_not_written_is_not_in_doubt(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    arl_engine_down(w.engine, w.now);
    world_up(&w);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_reply(&w, 1, ARL_NO);
    world_expect(&w, "1001 ended A not owned\n");
    arl_engine_drop(w.engine, a, w.now);
    expect_nothing_owed(&w);
}

static void an_error_that_passes_is_told_and_the_release_sent_again(void **state)
{
    static const enum arl_outcome outcomes[] = {ARL_BUSY, ARL_UNKNOWN};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world w;
        struct arl_handle *a = released(&w);
        world_reply(&w, 0, outcomes[i]);
        world_expect(&w, "1000 ended A server error\n");
        arl_engine_drop(w.engine, a, w.now);
        assert_true(arl_engine_wants_connection(w.engine));
        world_run(&w, 150);
        world_expect(&w, "1100 RELEASE no1 t1\n");
        world_reply(&w, 0, ARL_YES);
        expect_nothing_owed(&w);
    }
}

/* Each kind of command that may prolong K, "A" wanting no1 for 1 s; written at 1,000 ms or thereabouts. */
static struct arl_handle *unknown_to_try(struct world *w, struct arl_want *want)
{
    struct arl_handle *a = world_acquire(w, want, "A");
    world_reply(w, 1100, ARL_UNKNOWN);
    return a;
}

static struct arl_handle *unknown_to_renewal(struct world *w, struct arl_want *want)
{
    struct arl_handle *a = world_hold(w, want, "A");
    w->now += 330 * ARL_MS;
    arl_engine_tick(w->engine, w->now);
    world_reply(w, 900, ARL_UNKNOWN);
    return a;
}

static struct arl_handle *unknown_to_extension(struct world *w, struct arl_want *want)
{
    struct arl_ask *ask;
    struct arl_handle *a = world_hold(w, want, "A");
    assert_int_equal(arl_engine_extend(w->engine, a, ARL_SECOND, NULL, w->now, &ask), 0);
    world_reply(w, 900, ARL_UNKNOWN);
    arl_engine_drop_ask(w->engine, ask);
    return a;
}

static struct arl_handle *unknown_to_watchdog(struct world *w, struct arl_want *want)
{
    struct arl_handle *a = world_hold(w, want, "A");
    w->now += 700 * ARL_MS;
    assert_int_equal(world_watch(w), 1);
    world_watch_reply(w, 900, ARL_UNKNOWN);
    return a;
}

/* It may have been executed as late as its answer was read. */
static void what_is_answered_unknown_may_have_prolonged_the_key_until_then(void **state)
{
    static struct arl_handle *(*const ways[])(struct world *, struct arl_want *) = {
        unknown_to_try, unknown_to_renewal, unknown_to_extension, unknown_to_watchdog};
    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        struct world w;
        struct arl_want want = world_want("no1");
        want.ttl = ARL_SECOND;
        want.stall_limit = ARL_NEVER;
        world_open(&w, 1);
        struct arl_handle *a = ways[i](&w, &want);
        w.now += 800 * ARL_MS; /* the loop's next turn: later than the ttl, counted from the writing */
        arl_engine_tick(w.engine, w.now);
        assert_int_equal(world_count(&w, "RELEASE no1 t1"), 1);
        arl_engine_drop(w.engine, a, w.now);
        world_close(&w);
    }
}

/* Its task was cancelled; the server may execute it until the connection is cut. */
static void an_extension_that_nobody_awaits_may_prolong_the_key_until_the_cut(void **state)
{
    struct world w;
    struct arl_want want = world_want("no1");
    struct arl_ask *ask;
    (void)state;
    want.ttl = ARL_SECOND;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    assert_int_equal(arl_engine_extend(w.engine, a, ARL_SECOND, NULL, w.now, &ask), 0);
    world_drain(&w);
    arl_engine_drop_ask(w.engine, ask);
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1000 RENEW no1 t1 1000\n1000 RELEASE no1 t1\n");
    w.now += 900 * ARL_MS;
    world_down(&w);
    w.now += 150 * ARL_MS;
    arl_engine_tick(w.engine, w.now);
    world_up(&w);
    world_expect(&w, "2050 RELEASE no1 t1\n");
    world_close(&w);
}

static void a_stale_connection_is_reset_and_the_release_owed_on(void **state)
{
    struct world w;
    (void)state;
    struct arl_handle *a = released(&w);
    world_reply(&w, 0, ARL_STALE);
    world_expect(&w, "1000 ended A server error\n1000 reset\n");
    world_down(&w);
    world_up(&w);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_reply(&w, 0, ARL_YES);
    arl_engine_drop(w.engine, a, w.now);
    expect_nothing_owed(&w);
}

static void a_release_waits_for_one_and_a_half_deadlines_of_a_reply(void **state)
{
    struct world w;
    (void)state;
    struct arl_handle *a = released(&w);
    world_down(&w);
    world_run(&w, 7490);
    world_expect(&w, "");
    world_run(&w, 20);
    world_expect(&w, "8502 ended A no answer\n");
    arl_engine_drop(w.engine, a, w.now);
    assert_true(arl_engine_wants_connection(w.engine)); /* owed on until the lease is gone */
    world_run(&w, 2500);
    expect_nothing_owed(&w);
}

static void a_release_ends_with_its_lease_at_the_latest(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    want.ttl = 2 * ARL_SECOND;
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_down(&w);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_run(&w, 2100);
    world_expect(&w, "3002 ended A no answer\n");
    arl_engine_drop(w.engine, a, w.now);
    expect_nothing_owed(&w);
}

static void unreachable_tells_who_waits_and_forgets_no_release(void **state)
{
    struct world w;
    (void)state;
    struct arl_handle *a = released(&w);
    world_down(&w);
    arl_engine_unreachable(w.engine, w.now);
    world_expect(&w, "1000 ended A unreachable\n");
    arl_engine_drop(w.engine, a, w.now);
    world_run(&w, 3000);
    world_up(&w);
    world_expect(&w, "4000 RELEASE no1 t1\n");
    world_reply(&w, 0, ARL_YES);
    expect_nothing_owed(&w);
}

static void rule_6_a_cancelled_release_still_releases(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_down(&w);
    world_up(&w);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_reply(&w, 0, ARL_YES);
    expect_nothing_owed(&w);
}

static void rule_6_a_held_lock_that_is_dropped_is_released(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_run(&w, 4000); /* not renewed for ever */
    assert_int_equal(world_count(&w, "RENEW"), 0);
    world_reply(&w, 0, ARL_YES);
    expect_nothing_owed(&w);
}

static void no_release_is_forgotten_while_a_renew_under_way_may_prolong_k(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    want.ttl = ARL_SECOND;
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 340); /* a RENEW is written, and executed only after 2 s */
    world_forget(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_run(&w, 2000);
    world_reply(&w, 0, ARL_YES);
    world_reply(&w, 0, ARL_NOT_EXECUTED);
    world_expect(&w, "1340 RELEASE no1 t1\n3340 RELEASE no1 t1 whole\n");
    world_reply(&w, 0, ARL_YES);
    expect_nothing_owed(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_release_answers_is_what_the_holder_is_told),
        cmocka_unit_test(a_release_in_doubt_that_is_answered_no_is_done),
        cmocka_unit_test(a_release_that_was_not_written_is_not_in_doubt),
        cmocka_unit_test(an_error_that_passes_is_told_and_the_release_sent_again),
        cmocka_unit_test(what_is_answered_unknown_may_have_prolonged_the_key_until_then),
        cmocka_unit_test(an_extension_that_nobody_awaits_may_prolong_the_key_until_the_cut),
        cmocka_unit_test(a_stale_connection_is_reset_and_the_release_owed_on),
        cmocka_unit_test(a_release_waits_for_one_and_a_half_deadlines_of_a_reply),
        cmocka_unit_test(a_release_ends_with_its_lease_at_the_latest),
        cmocka_unit_test(unreachable_tells_who_waits_and_forgets_no_release),
        cmocka_unit_test(rule_6_a_cancelled_release_still_releases),
        cmocka_unit_test(rule_6_a_held_lock_that_is_dropped_is_released),
        cmocka_unit_test(no_release_is_forgotten_while_a_renew_under_way_may_prolong_k),
        cmocka_unit_test(rule_4_a_token_unanswered_at_a_cut_is_released_once_more),
        cmocka_unit_test(an_answer_after_the_lease_is_gone_counts_once),
        cmocka_unit_test(rule_4_a_release_under_way_is_not_the_one_once_more),
        cmocka_unit_test(a_release_not_written_before_the_lease_is_gone_never_is),
        cmocka_unit_test(a_script_unknown_after_the_lease_is_gone_is_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
