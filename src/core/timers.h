/* timers.h - a heap of deadlines. The nodes belong to their owners; the heap holds pointers to them.
 * Room is reserved beforehand, so that setting a timer never fails. */
#ifndef ARL_TIMERS_H
#define ARL_TIMERS_H

#include "arl.h"

struct arl_timer {
    arl_ns at;      /* ns: when it is due; valid while set */
    uint32_t place; /* 1 + index in the heap; 0: not set */
    uint32_t kind;  /* the owner's: what kind of struct is around this node */
};

struct arl_timers {
    struct arl_timer **heap; /* the earliest at [0] */
    uint32_t count;          /* how many are set */
    uint32_t capacity;       /* how many fit */
    uint32_t reserved;       /* how many nodes are promised room */
};

/* Promises room for one more node. 0 or ARL_ENOMEM. */
int arl_timers_reserve(struct arl_timers *timers, const struct arl_settings *settings);

/* Takes a promise back; the node must not be set. The heap's memory goes with the last promise. */
void arl_timers_unreserve(struct arl_timers *timers, const struct arl_settings *settings);

/* Frees the heap itself; the nodes are their owners'. */
void arl_timers_free(struct arl_timers *timers, const struct arl_settings *settings);

/* Sets or moves a node (room was reserved); ARL_NEVER unsets it. O(log n). */
void arl_timers_set(struct arl_timers *timers, struct arl_timer *timer, arl_ns at);

void arl_timers_unset(struct arl_timers *timers, struct arl_timer *timer);

/* The earliest node, or NULL. */
struct arl_timer *arl_timers_first(const struct arl_timers *timers);

/* When the earliest is due, or ARL_NEVER. */
arl_ns arl_timers_deadline(const struct arl_timers *timers);

#endif
