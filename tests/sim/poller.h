/* poller.h - a foreign process that polls as aioredlock-py does: SET NX EX with one token for all its tries,
 * after failed try i a pause of mean * max(0, i - 2) + uniform(low, high); renewal each 0.667 ex by compare
 * and EXPIRE; compare-and-delete. It believes what it likes: it holds while the server says so. */
#ifndef SIM_POLLER_H
#define SIM_POLLER_H

#include "agenda.h"
#include "core/arl.h"

struct link;
struct message;

enum poller_state { POLLER_THINKS, POLLER_TRIES, POLLER_SLEEPS, POLLER_HOLDS, POLLER_LEAVES };

struct poller {
    int index;
    enum poller_state state;
    int key;
    int tries;      /* failed so far */
    uint32_t token; /* number in the ledger */
    arl_ns ttl;     /* ns */
    struct link *link;
    struct alarm next;
    struct alarm renew;
};

void poller_start(struct sim *sim, struct poller *poller, int index);
void poller_reply(struct sim *sim, struct poller *poller, const struct message *message);

/* Its connection is cut: it gives up what it is doing. */
void poller_cut(struct sim *sim, struct poller *poller);

#endif
