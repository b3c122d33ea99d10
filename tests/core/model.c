#include "model.h"

#include <string.h>

uint64_t model_holder(const struct model *model, int key)
{
    const struct model_key *at = &model->keys[key];
    return at->ends_at > model->now ? at->token : 0;
}

static bool is_script(enum arl_verb verb)
{
    return verb == ARL_RENEW || verb == ARL_RELEASE;
}

enum arl_outcome model_execute(struct model *model, const struct model_command *command)
{
    struct model_key *at = &model->keys[command->key];
    bool taken = model_holder(model, command->key) != 0;
    bool mine = taken && at->token == command->token;
    if (is_script(command->verb)) {
        if (command->whole_script)
            model->knows_script[command->verb] = true;
        else if (!model->knows_script[command->verb])
            return ARL_NOT_EXECUTED;
    }
    switch (command->verb) {
    case ARL_TRY:
        if (taken)
            return ARL_NO;
        *at = (struct model_key){.token = command->token, .ends_at = model->now + command->ttl};
        if (command->lands_at != 0)
            at->set_late = command->lands_at - command->cut_at;
        return ARL_YES;
    case ARL_RENEW:
        if (mine)
            at->ends_at = arl_ns_max(at->ends_at, model->now + command->ttl);
        if (mine && command->lands_at != 0)
            at->set_late = arl_ns_max(at->set_late, command->lands_at - command->cut_at);
        return mine ? ARL_YES : ARL_NO;
    case ARL_RELEASE:
        if (mine)
            at->ends_at = 0;
        return mine ? ARL_YES : ARL_NO;
    case ARL_PEEK:
    case ARL_VERBS:
        break;
    }
    return taken ? ARL_YES : ARL_NO;
}

void model_advance(struct model *model, arl_ns now)
{
    int landed = 0;
    while (landed < model->late_count && model->late[landed].lands_at <= now) {
        const struct model_command *command = &model->late[landed++];
        model->now = arl_ns_max(model->now, command->lands_at);
        (void)model_execute(model, command);
    }
    model->late_count -= landed;
    memmove(model->late, model->late + landed, (size_t)model->late_count * sizeof(*model->late));
    model->now = now;
}

bool model_write(struct model_wire *wire, const struct model_command *command)
{
    if (wire->end == MODEL_WIRE) {
        memmove(wire->commands, wire->commands + wire->first,
                (size_t)(wire->end - wire->first) * sizeof(*wire->commands));
        wire->executed -= wire->first;
        wire->end -= wire->first;
        wire->first = 0;
    }
    if (wire->end == MODEL_WIRE)
        return false;
    wire->commands[wire->end++] = *command;
    return true;
}

/* Keeps the order of those that land at the same time. */
static void delay_command(struct model *model, struct model_command command)
{
    int place = model->late_count;
    if (model->late_count == MODEL_LATE)
        return;
    while (place > 0 && model->late[place - 1].lands_at > command.lands_at) {
        model->late[place] = model->late[place - 1];
        place--;
    }
    model->late[place] = command;
    model->late_count++;
}

void model_cut(struct model *model, struct model_wire *wire, int kept, arl_ns delay)
{
    for (int i = wire->executed; i < wire->end && i < wire->executed + kept; i++) {
        struct model_command command = wire->commands[i];
        command.cut_at = model->now;
        command.lands_at = model->now + delay;
        delay_command(model, command);
    }
    wire->first = wire->executed = wire->end = 0;
}
