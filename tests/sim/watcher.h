/* watcher.h - the watchdog of a process: it looks at the engine when that asks for it, and renews over a
 * connection of its own, which exists only while the loop is stalled. A stopped process stops it too; then it
 * wakes late and says so. It stands for the thread; what is due is the core's to say (arl_watch_*). */
#ifndef SIM_WATCHER_H
#define SIM_WATCHER_H

#include "agenda.h"
#include "link.h"

struct process;

/* So many renewals are marked (counted as sent) and not written yet, at most. */
#define WATCHER_MARKED_MAX 8

struct watcher {
    struct alarm look;    /* the thread wakes */
    struct alarm connect; /* its connection stands, or cannot be made */
    struct alarm write;   /* what is marked is written */
    arl_ns asked_for;     /* ns, local: when it meant to wake */
    struct message marked[WATCHER_MARKED_MAX];
    int marked_count;
    bool refused;     /* it cannot be made */
    int unanswered;   /* marked, and neither answered nor given up */
    bool used;        /* it renewed since the loop's last turn */
    bool to_tell;     /* the loop turned since; it is to be told */
    bool starved;     /* the system lets it wait before it wakes next */
    bool disturbed;   /* in this stall something hindered it */
    arl_ns turned_at; /* ns, local: the loop's last turn before this stall */
    arl_ns slowest;   /* ns: the longest that a message of its was under way in this stall */
    arl_ns connected; /* ns: the longest that its connection took in this stall */
};

void watcher_start(struct process *process);

/* The engine's deadline for it may have come nearer. */
void watcher_arm(struct sim *sim, struct process *process);

/* A reply arrived on its connection. */
void watcher_reply(struct sim *sim, struct process *process, const struct message *message);

/* Its connection is cut, if it has one. True where it had. */
bool watcher_cut(struct sim *sim, struct process *process);

/* The process is gone. */
void watcher_stop(struct sim *sim, struct process *process);

#endif
