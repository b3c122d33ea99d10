/* Any sequence of inputs to one engine, with a server that answers anything.
 *
 * An input is a header (how the engine is made and how the run ends), then steps: a byte that says what is done,
 * and bytes for its arguments. Whatever the bytes are, the owner keeps to arl.h's contract. */
#include "core/engine.h"
#include "owner.h"

#define COUNT_OF(rows) (sizeof(rows) / sizeof((rows)[0]))
#define SETTLES_WITHIN 2000 /* steps of an end in order: more than any takes */

#define FAR (ARL_NEVER / 4) /* ns: behind it sums of large times become ARL_NEVER, as they should */

static const arl_ns ttls[] = {50 * ARL_MS,    200 * ARL_MS,    333 * ARL_MS,    ARL_SECOND,
                              3 * ARL_SECOND, 10 * ARL_SECOND, 60 * ARL_SECOND, 1000000000 * ARL_SECOND};
static const arl_ns sleeps[] = {
    0, ARL_MS / 10, ARL_MS, 20 * ARL_MS, 100 * ARL_MS, 5 * ARL_SECOND, 100000000 * ARL_SECOND};
static const int64_t tries[] = {ARL_TRIES_WITHOUT_LIMIT, 0, 1, 2, 3, 10, 1000000000, INT64_MAX};
static const arl_ns patiences[] = {ARL_NEVER,   ARL_NEVER,  ARL_NEVER,    1,
                                   30 * ARL_MS, ARL_SECOND, ARL_NEVER - 1};
static const arl_ns spans[] = {0,
                               1,
                               ARL_MS,
                               ARL_MS * 3,
                               20 * ARL_MS,
                               100 * ARL_MS,
                               333 * ARL_MS,
                               ARL_SECOND,
                               4 * ARL_SECOND,
                               30 * ARL_SECOND,
                               100000 * ARL_SECOND,
                               1000000 * ARL_SECOND};

static struct arl_want draw_want(struct fuzz_input *input)
{
    unsigned first = fuzz_byte(input), second = fuzz_byte(input);
    arl_ns low = sleeps[second / 8 % COUNT_OF(sleeps)];
    return (struct arl_want){
        .ttl = ttls[first % 8],
        .tries = tries[first / 8 % 8],
        .once = first >= 224,
        .patience = patiences[second % 8 % COUNT_OF(patiences)],
        .sleep_low = low,
        .sleep_high = arl_ns_max(low, sleeps[second / 64 + 1]),
    };
}

static const arl_ns stall_limits[] = {60 * ARL_SECOND, 0, 2 * ARL_SECOND, ARL_NEVER};

/* One of the handles there are, preferably in `state`; NULL: there is none at all. */
static struct owner_slot *draw_slot(struct owner *owner, struct fuzz_input *input, int state)
{
    struct owner_slot *any = NULL;
    unsigned first = fuzz_below(input, OWNER_SLOTS);
    for (unsigned i = 0; i < OWNER_SLOTS; i++) {
        struct owner_slot *slot = &owner->slots[(first + i) % OWNER_SLOTS];
        if (slot->handle == NULL)
            continue;
        if ((int)arl_handle_state(slot->handle) == state)
            return slot;
        any = any == NULL ? slot : any;
    }
    return any;
}

static void act(struct owner *owner, struct fuzz_input *input, unsigned what)
{
    static const int preferred[] = {ARL_GRANTED, ARL_GRANTED, ARL_HELD, ARL_HELD, -1, -1, ARL_HELD, ARL_HELD};
    struct owner_slot *slot = draw_slot(owner, input, preferred[what]);
    if (slot == NULL)
        return;
    if (what < 2)
        owner_confirm(owner, slot);
    else if (what < 4)
        owner_release(owner, slot);
    else if (what < 6)
        owner_drop(owner, slot);
    else if (what < 7)
        owner_extend(owner, slot, ttls[fuzz_below(input, COUNT_OF(ttls))]);
    else
        owner_look(owner, slot);
}

/* What seldom happens. */
static void act_oddly(struct owner *owner, struct fuzz_input *input)
{
    unsigned what = fuzz_below(input, 16), number = fuzz_byte(input);
    switch (what) {
    case 0:
    case 1:
        owner->memory = (struct fuzz_memory){owner->memory.out, number % 16, 1 + number / 16};
        break;
    case 2:
        owner->memory.fail = 0;
        break;
    case 3:
        owner->no_entropy = number % 4;
        break;
    case 4:
        owner_shut(owner);
        break;
    case 5:
    case 6:
        owner->paused = !owner->paused;
        break;
    case 7:
        arl_engine_set_reply_timeout(owner->engine, 1 + spans[number % COUNT_OF(spans)]);
        break;
    case 8:
    case 9:
        owner_peek(owner, number % OWNER_KEYS);
        break;
    case 10:
    case 11:
        owner_drop_ask(owner, number % OWNER_ASKS);
        break;
    case 12:
        owner_drain(owner);
        break;
    default:
        owner->lazy = true;
        break;
    }
}

static void go_to_deadline(struct owner *owner, arl_ns early)
{
    arl_ns deadline = arl_engine_deadline(owner->engine);
    if (deadline != ARL_NEVER)
        owner->now = arl_ns_max(owner->now, deadline - early);
    owner_tick(owner);
}

static void act_as_watchdog(struct owner *owner, unsigned what, struct fuzz_input *input)
{
    arl_ns deadline = arl_watch_deadline(owner->engine);
    if (what < 4) { /* the loop stands still until then */
        if (what < 3 && deadline != ARL_NEVER)
            owner->now = arl_ns_max(owner->now, deadline);
        owner_watch_look(owner);
    } else if (what < 6) {
        owner_watch_reply(owner, ARL_YES);
    } else if (what < 7) {
        owner_watch_reply(owner, (enum arl_outcome)(ARL_YES + (int)fuzz_below(input, ARL_UNKNOWN + 1)));
    } else if (fuzz_below(input, 2) == 0) {
        owner_watch_down(owner);
    } else {
        owner_watch_woke_late(owner);
    }
}

static void act_on_connection(struct owner *owner, unsigned what)
{
    if (!owner->up && what == 0)
        owner_unreachable(owner);
    else if (!owner->up)
        owner_up(owner);
    else if (what < 2)
        owner_down(owner);
}

static void step(struct owner *owner, struct fuzz_input *input)
{
    static const enum arl_outcome usual[] = {ARL_YES, ARL_YES, ARL_YES, ARL_NO, ARL_NO};
    unsigned what = fuzz_below(input, 40);
    if (what < 5) {
        struct arl_want want = draw_want(input);
        unsigned key = fuzz_byte(input);
        want.stall_limit = stall_limits[key / OWNER_KEYS % COUNT_OF(stall_limits)];
        owner_acquire(owner, want, key % OWNER_KEYS);
    } else if (what < 13) {
        act(owner, input, what - 5);
    } else if (what < 18) {
        owner_reply(owner, usual[what - 13]);
    } else if (what < 20) {
        owner_reply(owner, (enum arl_outcome)(ARL_YES + (int)fuzz_below(input, ARL_UNKNOWN + 1)));
    } else if (what < 24) {
        go_to_deadline(owner, what == 20 ? ARL_EARLY : 0);
    } else if (what < 27) {
        owner_pass(owner, spans[fuzz_below(input, COUNT_OF(spans))]);
    } else if (what < 30) {
        act_on_connection(owner, what - 27);
    } else if (what < 32) {
        act_oddly(owner, input);
    } else {
        act_as_watchdog(owner, what - 32, input);
    }
}

/* ---- the end ---- */

static bool has_handles(const struct owner *owner)
{
    for (int i = 0; i < OWNER_SLOTS; i++) {
        if (owner->slots[i].handle != NULL)
            return true;
    }
    return false;
}

/* Nothing more comes of itself. */
static bool is_settled(const struct owner *owner)
{
    return !has_handles(owner) && owner->unanswered == 0 && !owner->reset &&
           arl_engine_deadline(owner->engine) == ARL_NEVER;
}

static void wind_up(struct owner *owner)
{
    for (int i = 0; i < OWNER_SLOTS; i++) {
        struct owner_slot *slot = &owner->slots[i];
        if (slot->handle == NULL)
            continue;
        enum arl_state state = arl_handle_state(slot->handle);
        if (state == ARL_ENDED)
            owner_drop(owner, slot);
        else if (state == ARL_GRANTED)
            owner_confirm(owner, slot);
        else if (state == ARL_HELD)
            owner_release(owner, slot);
    }
}

/* The server does as it is asked: everyone is served or gives up, and then nothing is left of anything. */
static void end_in_order(struct owner *owner)
{
    owner->memory.fail = owner->no_entropy = 0;
    owner->paused = owner->lazy = false;
    owner_drain(owner);
    owner_watch_down(owner);
    for (int i = 0; !is_settled(owner); i++) {
        FUZZ_CHECK(i < SETTLES_WITHIN);
        owner_up(owner);
        owner_drain(owner);
        while (owner->unanswered > 0)
            owner_reply(owner, ARL_YES);
        wind_up(owner);
        go_to_deadline(owner, 0);
    }
    FUZZ_CHECK(arl_engine_unanswered(owner->engine) == 0);
    FUZZ_CHECK(!arl_engine_wants_connection(owner->engine));
    FUZZ_CHECK(owner->engine->table.count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct owner owner; /* large */
    struct fuzz_input input = {data, data + size};
    unsigned header = fuzz_byte(&input);
    arl_ns reply_timeout = 1 + spans[fuzz_below(&input, COUNT_OF(spans))];
    if (!owner_open(&owner, reply_timeout, fuzz_byte(&input), header >= 254))
        return 0;
    if (header % 2 == 0)
        owner_up(&owner);
    while (fuzz_more(&input) && owner.now < FAR)
        step(&owner, &input);
    if (header % 4 < 2 && owner.now < FAR)
        end_in_order(&owner);
    owner_close(&owner);
    return 0;
}
