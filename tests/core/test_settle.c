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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_4_a_token_unanswered_at_a_cut_is_released_once_more),
        cmocka_unit_test(an_answer_after_the_lease_is_gone_counts_once),
        cmocka_unit_test(rule_4_a_release_under_way_is_not_the_one_once_more),
        cmocka_unit_test(a_release_not_written_before_the_lease_is_gone_never_is),
        cmocka_unit_test(a_script_unknown_after_the_lease_is_gone_is_not_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
