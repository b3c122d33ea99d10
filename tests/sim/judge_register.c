/* judge_register.c - judge 1: what the lock protects refuses a write with a number below one it has seen. The
 * numbers are drawn at each SET of a new token, by a counter that survives every fault. */
#include "sim.h"

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
