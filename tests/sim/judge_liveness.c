/* judge_liveness.c - what must come to an end: orphans, waiters, engines' work, their memory.
 *
 * An orphan is a key of ours in which nobody believes and for which nobody is acquiring. It is gone: with no
 * cut, one round trip after its engine could know of it, so its RELEASE is written at once; after a cut whose
 * late commands landed within 0.5 s and with the connection back, 1 s after the cut; else its ttl ends it. Where
 * the doubt ended meanwhile because the owner was told that it holds K, the rule without a cut is the one again. */
#include "sim.h"

/* The RELEASE once more leaves 0.6 s after the cut; slow clocks and busy turns are late by less than this. */
#define AGAIN_BY (650 * ARL_MS)

void judge_owed_open(struct process *process, uint32_t token)
{
    if (process->open_count < OPEN_TOKENS_MAX)
        process->open[process->open_count++] = token;
}

/* K holds it, and its ttl does not end it at once anyway: by a clock 1 % too fast it is gone already. */
static bool lives_on(const struct sim *sim, uint32_t number)
{
    const struct server_key *key = &sim->server.keys[sim->ledger.tokens[number].key];
    return key->token == number && key->expires_at - sim->now > sim->plan.ttl / 40;
}

void judge_owed(struct sim *sim, struct process *process)
{
    if (process->links[LINK_LOOP] == NULL || arl_engine_has_request(process->engine))
        return;
    for (int i = 0; i < process->open_count; i++) {
        uint32_t number = process->open[i];
        const struct token *token = ledger_token(&sim->ledger, number);
        if (token->known && !token->released && lives_on(sim, number) && !token->excused && !token->late &&
            !judge_stands_for(sim, number))
            sim_blame(sim, JUDGE_LIVENESS, "p%d: nobody stands for token %u, and no RELEASE is written",
                      process->index, number);
    }
}

/* Does somebody of its process wait for the key, with this token as the one that is tried? */
static bool is_wanted(struct sim *sim, const struct process *process, const struct token *token)
{
    if (token->release_at != ARL_NEVER)
        return false;
    for (int i = 0; i < sim->plan.tasks; i++) {
        const struct task *task = &process->tasks[i];
        if (task->handle != NULL && task->key == token->key && arl_handle_state(task->handle) == ARL_WAITING)
            return true;
    }
    return false;
}

void judge_orphans(struct sim *sim, struct alarm *alarm)
{
    struct process *process = ALARM_OF(alarm, struct process, orphans);
    bool undisturbed = process->engine != NULL && process->links[LINK_LOOP] != NULL &&
                       process->disturbed_at <= process->cut_at && sim->plan.turn < 20 * ARL_MS &&
                       process->landed_by <= process->cut_at + ARL_SECOND / 2 &&
                       process->up_at <= process->cut_at + ARL_SECOND / 2;
    for (int key = 0; undisturbed && key < sim->plan.keys; key++) {
        uint32_t number = sim->server.keys[key].token;
        const struct token *token = ledger_token(&sim->ledger, number);
        if (number == LEDGER_NOBODY || token->process != process->index ||
            token->incarnation != process->incarnation || token->doubted_at != process->cut_at ||
            (token->known && token->release_at == ARL_NEVER))
            continue;
        bool given_up = token->release_at != ARL_NEVER ? token->release_at <= process->cut_at + AGAIN_BY
                                                       : !is_wanted(sim, process, token);
        if (given_up && !judge_stands_for(sim, number))
            sim_blame(sim, JUDGE_LIVENESS, "p%d: token %u is an orphan on k%d, a second after the cut",
                      process->index, number, key);
    }
}

/* ---- the end ---- */

arl_ns judge_bound(const struct sim *sim)
{
    const struct plan *plan = &sim->plan;
    arl_ns schedule = 38 * plan->sleep_high + 3 * plan->ttl; /* a patience is at most 3 ttl */
    arl_ns late = 6 * plan->ttl + 5 * ARL_SECOND;            /* commands of a cut connection, and their ttl */
    arl_ns server = 4 * plan->reply_timeout + plan->dial;
    arl_ns each = plan->ttl / 2 + ARL_SECOND + plan->sleep_high + plan->turn * 4;
    return schedule + late + server + each * plan->processes * plan->tasks + 3 * plan->ttl * plan->pollers;
}

static void judge_process(struct sim *sim, struct process *process)
{
    for (int i = 0; i < sim->plan.tasks; i++) {
        const struct task *task = &process->tasks[i];
        if (task->handle != NULL)
            sim_blame(sim, JUDGE_LIVENESS, "p%d.%d: has not come to an end (state %d)", process->index, i,
                      (int)arl_handle_state(task->handle));
    }
    if (arl_engine_wants_connection(process->engine) || arl_engine_unanswered(process->engine) > 0 ||
        process->links[LINK_WATCH] != NULL || arl_watch_deadline(process->engine) != ARL_NEVER ||
        arl_engine_holds(process->engine) || arl_engine_deadline(process->engine) != ARL_NEVER)
        sim_blame(sim, JUDGE_LIVENESS, "p%d: its engine still has something to do", process->index);
}

void judge_all_over(struct sim *sim)
{
    for (int i = 0; i < sim->plan.processes; i++) {
        if (sim->processes[i].engine != NULL)
            judge_process(sim, &sim->processes[i]);
    }
    for (int i = 0; i < sim->plan.keys; i++) {
        if (sim->server.keys[i].token != LEDGER_NOBODY)
            sim_blame(sim, JUDGE_LIVENESS, "k%d is never freed", i);
    }
}
