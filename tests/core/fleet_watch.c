/* The watchdogs of a fleet, each on a connection of its own to the model server. */
#include "core/watch.h"
#include "core/waitq.h"
#include "fleet.h"

/* Which slot of the member holds by this token. */
static const struct fleet_slot *holder_of(const struct fleet_member *member, uint64_t token)
{
    for (int i = 0; i < FLEET_SLOTS; i++) {
        const struct fleet_slot *slot = &member->slots[i];
        if (slot->handle != NULL && fleet_believes(member, slot) &&
            fleet_number(arl_handle_token(slot->handle)) == token)
            return slot;
    }
    return NULL;
}

/* Only what is believed in, for a loop that stands still, and for no longer than the holder wants. */
static void check_written(struct fleet_member *member, const struct model_command *command)
{
    struct fleet *fleet = member->fleet;
    const struct fleet_slot *slot = holder_of(member, command->token);
    FLEET_CHECK(fleet, slot != NULL && slot->key == command->key);
    FLEET_CHECK(fleet, slot->want.ttl == command->ttl);
    FLEET_CHECK(fleet, !fleet->tokens[command->token].dead);
    FLEET_CHECK(fleet, fleet_now(member) < arl_ns_add(member->turned_at, slot->want.stall_limit));
    FLEET_CHECK(fleet, member->turned_at < fleet_now(member));
    FLEET_CHECK(fleet, arl_engine_deadline(member->engine) < fleet_now(member));
}

static void write_renewals(struct fleet_member *member)
{
    struct arl_request_view view;
    struct fleet *fleet = member->fleet;
    while (arl_watch_next_request(member->engine, fleet_now(member), &view)) {
        const struct model_command command = {
            .verb = view.verb,
            .whole_script = view.whole_script,
            .key = view.key[0] - 'a',
            .token = fleet_number(view.token),
            .ttl = view.ttl,
        };
        fleet_say(fleet, "%d: watch RENEW %d %llu %.3f", member->index, command.key,
                  (unsigned long long)command.token, (double)view.ttl / 1e6);
        FLEET_CHECK(fleet, view.verb == ARL_RENEW && view.whole_script);
        check_written(member, &command);
        FLEET_CHECK(fleet, model_write(&member->watch_wire, &command));
        fleet->watched++;
    }
    FLEET_CHECK(fleet, member->engine->watch.unanswered_count ==
                           (size_t)(member->watch_wire.end - member->watch_wire.first));
}

void fleet_watch(struct fleet_member *member)
{
    struct fleet *fleet = member->fleet;
    if (arl_watch_is_over(member->engine, fleet_now(member)))
        fleet_watch_cut(member, fleet_draw(fleet, 3), arl_random_between(&fleet->random, 0, ARL_SECOND));
    if (arl_watch_is_due(member->engine, fleet_now(member)))
        write_renewals(member);
    FLEET_CHECK(fleet, arl_watch_deadline(member->engine) > fleet_now(member)); /* or it would spin */
    fleet_check(fleet);
}

void fleet_watch_cut(struct fleet_member *member, int kept, arl_ns delay)
{
    struct model_wire *wire = &member->watch_wire;
    fleet_say(member->fleet, "%d: watch cut, %d of %d land in %.3f", member->index, kept,
              wire->end - wire->executed, (double)delay / 1e6);
    for (int i = wire->executed; i < wire->end; i++)
        member->fleet->tokens[wire->commands[i].token].extended =
            true; /* it may come in a later holder's time */
    model_cut(&member->fleet->model, wire, kept, delay);
    arl_watch_down(member->engine, fleet_now(member));
    FLEET_CHECK(member->fleet, member->engine->watch.unanswered_count == 0);
    fleet_check(member->fleet);
}

bool fleet_watch_execute(struct fleet_member *member)
{
    if (member->watch_wire.executed == member->watch_wire.end)
        return false;
    fleet_serve(member, &member->watch_wire.commands[member->watch_wire.executed++]);
    return true;
}

bool fleet_watch_deliver(struct fleet_member *member)
{
    struct fleet *fleet = member->fleet;
    if (member->watch_wire.first == member->watch_wire.executed)
        return false;
    const struct model_command command = member->watch_wire.commands[member->watch_wire.first++];
    fleet_say(fleet, "%d: watch told %d", member->index, (int)command.outcome);
    FLEET_CHECK(fleet, arl_watch_reply(member->engine, command.outcome, fleet_now(member)) == 0);
    fleet_check(fleet);
    return true;
}
