/* judge_watch.c - the watchdog's part of the judges: what it may renew, and what it must keep. */
#include "sim.h"

static struct task *holder_of(struct sim *sim, struct process *process, uint32_t token)
{
    for (int i = 0; i < sim->plan.tasks; i++) {
        struct task *task = &process->tasks[i];
        if (task->handle != NULL && judge_belief_until(task->handle) != 0 &&
            ledger_find(sim, arl_handle_token(task->handle)) == token)
            return task;
    }
    return NULL;
}

/* ---- the wire: only for a stalled loop, only what is held and not over, only within stall_limit ---- */

void judge_watch_marked(struct sim *sim, struct process *process, const struct message *message)
{
    struct token *token = ledger_token(&sim->ledger, message->token);
    const struct task *task = holder_of(sim, process, message->token);
    token->watched++;
    if (message->verb != WIRE_RENEW || !message->whole)
        sim_blame(sim, JUDGE_WIRE, "p%d: its watchdog sends what is no whole RENEW", process->index);
    if (process_still_until(process) < sim->now) /* at that very moment the loop has not turned yet */
        sim_blame(sim, JUDGE_WIRE, "p%d: its watchdog renews token %u for a loop that turns", process->index,
                  message->token);
    if (token->over || task == NULL) {
        sim_blame(sim, JUDGE_WIRE, "p%d: its watchdog renews token %u, which is dead", process->index,
                  message->token);
        return;
    }
    if (judge_belief_until(task->handle) <= process_now(process))
        sim_blame(sim, JUDGE_WIRE, "p%d: its watchdog renews token %u, whose lease is over", process->index,
                  message->token);
    if (process_now(process) >= arl_ns_add(process->turned_at, task->want.stall_limit))
        sim_blame(sim, JUDGE_WIRE, "p%d: its watchdog renews token %u after its stall_limit", process->index,
                  message->token);
    if (token->watch_refused)
        sim_blame(sim, JUDGE_WIRE, "p%d: its watchdog renews token %u again after \"not yours\"",
                  process->index, message->token);
}

void judge_watch_answered(struct sim *sim, struct process *process, const struct message *message)
{
    struct token *token = ledger_token(&sim->ledger, message->token);
    token->watched--;
    if (message->outcome == ARL_NO || message->outcome == ARL_WRONG_TYPE)
        token->watch_refused = true;
    else if (message->outcome != ARL_YES)
        process->watcher.disturbed = true;
}

void judge_watch_cut(struct sim *sim, const struct process *process)
{
    for (uint32_t i = 1; i < sim->ledger.count; i++) {
        struct token *token = ledger_token(&sim->ledger, i);
        if (token->process == process->index && token->incarnation == process->incarnation)
            token->watched = 0;
    }
}

void judge_watch_handed_on(struct sim *sim, const struct task *task)
{
    if (ledger_token(&sim->ledger, task->token)->watched > 0)
        sim_blame(sim, JUDGE_WIRE,
                  "p%d.%d: token %u was handed on with a renewal of the watchdog's in flight",
                  task->process->index, task->index, task->token);
}

/* ---- what is told when the loop turns again ---- */

void judge_watch_told(struct sim *sim, struct process *process, bool told)
{
    if (told != process->watcher.to_tell)
        sim_blame(sim, JUDGE_BELIEF, "p%d: %s", process->index,
                  told ? "told of a stall in which nothing was renewed"
                       : "nothing tells that the watchdog renewed");
    process->watcher.to_tell = false;
}

/* ---- liveness: a stall within stall_limit loses no lease while nothing hinders the watchdog ----
 *
 * Exactly: the loop alone stands still; when it came to stand the lease had more than 0.55 of its ttl left, and the
 * loop turned less than stall_limit ago since; safe faults alone; since then neither the watchdog nor its
 * connection nor the server was disturbed, no message of the watchdog's was under way for more than a twentieth of
 * the ttl, and its connection took at most an eighth. */

void judge_watch_begins(struct sim *sim, struct process *process)
{
    struct watcher *watcher = &process->watcher;
    const struct link *link = process->links[LINK_WATCH];
    watcher->slowest = watcher->connected = 0;
    watcher->turned_at = process->turned_at;
    watcher->disturbed = watcher->starved || sim->server.silent_until > sim->now ||
                         process->no_dial_until > sim->now || process->error_next >= 0 ||
                         (link != NULL && link->fell_silent);
    for (int i = 0; i < sim->plan.tasks; i++) {
        struct task *task = &process->tasks[i];
        arl_ns until = task->handle != NULL ? judge_belief_until(task->handle) : 0;
        bool lasts = until - process_now(process) > task->want.ttl * 55 / 100;
        task->kept = lasts ? ledger_find(sim, arl_handle_token(task->handle)) : LEDGER_NOBODY;
    }
}

static bool is_unhindered(const struct watcher *watcher, arl_ns ttl)
{
    return !watcher->disturbed && watcher->slowest <= ttl / 20 && watcher->connected <= ttl / 8;
}

void judge_watch_keeps(struct sim *sim, struct process *process)
{
    arl_ns now = process_now(process);
    for (int i = 0; i < sim->plan.tasks; i++) {
        const struct task *task = &process->tasks[i];
        if (task->kept == LEDGER_NOBODY || task->token != task->kept || task->handle == NULL ||
            !sim->plan.safe)
            continue;
        arl_ns until = judge_belief_until(task->handle);
        if (until != 0 && until <= now && is_unhindered(&process->watcher, task->want.ttl) &&
            now < arl_ns_add(process->watcher.turned_at, task->want.stall_limit))
            sim_blame(sim, JUDGE_LIVENESS, "p%d.%d: the watchdog did not keep token %u through a stall",
                      process->index, i, task->kept);
    }
}
