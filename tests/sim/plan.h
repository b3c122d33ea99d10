/* plan.h - what a schedule is made of, drawn from its seed before it starts. */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "dice.h"

#define PROCESSES_MAX 5
#define TASKS_MAX 5 /* of one process */
#define POLLERS_MAX 2
#define KEYS_MAX 3

/* How long a message is under way. */
enum delays { DELAYS_NONE, DELAYS_SHORT, DELAYS_LONG };

struct plan {
    bool safe;  /* the faults of safe schedules alone */
    bool brief; /* 20 ttl of virtual time, else 24 */
    int processes, tasks, pollers, keys;
    bool own_keys;        /* each process mostly locks one of its own: its turns grow long */
    arl_ns ttl;           /* ns: what most acquires ask for */
    arl_ns sleep_low;     /* ns */
    arl_ns sleep_high;    /* ns */
    arl_ns reply_timeout; /* ns */
    arl_ns early;         /* ns: the server ends keys this much before their time, at most 2 ms */
    arl_ns turn;          /* ns: how late a task runs after what woke it, at most */
    arl_ns think;         /* ns: between a task's acquires, at most */
    arl_ns dial;          /* ns: how long opening a connection takes, at most */
    arl_ns end;           /* ns: from then on no fault and nothing new */
    enum delays delays;
    int holds_short;  /* percent of holds that last less than a tenth of a ttl */
    int holds_long;   /* percent that outlast a ttl */
    int timers_early; /* percent of timers that fire up to 2 ms early */
    int written_late; /* percent of writes that wait for the end of the loop's turn */
    int faults;
};

void plan_draw(struct plan *plan, struct dice *dice, bool safe, bool brief);

/* The drift (parts in a million) of a clock: a third at the edge, a third none, a third between. */
arl_ns plan_drift(struct dice *dice);

/* How long (ns) a message is under way. */
arl_ns plan_delay(const struct plan *plan, struct dice *dice);

/* How long (ns) a loop stands still, / and how long its watchdog is to keep its leases then. */
arl_ns plan_stall(const struct plan *plan, struct dice *dice);
arl_ns plan_stall_limit(const struct plan *plan, struct dice *dice);

/* How long (ns) a process or the server does nothing: often about as long as a lease lasts. */
arl_ns plan_pause(const struct plan *plan, struct dice *dice);

#endif
