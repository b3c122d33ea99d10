/* judge_register.c - judge 1: what the lock protects refuses a write with a number below one it has seen. The
 * numbers are drawn at each SET of a new token, by a counter that survives every fault.
 *
 * Safe faults: no write of a believer is refused. Unsafe ones may take the key from its holder: then the holder is
 * told LOST exactly once, at the latest at the first answered renewal written after the fault or at its lease's end,
 * and nobody ever believes in that token again. A holder that left before is told by its RELEASE. */
#include "sim.h"

/* ---- writes ---- */

void judge_register_write(struct sim *sim, const struct task *task)
{
    struct register_of_writes *protected = &sim->registers[task->key];
    uint64_t number = ledger_token(&sim->ledger, task->token)->number;
    if (number < protected->highest && sim->plan.safe)
        sim_blame(sim, JUDGE_REGISTER,
                  "p%d.%d: its write to k%d with token %u came after one of a later holder",
                  task->process->index, task->index, task->key, task->token);
    if (number > protected->highest)
    protected->highest = number;
}

void judge_register_foreign_write(struct sim *sim, int key, uint32_t token)
{
    struct register_of_writes *protected = &sim->registers[key];
    uint64_t number = ledger_token(&sim->ledger, token)->number;
    if (sim->server.keys[key].token == token && number > protected->highest)
    protected->highest = number;
}

/* ---- losses ---- */

static bool is_gone(const struct sim *sim, uint32_t number)
{
    return number != LEDGER_NOBODY && sim->ledger.tokens[number].gone_at != ARL_NEVER;
}

void judge_register_lost(struct sim *sim, const struct task *task, uint32_t number)
{
    struct token *token = ledger_token(&sim->ledger, number);
    if (token->lost)
        sim_blame(sim, JUDGE_REGISTER, "p%d.%d: token %u is told to be lost a second time",
                  task->process->index, task->index, number);
    token->lost = true;
}

void judge_register_renewed(struct sim *sim, const struct message *message)
{
    bool no = message->outcome == ARL_NO || message->outcome == ARL_WRONG_TYPE;
    if (message->verb != WIRE_RENEW || !no || !is_gone(sim, message->token))
        return;
    if (message->sent_at >= ledger_token(&sim->ledger, message->token)->gone_at &&
        judge_stands_for(sim, message->token))
        sim_blame(sim, JUDGE_REGISTER,
                  "token %u: its key went, a renewal written after that is answered, and it is not told lost",
                  message->token);
}

void judge_register_ticked(struct sim *sim, struct process *process)
{
    for (int i = 0; i < sim->plan.tasks; i++) {
        const struct task *task = &process->tasks[i];
        if (task->handle == NULL || task->told != TOLD_HELD)
            continue;
        arl_ns until = judge_belief_until(task->handle);
        if (is_gone(sim, task->token) && until + ARL_EARLY <= process_now(process))
            sim_blame(sim, JUDGE_REGISTER,
                      "p%d.%d: its key went and its lease is over, but token %u is not told lost",
                      process->index, i, task->token);
        if (ledger_token(&sim->ledger, task->token)->lost && until > process_now(process))
            sim_blame(sim, JUDGE_REGISTER, "p%d.%d: believes in token %u, which was told to be lost",
                      process->index, i, task->token);
    }
}

void judge_register_released(struct sim *sim, const struct task *task)
{
    if (is_gone(sim, task->left) && task->cause == ARL_DONE && !sim->ledger.tokens[task->left].excused)
        sim_blame(sim, JUDGE_REGISTER, "p%d.%d: its key went, and the release of token %u does not tell",
                  task->process->index, task->index, task->left);
}
