#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const verbs[] = {"TRY", "RENEW", "RELEASE", "PEEK"};
static const char *const outcomes[] = {"yes",     "no",   "not executed", "wrong type",
                                       "refused", "busy", "stale",        "unknown"};

/* ---- chance, words ---- */

int fleet_draw(struct fleet *fleet, int below)
{
    return (int)arl_random_between(&fleet->random, 0, below - 1);
}

bool fleet_chance(struct fleet *fleet, int per_mille)
{
    return fleet_draw(fleet, 1000) < per_mille;
}

void fleet_say(struct fleet *fleet, const char *format, ...)
{
    va_list arguments;
    if (!fleet->talks)
        return;
    printf("%10.3f ", (double)fleet->model.now / 1e6);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

void fleet_expect(struct fleet *fleet, bool condition, const char *text, int line)
{
    if (condition)
        return;
    printf("seed %llu, step %ld, %.3f ms: line %d: %s\n", (unsigned long long)fleet->seed, fleet->steps,
           (double)fleet->model.now / 1e6, line, text);
    fflush(stdout);
    fail();
}

/* ---- what the engines are given ---- */

static void *member_alloc(void *ctx, size_t size)
{
    struct fleet_member *member = ctx;
    if (fleet_chance(member->fleet, member->fleet->starve))
        return NULL;
    member->allocations++;
    return malloc(size);
}

static void member_release(void *ctx, void *memory)
{
    struct fleet_member *member = ctx;
    member->allocations--;
    free(memory);
}

static int member_draw(void *ctx, uint8_t token[ARL_TOKEN_SIZE])
{
    struct fleet_member *member = ctx;
    struct fleet *fleet = member->fleet;
    if (fleet_chance(fleet, fleet->starve))
        return -1;
    uint64_t number = ++fleet->tokens_drawn;
    FLEET_CHECK(fleet, number < FLEET_TOKENS);
    memset(token, 0, ARL_TOKEN_SIZE);
    memcpy(token, &number, sizeof(number));
    fleet->tokens[number] = (struct fleet_token){.member = (uint8_t)member->index};
    return 0;
}

uint64_t fleet_number(const uint8_t *token)
{
    uint64_t number = 0;
    if (token != NULL)
        memcpy(&number, token, sizeof(number));
    return number;
}

void fleet_open(struct fleet *fleet, uint64_t seed)
{
    memset(fleet, 0, sizeof(*fleet));
    fleet->seed = fleet->random.state = seed;
    fleet->model.now = 1000 * ARL_MS;
    fleet->reply_timeout = arl_random_between(&fleet->random, 200 * ARL_MS, 5 * ARL_SECOND);
    fleet->quick_resets = fleet_chance(fleet, 500);
    for (int i = 0; i < FLEET_MEMBERS; i++) {
        struct fleet_member *member = &fleet->members[i];
        const struct arl_settings settings = {
            .alloc = member_alloc,
            .release = member_release,
            .draw_token = member_draw,
            .ctx = member,
            .seed = seed + (uint64_t)i,
            .reply_timeout = fleet->reply_timeout,
        };
        member->fleet = fleet;
        member->index = i;
        member->drift = fleet_draw(fleet, 19) - 9;
        member->engine = arl_engine_new(&settings);
        FLEET_CHECK(fleet, member->engine != NULL);
    }
}

void fleet_close(struct fleet *fleet)
{
    for (int i = 0; i < FLEET_MEMBERS; i++) {
        struct fleet_member *member = &fleet->members[i];
        for (int j = 0; j < FLEET_SLOTS; j++) {
            if (member->slots[j].handle != NULL)
                arl_engine_drop(member->engine, member->slots[j].handle, fleet_now(member));
        }
        for (int j = 0; j < FLEET_ASKS; j++) {
            if (member->asks[j].ask != NULL)
                arl_engine_drop_ask(member->engine, member->asks[j].ask);
        }
        arl_engine_del(member->engine);
        FLEET_CHECK(fleet, member->allocations == 0);
    }
}

arl_ns fleet_now(const struct fleet_member *member)
{
    return member->fleet->model.now + member->fleet->model.now / 1000 * member->drift;
}

/* ---- outputs ---- */

static void take_event(struct fleet_member *member, const struct arl_event *event)
{
    struct fleet *fleet = member->fleet;
    struct fleet_slot *slot = event->owner;
    struct fleet_ask *ask = event->owner;
    switch (event->kind) {
    case ARL_EVENT_GRANTED:
        FLEET_CHECK(fleet, slot->handle == event->handle && !slot->ended);
        FLEET_CHECK(fleet, arl_handle_state(slot->handle) == ARL_GRANTED);
        fleet_say(fleet, "%d: granted %ld on %d by %llu", member->index, slot->place, slot->key,
                  (unsigned long long)fleet_number(arl_handle_token(slot->handle)));
        for (int i = 0; i < FLEET_SLOTS; i++) { /* first come, first served within the process */
            const struct fleet_slot *other = &member->slots[i];
            FLEET_CHECK(fleet, other->handle == NULL || other->key != slot->key || other->granted ||
                                   other->place >= slot->place ||
                                   arl_handle_state(other->handle) != ARL_WAITING);
        }
        slot->granted = true;
        fleet->granted++;
        break;
    case ARL_EVENT_ENDED:
        FLEET_CHECK(fleet, slot->handle == event->handle && !slot->ended);
        FLEET_CHECK(fleet, arl_handle_state(slot->handle) == ARL_ENDED);
        fleet_say(fleet, "%d: ended %ld: cause %d", member->index, slot->place, event->cause);
        slot->ended = true;
        slot->cause = event->cause;
        break;
    case ARL_EVENT_ANSWERED:
        FLEET_CHECK(fleet, ask->ask == event->ask);
        fleet_say(fleet, "%d: answered: cause %d", member->index, event->cause);
        arl_engine_drop_ask(member->engine, ask->ask);
        ask->ask = NULL;
        break;
    case ARL_EVENT_RESET:
        fleet_say(fleet, "%d: reset", member->index);
        FLEET_CHECK(fleet, member->up);
        member->reset = true;
        break;
    case ARL_EVENT_SLOW:
    case ARL_EVENT_STALLED:
        break;
    }
}

static int class_of(enum arl_verb verb)
{
    return verb == ARL_RELEASE ? 0 : verb == ARL_TRY ? 2 : 1;
}

static int tries_on_the_wire(const struct fleet_member *member, int key)
{
    int count = 0;
    for (int i = member->wire.first; i < member->wire.end; i++)
        count += member->wire.commands[i].verb == ARL_TRY && member->wire.commands[i].key == key;
    return count;
}

static void check_written(struct fleet_member *member, const struct model_command *command)
{
    struct fleet *fleet = member->fleet;
    struct fleet_token *token = &fleet->tokens[command->token];
    switch (command->verb) {
    case ARL_TRY:
        FLEET_CHECK(fleet, !token->dead);                        /* rule 3 */
        FLEET_CHECK(fleet, !token->tried || token->answered_no); /* rule 2 */
        FLEET_CHECK(fleet, tries_on_the_wire(member, command->key) == 0);
        token->tried = true;
        token->answered_no = false;
        break;
    case ARL_RENEW:
        FLEET_CHECK(fleet, !token->dead); /* rule 3 */
        FLEET_CHECK(fleet, token->tried);
        break;
    case ARL_RELEASE:
        FLEET_CHECK(fleet, token->tried);
        token->dead = true;
        break;
    case ARL_PEEK:
    case ARL_VERBS:
        break;
    }
    FLEET_CHECK(fleet, token->member == member->index || command->verb == ARL_PEEK);
}

static void write_requests(struct fleet_member *member)
{
    struct arl_request_view view;
    struct fleet *fleet = member->fleet;
    int class = 0;
    while (arl_engine_next_request(member->engine, fleet_now(member), &view)) {
        FLEET_CHECK(fleet, view.key_length == 1);
        const struct model_command command = {
            .verb = view.verb,
            .whole_script = view.whole_script,
            .key = view.key[0] - 'a',
            .token = fleet_number(view.token),
            .ttl = view.ttl,
        };
        fleet_say(fleet, "%d: %s %d %llu %.3f%s", member->index, verbs[view.verb], command.key,
                  (unsigned long long)command.token, (double)view.ttl / 1e6,
                  view.whole_script ? " whole" : "");
        FLEET_CHECK(fleet, member->up);
        check_written(member, &command);
        if (member->fresh) /* rule 4: RELEASEs, RENEWs, TRYs after a reconnect */
            FLEET_CHECK(fleet, class_of(view.verb) >= class);
        class = class_of(view.verb);
        FLEET_CHECK(fleet, model_write(&member->wire, &command));
    }
    member->fresh = false;
    FLEET_CHECK(fleet, !arl_engine_has_request(member->engine) || !member->up);
    FLEET_CHECK(fleet,
                arl_engine_unanswered(member->engine) == (size_t)(member->wire.end - member->wire.first));
}

static void take_events(struct fleet_member *member)
{
    struct arl_event event;
    while (arl_engine_next_event(member->engine, &event))
        take_event(member, &event);
}

void fleet_drain(struct fleet_member *member)
{
    take_events(member);
    if (member->reset && member->fleet->quick_resets) {
        fleet_cut(member, fleet_draw(member->fleet, 10),
                  arl_random_between(&member->fleet->random, 0, ARL_SECOND));
        return;
    }
    if (member->up)
        write_requests(member);
    if (member->reset)
        fleet_cut(member, fleet_draw(member->fleet, 10),
                  arl_random_between(&member->fleet->random, 0, ARL_SECOND));
}

/* An input was given: the owner takes the outputs, now or, at times, only after the next one. */
static void after(struct fleet_member *member)
{
    take_events(member);
    if (fleet_chance(member->fleet, 900))
        fleet_drain(member);
    fleet_check(member->fleet);
}

/* ---- inputs of the owner ---- */

static struct fleet_slot *free_slot(struct fleet_member *member)
{
    for (int i = 0; i < FLEET_SLOTS; i++) {
        if (member->slots[i].handle == NULL)
            return &member->slots[i];
    }
    return NULL;
}

void fleet_acquire(struct fleet_member *member, const struct arl_want *want, int key)
{
    struct fleet *fleet = member->fleet;
    struct fleet_slot *slot = free_slot(member);
    if (slot == NULL)
        return;
    *slot = (struct fleet_slot){.want = *want, .key = key, .place = fleet->places++};
    slot->key_text[0] = (char)('a' + key);
    slot->want.key = slot->key_text;
    slot->want.key_length = 1;
    slot->joined_at = fleet_now(member);
    fleet_say(fleet, "%d: acquire %ld on %d: ttl %.3f, tries %lld, patience %.3f%s", member->index,
              slot->place, key, (double)want->ttl / 1e6, (long long)want->tries,
              want->patience == ARL_NEVER ? -1.0 : (double)want->patience / 1e6, want->once ? ", once" : "");
    int error = arl_engine_acquire(member->engine, &slot->want, slot, slot->joined_at, &slot->handle);
    if (error != 0) {
        FLEET_CHECK(fleet, member->closed ? error == ARL_ECLOSED : error == ARL_ENOMEM);
        slot->handle = NULL;
    }
    after(member);
}

void fleet_confirm(struct fleet_member *member, struct fleet_slot *slot)
{
    bool held = arl_engine_confirm(member->engine, slot->handle, fleet_now(member));
    fleet_say(member->fleet, "%d: confirm %ld: %d", member->index, slot->place, held);
    FLEET_CHECK(member->fleet, held == (arl_handle_state(slot->handle) == ARL_HELD));
    if (!held)
        slot->granted = false;
    after(member);
}

void fleet_look(struct fleet_member *member, struct fleet_slot *slot)
{
    bool held = arl_engine_look(member->engine, slot->handle, fleet_now(member));
    fleet_say(member->fleet, "%d: look %ld: %d", member->index, slot->place, held);
    if (arl_handle_state(slot->handle) == ARL_WAITING)
        slot->granted = false;
    after(member);
}

void fleet_release(struct fleet_member *member, struct fleet_slot *slot)
{
    struct fleet *fleet = member->fleet;
    uint64_t token = fleet_number(arl_handle_token(slot->handle));
    bool held = fleet_believes(member, slot);
    int error = arl_engine_release(member->engine, slot->handle, fleet_now(member));
    enum arl_state state = arl_handle_state(slot->handle);
    fleet_say(fleet, "%d: release %ld: %d, state %d", member->index, slot->place, error, state);
    FLEET_CHECK(fleet, held == (error == 0));
    if (error == 0 && state == ARL_RELEASING)
        fleet->tokens[token].dead = true;
    if (error == 0 && state == ARL_ENDED) {
        FLEET_CHECK(fleet, arl_handle_cause(slot->handle) == ARL_DONE);
        slot->ended = true;
        slot->cause = ARL_DONE;
    }
    if (state == ARL_WAITING)
        slot->granted = false;
    FLEET_CHECK(fleet, error != 0 || state == ARL_RELEASING || state == ARL_ENDED);
    FLEET_CHECK(fleet, !arl_engine_look(member->engine, slot->handle, fleet_now(member)));
    after(member);
}

void fleet_drop(struct fleet_member *member, struct fleet_slot *slot)
{
    fleet_say(member->fleet, "%d: drop %ld", member->index, slot->place);
    arl_engine_drop(member->engine, slot->handle, fleet_now(member));
    slot->handle = NULL;
    after(member);
}

static struct fleet_ask *free_ask(struct fleet_member *member)
{
    for (int i = 0; i < FLEET_ASKS; i++) {
        if (member->asks[i].ask == NULL)
            return &member->asks[i];
    }
    return NULL;
}

void fleet_extend(struct fleet_member *member, struct fleet_slot *slot, arl_ns ttl)
{
    struct fleet_ask *ask = free_ask(member);
    uint64_t token = fleet_number(arl_handle_token(slot->handle));
    bool held = fleet_believes(member, slot);
    if (ask == NULL)
        return;
    fleet_say(member->fleet, "%d: extend %ld by %.3f", member->index, slot->place, (double)ttl / 1e6);
    int error = arl_engine_extend(member->engine, slot->handle, ttl, ask, fleet_now(member), &ask->ask);
    FLEET_CHECK(member->fleet, error == (held ? 0 : ARL_ENOTHELD) || error == ARL_ENOMEM);
    if (error != 0)
        ask->ask = NULL;
    else
        member->fleet->tokens[token].extended = true;
    if (arl_handle_state(slot->handle) == ARL_WAITING)
        slot->granted = false;
    after(member);
}

void fleet_peek(struct fleet_member *member, int key)
{
    struct fleet_ask *ask = free_ask(member);
    const char text[2] = {(char)('a' + key), '\0'};
    if (ask == NULL)
        return;
    int error = arl_engine_peek(member->engine, text, 1, ask, fleet_now(member), &ask->ask);
    FLEET_CHECK(member->fleet, error == 0 || error == (member->closed ? ARL_ECLOSED : ARL_ENOMEM));
    if (error != 0)
        ask->ask = NULL;
    after(member);
}

void fleet_drop_ask(struct fleet_member *member, struct fleet_ask *ask)
{
    arl_engine_drop_ask(member->engine, ask->ask);
    ask->ask = NULL;
    after(member);
}

void fleet_shut(struct fleet_member *member)
{
    fleet_say(member->fleet, "%d: close", member->index);
    member->closed = true;
    arl_engine_close(member->engine, fleet_now(member));
    after(member);
}

/* ---- inputs of the connection ---- */

void fleet_up(struct fleet_member *member)
{
    fleet_say(member->fleet, "%d: up", member->index);
    FLEET_CHECK(member->fleet, !member->up);
    member->up = member->fresh = true;
    member->turned_at = fleet_now(member);
    arl_engine_up(member->engine, fleet_now(member));
    fleet_drain(member);
    fleet_check(member->fleet);
}

void fleet_cut(struct fleet_member *member, int kept, arl_ns delay)
{
    struct model_wire *wire = &member->wire;
    fleet_say(member->fleet, "%d: cut, %d of %d land in %.3f", member->index, kept,
              wire->end - wire->executed, (double)delay / 1e6);
    model_cut(&member->fleet->model, wire, kept, delay);
    member->up = member->reset = false;
    member->turned_at = fleet_now(member);
    arl_engine_down(member->engine, fleet_now(member));
    fleet_drain(member);
    fleet_check(member->fleet);
}

void fleet_unreachable(struct fleet_member *member)
{
    fleet_say(member->fleet, "%d: unreachable", member->index);
    member->turned_at = fleet_now(member);
    arl_engine_unreachable(member->engine, fleet_now(member));
    after(member);
}

void fleet_tick(struct fleet_member *member)
{
    member->turned_at = fleet_now(member);
    arl_engine_tick(member->engine, fleet_now(member));
    FLEET_CHECK(member->fleet, arl_engine_deadline(member->engine) > fleet_now(member)); /* or a loop spins */
    fleet_drain(member);
    fleet_check(member->fleet);
}

static enum arl_outcome trouble(struct fleet *fleet, struct model_command *command)
{
    static const enum arl_outcome errors[] = {ARL_REFUSED, ARL_BUSY, ARL_STALE, ARL_UNKNOWN};
    enum arl_outcome outcome = errors[fleet_draw(fleet, 4)];
    if (outcome == ARL_UNKNOWN && fleet_chance(fleet, 500))
        (void)model_execute(&fleet->model, command);
    if (command->verb == ARL_RELEASE)
        fleet->tokens[command->token].excused = true;
    return outcome;
}

void fleet_serve(struct fleet_member *member, struct model_command *command)
{
    struct fleet *fleet = member->fleet;
    command->outcome =
        fleet_chance(fleet, fleet->trouble) ? trouble(fleet, command) : model_execute(&fleet->model, command);
    fleet_say(fleet, "   %d: executed %s %d %llu: %s", member->index, verbs[command->verb], command->key,
              (unsigned long long)command->token, outcomes[command->outcome]);
    fleet_check(fleet);
}

bool fleet_execute(struct fleet_member *member)
{
    if (member->wire.executed == member->wire.end)
        return false;
    fleet_serve(member, &member->wire.commands[member->wire.executed++]);
    return true;
}

bool fleet_deliver(struct fleet_member *member)
{
    struct fleet *fleet = member->fleet;
    if (member->wire.first == member->wire.executed)
        return false;
    const struct model_command command = member->wire.commands[member->wire.first++];
    FLEET_CHECK(fleet, arl_engine_awaited(member->engine) == command.verb);
    if (command.verb == ARL_TRY)
        fleet->tokens[command.token].answered_no = command.outcome == ARL_NO;
    if (command.verb == ARL_RENEW && command.outcome == ARL_NO)
        fleet->tokens[command.token].denied = true;
    member->turned_at = fleet_now(member);
    FLEET_CHECK(fleet, arl_engine_reply(member->engine, command.outcome, fleet_now(member)) == 0);
    after(member);
    return true;
}
