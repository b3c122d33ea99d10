/* lease.h - what is held: until when it may be believed, when it is to be renewed. Pure arithmetic.
 *
 * Rule of safety 1: a lease is valid until the time its command was written + ttl - margin. */
#ifndef ARL_LEASE_H
#define ARL_LEASE_H

#include "arl.h"
#include "backoff.h"

struct arl_lease {
    arl_ns ttl;         /* ns: what a renewal asks for, the holder's `ex` */
    arl_ns valid_until; /* ns: belief ends here */
    arl_ns renew_at;    /* ns: when a RENEW is due; ARL_NEVER while one is queued or unanswered */
    arl_ns pace;        /* ns: the ttl, or the shorter one that it had when it was last granted or renewed */
    arl_ns show_at;     /* ns: a loop that lives and has not renewed by then ticks, so that it shows itself */
};

/* How much (ns) earlier than the server we let a lease of `ttl` end: 1 % + 2 ms. */
arl_ns arl_lease_margin(arl_ns ttl);

/* Until when (ns) a command that was written at `sent_at` and asked for `ttl` lets us believe. */
arl_ns arl_lease_belief(arl_ns sent_at, arl_ns ttl);

/* The server granted or renewed: `sent_at` and `ttl` are the command's. Belief never gets shorter by it; the
 * next renewal is due a third of lease->ttl after sent_at, less a jitter of a tenth of that; half of it after
 * sent_at a loop that has not renewed shows itself. */
void arl_lease_confirm(struct arl_lease *lease, arl_ns sent_at, arl_ns ttl, struct arl_random *random);

/* It passes to a holder whose ex is `ttl`: with less than half of that left it is renewed at once. */
void arl_lease_pass(struct arl_lease *lease, arl_ns ttl, arl_ns now);

/* A renewal was refused for the moment: when (ns) the next try is due. */
arl_ns arl_lease_retry_at(const struct arl_lease *lease, arl_ns now);

/* How long (ns) a renewal may stay unanswered before the connection is given up: ttl / 3, at least 0.2 s. */
arl_ns arl_lease_patience(const struct arl_lease *lease);

#endif
