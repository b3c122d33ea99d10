/* link.h - one connection: bytes stay in order and never come twice. It may be cut at any moment; what had
 * been written to it then arrives late (up to 4 ttl), a first part of it alone, or never. */
#ifndef SIM_LINK_H
#define SIM_LINK_H

#include "agenda.h"
#include "core/arl.h"

struct process;
struct poller;

enum wire_verb {
    WIRE_TRY = ARL_TRY,
    WIRE_RENEW = ARL_RENEW,
    WIRE_RELEASE = ARL_RELEASE,
    WIRE_PEEK = ARL_PEEK,
    WIRE_EXPIRE = ARL_VERBS /* a poller's renewal: the same but that it also shortens */
};

struct message {
    arl_ns at;      /* ns, true: when it arrives; ARL_NEVER in a connection that has fallen silent */
    arl_ns sent_at; /* ns, true: when the command was written */
    arl_ns ttl;     /* ns */
    uint32_t token;
    uint8_t verb; /* enum wire_verb */
    uint8_t key;
    uint8_t outcome; /* enum arl_outcome, of a reply */
    bool whole;      /* the script's text, not its digest */
    bool foreign;
};

struct messages {
    struct message *items; /* a ring */
    uint32_t head, count, capacity;
    arl_ns last; /* ns: when the last one arrives: none overtakes */
};

struct link {
    struct process *process; /* whose it is, while open: one of the two */
    struct poller *poller;
    uint8_t which;    /* enum process_link, of a process's */
    bool open;        /* for its owner */
    bool fell_silent; /* nothing arrives any more, and nobody says so */
    struct messages commands, replies;
    struct alarm command_alarm, reply_alarm;
    arl_ns landed_by; /* ns, of a cut one: when the last of its commands arrives */
    bool in_use;
    struct link *next;
};

struct links {
    struct link *all; /* made so far; those not in use are taken again */
};

struct link *link_open(struct sim *sim, struct process *process, struct poller *poller);

/* Its owner gives it up, or it is cut. */
void link_close(struct sim *sim, struct link *link);

void link_fall_silent(struct sim *sim, struct link *link);

void link_write(struct sim *sim, struct link *link, struct message message);

/* Hands every reply that has arrived by now to its owner (a loop that goes on). */
void link_deliver_arrived(struct sim *sim, struct link *link);

void links_start(struct sim *sim);
void links_free(struct links *links);

#endif
