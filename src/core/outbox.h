/* outbox.h - requests on their way: queued to be written, then unanswered, first in first out.
 *
 * A request is a node inside the struct it serves and lives as long as that; the outbox only links it.
 * What is queued leaves in the order of the classes: RELEASEs, asks, RENEWs, TRYs (rule of safety 4). */
#ifndef ARL_OUTBOX_H
#define ARL_OUTBOX_H

#include "arl.h"
#include "list.h"

/* Whom the answer concerns; the struct around the node follows from it. */
enum arl_purpose {
    ARL_FOR_CLAIM_TRY,   /* struct arl_token, field main: the wait queue's TRY */
    ARL_FOR_CLAIM_DOUBT, /* struct arl_token, field renew: RENEW that settles a TRY in doubt */
    ARL_FOR_LEASE,       /* struct arl_token, field renew: the renewal of a lease */
    ARL_FOR_SETTLE,      /* struct arl_token, field main: the RELEASE */
    ARL_FOR_ASK          /* struct arl_ask, field request */
};

enum arl_class { ARL_CLASS_RELEASE, ARL_CLASS_ASK, ARL_CLASS_RENEW, ARL_CLASS_TRY, ARL_CLASSES };

enum arl_request_state { ARL_IDLE, ARL_QUEUED, ARL_UNANSWERED };

struct arl_request {
    struct arl_link link; /* in its class's queue or among the unanswered; alone while ARL_IDLE */
    arl_ns sent_at;       /* ns: when it was written; valid while ARL_UNANSWERED and in its answer */
    arl_ns ttl;           /* ns: what TRY and RENEW ask for; set when it is written */
    uint8_t verb;         /* enum arl_verb */
    uint8_t purpose;      /* enum arl_purpose */
    uint8_t state;        /* enum arl_request_state */
    bool whole_script;    /* NOSCRIPT was answered: send the text */
};

struct arl_outbox {
    struct arl_link queued[ARL_CLASSES];
    struct arl_link unanswered;
    size_t unanswered_count;
    size_t renews_unanswered;
    bool recovering; /* after a reconnect, until every RENEW queued then is written: TRYs wait */
};

/* So many renewals may be unanswered: 10,000 written at once held a TRY behind them for 60 ms. */
#define ARL_RENEWS_UNANSWERED_MAX 500

void arl_outbox_init(struct arl_outbox *outbox);

/* Prepares a node: ARL_IDLE, for this verb and purpose. */
void arl_request_init(struct arl_request *request, enum arl_verb verb, enum arl_purpose purpose);

/* Queues an ARL_IDLE request at the end of its class; one that is queued already stays where it is. */
void arl_outbox_queue(struct arl_outbox *outbox, struct arl_request *request);

/* Takes back a request that was not written yet; true if it was queued. */
bool arl_outbox_unqueue(struct arl_request *request);

/* The next request to write, still queued, or NULL. */
struct arl_request *arl_outbox_peek(const struct arl_outbox *outbox);

/* The request is written at `now`: ARL_UNANSWERED. */
void arl_outbox_sent(struct arl_outbox *outbox, struct arl_request *request, arl_ns now);

/* The oldest unanswered request, or NULL. */
struct arl_request *arl_outbox_oldest(const struct arl_outbox *outbox);

/* Takes the oldest unanswered request out (ARL_IDLE): its answer is here, or the connection is gone. */
struct arl_request *arl_outbox_answered(struct arl_outbox *outbox);

#endif
