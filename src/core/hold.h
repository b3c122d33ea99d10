/* hold.h - the lease of a wait queue and its holder: granted, handed on, renewed, lost; turns and their pauses.
 *
 * Every function changes the wait queue only; arl_waitq_step afterwards. */
#ifndef ARL_HOLD_H
#define ARL_HOLD_H

#include "arl.h"
#include "outbox.h"

struct arl_engine;
struct arl_handle;
struct arl_token;
struct arl_waitq;

/* The first turn (ns), how it grows while K is found free after each pause, and up to what. */
#define ARL_TURN_FIRST (50 * ARL_MS)
#define ARL_TURN_GROWN(turn) ((turn) / 10 * 13)
#define ARL_TURN_LAST (800 * ARL_MS)

bool arl_hold_is_valid(const struct arl_waitq *queue, arl_ns now); /* a holder, and its lease valid */

/* The server granted the claim's token; its command was written at sent_at for ttl. Takes the token over. */
void arl_hold_granted(struct arl_engine *engine, struct arl_waitq *queue, struct arl_token *token,
                      arl_ns sent_at, arl_ns ttl, arl_ns now);

/* The holder leaves: hands on (true) or owes RELEASE (false), answered to `releaser` if not NULL. The
 * holder's own state is the caller's to set. The lease must be valid. */
bool arl_hold_leave(struct arl_engine *engine, struct arl_waitq *queue, struct arl_handle *releaser,
                    arl_ns now);

/* The lease is over: `told` by the server (not ours), or else by time (RELEASE is owed). The holder is
 * lost, or, where it had not confirmed, waits again at the head. */
void arl_hold_lose(struct arl_engine *engine, struct arl_waitq *queue, bool told, arl_ns now);

/* As above by time, where the holder itself has gone already: nobody is told. */
void arl_hold_drop_lost(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now);

/* The renewal is written now: it asks for the holder's ex, and its deadline is to be watched. */
void arl_hold_renewal_sent(struct arl_engine *engine, struct arl_token *token, struct arl_request *request,
                           arl_ns now);

/* Answer to a renewal of the lease, or of a former one of `token`. */
void arl_hold_renewed(struct arl_engine *engine, struct arl_token *token, enum arl_outcome outcome,
                      const struct arl_request *request, arl_ns now);

/* The RELEASE that a pause waits for is answered or given up. */
void arl_hold_pause_starts(struct arl_waitq *queue, arl_ns now);

/* A pause of the turn is to come or runs at `now`: no TRY. / What is over at `now` is ended. */
bool arl_hold_pauses(const struct arl_waitq *queue, arl_ns now);
void arl_hold_end_pause(struct arl_waitq *queue, arl_ns now);

/* Queues the RENEW that is due. */
void arl_hold_queue_renewal(struct arl_engine *engine, struct arl_waitq *queue, arl_ns now);

/* Is a RENEW unanswered for so long (rule 5) that the connection is given up? There must be a holder. */
bool arl_hold_renewal_is_overdue(const struct arl_waitq *queue, arl_ns now);

/* A tick at `now`: a loop that lives shows itself again a sixth of its pace later, until it has renewed. */
void arl_hold_show(struct arl_waitq *queue, arl_ns now);

/* When (ns) the lease wants attention next; ARL_NEVER without a holder. */
arl_ns arl_hold_deadline(const struct arl_engine *engine, const struct arl_waitq *queue);

/* The connection is gone (before the outbox forgets what was unanswered). / It stands again. */
void arl_hold_down(struct arl_waitq *queue, arl_ns now);
void arl_hold_up(struct arl_waitq *queue, arl_ns now);

#endif
