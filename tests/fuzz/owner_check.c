/* What must hold, by the books of the owner alone and within the engine (tests/core/inside.h). */
#include "core/waitq.h"
#include "inside.h"
#include "owner.h"

#include <string.h>

unsigned owner_number(const uint8_t *token)
{
    unsigned number = 0;
    if (token != NULL)
        memcpy(&number, token, sizeof(number));
    return number;
}

static bool is_holding(enum arl_state state)
{
    return state == ARL_GRANTED || state == ARL_HELD;
}

/* Never two believers on one key, none in a token that is dead, none for longer than answers allow. */
static void check_belief(const struct owner *owner)
{
    unsigned believers[OWNER_KEYS] = {0};
    for (int i = 0; i < OWNER_SLOTS; i++) {
        const struct owner_slot *slot = &owner->slots[i];
        if (slot->handle == NULL || !is_holding(arl_handle_state(slot->handle)))
            continue;
        const struct owner_token *token = &owner->tokens[owner_number(arl_handle_token(slot->handle))];
        FUZZ_CHECK(token->key == slot->key && token->tried);
        FUZZ_CHECK(slot->handle->queue->lease.valid_until <= token->proved);
        FUZZ_CHECK(!token->dead && !token->denied);
        FUZZ_CHECK(++believers[slot->key] == 1);
    }
}

/* What a handle says of itself, and how many are in which state. */
static void check_handles(const struct owner *owner)
{
    size_t waiting = 0, held = 0;
    for (int i = 0; i < OWNER_SLOTS; i++) {
        const struct owner_slot *slot = &owner->slots[i];
        if (slot->handle == NULL)
            continue;
        enum arl_state state = arl_handle_state(slot->handle);
        size_t length, wanted;
        const char *key = arl_handle_key(slot->handle, &length);
        const char *name = owner_key(slot->key, &wanted);
        waiting += state == ARL_WAITING;
        held += is_holding(state);
        FUZZ_CHECK((key == NULL) == (state == ARL_ENDED));
        FUZZ_CHECK(key == NULL || (length == wanted && memcmp(key, name, length) == 0));
        FUZZ_CHECK((arl_handle_token(slot->handle) != NULL) == (is_holding(state) || state == ARL_RELEASING));
        FUZZ_CHECK((arl_handle_cause(slot->handle) != 0) == (state == ARL_ENDED));
        FUZZ_CHECK(arl_handle_owner(slot->handle) == slot);
        FUZZ_CHECK(!slot->ended || state == ARL_ENDED); /* an end is final */
        FUZZ_CHECK(!owner->closed || state == ARL_RELEASING || state == ARL_ENDED);
    }
    FUZZ_CHECK(owner->engine->waiting == waiting && owner->engine->held == held);
    FUZZ_CHECK(arl_engine_holds(owner->engine) == (held > 0));
    FUZZ_CHECK(arl_engine_wants_connection(owner->engine) || (waiting == 0 && held == 0));
}

static void check_counters(const struct owner *owner)
{
    struct arl_counters counters;
    arl_engine_count(owner->engine, &counters);
    FUZZ_CHECK(counters.acquired == owner->acquired && counters.tries == owner->tries);
    FUZZ_CHECK(counters.renewed_elsewhere == owner->renewed_elsewhere);
    FUZZ_CHECK(counters.released + counters.lost <= 2 * counters.acquired); /* told late: released and lost */
    FUZZ_CHECK(counters.released <= counters.acquired && counters.lost <= counters.acquired);
}

void owner_check(const struct owner *owner)
{
    const struct arl_engine *engine = owner->engine;
    const char *wrong = inside_wrong(engine);
    const enum arl_verb awaited = owner->unanswered > 0 ? owner->wire[owner->first].verb : ARL_VERBS;
    fuzz_expect(wrong == NULL, wrong, __FILE__, __LINE__);
    check_belief(owner);
    check_handles(owner);
    FUZZ_CHECK(engine->up == owner->up);
    FUZZ_CHECK(arl_engine_unanswered(engine) == owner->unanswered);
    FUZZ_CHECK(arl_engine_awaited(engine) == awaited);
    FUZZ_CHECK(owner->up || !arl_engine_has_request(engine));
    check_counters(owner);
}

void owner_check_told(const struct owner *owner)
{
    for (int i = 0; i < OWNER_SLOTS; i++) {
        const struct owner_slot *slot = &owner->slots[i];
        if (slot->handle == NULL)
            continue;
        FUZZ_CHECK(slot->ended == (arl_handle_state(slot->handle) == ARL_ENDED));
        FUZZ_CHECK(slot->granted || !is_holding(arl_handle_state(slot->handle)));
    }
}

/* ---- the wire ---- */

static bool is_trying(const struct owner *owner, unsigned key)
{
    for (unsigned i = 0; i < owner->unanswered; i++) {
        const struct owner_request *request = &owner->wire[(owner->first + i) % OWNER_WIRE];
        if (request->verb == ARL_TRY && owner->tokens[request->token].key == key)
            return true;
    }
    return false;
}

static void check_try(const struct owner *owner, const struct owner_token *token)
{
    FUZZ_CHECK(!token->dead);                        /* rule 3 */
    FUZZ_CHECK(!token->tried || token->answered_no); /* rule 2 */
    FUZZ_CHECK(!is_trying(owner, token->key));       /* rule 4 */
}

static unsigned key_of(const struct arl_request_view *view)
{
    for (unsigned key = 0; key < OWNER_KEYS; key++) {
        size_t length;
        const char *name = owner_key(key, &length);
        if (view->key_length == length && memcmp(view->key, name, length) == 0)
            return key;
    }
    return OWNER_KEYS;
}

void owner_check_written(struct owner *owner, const struct arl_request_view *view)
{
    unsigned number = owner_number(view->token), key = key_of(view);
    struct owner_token *token = &owner->tokens[number];
    FUZZ_CHECK(owner->up && key < OWNER_KEYS);
    FUZZ_CHECK((view->verb == ARL_PEEK) == (number == 0));
    FUZZ_CHECK((view->ttl > 0) == (view->verb == ARL_TRY || view->verb == ARL_RENEW));
    FUZZ_CHECK(!view->whole_script || view->verb != ARL_TRY);
    if (number == 0)
        return;
    if (view->verb == ARL_TRY) {
        if (!token->tried)
            token->key = key;
        check_try(owner, token);
        token->tried = true;
        token->answered_no = false;
    }
    FUZZ_CHECK(token->tried && token->key == key); /* nothing is asked for a token that was never tried */
    FUZZ_CHECK(view->verb != ARL_RENEW || !token->dead); /* rule 3 */
    token->dead = token->dead || view->verb == ARL_RELEASE;
}

void owner_note_reply(struct owner *owner, const struct owner_request *request, enum arl_outcome outcome)
{
    struct owner_token *token = &owner->tokens[request->token];
    if (request->verb == ARL_TRY)
        token->answered_no = outcome == ARL_NO;
    if (outcome == ARL_YES && (request->verb == ARL_TRY || request->verb == ARL_RENEW)) {
        arl_ns margin = request->ttl / 100 + 2 * ARL_MS;
        token->proved = arl_ns_max(token->proved, arl_ns_add(request->sent_at, request->ttl) - margin);
    }
}
