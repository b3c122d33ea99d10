/* ask.h - questions that wait for an answer of the server: extend (a RENEW of the user's) and peek. */
#ifndef ARL_ASK_H
#define ARL_ASK_H

#include "outbox.h"
#include "engine.h"

struct arl_token;
struct arl_waitq;

struct arl_ask {
    struct arl_link link; /* in engine->asks until it is answered */
    struct arl_notice notice;
    struct arl_request request;
    struct arl_token *token; /* extend: of the lease at hand, kept until its request is answered; else NULL */
    void *owner;
    arl_ns ttl;          /* ns: extend */
    arl_ns deadline;     /* ns: when it ends as ARL_NO_ANSWER */
    uint8_t cause;       /* enum arl_cause once answered, else 0 */
    bool dropped;        /* the owner gave it back: freed when its request is idle */
    uint32_t key_length; /* peek */
    char key[];          /* peek: a copy */
};

/* Asks that the queue's lease last `ttl`. 0 or ARL_ENOMEM. */
int arl_ask_extend(struct arl_engine *engine, struct arl_waitq *queue, arl_ns ttl, void *owner, arl_ns now,
                   struct arl_ask **out);

/* Asks whether a key exists. 0 or ARL_ENOMEM. */
int arl_ask_peek(struct arl_engine *engine, const char *key, size_t key_length, void *owner, arl_ns now,
                 struct arl_ask **out);

void arl_ask_drop(struct arl_engine *engine, struct arl_ask *ask);

/* No request is under way: an ask that has ended lets its token go; one that was dropped is freed. */
void arl_ask_collect(struct arl_engine *engine, struct arl_ask *ask);

/* The hold is over: every extend of this token ends as ARL_NOT_OWNED; one not yet written never is. */
void arl_ask_end_of_hold(struct arl_engine *engine, const struct arl_token *token);

/* The request of this ask was answered; `ask` may be gone afterwards. */
void arl_ask_answered(struct arl_engine *engine, struct arl_ask *ask, enum arl_outcome outcome,
                      const struct arl_request *request, arl_ns now);

/* The earliest deadline (ns) of an unanswered ask; ARL_NEVER. */
arl_ns arl_ask_deadline(const struct arl_engine *engine);

/* Ends those whose deadline is over. */
void arl_ask_tick(struct arl_engine *engine, arl_ns now);

/* A connection stands: all are queued (again). / It is gone. */
void arl_ask_up(struct arl_engine *engine);
void arl_ask_down(struct arl_ask *ask);

/* Every ask not answered yet ends as `cause`. */
void arl_ask_fail(struct arl_engine *engine, enum arl_cause cause);

#endif
