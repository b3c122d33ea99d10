/* watch.c: what the watchdog renews for a loop that stands still, and what its answers do. */
#include "watched.h"

/* ---- a loop that lives ---- */

/* Moves time on by `ms`: each tick comes `late` ms after its deadline, renewals are answered `answer` at once or,
 * WORLD_SILENT, never. A reset is obeyed and a connection made anew where `connects`. How many ticks there were. */
static int live(struct world *w, int ms, int late, int answer, bool connects)
{
    struct arl_event event;
    struct arl_request_view request;
    arl_ns end = w->now + ms * ARL_MS;
    int ticks = 0;
    while (arl_engine_deadline(w->engine) <= end) {
        arl_ns tick = arl_ns_max(arl_engine_deadline(w->engine) + late * ARL_MS, w->now);
        assert_true(arl_watch_deadline(w->engine) > tick); /* the watchdog does not even wake */
        assert_false(arl_watch_is_due(w->engine, tick));
        w->now = tick;
        arl_engine_tick(w->engine, w->now);
        ticks++;
        while (arl_engine_next_event(w->engine, &event)) {
            assert_int_not_equal(event.kind, ARL_EVENT_STALLED);
            if (event.kind != ARL_EVENT_RESET)
                continue;
            arl_engine_down(w->engine, w->now);
            if (connects)
                arl_engine_up(w->engine, w->now);
        }
        while (arl_engine_next_request(w->engine, w->now, &request)) {
            if (answer != WORLD_SILENT)
                assert_int_equal(arl_engine_reply(w->engine, (enum arl_outcome)answer, w->now), 0);
        }
    }
    w->now = end;
    return ticks;
}

static void a_living_loop_is_never_renewed_from_outside(void **state)
{
    static const int late[] = {0, 100, 1600}; /* less than a sixth */
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 10000);
        assert_true(live(&w, 4 * 3600 * 1000, late[i], ARL_YES, true) > 2800);
        expect_held(&w, a, true);
        assert_int_equal(counters(&w).renewed_elsewhere, 0);
        close_held(&w, a);
    }
}

/* With the server gone its lease ends, and nobody renews it: the program is not to blame. */
static void a_living_loop_without_its_server_is_left_alone(void **state)
{
    static const int late[] = {0, 100, 1600};
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 10000);
        if (i >= 9)
            world_down(&w);
        (void)live(&w, 20000, late[i % 3], i < 3 ? WORLD_SILENT : ARL_UNKNOWN, i >= 6);
        assert_int_equal(arl_handle_cause(a), ARL_LOST);
        close_held(&w, a);
    }
}

static void a_loop_that_has_not_renewed_ticks_at_half_the_ttl_and_each_sixth_after(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    (void)state;
    world_down(&w);
    static const int at[] = {4000, 5000, 6000};
    for (int i = 0; i < 3; i++) {
        assert_true(arl_engine_deadline(w.engine) == at[i] * ARL_MS);
        w.now = at[i] * ARL_MS;
        arl_engine_tick(w.engine, w.now);
    }
    close_held(&w, a);
    a = open_held(&w, 6000);
    world_run(&w, 2500); /* its renewal is written and not answered */
    assert_int_equal(world_count(&w, "RENEW"), 1);
    assert_true(arl_engine_deadline(w.engine) == 4000 * ARL_MS); /* half of it after the last that was */
    close_held(&w, a);
}

static void a_lease_that_is_not_to_be_kept_ticks_no_more_than_before(void **state)
{
    struct world w;
    struct arl_want want = kept("no1", 6000);
    (void)state;
    world_open(&w, 1);
    want.stall_limit = 0;
    struct arl_handle *a = world_hold(&w, &want, "A");
    world_down(&w);
    assert_true(arl_engine_deadline(w.engine) > 6000 * ARL_MS);
    close_held(&w, a);
}

/* ---- stalled ---- */

static void stalled_is_a_deadline_overdue_by_a_sixth_of_the_ttl(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    (void)state;
    arl_ns due = arl_engine_deadline(w.engine) + ARL_SECOND;
    assert_true(arl_watch_deadline(w.engine) == due);
    assert_false(arl_watch_is_due(w.engine, due - 1));
    assert_int_equal(world_watch(&w), 0);
    w.now = due;
    assert_true(arl_watch_is_due(w.engine, due));
    assert_int_equal(world_watch(&w), 1);
    assert_int_equal(world_watch(&w), 0);
    close_held(&w, a);
}

static void stalled_counts_from_the_last_turn(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    struct arl_want other = kept("no2", 6000);
    (void)state;
    struct arl_handle *b = world_acquire(&w, &other, "B");
    world_drain(&w);
    w.now = arl_engine_deadline(w.engine) + 900 * ARL_MS;
    assert_int_equal(arl_engine_reply(w.engine, ARL_YES, w.now), 0); /* a turn, but no tick yet */
    assert_true(arl_watch_deadline(w.engine) == w.now + ARL_SECOND);
    arl_engine_drop(w.engine, b, w.now);
    close_held(&w, a);
}

static void each_input_of_the_connection_is_a_turn(void **state)
{
    (void)state;
    for (int input = 0; input < 5; input++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 6000);
        w.now = arl_watch_deadline(w.engine);
        assert_true(arl_watch_is_due(w.engine, w.now));
        if (input == 0)
            arl_engine_tick(w.engine, w.now);
        else if (input == 1)
            (void)arl_engine_reply(w.engine, ARL_YES, w.now);
        else if (input == 2)
            arl_engine_down(w.engine, w.now);
        else if (input == 3)
            arl_engine_up(w.engine, w.now);
        else
            arl_engine_unreachable(w.engine, w.now);
        assert_false(arl_watch_is_due(w.engine, w.now));
        assert_true(arl_watch_is_over(w.engine, w.now));
        assert_int_equal(world_watch(&w), 0);
        close_held(&w, a);
    }
}

/* A lease of its own, every call of the user's made, one a round; the stall goes on through all of them. */
static void what_a_user_calls_is_no_turn(void **state)
{
    (void)state;
    for (int call = 0; call < 8; call++) {
        struct world w;
        struct arl_ask *ask = NULL;
        struct arl_want other = kept("no2", 1000), waits = kept("no2", 1000), more = kept("no1", 1000);
        struct arl_handle *a = open_held(&w, 1000);
        struct arl_handle *b = world_hold(&w, &other, "B"), *c = world_acquire(&w, &waits, "C"), *d = NULL;
        for (int i = 0; i < 80; i++) {
            world_stall(&w, 50, ARL_YES);
            if (call == 0 || i != 20)
                expect_held(&w, a, true);
            else if (call == 1)
                assert_true(arl_engine_remaining(w.engine, a, w.now) > 0);
            else if (call == 2)
                assert_int_equal(arl_engine_extend(w.engine, a, 2 * ARL_SECOND, NULL, w.now, &ask), 0);
            else if (call == 3)
                assert_int_equal(arl_engine_release(w.engine, b, w.now), 0);
            else if (call == 4)
                arl_engine_drop(w.engine, c, w.now);
            else if (call == 5)
                d = world_acquire(&w, &more, "D"); /* behind the very lease */
            else if (call == 6)
                assert_int_equal(arl_engine_peek(w.engine, "x", 1, NULL, w.now, &ask), 0);
            else
                (void)arl_engine_confirm(w.engine, a, w.now);
            world_drain(&w); /* what the call made the loop's connection write */
        }
        expect_held(&w, a, true);
        assert_int_equal(world_count(&w, "stalled"), 0);
        if (ask != NULL)
            arl_engine_drop_ask(w.engine, ask);
        arl_engine_drop(w.engine, b, w.now);
        if (call != 4)
            arl_engine_drop(w.engine, c, w.now);
        if (d != NULL)
            arl_engine_drop(w.engine, d, w.now);
        close_held(&w, a);
    }
}

/* Somebody joins, again and again, behind a lease that is kept: each joining may only arm what is earlier. */
static void calls_without_end_do_not_put_the_renewals_off(void **state)
{
    static const int every[] = {7, 33, 111, 333};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 1000);
        struct arl_want once = kept("no1", 1000);
        once.once = true;
        for (int passed = 0; passed < 10000; passed += every[i]) {
            world_stall(&w, every[i], ARL_YES);
            arl_engine_drop(w.engine, world_acquire(&w, &once, "B"), w.now);
            expect_held(&w, a, true);
            world_forget(&w);
        }
        close_held(&w, a);
    }
}

static void the_lease_is_held_at_the_first_look_after_a_stall_of_four_ttl(void **state)
{
    static const int ttls[] = {50, 300, 1000, 10000};
    (void)state;
    for (int i = 0; i < 12; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, ttls[i % 4]);
        if (i >= 8)
            world_down(&w);
        else if (i >= 4)
            world_run(&w, ttls[i % 4] * 2 / 5); /* the loop's own renewal is unanswered */
        world_stall(&w, 4 * ttls[i % 4], ARL_YES);
        assert_true(arl_engine_remaining(w.engine, a, w.now) > ttls[i % 4] * ARL_MS / 4);
        expect_held(&w, a, true);
        close_held(&w, a);
    }
}

static void it_is_asked_again_a_third_of_the_ttl_later(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    (void)state;
    world_stall(&w, 3001, ARL_YES); /* a third less the jitter, and a sixth */
    assert_int_equal(world_count(&w, "WATCH RENEW no1 t1 6000"), 1);
    arl_ns next = arl_watch_deadline(w.engine), written = next - 2 * ARL_SECOND;
    assert_in_range(written, 3400 * ARL_MS, 4001 * ARL_MS); /* less the jitter, and gathered */
    world_stall(&w, 20000, ARL_YES);
    assert_in_range(world_count(&w, "WATCH RENEW"), 10, 13);
    assert_int_equal(counters(&w).renewed_elsewhere, (uint64_t)world_count(&w, "WATCH RENEW"));
    assert_int_equal(counters(&w).renewals, 0);
    close_held(&w, a);
}

/* Found due, and while the connection is made a user's call lets the loop's deadline be later. */
static void what_a_call_puts_off_is_renewed_when_it_falls_due_again(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 1000);
    struct arl_want once = kept("no1", 1000);
    (void)state;
    once.once = true;
    w.now = arl_watch_deadline(w.engine);
    assert_true(arl_watch_is_due(w.engine, w.now));
    arl_engine_drop(w.engine, world_acquire(&w, &once, "B"), w.now); /* queues the loop's own renewal */
    world_drain(&w);
    assert_int_equal(world_watch(&w), 0);
    world_stall(&w, 4000, ARL_YES);
    expect_held(&w, a, true);
    close_held(&w, a);
}

static void a_lease_granted_and_not_confirmed_is_kept_too(void **state)
{
    struct world w;
    struct arl_want want = kept("no1", 1000);
    (void)state;
    world_open(&w, 1);
    struct arl_handle *a = world_acquire(&w, &want, "A");
    world_reply(&w, 0, ARL_YES);
    world_stall(&w, 4000, ARL_YES);
    assert_int_equal(arl_handle_state(a), ARL_GRANTED);
    assert_true(arl_engine_confirm(w.engine, a, w.now));
    close_held(&w, a);
}

static void belief_counts_from_the_writing_of_the_renewal(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    (void)state;
    world_stall(&w, 3100, WORLD_SILENT);
    assert_int_equal(w.watched, 1);
    arl_ns written = w.now;
    w.now = written + 500 * ARL_MS;
    assert_int_equal(arl_watch_reply(w.engine, ARL_YES, w.now), 0);
    /* it was written when it fell due, within the stall */
    assert_true(arl_engine_remaining(w.engine, a, w.now) <= written + (6000 - 62) * ARL_MS - w.now);
    assert_true(arl_engine_remaining(w.engine, a, w.now) >= written + (5600 - 62) * ARL_MS - w.now);
    close_held(&w, a);
}

/* ---- other answers ---- */

static void not_mine_does_not_lose_it_and_the_loops_next_renewal_decides(void **state)
{
    static const enum arl_outcome answers[] = {ARL_NO, ARL_WRONG_TYPE};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 6000);
        world_stall(&w, 4000, answers[i % 2]);
        assert_int_equal(world_count(&w, "WATCH RENEW"), 1); /* and no more from outside */
        assert_true(arl_watch_deadline(w.engine) == ARL_NEVER);
        expect_held(&w, a, true);
        world_forget(&w);
        arl_engine_tick(w.engine, w.now);
        world_expect(&w, "5000 stalled 4000\n5000 RENEW no1 t1 6000\n");
        world_reply(&w, 1, i < 2 ? ARL_YES : ARL_NO);
        expect_held(&w, a, i < 2);
        world_stall(&w, 5000, ARL_YES); /* never again from outside */
        world_expect(&w, i < 2 ? "" : "5001 ended A lost\n");
        assert_int_equal(counters(&w).renewed_elsewhere, 0);
        close_held(&w, a);
    }
}

static void told_not_mine_while_the_loops_renewal_is_under_way_that_one_decides(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    (void)state;
    world_run(&w, 2100);
    assert_int_equal(world_count(&w, "RENEW"), 1);
    world_stall(&w, 2500, ARL_NO);
    assert_int_equal(world_count(&w, "WATCH RENEW"), 1);
    world_forget(&w);
    assert_int_equal(arl_engine_reply(w.engine, ARL_NO, w.now), 0); /* it had been there for long */
    assert_int_equal(world_count(&w, "ended A lost"), 1);
    assert_int_equal(world_count(&w, "RENEW"), 0);
    close_held(&w, a);
}

static void any_other_answer_is_asked_again_a_tenth_of_the_ttl_later(void **state)
{
    static const enum arl_outcome answers[] = {ARL_NOT_EXECUTED, ARL_REFUSED, ARL_BUSY, ARL_STALE,
                                               ARL_UNKNOWN};
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 6000);
        w.now = arl_watch_deadline(w.engine);
        for (int j = 0; j < 4; j++) {
            world_watch_reply(&w, 20, answers[i]);
            assert_int_equal(world_watch(&w), 0);
            assert_true(arl_watch_deadline(w.engine) == w.now + 600 * ARL_MS);
            assert_false(arl_watch_is_over(w.engine, w.now)); /* the connection is wanted still */
            w.now += 600 * ARL_MS;
        }
        assert_int_equal(world_count(&w, "WATCH RENEW"), 4);
        world_watch_reply(&w, 20, ARL_YES);
        world_stall(&w, 10000, ARL_YES);
        expect_held(&w, a, true);
        close_held(&w, a);
    }
}

static void a_reply_that_nothing_waits_for_is_refused(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    (void)state;
    assert_int_equal(arl_watch_reply(w.engine, ARL_YES, w.now), ARL_EUNASKED);
    world_stall(&w, 3100, ARL_YES);
    assert_int_equal(arl_watch_reply(w.engine, ARL_YES, w.now), ARL_EUNASKED);
    close_held(&w, a);
}

static void with_the_connection_gone_it_is_due_again_a_tenth_of_the_ttl_later(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) { /* refused, or cut with the renewal unanswered, or without anything to do */
        struct world w;
        struct arl_handle *a = open_held(&w, 6000);
        w.now = arl_watch_deadline(w.engine) - (i == 2);
        assert_int_equal(arl_watch_is_due(w.engine, w.now), i < 2);
        if (i == 1)
            assert_int_equal(world_watch(&w), 1);
        arl_ns before = arl_watch_deadline(w.engine);
        world_watch_down(&w);
        if (i == 2) {
            assert_true(arl_watch_deadline(w.engine) == before);
        } else {
            assert_true(arl_watch_deadline(w.engine) <= w.now + 600 * ARL_MS);
            w.now += 600 * ARL_MS - 1;
            assert_int_equal(world_watch(&w), 0);
            w.now += 1;
            world_watch_reply(&w, 0, ARL_YES);
        }
        world_stall(&w, 20000, ARL_YES);
        expect_held(&w, a, true);
        close_held(&w, a);
    }
}

static void a_silent_server_is_given_up_and_asked_over_a_new_connection(void **state)
{
    struct world w;
    struct arl_handle *a = open_held(&w, 6000);
    (void)state;
    world_stall(&w, 3100, WORLD_SILENT);
    world_stall(&w, 1000, WORLD_SILENT); /* a sixth */
    assert_int_equal(world_count(&w, "WATCH down"), 1);
    world_stall(&w, 700, ARL_YES);
    assert_int_equal(world_count(&w, "WATCH RENEW"), 2);
    world_stall(&w, 10000, ARL_YES);
    expect_held(&w, a, true);
    close_held(&w, a);
}

/* A short lease does not wait as long for its answer as a long one written before it. */
static void the_shortest_lease_under_way_says_how_long_answers_may_take(void **state)
{
    struct world w;
    struct arl_want longer = kept("no2", 60000);
    struct arl_handle *a = open_held(&w, 1000);
    (void)state;
    struct arl_handle *b = world_hold(&w, &longer, "B");
    world_stall(&w, 17000, ARL_YES);
    assert_int_equal(world_count(&w, "no2"), 0);
    while (world_count(&w, "no2") == 0) {
        world_stall(&w, 1, WORLD_SILENT);
        if (w.watched > 0 && world_count(&w, "no2") == 0)
            world_watch_reply(&w, 0, ARL_YES);
    }
    while (world_count(&w, "WATCH down") == 0)
        world_stall(&w, 1, WORLD_SILENT);
    world_stall(&w, 10000, ARL_YES);
    expect_held(&w, a, true);
    expect_held(&w, b, true);
    arl_engine_drop(w.engine, b, w.now);
    close_held(&w, a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_living_loop_is_never_renewed_from_outside),
        cmocka_unit_test(a_living_loop_without_its_server_is_left_alone),
        cmocka_unit_test(a_loop_that_has_not_renewed_ticks_at_half_the_ttl_and_each_sixth_after),
        cmocka_unit_test(a_lease_that_is_not_to_be_kept_ticks_no_more_than_before),
        cmocka_unit_test(stalled_is_a_deadline_overdue_by_a_sixth_of_the_ttl),
        cmocka_unit_test(stalled_counts_from_the_last_turn),
        cmocka_unit_test(each_input_of_the_connection_is_a_turn),
        cmocka_unit_test(what_a_user_calls_is_no_turn),
        cmocka_unit_test(calls_without_end_do_not_put_the_renewals_off),
        cmocka_unit_test(the_lease_is_held_at_the_first_look_after_a_stall_of_four_ttl),
        cmocka_unit_test(it_is_asked_again_a_third_of_the_ttl_later),
        cmocka_unit_test(what_a_call_puts_off_is_renewed_when_it_falls_due_again),
        cmocka_unit_test(a_lease_granted_and_not_confirmed_is_kept_too),
        cmocka_unit_test(belief_counts_from_the_writing_of_the_renewal),
        cmocka_unit_test(not_mine_does_not_lose_it_and_the_loops_next_renewal_decides),
        cmocka_unit_test(told_not_mine_while_the_loops_renewal_is_under_way_that_one_decides),
        cmocka_unit_test(any_other_answer_is_asked_again_a_tenth_of_the_ttl_later),
        cmocka_unit_test(a_reply_that_nothing_waits_for_is_refused),
        cmocka_unit_test(with_the_connection_gone_it_is_due_again_a_tenth_of_the_ttl_later),
        cmocka_unit_test(a_silent_server_is_given_up_and_asked_over_a_new_connection),
        cmocka_unit_test(the_shortest_lease_under_way_says_how_long_answers_may_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
