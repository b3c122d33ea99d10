/* token.c and err.c: records that are drawn whole or not at all, and live while an answer concerns them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine.h"
#include "core/waitq.h"
#include "world.h"

static void a_record_is_reserved_whole_or_not_at_all(void **state)
{
    struct world w;
    struct arl_waitq *queue;
    struct arl_token *token = NULL;
    (void)state;
    world_open(&w, 0);
    assert_int_equal(arl_waitq_get(w.engine, "no1", 3, &queue), 0);
    for (int i = 0; i < 3; i++) /* the heap of timers is full, so that a fourth makes it grow */
        assert_int_equal(arl_timers_reserve(&w.engine->timers, &w.engine->settings), 0);
    long before = w.allocations;
    for (int fails = 0; fails < 2; fails++) {
        w.fail_after = fails;
        assert_int_equal(arl_token_draw(w.engine, queue, &token), ARL_ENOMEM);
        assert_int_equal(w.allocations, before);
    }
    w.fail_after = -1;
    w.no_entropy = 1;
    assert_int_equal(arl_token_draw(w.engine, queue, &token), ARL_EENTROPY);
    assert_null(token);
    assert_int_equal(queue->tokens, 0);
    w.no_entropy = 0;
    assert_int_equal(arl_token_draw(w.engine, queue, &token), 0);
    assert_int_equal(queue->tokens, 1);
    arl_token_forget(w.engine, token);
    for (int i = 0; i < 3; i++)
        arl_timers_unreserve(&w.engine->timers, &w.engine->settings);
    arl_waitq_step(w.engine, queue, w.now); /* nobody needs it */
    world_close(&w);
}

static void a_forgotten_record_outlives_its_unanswered_renewal(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    want.ttl = ARL_SECOND;
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_run(&w, 340); /* RENEW is written */
    arl_engine_drop(w.engine, a, w.now);
    world_drain(&w);
    long before = w.allocations;
    world_reply(&w, 0, ARL_YES);
    assert_int_equal(w.allocations, before);
    world_reply(&w, 0, ARL_YES); /* of the RELEASE: nothing concerns it any more */
    assert_true(w.allocations < before);
    assert_int_equal(w.engine->table.count, 0);
    world_close(&w);
}

static void rule_2_each_lease_from_the_server_has_a_fresh_token(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    for (int i = 1; i <= 5; i++) {
        struct arl_handle *a = world_hold(&w, &want, "A");
        assert_int_equal(arl_handle_token(a)[0], i);
        arl_engine_drop(w.engine, a, w.now);
        world_reply(&w, 0, ARL_YES);
    }
    world_close(&w);
}

static void every_code_has_its_text(void **state)
{
    (void)state;
    for (int code = ARL_ECLOSED - 1; code <= 1; code++) {
        assert_non_null(arl_strerror(code));
        for (int other = code + 1; other <= 0; other++)
            assert_string_not_equal(arl_strerror(code), arl_strerror(other));
    }
    assert_string_equal(arl_strerror(-99), arl_strerror(1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_reserved_whole_or_not_at_all),
        cmocka_unit_test(a_forgotten_record_outlives_its_unanswered_renewal),
        cmocka_unit_test(rule_2_each_lease_from_the_server_has_a_fresh_token),
        cmocka_unit_test(every_code_has_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
