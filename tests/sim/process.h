/* process.h - one engine, the loop that drives it, its connection and its tasks. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "clock.h"
#include "fault.h"
#include "link.h"
#include "plan.h"
#include "task.h"
#include "watcher.h"

/* The connections of a process. The watchdog's lives in watcher.c; a third (a subscriber's) gets its place here:
 * open it where it is wanted (as ring_dial in process.c and ring_connect in watcher.c do), tell its replies apart in
 * process_reply, let it be cut in fault.c and close it in process_kill. */
enum process_link { LINK_LOOP, LINK_WATCH, PROCESS_LINKS };

#define OPEN_TOKENS_MAX 256

struct process {
    struct sim *sim;
    int index;
    int incarnation; /* how many lived here before it */
    struct clock clock;
    struct arl_engine *engine; /* NULL while nobody lives here */
    struct link *links[PROCESS_LINKS];
    struct alarm tick;  /* the engine's deadline */
    arl_ns tick_for;    /* ns, local: the deadline that it was set for */
    struct alarm flush; /* the end of the loop's turn: what is to be written is */
    struct alarm dial;
    struct alarm wake;    /* the pause ends */
    struct alarm birth;   /* the next one starts */
    struct alarm glance;  /* a stalled task looks at its lock */
    arl_ns paused_until;  /* ns, true: all of it does nothing */
    arl_ns stalled_until; /* ns, true: its loop does not turn */
    arl_ns turned_at;     /* ns, local: when the loop last turned */
    arl_ns no_dial_until; /* ns, true: dialling fails */
    int dials_failed;
    bool hung_up;     /* its connection was cut while it stood still: the engine is to be told */
    bool closing;     /* the engine was closed; it dies when all is done */
    bool first_write; /* nothing was written on this connection yet */
    int last_class;   /* judge_wire: how far the order after a reconnect has come */
    int error_next;   /* enum arl_outcome that the next command gets, or -1 */
    struct trap trap;
    struct watcher watcher;
    struct task tasks[TASKS_MAX];
    arl_ns up_at;                   /* ns, true: when its connection was opened */
    arl_ns cut_at;                  /* ns, true: when the last one was cut; ARL_NEVER */
    arl_ns landed_by;               /* ns, true: when the last command of that arrives */
    arl_ns disturbed_at;            /* ns, true: until when anything was wrong with it */
    struct alarm orphans;           /* judge_liveness looks a second after a cut */
    uint32_t open[OPEN_TOKENS_MAX]; /* tokens whose RELEASE may still be owed (judge_liveness) */
    int open_count;
    uint32_t tried[KEYS_MAX]; /* the token of the last TRY of each key */
    long blocks;              /* of memory that its engine has */
    arl_ns spun_at;           /* ns, true: the last tick, and how many there were at that time */
    int spins;
};

void process_start(struct sim *sim, struct process *process, int index);

/* The time that its clock shows (ns). */
arl_ns process_now(const struct process *process);

/* Until when (ns, true) its loop does nothing: it is stopped, or stalled. */
static inline arl_ns process_still_until(const struct process *process)
{
    return arl_ns_max(process->paused_until, process->stalled_until);
}

/* While its loop does nothing the loop's alarms wait: true, and the alarm is set anew. / So do replies; those of
 * the watchdog's connection wait only for a process that is stopped. */
bool process_defers(struct sim *sim, const struct process *process, struct alarm *alarm);
bool process_defers_reply(struct sim *sim, const struct link *link, struct alarm *alarm);

/* What a request looks like under way. */
struct message process_message(const struct sim *sim, const struct arl_request_view *view);

/* A reply arrived. */
void process_reply(struct sim *sim, struct process *process, struct link *link,
                   const struct message *message);

/* After every input of its engine: takes the events, writes or plans to, sets the timer, asks the judges. */
void process_settle(struct sim *sim, struct process *process);

/* Until then (ns, true) something is wrong with it. */
static inline void process_disturb(struct process *process, arl_ns until)
{
    process->disturbed_at = arl_ns_max(process->disturbed_at, until);
}

/* Its loop turns: time passed. / Its connection is gone, and the engine is told; settle afterwards. */
void process_tick(struct sim *sim, struct process *process);
void process_down(struct process *process);

/* ---- what goes wrong with it ---- */

void process_pause(struct sim *sim, struct process *process, arl_ns duration);
void process_stall(struct sim *sim, struct process *process, arl_ns duration);
void process_resume(struct sim *sim, struct process *process);
void still_start(struct process *process);
void process_cut(struct sim *sim, struct process *process);
void process_kill(struct sim *sim, struct process *process);
void process_close(struct sim *sim, struct process *process);

#endif
