#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *world_alloc(void *ctx, size_t size)
{
    struct world *world = ctx;
    if (world->fail_after == 0)
        return NULL;
    if (world->fail_after > 0)
        world->fail_after--;
    world->allocations++;
    return malloc(size);
}

static void world_release(void *ctx, void *memory)
{
    struct world *world = ctx;
    world->allocations--;
    free(memory);
}

static int world_draw(void *ctx, uint8_t token[ARL_TOKEN_SIZE])
{
    struct world *world = ctx;
    if (world->no_entropy)
        return -1;
    int number = ++world->tokens_drawn;
    memset(token, 0, ARL_TOKEN_SIZE);
    memcpy(token, &number, sizeof(number));
    return 0;
}

void world_open(struct world *world, int up)
{
    memset(world, 0, sizeof(*world));
    world->now = 1000 * ARL_MS;
    world->fail_after = -1;
    const struct arl_settings settings = {
        .alloc = world_alloc,
        .release = world_release,
        .draw_token = world_draw,
        .ctx = world,
        .seed = 42,
        .reply_timeout = 5 * ARL_SECOND,
    };
    world->engine = arl_engine_new(&settings);
    assert_non_null(world->engine);
    if (up)
        arl_engine_up(world->engine, world->now);
}

void world_close(struct world *world)
{
    arl_engine_del(world->engine);
    assert_int_equal(world->allocations, 0);
}

struct arl_want world_want(const char *key)
{
    return (struct arl_want){
        .key = key,
        .key_length = strlen(key),
        .ttl = 10 * ARL_SECOND,
        .sleep_low = 20 * ARL_MS,
        .sleep_high = 100 * ARL_MS,
        .tries = 10,
        .patience = ARL_NEVER,
    };
}

struct arl_handle *world_acquire(struct world *world, const struct arl_want *want, const char *owner)
{
    struct arl_handle *handle = NULL;
    assert_int_equal(arl_engine_acquire(world->engine, want, (void *)(uintptr_t)owner, world->now, &handle),
                     0);
    assert_non_null(handle);
    return handle;
}

static void note(struct world *world, const char *format, ...)
{
    size_t left = sizeof(world->trace) - world->trace_length;
    va_list arguments;
    int used = snprintf(world->trace + world->trace_length, left, "%lld ", (long long)(world->now / ARL_MS));
    assert_true(used > 0 && (size_t)used < left);
    world->trace_length += (size_t)used;
    left -= (size_t)used;
    va_start(arguments, format);
    used = vsnprintf(world->trace + world->trace_length, left, format, arguments);
    va_end(arguments);
    assert_true(used > 0 && (size_t)used < left);
    world->trace_length += (size_t)used;
}

static const char *cause_text(enum arl_cause cause)
{
    switch (cause) {
    case ARL_GAVE_UP:
        return "gave up";
    case ARL_DONE:
        return "done";
    case ARL_NOT_OWNED:
        return "not owned";
    case ARL_LOST:
        return "lost";
    case ARL_SERVER_ERROR:
        return "server error";
    case ARL_UNREACHABLE:
        return "unreachable";
    case ARL_NO_ANSWER:
        return "no answer";
    case ARL_NO_MEMORY:
        return "no memory";
    case ARL_NO_ENTROPY:
        return "no entropy";
    case ARL_CLOSED:
        return "closed";
    }
    return "?";
}

static void note_event(struct world *world, const struct arl_event *event)
{
    const char *owner = event->owner != NULL ? event->owner : "?";
    switch (event->kind) {
    case ARL_EVENT_GRANTED:
        note(world, "granted %s\n", owner);
        break;
    case ARL_EVENT_ENDED:
        note(world, "ended %s %s\n", owner, cause_text(event->cause));
        break;
    case ARL_EVENT_ANSWERED:
        note(world, "answered %s %s\n", owner, cause_text(event->cause));
        break;
    case ARL_EVENT_RESET:
        note(world, "reset\n");
        break;
    case ARL_EVENT_SLOW:
        note(world, "slow\n");
        break;
    case ARL_EVENT_STALLED:
        note(world, "stalled %lld\n", (long long)(event->stalled_for / ARL_MS));
        break;
    }
}

static void note_request(struct world *world, const char *who, const struct arl_request_view *request)
{
    static const char *const verbs[] = {"TRY", "RENEW", "RELEASE", "PEEK"};
    char text[128];
    int token = 0;
    int used =
        snprintf(text, sizeof(text), "%s %.*s", verbs[request->verb], (int)request->key_length, request->key);
    assert_true(used > 0 && (size_t)used < sizeof(text));
    if (request->token != NULL) {
        memcpy(&token, request->token, sizeof(token));
        used += snprintf(text + used, sizeof(text) - (size_t)used, " t%d", token);
    }
    if (request->ttl != 0)
        used +=
            snprintf(text + used, sizeof(text) - (size_t)used, " %lld", (long long)(request->ttl / ARL_MS));
    note(world, "%s%s%s\n", who, text, request->whole_script ? " whole" : "");
}

void world_drain(struct world *world)
{
    struct arl_event event;
    struct arl_request_view request;
    while (arl_engine_next_event(world->engine, &event))
        note_event(world, &event);
    while (arl_engine_next_request(world->engine, world->now, &request))
        note_request(world, "", &request);
}

void world_reply(struct world *world, int ms, enum arl_outcome outcome)
{
    world_drain(world);
    world->now += ms * ARL_MS;
    assert_int_equal(arl_engine_reply(world->engine, outcome, world->now), 0);
}

void world_run(struct world *world, int ms)
{
    arl_ns end = world->now + ms * ARL_MS;
    int ticks = 0;
    world_drain(world);
    while (arl_engine_deadline(world->engine) <= end) {
        arl_ns deadline = arl_engine_deadline(world->engine);
        world->now = deadline > world->now ? deadline : world->now;
        arl_engine_tick(world->engine, world->now);
        world_drain(world);
        assert_true(++ticks < 1000000); /* a deadline that does not move on would spin a loop */
    }
    world->now = end;
}

/* ---- the watchdog ---- */

int world_watch(struct world *world)
{
    struct arl_request_view request;
    int count = 0;
    for (; arl_watch_next_request(world->engine, world->now, &request); count++) {
        assert_int_equal(request.verb, ARL_RENEW);
        assert_true(request.whole_script);
        request.whole_script = false; /* always so: not noted */
        note_request(world, "WATCH ", &request);
    }
    world->watched += count;
    return count;
}

void world_watch_reply(struct world *world, int ms, enum arl_outcome outcome)
{
    (void)world_watch(world);
    world->now += ms * ARL_MS;
    assert_int_equal(arl_watch_reply(world->engine, outcome, world->now), 0);
    world->watched--;
}

void world_watch_down(struct world *world)
{
    note(world, "WATCH down\n");
    arl_watch_down(world->engine, world->now);
    world->watched = 0;
}

static void watchdog_looks(struct world *world, int answer)
{
    if (world->watched > 0 && arl_watch_is_over(world->engine, world->now))
        world_watch_down(world);
    while (world_watch(world) > 0 && answer != WORLD_SILENT) {
        while (world->watched > 0)
            world_watch_reply(world, 0, (enum arl_outcome)answer);
    }
}

void world_stall(struct world *world, int ms, int answer)
{
    arl_ns end = world->now + ms * ARL_MS;
    arl_ns at;
    world_drain(world);
    while ((at = arl_watch_deadline(world->engine)) <= end) {
        world->now = arl_ns_max(at, world->now);
        watchdog_looks(world, answer);
        assert_true(arl_watch_deadline(world->engine) > world->now); /* or the watchdog would spin */
    }
    world->now = end;
}

void world_up(struct world *world)
{
    arl_engine_up(world->engine, world->now);
}

void world_down(struct world *world)
{
    world_drain(world);
    arl_engine_down(world->engine, world->now);
}

void world_forget(struct world *world)
{
    world_drain(world);
    world->trace_length = 0;
    world->trace[0] = '\0';
}

void world_expect(struct world *world, const char *expected)
{
    world_drain(world);
    world->trace[world->trace_length] = '\0';
    assert_string_equal(world->trace, expected);
    world_forget(world);
}

int world_count(struct world *world, const char *text)
{
    int count = 0;
    world_drain(world);
    world->trace[world->trace_length] = '\0';
    for (const char *at = world->trace; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

struct arl_handle *world_hold(struct world *world, const struct arl_want *want, const char *owner)
{
    struct arl_handle *handle = world_acquire(world, want, owner);
    world_reply(world, 0, ARL_YES);
    assert_true(arl_engine_confirm(world->engine, handle, world->now));
    world_forget(world);
    return handle;
}
