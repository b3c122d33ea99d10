/* The watchdog's thread, as the fuzzer plays it: it looks when it likes, and its server lies too. */
#include "core/engine.h"
#include "core/waitq.h"
#include "owner.h"

static bool has_events(const struct owner *owner)
{
    const struct arl_engine *engine = owner->engine;
    return !arl_link_alone(&engine->notices) || (engine->reset_wanted && !engine->reset_told);
}

/* No request and no event of the loop's come of it, whatever the thread does. */
struct before {
    bool has_events;
    bool has_request;
};

static struct before note(const struct owner *owner)
{
    return (struct before){has_events(owner), arl_engine_has_request(owner->engine)};
}

static void after(const struct owner *owner, const struct before *before)
{
    FUZZ_CHECK(has_events(owner) == before->has_events);
    FUZZ_CHECK(arl_engine_has_request(owner->engine) == before->has_request);
    owner_check(owner);
}

static const struct owner_slot *holder_of(const struct owner *owner, unsigned token)
{
    for (int i = 0; i < OWNER_SLOTS; i++) {
        const struct owner_slot *slot = &owner->slots[i];
        if (slot->handle == NULL)
            continue;
        enum arl_state state = arl_handle_state(slot->handle);
        if ((state == ARL_GRANTED || state == ARL_HELD) &&
            owner_number(arl_handle_token(slot->handle)) == token)
            return slot;
    }
    return NULL;
}

/* Only for a loop that is stalled, within the holder's limit, and a lease that is certain still. */
static void check_due(const struct owner *owner, const struct arl_request_view *view, arl_ns deadline)
{
    unsigned number = owner_number(view->token);
    const struct owner_token *token = &owner->tokens[number];
    const struct owner_slot *slot = holder_of(owner, number);
    const struct arl_lease *lease;
    arl_ns due = arl_ns_max(deadline, owner->turned_at);
    FUZZ_CHECK(view->verb == ARL_RENEW && view->whole_script);
    FUZZ_CHECK(slot != NULL && !token->dead && !token->denied && !token->let_go && !token->watched);
    lease = &slot->handle->queue->lease;
    FUZZ_CHECK(view->ttl == slot->handle->ttl && lease->pace <= view->ttl);
    FUZZ_CHECK(owner->now < lease->valid_until);
    FUZZ_CHECK(owner->now >= arl_ns_add(due, lease->pace / 6));
    FUZZ_CHECK(owner->woke_at == 0 || owner->now >= arl_ns_add(owner->woke_at, lease->pace / 20));
    FUZZ_CHECK(owner->now < arl_ns_add(owner->turned_at, slot->stall_limit));
}

static void write_due(struct owner *owner)
{
    struct arl_request_view view;
    arl_ns deadline = arl_engine_deadline(owner->engine);
    while (owner->watch_unanswered < OWNER_WATCH &&
           arl_watch_next_request(owner->engine, owner->now, &view)) {
        unsigned number = owner_number(view.token);
        check_due(owner, &view, deadline);
        owner->tokens[number].watched = owner->watch_wrote = true;
        owner->watch[(owner->watch_first + owner->watch_unanswered++) % OWNER_WATCH] = (struct owner_request){
            .verb = ARL_RENEW, .token = number, .sent_at = owner->now, .ttl = view.ttl};
    }
}

void owner_watch_look(struct owner *owner)
{
    const struct before before = note(owner);
    if (arl_watch_is_over(owner->engine, owner->now)) {
        owner_watch_down(owner);
    } else {
        bool due = arl_watch_is_due(owner->engine, owner->now);
        unsigned unanswered = owner->watch_unanswered;
        write_due(owner);
        FUZZ_CHECK(due || owner->watch_unanswered == unanswered);
        /* The thread sleeps until then: it must not spin. */
        FUZZ_CHECK(owner->watch_unanswered == OWNER_WATCH || arl_watch_deadline(owner->engine) > owner->now);
    }
    after(owner, &before);
}

void owner_watch_reply(struct owner *owner, enum arl_outcome outcome)
{
    const struct before before = note(owner);
    if (owner->watch_unanswered == 0) {
        FUZZ_CHECK(arl_watch_reply(owner->engine, outcome, owner->now) == ARL_EUNASKED);
        return;
    }
    const struct owner_request *request = &owner->watch[owner->watch_first];
    struct owner_token *token = &owner->tokens[request->token];
    owner->watch_first = (owner->watch_first + 1) % OWNER_WATCH;
    owner->watch_unanswered--;
    owner_note_reply(owner, request, outcome);
    owner->renewed_elsewhere += outcome == ARL_YES;
    token->watched = false;
    token->let_go = token->let_go || outcome == ARL_NO || outcome == ARL_WRONG_TYPE;
    FUZZ_CHECK(arl_watch_reply(owner->engine, outcome, owner->now) == 0);
    after(owner, &before);
}

void owner_watch_down(struct owner *owner)
{
    const struct before before = note(owner);
    for (; owner->watch_unanswered > 0; owner->watch_unanswered--) {
        owner->tokens[owner->watch[owner->watch_first].token].watched = false;
        owner->watch_first = (owner->watch_first + 1) % OWNER_WATCH;
    }
    arl_watch_down(owner->engine, owner->now);
    after(owner, &before);
}

void owner_watch_woke_late(struct owner *owner)
{
    const struct before before = note(owner);
    owner->woke_at = owner->now;
    arl_watch_woke_late(owner->engine, owner->now);
    after(owner, &before);
}
