/* judge.h - who finds what must not be. Each judge has a file; the simulator asks them at its steps.
 *
 *   register  judge_register.c  what the lock protects: a write with a number below one that was written
 *   belief    judge_belief.c    what the engines answer, at the moments when a key ends, and what they told
 *   wire      judge_wire.c      which command is written when
 *   liveness  judge_liveness.c  orphans, waiters without end, memory */
#ifndef SIM_JUDGE_H
#define SIM_JUDGE_H

#include "core/arl.h"
#include "server.h"

struct alarm;
struct message;
struct process;
struct task;

/* ---- register ---- */

/* What a lock protects: it refuses a write with a lower number than one that it has seen. */
struct register_of_writes {
    uint64_t highest;
};

/* A task that believes writes now. / A foreign process that the server says holds the key. */
void judge_register_write(struct sim *sim, const struct task *task);
void judge_register_foreign_write(struct sim *sim, int key, uint32_t token);

/* A hold was told LOST; its token. / A renewal was answered, and the events of that were taken. / The loop ticked, and
 * likewise. / A release() came to its end: task->cause, of the token task->left. */
void judge_register_lost(struct sim *sim, const struct task *task, uint32_t token);
void judge_register_renewed(struct sim *sim, const struct message *message);
void judge_register_ticked(struct sim *sim, struct process *process);
void judge_register_released(struct sim *sim, const struct task *task);

/* ---- belief ---- */

/* Until when (ns, local) the engine believes in the lease of this handle; 0 when it holds none. Changes
 * nothing, unlike the look of a user, which may find the lease over. */
arl_ns judge_belief_until(const struct arl_handle *handle);

/* Does the engine of the token's owner believe in it now, by its own clock? / Does a handle stand for it,
 * be the lease over by the clock or not? */
bool judge_believed(struct sim *sim, uint32_t token);
bool judge_stands_for(struct sim *sim, uint32_t token);

/* On the model, K no longer holds this token. / It does again (failover to a copy). */
void judge_key_ended(struct sim *sim, int key, uint32_t token, enum server_end why);
void judge_key_restored(struct sim *sim, uint32_t token);

/* After each input: does what each owner was told agree with what the engine answers? */
void judge_told(struct sim *sim, struct process *process);

/* The task looked and was answered so. */
void judge_look(struct sim *sim, const struct task *task, bool answer, arl_ns believed_until);

/* A renewal was answered, and the events of that were taken. */
void judge_renewal_answered(struct sim *sim, const struct message *message);

/* ---- wire ---- */

/* The connection of a process stands. */
void judge_wire_up(struct process *process);

/* A request is written on it. */
void judge_wire_written(struct sim *sim, struct process *process, const struct message *message);

/* A reply is about to be given to the engine. / It was. */
void judge_wire_reply(struct sim *sim, struct process *process, const struct message *message);
void judge_wire_replied(struct sim *sim, struct process *process, const struct message *message);

/* Its connection is given up: which tokens are in doubt now? */
void judge_wire_cut(struct sim *sim, struct process *process);

/* The task left its hold, or was told that it is over: where nobody else of its process was handed the
 * lease, its token is dead from now on. */
void judge_left(struct sim *sim, struct task *task);

const char *judge_verb_name(int verb);
const char *judge_outcome_name(enum arl_outcome outcome);

/* ---- the watchdog (judge_watch.c; each finding is that of one of the four) ---- */

/* It marked a renewal. / One was answered. / What was unanswered is given up. */
void judge_watch_marked(struct sim *sim, struct process *process, const struct message *message);
void judge_watch_answered(struct sim *sim, struct process *process, const struct message *message);
void judge_watch_cut(struct sim *sim, const struct process *process);

/* A lease was passed on within the process. */
void judge_watch_handed_on(struct sim *sim, const struct task *task);

/* The loop turned, and was told or not that it had been stalled. */
void judge_watch_told(struct sim *sim, struct process *process, bool told);

/* A stall begins. / Somewhere in it, or at its end: are the leases kept that must be? */
void judge_watch_begins(struct sim *sim, struct process *process);
void judge_watch_keeps(struct sim *sim, struct process *process);

/* ---- liveness ---- */

/* A token was drawn and is tried: its RELEASE may come to be owed. */
void judge_owed_open(struct process *process, uint32_t token);

/* All that was to be written is: is a RELEASE missing? */
void judge_owed(struct sim *sim, struct process *process);

/* A second after a cut: is there an orphan that should be gone? (struct process, field orphans) */
void judge_orphans(struct sim *sim, struct alarm *alarm);

/* How long (ns) after the end of faults all must be over. / It is time: is it? */
arl_ns judge_bound(const struct sim *sim);
void judge_all_over(struct sim *sim);

#endif
