/* Without memory or randomness: the k-th allocation fails, for every k, and once more for every one from the
 * k-th on. Nothing leaks or crashes, nobody is forgotten, and what was promised is still owed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/arl.h"

#define HANDLES 12
#define KEYS 20

struct scarce {
    struct arl_engine *engine;
    arl_ns now;
    long blocks;
    long asked;    /* allocations and draws so far */
    long fails_at; /* the one that fails; 0: none */
    bool lasts;    /* and all after it */
    int drawn;
    enum arl_verb unanswered[4096];
    int keys[4096]; /* of the requests unanswered */
    size_t first;
    size_t end;
    int on_server[KEYS]; /* which token holds it */
    int tokens[4096];
    struct arl_handle *handles[HANDLES];
};

static bool fails(struct scarce *scarce)
{
    long number = ++scarce->asked;
    return scarce->fails_at != 0 && (scarce->lasts ? number >= scarce->fails_at : number == scarce->fails_at);
}

static void *scarce_alloc(void *ctx, size_t size)
{
    struct scarce *scarce = ctx;
    if (fails(scarce))
        return NULL;
    scarce->blocks++;
    return malloc(size);
}

static void scarce_release(void *ctx, void *memory)
{
    ((struct scarce *)ctx)->blocks--;
    free(memory);
}

static int scarce_draw(void *ctx, uint8_t token[ARL_TOKEN_SIZE])
{
    struct scarce *scarce = ctx;
    if (fails(scarce))
        return -1;
    int number = ++scarce->drawn;
    memset(token, 0, ARL_TOKEN_SIZE);
    memcpy(token, &number, sizeof(number));
    return 0;
}

/* ---- the server: what it holds, answers at once ---- */

static enum arl_outcome answer(struct scarce *scarce, enum arl_verb verb, int key, int token)
{
    int *holds = &scarce->on_server[key];
    switch (verb) {
    case ARL_TRY:
        if (*holds != 0)
            return ARL_NO;
        *holds = token;
        return ARL_YES;
    case ARL_RENEW:
        return *holds == token ? ARL_YES : ARL_NO;
    case ARL_RELEASE:
        if (*holds != token)
            return ARL_NO;
        *holds = 0;
        return ARL_YES;
    case ARL_PEEK:
    case ARL_VERBS:
        break;
    }
    return *holds != 0 ? ARL_YES : ARL_NO;
}

static void take_events(struct scarce *scarce)
{
    struct arl_event event;
    while (arl_engine_next_event(scarce->engine, &event)) {
        if (event.kind == ARL_EVENT_ANSWERED)
            arl_engine_drop_ask(scarce->engine, event.ask);
    }
}

static void write_requests(struct scarce *scarce)
{
    struct arl_request_view view;
    take_events(scarce);
    while (arl_engine_next_request(scarce->engine, scarce->now, &view)) {
        int token = 0;
        if (view.token != NULL)
            memcpy(&token, view.token, sizeof(token));
        assert_in_range(scarce->end, 0, 4095);
        scarce->unanswered[scarce->end] = view.verb;
        scarce->keys[scarce->end] = view.key[0] - 'a';
        scarce->tokens[scarce->end++] = token;
    }
}

static void serve(struct scarce *scarce)
{
    write_requests(scarce);
    while (scarce->first < scarce->end) {
        size_t i = scarce->first++;
        enum arl_outcome outcome = answer(scarce, scarce->unanswered[i], scarce->keys[i], scarce->tokens[i]);
        assert_int_equal(arl_engine_reply(scarce->engine, outcome, scarce->now), 0);
        write_requests(scarce);
    }
}

static void run(struct scarce *scarce, int ms)
{
    arl_ns end = scarce->now + ms * ARL_MS;
    serve(scarce);
    while (arl_engine_deadline(scarce->engine) <= end) {
        scarce->now = arl_ns_max(scarce->now, arl_engine_deadline(scarce->engine));
        arl_engine_tick(scarce->engine, scarce->now);
        serve(scarce);
    }
    scarce->now = end;
}

/* What was written is executed, and its replies are lost. */
static void cut(struct scarce *scarce)
{
    write_requests(scarce);
    for (; scarce->first < scarce->end; scarce->first++)
        (void)answer(scarce, scarce->unanswered[scarce->first], scarce->keys[scarce->first],
                     scarce->tokens[scarce->first]);
    arl_engine_down(scarce->engine, scarce->now);
    take_events(scarce);
}

/* ---- a rich scenario ---- */

static void acquire(struct scarce *scarce, int place, int key, int kind)
{
    const char text[2] = {(char)('a' + key), '\0'};
    const struct arl_want want = {
        .key = text,
        .key_length = 1,
        .ttl = (1 + place % 3) * ARL_SECOND,
        .sleep_low = 20 * ARL_MS,
        .sleep_high = 100 * ARL_MS,
        .tries = kind == 1 ? ARL_TRIES_WITHOUT_LIMIT : 10,
        .patience = kind == 2 ? 3 * ARL_SECOND : ARL_NEVER,
        .once = kind == 3,
    };
    long blocks = scarce->blocks;
    int error = arl_engine_acquire(scarce->engine, &want, NULL, scarce->now, &scarce->handles[place]);
    if (error == 0)
        return;
    assert_int_equal(error, ARL_ENOMEM);
    assert_in_range(scarce->blocks - blocks, 0, 2); /* at most the heap and the table, grown */
    scarce->handles[place] = NULL;
}

static void drop(struct scarce *scarce, int place)
{
    if (scarce->handles[place] != NULL)
        arl_engine_drop(scarce->engine, scarce->handles[place], scarce->now);
    scarce->handles[place] = NULL;
}

static void extend(struct scarce *scarce, int place)
{
    struct arl_ask *ask;
    struct arl_handle *handle = scarce->handles[place];
    if (handle == NULL || !arl_engine_look(scarce->engine, handle, scarce->now))
        return;
    int error = arl_engine_extend(scarce->engine, handle, 4 * ARL_SECOND, NULL, scarce->now, &ask);
    assert_true(error == 0 || error == ARL_ENOMEM);
    assert_true(arl_engine_look(scarce->engine, handle, scarce->now)); /* the hold is as before */
}

static void release(struct scarce *scarce, int place)
{
    struct arl_handle *handle = scarce->handles[place];
    if (handle == NULL || !arl_engine_look(scarce->engine, handle, scarce->now))
        return;
    assert_int_equal(arl_engine_release(scarce->engine, handle, scarce->now), 0); /* cannot fail */
}

static void play(struct scarce *scarce)
{
    struct arl_ask *ask;
    arl_engine_up(scarce->engine, scarce->now);
    for (int place = 0; place < HANDLES; place++)
        acquire(scarce, place, place < 6 ? place : place % 3, place % 4);
    run(scarce, 30);
    (void)arl_engine_peek(scarce->engine, "a", 1, NULL, scarce->now, &ask);
    for (int place = 0; place < HANDLES; place++) {
        if (scarce->handles[place] != NULL)
            (void)arl_engine_confirm(scarce->engine, scarce->handles[place], scarce->now);
    }
    extend(scarce, 0);
    run(scarce, 600);
    release(scarce, 0);
    release(scarce, 1);
    drop(scarce, 2);
    run(scarce, 50);
    acquire(scarce, 2, 9, 0);
    drop(scarce, 3);
    acquire(scarce, 3, 10, 1);
    cut(scarce); /* with TRYs and a RELEASE unanswered */
    run(scarce, 100);
    drop(scarce, 2);
    arl_engine_up(scarce->engine, scarce->now);
    run(scarce, 700);
    for (int key = 11; key < KEYS; key++) { /* the table and the heap grow */
        drop(scarce, 4);
        acquire(scarce, 4, key, key % 4);
        write_requests(scarce);
    }
    run(scarce, 500);
}

/* Everybody leaves: no key is left on the server, nothing in the engine. */
static void leave(struct scarce *scarce)
{
    for (int place = 0; place < HANDLES; place++) {
        if (place % 2 == 0)
            release(scarce, place);
        drop(scarce, place);
    }
    run(scarce, 1500);
    for (int key = 0; key < KEYS; key++)
        assert_int_equal(scarce->on_server[key], 0);
    assert_false(arl_engine_wants_connection(scarce->engine));
    assert_true(arl_engine_deadline(scarce->engine) == ARL_NEVER);
    assert_int_equal(arl_engine_unanswered(scarce->engine), 0);
}

/* How many allocations and draws it asked for. */
static long play_with(long fails_at, bool lasts)
{
    static struct scarce scarce;
    memset(&scarce, 0, sizeof(scarce));
    scarce.now = ARL_SECOND;
    scarce.fails_at = fails_at;
    scarce.lasts = lasts;
    const struct arl_settings settings = {
        .alloc = scarce_alloc,
        .release = scarce_release,
        .draw_token = scarce_draw,
        .ctx = &scarce,
        .seed = 5,
        .reply_timeout = 5 * ARL_SECOND,
    };
    scarce.engine = arl_engine_new(&settings);
    if (scarce.engine != NULL) {
        play(&scarce);
        leave(&scarce);
        arl_engine_del(scarce.engine);
    }
    assert_int_equal(scarce.blocks, 0);
    return scarce.asked;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    long asked = play_with(0, false);
    assert_true(asked > 60); /* else the scenario is not rich */
    for (long k = 1; k <= asked + 20; k++) {
        (void)play_with(k, false);
        (void)play_with(k, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
