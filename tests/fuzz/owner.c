#include "owner.h"

#include <string.h>

#include "core/engine.h"

/* The empty key, one byte, NUL bytes with a common beginning. */
static const struct {
    char bytes[4];
    size_t length;
} keys[OWNER_KEYS] = {{"", 0}, {"k", 1}, {"k\0", 2}, {"k\0y", 3}};

const char *owner_key(unsigned key, size_t *length)
{
    *length = keys[key].length;
    return keys[key].bytes;
}

/* ---- life ---- */

static void *owner_alloc(void *ctx, size_t size)
{
    struct owner *owner = ctx;
    return fuzz_alloc(&owner->memory, size);
}

static void owner_free(void *ctx, void *memory)
{
    struct owner *owner = ctx;
    fuzz_release(&owner->memory, memory);
}

static int owner_draw(void *ctx, uint8_t token[ARL_TOKEN_SIZE])
{
    struct owner *owner = ctx;
    if (owner->no_entropy > 0) {
        owner->no_entropy--;
        return -1;
    }
    if (owner->drawn + 1 >= OWNER_TOKENS)
        return -1;
    unsigned number = ++owner->drawn;
    memset(token, 0, ARL_TOKEN_SIZE);
    memcpy(token, &number, sizeof(number));
    owner->tokens[number] = (struct owner_token){0};
    return 0;
}

bool owner_open(struct owner *owner, arl_ns reply_timeout, uint64_t seed, bool starves)
{
    memset(owner, 0, offsetof(struct owner, tokens));
    owner->now = 1000 * ARL_MS;
    owner->memory.fail = starves;
    const struct arl_settings settings = {
        .alloc = owner_alloc,
        .release = owner_free,
        .draw_token = owner_draw,
        .ctx = owner,
        .seed = seed,
        .reply_timeout = reply_timeout,
    };
    owner->engine = arl_engine_new(&settings);
    return owner->engine != NULL;
}

void owner_close(struct owner *owner)
{
    owner_drain(owner);
    for (int i = 0; i < OWNER_SLOTS; i++) {
        if (owner->slots[i].handle != NULL)
            arl_engine_drop(owner->engine, owner->slots[i].handle, owner->now);
    }
    for (int i = 0; i < OWNER_ASKS; i++) {
        if (owner->asks[i] != NULL)
            arl_engine_drop_ask(owner->engine, owner->asks[i]);
    }
    arl_engine_del(owner->engine);
    FUZZ_CHECK(owner->memory.out == 0);
}

/* ---- outputs ---- */

/* First come, first served within the process. */
static void check_turn(const struct owner *owner, const struct owner_slot *slot)
{
    for (int i = 0; i < OWNER_SLOTS; i++) {
        const struct owner_slot *other = &owner->slots[i];
        FUZZ_CHECK(other->handle == NULL || other->key != slot->key || other->place >= slot->place ||
                   arl_handle_state(other->handle) != ARL_WAITING);
    }
}

static struct owner_slot *slot_of(struct owner *owner, const struct arl_event *event)
{
    for (int i = 0; i < OWNER_SLOTS; i++) {
        if (event->owner == &owner->slots[i]) {
            FUZZ_CHECK(owner->slots[i].handle == event->handle && event->handle != NULL);
            return &owner->slots[i];
        }
    }
    FUZZ_CHECK(!"an event for nobody");
    return NULL;
}

static void take_answer(struct owner *owner, const struct arl_event *event)
{
    struct arl_ask **ask = event->owner;
    FUZZ_CHECK(event->ask != NULL && *ask == event->ask && event->cause != 0);
    arl_engine_drop_ask(owner->engine, *ask);
    *ask = NULL;
}

static void take_event(struct owner *owner, const struct arl_event *event)
{
    struct owner_slot *slot;
    switch (event->kind) {
    case ARL_EVENT_GRANTED:
        slot = slot_of(owner, event);
        FUZZ_CHECK(arl_handle_state(slot->handle) == ARL_GRANTED && !slot->ended && event->cause == 0);
        check_turn(owner, slot);
        slot->granted = true;
        return;
    case ARL_EVENT_ENDED:
        slot = slot_of(owner, event);
        FUZZ_CHECK(arl_handle_state(slot->handle) == ARL_ENDED && !slot->ended);
        FUZZ_CHECK(event->cause == arl_handle_cause(slot->handle) && event->cause != 0);
        FUZZ_CHECK(event->cause != ARL_LOST || slot->granted);
        slot->ended = true;
        return;
    case ARL_EVENT_ANSWERED:
        take_answer(owner, event);
        return;
    case ARL_EVENT_RESET:
        FUZZ_CHECK(owner->up && !owner->reset);
        owner->reset = true;
        return;
    case ARL_EVENT_SLOW:
        return;
    case ARL_EVENT_STALLED:
        FUZZ_CHECK(event->stalled_for > 0 && event->stalled_for == owner->stalled_for);
        owner->stalled_for = 0;
        return;
    }
    FUZZ_CHECK(!"an event of no kind");
}

/* Rule 4: after a reconnect RELEASEs, then RENEWs, then TRYs. */
static int class_of(enum arl_verb verb)
{
    return verb == ARL_RELEASE ? 0 : verb == ARL_TRY ? 2 : 1;
}

static void write_requests(struct owner *owner)
{
    struct arl_request_view view;
    int class = 0;
    while (owner->unanswered < OWNER_WIRE && arl_engine_next_request(owner->engine, owner->now, &view)) {
        owner_check_written(owner, &view);
        owner->tries += view.verb == ARL_TRY;
        FUZZ_CHECK(!owner->fresh || class_of(view.verb) >= class);
        class = class_of(view.verb);
        owner->wire[(owner->first + owner->unanswered++) % OWNER_WIRE] = (struct owner_request){
            .verb = view.verb,
            .token = owner_number(view.token),
            .sent_at = owner->now,
            .ttl = view.ttl,
            .whole = view.whole_script,
        };
    }
    owner->fresh = false;
    FUZZ_CHECK(owner->unanswered == OWNER_WIRE || !arl_engine_has_request(owner->engine));
}

static void take_events(struct owner *owner)
{
    struct arl_event event;
    while (arl_engine_next_event(owner->engine, &event))
        take_event(owner, &event);
    FUZZ_CHECK(owner->stalled_for == 0);
    owner_check_told(owner);
}

void owner_drain(struct owner *owner)
{
    take_events(owner);
    if (owner->up && !owner->paused)
        write_requests(owner);
    if (owner->reset)
        owner_down(owner);
}

/* The loop turns: a stall in which the watchdog wrote is to be told. */
static void turn(struct owner *owner)
{
    if (owner->watch_wrote)
        owner->stalled_for = arl_ns_max(owner->stalled_for, owner->now - owner->turned_at);
    owner->watch_wrote = false;
    owner->turned_at = owner->now;
}

static void after(struct owner *owner)
{
    owner_check(owner);
    if (owner->lazy) {
        owner->lazy = false;
        return;
    }
    owner_drain(owner);
    owner_check(owner);
}

/* ---- inputs of the owner ---- */

static struct owner_slot *free_slot(struct owner *owner)
{
    for (int i = 0; i < OWNER_SLOTS; i++) {
        if (owner->slots[i].handle == NULL)
            return &owner->slots[i];
    }
    return NULL;
}

static bool is_wanted(const struct owner *owner, unsigned key)
{
    for (int i = 0; i < OWNER_SLOTS; i++) {
        const struct owner_slot *slot = &owner->slots[i];
        if (slot->handle == NULL || slot->key != key)
            continue;
        enum arl_state state = arl_handle_state(slot->handle);
        if (state != ARL_RELEASING && state != ARL_ENDED)
            return true;
    }
    return false;
}

void owner_acquire(struct owner *owner, struct arl_want want, unsigned key)
{
    struct owner_slot *slot = free_slot(owner);
    bool wanted = is_wanted(owner, key), hopeless;
    char copy[sizeof(keys[0].bytes)]; /* "the key is copied" */
    if (slot == NULL)
        return;
    memcpy(copy, keys[key].bytes, sizeof(copy));
    want.key = copy;
    want.key_length = keys[key].length;
    hopeless = want.once ? wanted : want.patience == ARL_NEVER && want.tries == 0;
    *slot = (struct owner_slot){.key = key, .place = owner->places++, .stall_limit = want.stall_limit};
    int error = arl_engine_acquire(owner->engine, &want, slot, owner->now, &slot->handle);
    memset(copy, 'x', sizeof(copy));
    if (error != 0) {
        FUZZ_CHECK(error == (owner->closed ? ARL_ECLOSED : ARL_ENOMEM));
        slot->handle = NULL;
    } else if (hopeless) {
        FUZZ_CHECK(arl_handle_state(slot->handle) == ARL_ENDED &&
                   arl_handle_cause(slot->handle) == ARL_GAVE_UP);
    }
    after(owner);
}

void owner_confirm(struct owner *owner, struct owner_slot *slot)
{
    take_events(owner); /* its task runs because it was told */
    bool fresh = arl_handle_state(slot->handle) == ARL_GRANTED;
    bool held = arl_engine_confirm(owner->engine, slot->handle, owner->now);
    FUZZ_CHECK(held == (arl_handle_state(slot->handle) == ARL_HELD));
    owner->acquired += fresh && held;
    after(owner);
}

void owner_look(struct owner *owner, struct owner_slot *slot)
{
    arl_ns remaining = arl_engine_remaining(owner->engine, slot->handle, owner->now);
    enum arl_state state = arl_handle_state(slot->handle);
    FUZZ_CHECK(remaining >= 0);
    FUZZ_CHECK((remaining > 0) ==
               (state == ARL_GRANTED || state == ARL_HELD)); /* else it is over, and said */
    FUZZ_CHECK(arl_engine_look(owner->engine, slot->handle, owner->now) == (remaining > 0));
    after(owner);
}

void owner_release(struct owner *owner, struct owner_slot *slot)
{
    bool held = arl_engine_look(owner->engine, slot->handle, owner->now);
    unsigned token = owner_number(arl_handle_token(slot->handle));
    int error = arl_engine_release(owner->engine, slot->handle, owner->now);
    enum arl_state state = arl_handle_state(slot->handle);
    FUZZ_CHECK(error == (held ? 0 : ARL_ENOTHELD));
    if (error == 0) {
        FUZZ_CHECK(state == ARL_RELEASING || (state == ARL_ENDED && !owner->tokens[token].watched));
        if (state == ARL_RELEASING)
            owner->tokens[token].dead = true;
        else
            FUZZ_CHECK(arl_handle_cause(slot->handle) == ARL_DONE);
        slot->ended = state == ARL_ENDED;
    }
    FUZZ_CHECK(!arl_engine_look(owner->engine, slot->handle, owner->now)); /* belief is gone */
    after(owner);
}

void owner_drop(struct owner *owner, struct owner_slot *slot)
{
    arl_engine_drop(owner->engine, slot->handle, owner->now);
    slot->handle = NULL;
    after(owner);
}

static struct arl_ask **free_ask(struct owner *owner)
{
    for (int i = 0; i < OWNER_ASKS; i++) {
        if (owner->asks[i] == NULL)
            return &owner->asks[i];
    }
    return NULL;
}

void owner_extend(struct owner *owner, struct owner_slot *slot, arl_ns ttl)
{
    struct arl_ask **ask = free_ask(owner);
    if (ask == NULL)
        return;
    bool held = arl_engine_look(owner->engine, slot->handle, owner->now);
    int error = arl_engine_extend(owner->engine, slot->handle, ttl, ask, owner->now, ask);
    FUZZ_CHECK(held ? error == 0 || error == ARL_ENOMEM : error == ARL_ENOTHELD);
    if (error != 0)
        *ask = NULL;
    after(owner);
}

void owner_peek(struct owner *owner, unsigned key)
{
    struct arl_ask **ask = free_ask(owner);
    if (ask == NULL)
        return;
    int error = arl_engine_peek(owner->engine, keys[key].bytes, keys[key].length, ask, owner->now, ask);
    FUZZ_CHECK(error == 0 || error == (owner->closed ? ARL_ECLOSED : ARL_ENOMEM));
    if (error != 0)
        *ask = NULL;
    after(owner);
}

void owner_drop_ask(struct owner *owner, unsigned ask)
{
    if (owner->asks[ask] == NULL)
        return;
    arl_engine_drop_ask(owner->engine, owner->asks[ask]);
    owner->asks[ask] = NULL;
    after(owner);
}

void owner_shut(struct owner *owner)
{
    owner->closed = true;
    arl_engine_close(owner->engine, owner->now);
    after(owner);
}

/* ---- inputs of the connection ---- */

void owner_up(struct owner *owner)
{
    if (owner->up)
        return;
    owner->up = owner->fresh = true;
    owner->paused = false;
    turn(owner);
    arl_engine_up(owner->engine, owner->now);
    after(owner);
}

void owner_down(struct owner *owner)
{
    owner->up = owner->reset = false;
    owner->first = owner->unanswered = 0;
    turn(owner);
    arl_engine_down(owner->engine, owner->now);
    after(owner);
}

void owner_unreachable(struct owner *owner)
{
    if (owner->up)
        return;
    turn(owner);
    arl_engine_unreachable(owner->engine, owner->now);
    after(owner);
}

void owner_reply(struct owner *owner, enum arl_outcome outcome)
{
    turn(owner);
    if (owner->unanswered == 0) {
        FUZZ_CHECK(arl_engine_reply(owner->engine, outcome, owner->now) == ARL_EUNASKED);
        return;
    }
    const struct owner_request *request = &owner->wire[owner->first];
    owner->first = (owner->first + 1) % OWNER_WIRE;
    owner->unanswered--;
    if (request->whole && outcome == ARL_NOT_EXECUTED)
        outcome = ARL_UNKNOWN; /* what the engine makes of it too */
    owner_note_reply(owner, request, outcome);
    if (request->verb == ARL_RENEW && (outcome == ARL_NO || outcome == ARL_WRONG_TYPE))
        owner->tokens[request->token].denied = true;
    FUZZ_CHECK(arl_engine_reply(owner->engine, outcome, owner->now) == 0);
    after(owner);
}

/* ---- time ---- */

void owner_pass(struct owner *owner, arl_ns time)
{
    owner->now = arl_ns_min(arl_ns_add(owner->now, time), ARL_NEVER - 1);
}

void owner_tick(struct owner *owner)
{
    turn(owner);
    arl_engine_tick(owner->engine, owner->now);
    FUZZ_CHECK(arl_engine_deadline(owner->engine) > owner->now); /* it moves on, or a loop would spin */
    after(owner);
}
