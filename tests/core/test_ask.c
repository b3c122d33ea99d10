/* ask.c: extend and peek, and what ends them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "world.h"

static void *name(const char *text)
{
    return (void *)(uintptr_t)text;
}

/* A holds `no1` for 10 s and asks for 60 s. */
static struct arl_handle *extending(struct world *w, struct arl_ask **ask)
{
    struct arl_want want = world_want("no1");
    world_open(w, 1);
    struct arl_handle *a = world_hold(w, &want, "A");
    assert_int_equal(arl_engine_extend(w->engine, a, 60 * ARL_SECOND, name("X"), w->now, ask), 0);
    world_expect(w, "1000 RENEW no1 t1 60000\n");
    return a;
}

static void finish(struct world *w, struct arl_handle *a, struct arl_ask *ask)
{
    if (ask != NULL)
        arl_engine_drop_ask(w->engine, ask);
    arl_engine_drop(w->engine, a, w->now);
    world_close(w);
}

static void an_extension_counts_from_its_writing_and_later_renewals_go_by_ex(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    struct arl_handle *a = extending(&w, &ask);
    assert_true(arl_engine_remaining(w.engine, a, w.now) <
                10 * ARL_SECOND); /* nothing is believed unanswered */
    world_reply(&w, 10, ARL_YES);
    world_expect(&w, "1010 answered X done\n");
    assert_true(arl_engine_remaining(w.engine, a, w.now) == (60000 - 10 - 602) * ARL_MS);
    world_run(&w, 3400);
    assert_int_equal(world_count(&w, "RENEW no1 t1 10000"), 1);
    world_reply(&w, 0, ARL_YES);
    assert_true(arl_engine_remaining(w.engine, a, w.now) > 55 * ARL_SECOND); /* never shortened */
    finish(&w, a, ask);
}

static void an_extension_of_what_is_not_held_is_refused(void **state)
{
    struct world w;
    struct arl_ask *ask = NULL;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_acquire(&w, &want, "A");
    assert_int_equal(arl_engine_extend(w.engine, a, ARL_SECOND, NULL, w.now, &ask), ARL_ENOTHELD);
    world_reply(&w, 0, ARL_YES);
    w.now += 20 * ARL_SECOND;
    assert_int_equal(arl_engine_extend(w.engine, a, ARL_SECOND, NULL, w.now, &ask), ARL_ENOTHELD);
    assert_null(ask);
    finish(&w, a, NULL);
}

static void not_ours_ends_the_extension_and_the_hold(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    struct arl_handle *a = extending(&w, &ask);
    world_reply(&w, 0, ARL_NO);
    world_expect(&w, "1000 answered X not owned\n1000 ended A lost\n");
    finish(&w, a, ask);
}

static void not_ours_is_a_loss_though_nobody_waits_for_the_extension(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    struct arl_handle *a = extending(&w, &ask);
    arl_engine_drop_ask(w.engine, ask);
    world_reply(&w, 0, ARL_NO);
    world_expect(&w, "1000 ended A lost\n");
    finish(&w, a, NULL);
}

static void rule_3_an_extension_is_not_written_after_release_was_called(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    assert_int_equal(arl_engine_extend(w.engine, a, 60 * ARL_SECOND, name("X"), w.now, &ask), 0);
    assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
    world_expect(&w, "1000 answered X not owned\n1000 RELEASE no1 t1\n");
    finish(&w, a, ask);
}

static void with_an_extension_under_way_the_lease_is_not_handed_on(void **state)
{
    for (int dropped = 0; dropped < 2; dropped++) {
        struct world w;
        struct arl_ask *ask;
        (void)state;
        struct arl_handle *a = extending(&w, &ask);
        struct arl_want want = world_want("no1");
        struct arl_handle *b = world_acquire(&w, &want, "B");
        if (dropped) {
            arl_engine_drop_ask(w.engine, ask);
            ask = NULL;
        }
        assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
        world_forget(&w);
        world_reply(&w, 0, ARL_YES); /* the late answer revives nothing */
        assert_false(arl_engine_look(w.engine, a, w.now));
        world_expect(&w, "");
        world_reply(&w, 0, ARL_YES);
        world_expect(&w, "1000 ended A done\n");
        arl_engine_drop(w.engine, b, w.now);
        finish(&w, a, ask);
    }
}

static void an_extension_under_way_may_be_executed_only_now(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    world_open(&w, 1);
    struct arl_want want = world_want("no1");
    struct arl_handle *a = world_hold(&w, &want, "A");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    assert_int_equal(arl_engine_extend(w.engine, a, 10010 * ARL_MS, NULL, w.now, &ask), 0);
    world_run(&w, 20); /* since its writing less than B's 10 s are left of it */
    world_forget(&w);
    arl_engine_drop(w.engine, a, w.now);
    assert_int_equal(world_count(&w, "RELEASE no1 t1"), 1);
    assert_int_equal(world_count(&w, "granted"), 0);
    finish(&w, b, ask);
}

static void an_extended_lease_is_not_handed_on_to_a_shorter_one(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    struct arl_handle *a = extending(&w, &ask);
    struct arl_want want = world_want("no1");
    struct arl_handle *b = world_acquire(&w, &want, "B");
    world_reply(&w, 0, ARL_YES);
    world_forget(&w);
    arl_engine_drop(w.engine, a, w.now);
    world_expect(&w, "1000 RELEASE no1 t1\n1000 TRY no1 t2 10000\n");
    finish(&w, b, ask);
}

static void an_extension_unanswered_in_time_leaves_the_lease(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    struct arl_handle *a = extending(&w, &ask);
    world_run(&w, 4990);
    assert_int_equal(world_count(&w, "answered"), 0);
    world_run(&w, 20);
    assert_int_equal(world_count(&w, "answered X no answer"), 1);
    assert_true(arl_engine_look(w.engine, a, w.now));
    finish(&w, a, ask);
}

static void errors_of_the_server_are_told(void **state)
{
    static const enum arl_outcome errors[] = {ARL_REFUSED, ARL_BUSY, ARL_UNKNOWN, ARL_STALE};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world w;
        struct arl_ask *ask;
        struct arl_handle *a = extending(&w, &ask);
        world_reply(&w, 0, errors[i]);
        world_expect(&w, errors[i] == ARL_STALE ? "1000 answered X server error\n1000 reset\n"
                                                : "1000 answered X server error\n");
        assert_true(arl_engine_look(w.engine, a, w.now));
        finish(&w, a, ask);
    }
}

static void over_a_cut_it_is_asked_again_before_its_deadline(void **state)
{
    struct world w;
    struct arl_ask *ask;
    (void)state;
    struct arl_handle *a = extending(&w, &ask);
    world_down(&w);
    world_run(&w, 100);
    world_up(&w);
    world_expect(&w, "1100 RENEW no1 t1 60000\n1100 RENEW no1 t1 10000\n");
    world_reply(&w, 0, ARL_NOT_EXECUTED);
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1100 RENEW no1 t1 60000 whole\n");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "1100 answered X done\n");
    finish(&w, a, ask);
}

static void unreachable_and_close_end_what_waits(void **state)
{
    for (int closes = 0; closes < 2; closes++) {
        struct world w;
        struct arl_ask *ask, *peek, *late;
        (void)state;
        struct arl_handle *a = extending(&w, &ask);
        assert_int_equal(arl_engine_peek(w.engine, "no2", 3, name("P"), w.now, &peek), 0);
        world_down(&w);
        world_forget(&w);
        if (closes) {
            arl_engine_close(w.engine, w.now);
            world_expect(&w, "1000 answered X closed\n1000 answered P closed\n1000 ended A closed\n");
            assert_int_equal(arl_engine_peek(w.engine, "no2", 3, NULL, w.now, &late), ARL_ECLOSED);
        } else {
            arl_engine_unreachable(w.engine, w.now);
            world_expect(&w, "1000 answered X unreachable\n1000 answered P unreachable\n");
        }
        arl_engine_drop_ask(w.engine, peek);
        finish(&w, a, ask);
    }
}

static void peek_tells_whether_anybody_holds_the_key(void **state)
{
    static const enum arl_outcome outcomes[] = {ARL_YES, ARL_NO};
    static const char *const told[] = {"1000 PEEK no1\n1000 answered P done\n",
                                       "1000 PEEK no1\n1000 answered P not owned\n"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world w;
        struct arl_ask *ask;
        world_open(&w, 1);
        assert_int_equal(arl_engine_peek(w.engine, "no1", 3, name("P"), w.now, &ask), 0);
        assert_true(arl_engine_wants_connection(w.engine));
        world_reply(&w, 0, outcomes[i]);
        world_expect(&w, told[i]);
        arl_engine_drop_ask(w.engine, ask);
        assert_false(arl_engine_wants_connection(w.engine));
        world_close(&w);
    }
}

static void asks_given_back_early_leave_nothing(void **state)
{
    struct world w;
    struct arl_ask *written, *queued, *down;
    (void)state;
    world_open(&w, 1);
    assert_int_equal(arl_engine_peek(w.engine, "no1", 3, NULL, w.now, &written), 0);
    world_forget(&w);
    assert_int_equal(arl_engine_peek(w.engine, "no2", 3, NULL, w.now, &queued), 0);
    arl_engine_drop_ask(w.engine, written);
    arl_engine_drop_ask(w.engine, queued);
    world_expect(&w, "");
    world_reply(&w, 0, ARL_YES);
    world_expect(&w, "");
    assert_int_equal(arl_engine_peek(w.engine, "no1", 3, NULL, w.now, &down), 0);
    world_down(&w);
    arl_engine_drop_ask(w.engine, down);
    world_forget(&w);
    world_up(&w);
    world_expect(&w, "");
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_extension_counts_from_its_writing_and_later_renewals_go_by_ex),
        cmocka_unit_test(an_extension_of_what_is_not_held_is_refused),
        cmocka_unit_test(not_ours_ends_the_extension_and_the_hold),
        cmocka_unit_test(not_ours_is_a_loss_though_nobody_waits_for_the_extension),
        cmocka_unit_test(rule_3_an_extension_is_not_written_after_release_was_called),
        cmocka_unit_test(with_an_extension_under_way_the_lease_is_not_handed_on),
        cmocka_unit_test(an_extension_under_way_may_be_executed_only_now),
        cmocka_unit_test(an_extended_lease_is_not_handed_on_to_a_shorter_one),
        cmocka_unit_test(an_extension_unanswered_in_time_leaves_the_lease),
        cmocka_unit_test(errors_of_the_server_are_told),
        cmocka_unit_test(over_a_cut_it_is_asked_again_before_its_deadline),
        cmocka_unit_test(unreachable_and_close_end_what_waits),
        cmocka_unit_test(peek_tells_whether_anybody_holds_the_key),
        cmocka_unit_test(asks_given_back_early_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
