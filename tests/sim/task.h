/* task.h - a user of an engine: acquires, holds, writes to what the lock protects, leaves; again and again. */
#ifndef SIM_TASK_H
#define SIM_TASK_H

#include "agenda.h"
#include "core/arl.h"

struct process;

/* What the task was told of its acquire and its hold. */
enum told {
    TOLD_NOTHING, /* it has no handle */
    TOLD_TO_WAIT,
    TOLD_GRANTED, /* by an event; its own turn to confirm is to come */
    TOLD_HELD,
    TOLD_TO_WAIT_FOR_RELEASE,
    TOLD_THE_END
};

struct task {
    struct process *process;
    int index;
    int key;
    enum told told;
    enum arl_cause cause; /* of TOLD_THE_END */
    struct arl_handle *handle;
    struct arl_ask *ask;
    bool answered;         /* the ask was */
    struct alarm next;     /* the task runs */
    struct alarm cancel;   /* somebody cancels it */
    arl_ns hold_until;     /* ns, true */
    arl_ns patience_until; /* ns, local; ARL_NEVER */
    uint32_t token;        /* number in the ledger of the lease that it was told of */
    uint32_t left;         /* likewise: of the lease that it released last */
    uint32_t kept;         /* likewise: the watchdog has to keep it through this stall (judge_watch) */
    struct arl_want want;
};

void task_start(struct sim *sim, struct process *process, struct task *task, int index);

/* Its process is gone, and the handle with it. */
void task_forget(struct sim *sim, struct task *task);

/* Faults have stopped: the hold at hand is not to last much longer. */
void task_hurry(struct sim *sim, struct task *task);

/* An event of its handle or its ask. */
void task_event(struct sim *sim, struct task *task, const struct arl_event *event);

/* It runs now: it goes on with what it is at. */
void task_runs(struct sim *sim, struct task *task);

/* It looks whether it holds; what it sees is judged. */
bool task_looks(struct sim *sim, struct task *task);

#endif
