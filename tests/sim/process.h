/* process.h - one engine, the loop that drives it, its connection and its tasks. */
#ifndef SIM_PROCESS_H
#define SIM_PROCESS_H

#include "clock.h"
#include "fault.h"
#include "link.h"
#include "plan.h"
#include "task.h"

/* A second connection of a process (the watchdog's, the subscriber's) gets its place here: open it beside
 * the loop's in process.c (connect), tell the replies apart in process_reply, close it in process_cut. */
enum process_link { LINK_LOOP, PROCESS_LINKS };

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
    arl_ns paused_until;  /* ns, true */
    arl_ns no_dial_until; /* ns, true: dialling fails */
    int dials_failed;
    bool hung_up;     /* its connection was cut while it was paused: the engine is to be told */
    bool closing;     /* the engine was closed; it dies when all is done */
    bool first_write; /* nothing was written on this connection yet */
    int last_class;   /* judge_wire: how far the order after a reconnect has come */
    int error_next;   /* enum arl_outcome that the next command gets, or -1 */
    struct trap trap;
    struct task tasks[TASKS_MAX];
    arl_ns up_at;                   /* ns, true: when its connection was opened */
    arl_ns cut_at;                  /* ns, true: when the last one was cut; ARL_NEVER */
    arl_ns landed_by;               /* ns, true: when the last command of that arrives */
    arl_ns disturbed_at;            /* ns, true: until when anything was wrong with it */
    struct alarm orphans;           /* judge_liveness looks a second after a cut */
    uint32_t open[OPEN_TOKENS_MAX]; /* tokens whose RELEASE may still be owed (judge_liveness) */
    int open_count;
    long blocks;    /* of memory that its engine has */
    arl_ns spun_at; /* ns, true: the last tick, and how many there were at that time */
    int spins;
};

void process_start(struct sim *sim, struct process *process, int index);

/* The time that its clock shows (ns). */
arl_ns process_now(const struct process *process);

/* While it is paused its alarms ring when the pause ends: true, and the alarm is set anew. */
bool process_defers(struct sim *sim, const struct process *process, struct alarm *alarm);

/* A reply arrived. */
void process_reply(struct sim *sim, struct process *process, const struct message *message);

/* After every input of its engine: takes the events, writes or plans to, sets the timer, asks the judges. */
void process_settle(struct sim *sim, struct process *process);

/* Until then (ns, true) something is wrong with it. */
static inline void process_disturb(struct process *process, arl_ns until)
{
    process->disturbed_at = arl_ns_max(process->disturbed_at, until);
}

/* ---- what goes wrong with it ---- */

void process_pause(struct sim *sim, struct process *process, arl_ns duration);
void process_resume(struct sim *sim, struct process *process);
void process_cut(struct sim *sim, struct process *process);
void process_kill(struct sim *sim, struct process *process);
void process_close(struct sim *sim, struct process *process);

#endif
