/* watch.c: until when the watchdog renews; when its connection ends; many leases at once. */
#include "watched.h"

#include <time.h>

#include "core/backoff.h"

/* ---- until when ---- */

static void with_a_stall_limit_of_0_nothing_is_renewed(void **state)
{
    struct world w;
    struct arl_want want = kept("no1", 1000);
    (void)state;
    want.stall_limit = 0;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    assert_true(arl_watch_deadline(w.engine) == ARL_NEVER);
    w.now += 900 * ARL_MS;
    assert_false(arl_watch_is_due(w.engine, w.now));
    assert_true(arl_watch_is_over(w.engine, w.now));
    close_held(&w, a);
}

/* Nothing is written after the limit, so that the key is gone a ttl later. */
static void a_stall_limit_counts_from_the_last_turn(void **state)
{
    static const int limits[] = {100, 400, 700, 5000, 60000};
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct world w;
        struct arl_want want = kept("no1", 1000);
        want.stall_limit = limits[i] * ARL_MS;
        world_open(&w, 1);
        struct arl_handle *a = world_hold(&w, &want, "A");
        world_run(&w, 335);
        world_reply(&w, 0, ARL_YES);
        world_forget(&w);
        arl_ns turned = w.now;
        world_stall(&w, limits[i] - 1, ARL_YES);
        int renewals = world_count(&w, "WATCH RENEW");
        assert_true(limits[i] < 500 ? renewals == 0 : renewals >= limits[i] / 1000);
        world_stall(&w, 1000, ARL_YES);
        assert_int_equal(world_count(&w, "WATCH RENEW"), renewals);
        assert_true(arl_watch_deadline(w.engine) == ARL_NEVER);
        assert_true(arl_watch_is_over(w.engine, w.now));
        w.now = turned + (limits[i] + 1000) * ARL_MS;
        expect_held(&w, a, false);
        close_held(&w, a);
    }
}

static void with_a_turn_the_limit_begins_anew(void **state)
{
    struct world w;
    struct arl_want want = kept("no1", 1000);
    (void)state;
    want.stall_limit = 700 * ARL_MS;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    for (int i = 0; i < 5; i++) {
        world_stall(&w, 710, ARL_YES);
        assert_true(arl_watch_deadline(w.engine) == ARL_NEVER);
        expect_held(&w, a, true);
        arl_engine_tick(w.engine, w.now);
    }
    expect_held(&w, a, true);
    assert_in_range(world_count(&w, "WATCH RENEW"), 5, 10);
    close_held(&w, a);
}

static void what_was_due_before_the_limit_is_not_written_after_it(void **state)
{
    struct world w;
    struct arl_want want = kept("no1", 6000);
    (void)state;
    want.stall_limit = 5 * ARL_SECOND;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    w.now += 4900 * ARL_MS;
    assert_true(arl_watch_is_due(w.engine, w.now)); /* and the connection is being made */
    w.now += 100 * ARL_MS;
    assert_int_equal(world_watch(&w), 0);
    assert_true(arl_watch_deadline(w.engine) == ARL_NEVER);
    close_held(&w, a);
}

static void without_a_limit_it_is_kept_for_ever(void **state)
{
    struct world w;
    struct arl_want want = kept("no1", 10000);
    (void)state;
    want.stall_limit = ARL_NEVER;
    world_open(&w, 1);
    struct arl_handle *a = world_hold(&w, &want, "A");
    for (int hours = 0; hours < 24; hours++) {
        world_stall(&w, 3600 * 1000, ARL_YES);
        expect_held(&w, a, true);
        world_forget(&w);
    }
    close_held(&w, a);
}

/* A releases within its turn and the stall, so that B has the lease; whose limit counts? */
static void the_limit_is_that_of_the_present_holder(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world w;
        struct arl_want first = kept("no1", 1000), second = kept("no1", 1000);
        first.stall_limit = i == 0 ? 0 : ARL_NEVER;
        second.stall_limit = i == 0 ? ARL_NEVER : 0;
        world_open(&w, 1);
        struct arl_handle *a = world_hold(&w, &first, "A");
        struct arl_handle *b = world_acquire(&w, &second, "B");
        w.now += 20 * ARL_MS;
        assert_int_equal(arl_engine_release(w.engine, a, w.now), 0);
        world_expect(&w, "1020 granted B\n");
        world_stall(&w, 4000, ARL_YES);
        assert_int_equal(arl_engine_confirm(w.engine, b, w.now), i == 0);
        arl_engine_drop(w.engine, b, w.now);
        close_held(&w, a);
    }
}

static void a_lease_that_is_over_at_the_marking_is_never_renewed(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, 1000);
        w.now += 900 * ARL_MS;
        if (i == 1) /* found due in time, and over when the connection is there */
            assert_true(arl_watch_is_due(w.engine, w.now));
        w.now = (1000 + 988) * ARL_MS;
        assert_int_equal(arl_watch_is_due(w.engine, w.now), i == 1);
        assert_int_equal(world_watch(&w), 0);
        assert_false(arl_watch_is_due(w.engine, w.now));
        assert_true(arl_watch_deadline(w.engine) == ARL_NEVER);
        assert_int_equal(arl_handle_state(a), ARL_HELD); /* the watchdog finds no loss: that is the loop's */
        close_held(&w, a);
    }
}

/* ---- its connection ---- */

static void it_waits_for_its_connection_as_the_shortest_lease_can_bear(void **state)
{
    static const int ttls[] = {60, 600, 3000, 6000, 60000}, waits[] = {100, 100, 500, 1000, 1000};
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct world w;
        struct arl_handle *a = open_held(&w, ttls[i]);
        struct arl_want other = kept("no2", 100000);
        struct arl_handle *b = world_hold(&w, &other, "B");
        assert_true(arl_watch_patience(w.engine) == waits[i] * ARL_MS);
        arl_engine_drop(w.engine, b, w.now);
        close_held(&w, a);
    }
}

/* ---- many ---- */

#define MANY 20000

struct many {
    struct world w;
    struct arl_handle *handles[MANY];
    int count;
};

static struct many many; /* large */

static void open_many(int count, int ttl_ms)
{
    world_open(&many.w, 1);
    many.count = count;
    for (int i = 0; i < count; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "no%d", i);
        struct arl_want want = kept(key, ttl_ms);
        many.handles[i] = world_hold(&many.w, &want, "A");
    }
}

/* The loop's own requests are not taken: its connection is gone. */
static void close_many(void)
{
    arl_engine_down(many.w.engine, many.w.now);
    for (int i = 0; i < many.count; i++)
        arl_engine_drop(many.w.engine, many.handles[i], many.w.now);
    world_close(&many.w);
}

static int take(struct world *w)
{
    struct arl_request_view request;
    int count = 0;
    while (arl_watch_next_request(w->engine, w->now, &request))
        count++;
    return count;
}

static void at_most_500_are_unanswered(void **state)
{
    struct world *w = &many.w;
    (void)state;
    open_many(1201, 6000);
    w->now = arl_watch_deadline(w->engine);
    assert_int_equal(take(w), 500);
    for (int i = 0; i < 701; i++) {
        assert_int_equal(take(w), 0);
        assert_true(arl_watch_deadline(w->engine) > w->now); /* of an answer: it does not spin meanwhile */
        assert_false(arl_watch_is_over(w->engine, w->now));
        assert_int_equal(arl_watch_reply(w->engine, ARL_YES, w->now), 0);
        assert_int_equal(take(w), 1);
    }
    for (int i = 0; i < 500; i++)
        assert_int_equal(arl_watch_reply(w->engine, ARL_YES, w->now), 0);
    assert_int_equal(take(w), 0);
    assert_int_equal(arl_watch_reply(w->engine, ARL_YES, w->now), ARL_EUNASKED);
    assert_true(arl_watch_deadline(w->engine) > w->now + ARL_SECOND);
    close_many();
}

static void at_the_most_it_does_not_spin_over_what_falls_due_besides(void **state)
{
    struct world *w = &many.w;
    struct arl_want other = kept("other", 7000);
    (void)state;
    open_many(500, 6000);
    struct arl_handle *a = world_hold(w, &other, "A");
    w->now = arl_watch_deadline(w->engine);
    assert_int_equal(take(w), 500);
    w->now += 400 * ARL_MS; /* the other is due */
    assert_true(arl_watch_deadline(w->engine) > w->now);
    assert_int_equal(take(w), 0);
    assert_int_equal(arl_watch_reply(w->engine, ARL_YES, w->now), 0);
    assert_int_equal(take(w), 1);
    arl_engine_drop(w->engine, a, w->now);
    close_many();
}

/* A look walks over all of them: there must be few, whatever comes between. */
static void many_leases_cost_no_more_each_than_few(void **state)
{
    struct world *w = &many.w;
    int wakes = 0;
    long written = 0;
    (void)state;
    open_many(MANY, 6000);
    clock_t began = clock();
    arl_ns end = w->now + 24 * ARL_SECOND;
    for (; arl_watch_deadline(w->engine) < end; wakes++) {
        w->now = arl_ns_max(w->now, arl_watch_deadline(w->engine));
        int unanswered = take(w);
        for (written += unanswered; unanswered > 0; unanswered--) {
            assert_int_equal(arl_watch_reply(w->engine, ARL_YES, w->now), 0);
            int more = take(w);
            written += more;
            unanswered += more;
        }
    }
    assert_in_range(written, 10 * MANY, 14 * MANY);
    assert_in_range(wakes, 10, 100);
    assert_true((clock() - began) / (double)CLOCKS_PER_SEC < 5); /* a hundredth of that, or minutes */
    for (int i = 0; i < MANY; i++)
        assert_true(arl_engine_look(w->engine, many.handles[i], w->now));
    close_many();
}

/* ---- when it is to look ---- */

static int drawn(struct arl_random *random, int below)
{
    return (int)arl_random_between(random, 0, below - 1);
}

/* One input at random, of the user's, of the loop's or of the watchdog's connection. */
static void disturb(struct world *w, struct arl_random *random, struct arl_handle **handles, int count)
{
    struct arl_handle **handle = &handles[drawn(random, count)];
    static const char *const keys[] = {"a", "b", "c", "d"};
    static const int ttls[] = {60, 300, 1000, 7000, 30000};
    static const int limits[] = {0, 400, 3000, 60000};
    struct arl_want want = kept(keys[drawn(random, 4)], ttls[drawn(random, 5)]);
    want.stall_limit = limits[drawn(random, 4)] * ARL_MS;
    enum arl_outcome outcome = drawn(random, 3) > 0 ? ARL_YES : (enum arl_outcome)drawn(random, 8);
    switch (drawn(random, 12)) {
    case 0:
    case 1:
        if (*handle == NULL)
            *handle = world_acquire(w, &want, "A");
        break;
    case 2:
        if (*handle != NULL)
            arl_engine_drop(w->engine, *handle, w->now);
        *handle = NULL;
        break;
    case 3:
        if (*handle != NULL)
            (void)arl_engine_release(w->engine, *handle, w->now);
        break;
    case 4:
        if (*handle != NULL)
            (void)arl_engine_confirm(w->engine, *handle, w->now);
        break;
    case 5:
    case 6:
        (void)arl_engine_reply(w->engine, outcome, w->now);
        break;
    case 7:
        if (drawn(random, 4) == 0)
            arl_engine_down(w->engine, w->now);
        else
            arl_engine_up(w->engine, w->now);
        break;
    case 8:
        arl_engine_tick(w->engine, w->now);
        break;
    case 9:
        if (drawn(random, 4) == 0)
            arl_watch_woke_late(w->engine, w->now);
        break;
    case 10:
        (void)arl_watch_reply(w->engine, outcome, w->now);
        break;
    default:
        if (drawn(random, 4) == 0)
            arl_watch_down(w->engine, w->now);
    }
}

/* Whenever a renewal is due, the watchdog had been told to look by then; and a look that finds nothing puts the
 * next one off. */
static void it_is_told_to_look_in_time_and_not_in_vain(void **state)
{
    struct arl_random random = {7};
    long due = 0;
    (void)state;
    for (int run = 0; run < 2000; run++) {
        struct world w;
        struct arl_handle *handles[6] = {NULL};
        world_open(&w, 1);
        for (int step = 0; step < 150; step++) {
            disturb(&w, &random, handles, 6);
            world_forget(&w);
            arl_ns asked = arl_watch_deadline(w.engine);
            w.now += drawn(&random, drawn(&random, 2) > 0 ? 30 : 600) * ARL_MS;
            if (drawn(&random, 2) > 0 && asked != ARL_NEVER)
                w.now = arl_ns_max(w.now, asked);
            bool found = arl_watch_is_due(w.engine, w.now);
            assert_true(!found || asked <= w.now);
            int count = take(&w);
            assert_true(count == 0 || found);
            due += count;
            assert_true(arl_watch_deadline(w.engine) > w.now || arl_watch_is_over(w.engine, w.now));
        }
        for (int i = 0; i < 6; i++) {
            if (handles[i] != NULL)
                arl_engine_drop(w.engine, handles[i], w.now);
        }
        world_close(&w);
    }
    assert_true(due > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_a_stall_limit_of_0_nothing_is_renewed),
        cmocka_unit_test(a_stall_limit_counts_from_the_last_turn),
        cmocka_unit_test(with_a_turn_the_limit_begins_anew),
        cmocka_unit_test(what_was_due_before_the_limit_is_not_written_after_it),
        cmocka_unit_test(without_a_limit_it_is_kept_for_ever),
        cmocka_unit_test(the_limit_is_that_of_the_present_holder),
        cmocka_unit_test(a_lease_that_is_over_at_the_marking_is_never_renewed),
        cmocka_unit_test(it_waits_for_its_connection_as_the_shortest_lease_can_bear),
        cmocka_unit_test(at_most_500_are_unanswered),
        cmocka_unit_test(at_the_most_it_does_not_spin_over_what_falls_due_besides),
        cmocka_unit_test(many_leases_cost_no_more_each_than_few),
        cmocka_unit_test(it_is_told_to_look_in_time_and_not_in_vain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
