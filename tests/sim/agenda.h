/* agenda.h - what is to happen, in the order of time; at the same time in the order in which it was set. */
#ifndef SIM_AGENDA_H
#define SIM_AGENDA_H

#include <stdint.h>

#include "core/ticks.h"

struct sim;

/* Part of the struct that it concerns. */
struct alarm {
    arl_ns at;      /* ns of true time; valid while set */
    uint32_t place; /* 1 + index in the heap; 0: not set */
    void (*ring)(struct sim *sim, struct alarm *alarm);
};

/* Beside each other in memory, so that a comparison needs no alarm. */
struct agenda_entry {
    arl_ns at;      /* ns */
    uint64_t order; /* breaks ties */
    struct alarm *alarm;
};

struct agenda {
    struct agenda_entry *heap;
    uint32_t count;
    uint32_t capacity;
    uint64_t order; /* of the next alarm that is set */
};

/* The struct of `type` whose field `member` is the alarm. */
#define ALARM_OF(alarm, type, member) ((type *)(void *)((char *)(alarm) - offsetof(type, member)))

/* Sets or moves an alarm; ARL_NEVER unsets it. Ends the program when there is no memory. */
void agenda_set(struct agenda *agenda, struct alarm *alarm, arl_ns at);
void agenda_unset(struct agenda *agenda, struct alarm *alarm);

/* Takes the first alarm out; NULL when nothing is set. */
struct alarm *agenda_pop(struct agenda *agenda);

/* Forgets all alarms; the heap's memory stays for the next schedule. / Gives that back too. */
void agenda_clear(struct agenda *agenda);
void agenda_free(struct agenda *agenda);

#endif
