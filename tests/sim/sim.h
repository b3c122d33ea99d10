/* sim.h - one schedule: a fleet of engines, foreign pollers, a server and the network between them.
 *
 * Everything follows from a 64-bit seed. What a schedule is made of has a file each: plan, clock, agenda and
 * dice; server and link; process (an engine, its loop and its connection), task (a user of it), poller; fault;
 * ledger (every token and what became of it); judge_*.
 *
 * Where the queue on the server comes in: a verb in link.h and server.c; a second connection in process.h
 * (enum process_link); a mutant as a patch in mutants/. */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stddef.h>

#include "agenda.h"
#include "fault.h"
#include "judge.h"
#include "ledger.h"
#include "link.h"
#include "plan.h"
#include "poller.h"
#include "process.h"
#include "server.h"
#include "watcher.h"

/* Which way of going wrong a judge looks for. */
enum judge { JUDGE_NONE, JUDGE_REGISTER, JUDGE_BELIEF, JUDGE_WIRE, JUDGE_LIVENESS, JUDGES };

struct sim {
    uint64_t seed;
    arl_ns now; /* ns: true time, which is the server's */
    struct agenda agenda;
    struct dice dice;
    struct plan plan;
    struct server server;
    struct links links;
    struct process processes[PROCESSES_MAX];
    struct poller pollers[POLLERS_MAX];
    struct ledger ledger;
    struct faults faults;
    struct register_of_writes registers[KEYS_MAX];
    struct alarm end;   /* faults stop, nothing new begins */
    struct alarm bound; /* by then all must be over */
    bool ending;        /* the former has rung */
    bool tracing;
    unsigned judges;     /* who judges: bits of enum judge; the others are not heard */
    enum judge guilty;   /* who found something; JUDGE_NONE */
    bool stopped;        /* it cannot go on, whoever judges */
    int acquisitions;    /* leases that a task of ours got */
    int faults_happened; /* that found something to disturb */
    int stalls;          /* loops that stood still */
    int kept;            /* renewals of the watchdogs' */
    long steps;          /* alarms that rang */
};

/* Runs the schedule of a seed. 0, or 1 where a judge found something (sim->guilty, and it was told on
 * stdout). `sim` is zeroed before the first schedule and used again for each. */
int sim_run(struct sim *sim, uint64_t seed, bool safe, bool brief);

/* Enough of everything, for it to count? */
bool sim_counts(const struct sim *sim);

/* Gives back the memory that is kept between schedules. */
void sim_free(struct sim *sim);

/* A judge found something: the first one that is heard is told and ends the schedule. */
void sim_blame(struct sim *sim, enum judge judge, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The schedule would never end: the judge of liveness found that, and nobody goes on. */
void sim_stop(struct sim *sim, const char *why, int process);

const char *sim_judge_name(enum judge judge);

/* One line of the trace: the time, and what happened. */
void sim_note(const struct sim *sim, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define NOTE(sim, ...)                                                                                       \
    do {                                                                                                     \
        if ((sim)->tracing)                                                                                  \
            sim_note(sim, __VA_ARGS__);                                                                      \
    } while (0)

#endif
