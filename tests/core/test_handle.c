/* handle.c and the owner's inputs of engine.c: what each call does in each state of a handle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void no_tries_give_up_at_once_without_io(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    want.tries = 0;
    struct arl_handle *a = world_acquire(&w, &want, "A");
    assert_int_equal(arl_handle_state(a), ARL_ENDED);
    assert_int_equal(arl_handle_cause(a), ARL_GAVE_UP);
    world_expect(&w, "1000 ended A gave up\n");
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    arl_engine_drop(w.engine, a, w.now);
    assert_false(arl_engine_wants_connection(w.engine));
    world_close(&w);
}

static void each_state_answers_every_input(void **state)
{
    struct world w;
    struct arl_ask *ask;
    size_t length;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    assert_int_equal(arl_handle_state(a), ARL_WAITING);
    assert_int_equal(arl_handle_cause(a), 0);
    assert_null(arl_handle_token(a));
    assert_memory_equal(arl_handle_key(a, &length), "no1", 3);
    assert_int_equal(length, 3);
    assert_false(arl_engine_confirm(w.engine, a, w.now));
    assert_true(arl_engine_remaining(w.engine, a, w.now) == 0);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    assert_int_equal(arl_engine_extend(w.engine, a, 1, NULL, w.now, &ask), ARL_ENOTHELD);
    assert_false(arl_engine_holds(w.engine));

    world_reply(&w, 0, ARL_YES);
    assert_int_equal(arl_handle_state(a), ARL_GRANTED);
    assert_non_null(arl_handle_token(a));
    assert_true(arl_engine_holds(w.engine));
    assert_true(arl_engine_look(w.engine, a, w.now));
    assert_int_equal(arl_handle_state(a), ARL_GRANTED);
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    assert_int_equal(arl_handle_state(a), ARL_HELD);

    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    assert_int_equal(arl_handle_state(a), ARL_RELEASING);
    assert_non_null(arl_handle_token(a));
    assert_false(arl_engine_confirm(w.engine, a, w.now));
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    assert_false(arl_engine_holds(w.engine));
    assert_true(arl_engine_wants_connection(w.engine));

    world_reply(&w, 0, ARL_YES);
    assert_int_equal(arl_handle_state(a), ARL_ENDED);
    assert_int_equal(arl_handle_cause(a), ARL_DONE);
    assert_null(arl_handle_token(a));
    assert_null(arl_handle_key(a, &length));
    assert_int_equal(length, 0);
    assert_false(arl_engine_look(w.engine, a, w.now));
    assert_int_equal(arl_engine_release(w.engine, a, w.now), ARL_ENOTHELD);
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void the_owner_can_be_changed_and_is_told_in_events(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    assert_string_equal(arl_handle_owner(a), "A");
    arl_handle_set_owner(a, (void *)(uintptr_t)"Z");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1000 TRY no1 t1 10000\n1000 granted Z\n");
    arl_engine_drop(w.engine, a, w.now);
    world_close(&w);
}

static void a_grant_released_before_it_was_confirmed_is_not_told(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 0, ARL_YES);
    world_forget(&w);
    struct arl_handle *b = world_acquire(&w, &want, "B");
    arl_engine_drop(w.engine, a, w.now);
    assert_int_equal(arl_handle_state(b), ARL_GRANTED);
    assert_int_equal(arl_engine_release(w.engine, b, w.now), 0);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1000 ended B done\n");
    arl_engine_drop(w.engine, b, w.now);
    world_close(&w);
}

static void no_event_comes_after_drop(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_forget(&w);
    assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), 0); /* its event was not taken */
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1000 RELEASE no1 t1\n");
    world_reply(&w, 0, ARL_YES);
    struct arl_handle *b = world_hold(&w, &want, "B");
    assert_int_equal(arl_handle_state(b), ARL_HELD);
    arl_engine_close(w.engine, w.now);
    arl_engine_drop(w.engine, b, w.now);
    assert_int_equal(world_count(&w, "ended"), 0);
    world_close(&w);
}

static void an_engine_can_end_with_everything_under_way(void **state)
{
    struct world w;
    (void)state;
    world_open(&w, 1);
    struct arl_want one = world_want("no1"), two = world_want("no2"), three = world_want("no3");
    two.patience = ARL_SECOND;
    struct arl_handle *releasing = world_hold(&w, &one, "A");
    (void)world_hold(&w, &two, "B");
    (void)world_acquire(&w, &two, "C");
    (void)world_acquire(&w, &three, "D");
    (void)world_acquire(&w, &three, "E");
    assert_int_equal(arl_engine_release(w.engine, releasing, w.now), 0);
    struct arl_ask *ask;
    assert_int_equal(arl_engine_peek(w.engine, "no4", 3, NULL, w.now, &ask), 0);
    world_drain(&w);
    world_close(&w); /* frees them all */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_answers_every_input),
        cmocka_unit_test(the_owner_can_be_changed_and_is_told_in_events),
        cmocka_unit_test(a_grant_released_before_it_was_confirmed_is_not_told),
        cmocka_unit_test(no_event_comes_after_drop),
        cmocka_unit_test(an_engine_can_end_with_everything_under_way),
        cmocka_unit_test(no_tries_give_up_at_once_without_io),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
