/* judge_belief.c - judge 2: whenever a key ends on the model, no engine may believe in its former token; and
 * what an owner was told agrees with what its engine answers. */
#include "sim.h"

#include "core/waitq.h" /* to read a belief without the look of a user, which may end it */

arl_ns judge_belief_until(const struct arl_handle *handle)
{
    enum arl_state state = arl_handle_state(handle);
    return state == ARL_GRANTED || state == ARL_HELD ? handle->queue->lease.valid_until : 0;
}

/* The task of the token's owner whose handle stands for it, or NULL. */
static struct task *task_of(struct sim *sim, uint32_t number)
{
    const struct token *token = ledger_token(&sim->ledger, number);
    if (token->process == LEDGER_FOREIGN)
        return NULL;
    struct process *process = &sim->processes[token->process];
    if (process->engine == NULL || process->incarnation != token->incarnation)
        return NULL;
    for (int i = 0; i < sim->plan.tasks; i++) {
        struct task *task = &process->tasks[i];
        if (task->handle == NULL || judge_belief_until(task->handle) == 0)
            continue;
        if (ledger_find(sim, arl_handle_token(task->handle)) == number)
            return task;
    }
    return NULL;
}

bool judge_stands_for(struct sim *sim, uint32_t token)
{
    return task_of(sim, token) != NULL;
}

bool judge_believed(struct sim *sim, uint32_t token)
{
    const struct task *task = task_of(sim, token);
    return task != NULL && judge_belief_until(task->handle) > process_now(task->process);
}

/* ---- on the model ---- */

void judge_key_ended(struct sim *sim, int key, uint32_t number, enum server_end why)
{
    static const char *const reasons[] = {"expired", "was released", "was taken away"};
    struct token *token = ledger_token(&sim->ledger, number);
    if (!judge_believed(sim, number))
        return;
    bool allowed = why == ENDED_BY_FAULT || (why == ENDED_BY_TIME && token->restored);
    if (allowed)
        token->gone_at = sim->now;
    else
        sim_blame(sim, JUDGE_BELIEF, "p%d believes in token %u, but k%d %s", token->process, number, key,
                  reasons[why]);
}

void judge_key_restored(struct sim *sim, uint32_t number)
{
    struct token *token = ledger_token(&sim->ledger, number);
    token->restored = true;
    token->gone_at = ARL_NEVER;
}

/* ---- what was told, and what is answered ---- */

static bool agrees(const struct task *task)
{
    enum arl_state state = arl_handle_state(task->handle);
    switch (task->told) {
    case TOLD_NOTHING:
        return false;
    case TOLD_TO_WAIT:
        return state == ARL_WAITING;
    case TOLD_GRANTED: /* until it confirms, the lease may end without a word: it waits again */
        return state == ARL_GRANTED || state == ARL_WAITING;
    case TOLD_HELD:
        return state == ARL_HELD;
    case TOLD_TO_WAIT_FOR_RELEASE:
        return state == ARL_RELEASING;
    case TOLD_THE_END:
        return state == ARL_ENDED;
    }
    return false;
}

/* A lease that is over, and a patience that is, must be noticed: the engine asks for a tick by then. */
static void judge_deadline(struct sim *sim, const struct task *task)
{
    arl_ns by = ARL_NEVER;
    if (judge_belief_until(task->handle) != 0)
        by = judge_belief_until(task->handle);
    else if (task->told == TOLD_TO_WAIT)
        by = task->patience_until;
    if (by != ARL_NEVER && arl_engine_deadline(task->process->engine) > by + ARL_EARLY)
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: nothing would tell it when its %s is over",
                  task->process->index, task->index, task->told == TOLD_TO_WAIT ? "patience" : "lease");
}

static void judge_standing(struct sim *sim, struct task *task)
{
    uint32_t number = ledger_find(sim, arl_handle_token(task->handle));
    const struct token *token = ledger_token(&sim->ledger, number);
    if (number != task->token)
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: its token changed from %u to %u", task->process->index,
                  task->index, task->token, number);
    if (token->over || token->lost)
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: believes in token %u, which was %s", task->process->index,
                  task->index, number, token->lost ? "lost" : "given up");
    if (token->seen_over && judge_belief_until(task->handle) > process_now(task->process))
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: believes in token %u again, which a look had found over",
                  task->process->index, task->index, number);
    if (task_of(sim, number) != task)
        sim_blame(sim, JUDGE_BELIEF, "p%d: two holders of token %u", task->process->index, number);
}

void judge_told(struct sim *sim, struct process *process)
{
    for (int i = 0; i < sim->plan.tasks; i++) {
        struct task *task = &process->tasks[i];
        if (task->handle == NULL)
            continue;
        if (!agrees(task)) {
            sim_blame(sim, JUDGE_BELIEF, "p%d.%d: was told %d, but its handle is in state %d", process->index,
                      i, (int)task->told, (int)arl_handle_state(task->handle));
            return;
        }
        if (judge_belief_until(task->handle) != 0)
            judge_standing(sim, task);
        else if (task->told == TOLD_GRANTED)
            judge_left(sim, task);
        judge_deadline(sim, task);
    }
}

void judge_look(struct sim *sim, const struct task *task, bool answer, arl_ns believed_until)
{
    bool expected = (task->told == TOLD_HELD || task->told == TOLD_GRANTED) &&
                    believed_until > process_now(task->process);
    if (!answer && task->token != LEDGER_NOBODY && believed_until != 0)
        ledger_token(&sim->ledger, task->token)->seen_over = true;
    if (answer != expected)
        sim_blame(sim, JUDGE_BELIEF, "p%d.%d: a look was answered %d, in told state %d", task->process->index,
                  task->index, answer, (int)task->told);
}

void judge_renewal_answered(struct sim *sim, const struct message *message)
{
    bool no = message->outcome == ARL_NO || message->outcome == ARL_WRONG_TYPE;
    if (message->verb == WIRE_RENEW && no && judge_stands_for(sim, message->token))
        sim_blame(sim, JUDGE_BELIEF, "token %u: believed after a renewal was answered \"not yours\"",
                  message->token);
}
