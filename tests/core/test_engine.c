/* The engine from outside: whole ways of a lock, as traces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void a_pair(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_expect(&w, "1000 TRY no1 t1 10000\n");
    world_reply(&w, 5, ARL_YES);
    world_expect(&w, "1005 granted A\n");
    assert_int_equal(arl_handle_state(a), ARL_GRANTED);
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    assert_int_equal(arl_handle_state(a), ARL_HELD);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    assert_int_equal(arl_handle_state(a), ARL_RELEASING);
    assert_false(arl_engine_look(w.engine, a, w.now));
    world_expect(&w, "1005 RELEASE no1 t1\n");
    world_reply(&w, 5, ARL_YES);
    world_expect(&w, "1010 ended A done\n");
    arl_engine_drop(w.engine, a, w.now);
    assert_false(arl_engine_wants_connection(w.engine));
    assert_true(arl_engine_deadline(w.engine) == ARL_NEVER);
    world_close(&w);
}

static void a_second_lease_has_a_fresh_token(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    for (int round = 1; round <= 3; round++) {
        struct arl_handle *a = world_hold(&w, &want, "A");
        assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
        world_reply(&w, 1, ARL_YES);
        arl_engine_drop(w.engine, a, w.now);
        assert_int_equal(w.tokens_drawn, round);
    }
    world_close(&w);
}

static void a_hand_off_sends_nothing(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_expect(&w, "");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    assert_int_equal(arl_handle_state(a), ARL_ENDED);
    assert_int_equal(arl_handle_cause(a), ARL_DONE);
    world_expect(&w, "1000 granted B\n");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    assert_true(arl_engine_confirm(w.engine, b, w.now));
    arl_engine_drop(w.engine, a, w.now);
    assert_true(arl_engine_look(w.engine, b, w.now));
    arl_engine_drop(w.engine, b, w.now);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_reply(&w, 1, ARL_YES);
    world_close(&w);
}

static void a_lone_waiter_sends_exactly_its_tries(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    for (int i = 0; i < 200 && arl_handle_state(a) == ARL_WAITING; i++) {
        if (arl_engine_unanswered(w.engine) > 0 || arl_engine_has_request(w.engine))
            world_reply(&w, 1, ARL_NO);
        world_run(&w, 20);
    }
    assert_int_equal(arl_handle_cause(a), ARL_GAVE_UP);
    assert_int_equal(world_count(&w, "TRY"), 10);
    assert_int_equal(w.tokens_drawn, 1);
    /* mean * (1 + 2 + .. + 7) + 10 draws of 20 to 100 ms, and ten round trips */
    assert_true(w.now - 1000 * ARL_MS >= (28 * 60 + 10 * 20) * ARL_MS);
    assert_true(w.now - 1000 * ARL_MS <= (28 * 60 + 10 * 100 + 10 * 40) * ARL_MS);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_lease_is_renewed_and_ends_in_time(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 3400);
    assert_int_equal(world_count(&w, "RENEW no1 t1 10000"), 1);
    world_forget(&w);
    world_reply(&w, 0, ARL_YES);
    assert_true(arl_engine_remaining(w.engine, a, w.now) > 9 * ARL_SECOND);
    world_run(&w, 3400);
    assert_int_equal(world_count(&w, "RENEW no1 t1 10000"), 1);
    world_reply(&w, 0, ARL_NO);
    world_forget(&w);
    assert_int_equal(arl_handle_cause(a), ARL_LOST);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_try_in_doubt_is_settled_by_renew(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_expect(&w, "1000 TRY no1 t1 10000\n");
    world_down(&w);
    world_run(&w, 10);
    world_expect(&w, "");
    world_up(&w);
    world_expect(&w, "1010 RENEW no1 t1 10000\n");
    world_reply(&w, 5, ARL_NO);
    world_expect(&w, "1015 RELEASE no1 t1\n1015 TRY no1 t2 10000\n");
    world_reply(&w, 5, ARL_NO);
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1020 granted A\n");
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    world_run(&w, 600); /* 0.6 s after the cut the first token is released once more */
    world_expect(&w, "1600 RELEASE no1 t1\n");
    world_reply(&w, 1, ARL_NO);
    assert_true(arl_engine_look(w.engine, a, w.now));
    arl_engine_drop(w.engine, a, w.now);
    world_reply(&w, 1, ARL_YES);
    world_close(&w);
}

static void a_reply_that_nobody_asked_for(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    assert_int_equal(arl_engine_awaited(w.engine), ARL_VERBS);
    assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), ARL_EUNASKED);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair),
        cmocka_unit_test(a_second_lease_has_a_fresh_token),
        cmocka_unit_test(a_hand_off_sends_nothing),
        cmocka_unit_test(a_lone_waiter_sends_exactly_its_tries),
        cmocka_unit_test(a_lease_is_renewed_and_ends_in_time),
        cmocka_unit_test(a_try_in_doubt_is_settled_by_renew),
        cmocka_unit_test(a_reply_that_nobody_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
