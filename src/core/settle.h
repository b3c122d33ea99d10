/* settle.h - tokens whose RELEASE is still owed, in the order of their release, over reconnects.
 *
 * A token comes here dead (rule 3): belief in it was dropped before. Its RELEASE is sent until it is answered
 * or K no longer holds it anyway; once more 0.6 s after a cut that left its TRY unanswered (rule 4). */
#ifndef ARL_SETTLE_H
#define ARL_SETTLE_H

#include "token.h"

/* RELEASE is owed from now on. Takes the token over; a RENEW not yet written is taken back. */
void arl_settle_owe(struct arl_engine *engine, struct arl_token *token);

/* The answer goes to `releaser` (NULL: to nobody), who waits until then, for 1.5 x the deadline of a reply or
 * until K is gone, whichever is sooner. */
void arl_settle_answer_to(struct arl_engine *engine, struct arl_token *token, struct arl_handle *releaser,
                          arl_ns now);

/* As above where the server said that K is not ours: only the RELEASE once more may be owed still. */
void arl_settle_not_ours(struct arl_engine *engine, struct arl_token *token, arl_ns now);

/* Its RELEASE is written now. */
void arl_settle_sent(struct arl_token *token, arl_ns now);

/* A RELEASE was answered. The record may be gone afterwards. */
void arl_settle_answered(struct arl_engine *engine, struct arl_token *token, enum arl_outcome outcome,
                         arl_ns now);

/* Its timer fired. */
void arl_settle_tick(struct arl_engine *engine, struct arl_token *token, arl_ns now);

/* A connection stands: every RELEASE owed is queued, in order. */
void arl_settle_up(struct arl_engine *engine);

/* The connection is gone; this token's RELEASE was unanswered. */
void arl_settle_down(struct arl_engine *engine, struct arl_token *token);

/* Every release() that waits ends as `cause`; the RELEASEs stay owed. */
void arl_settle_fail(struct arl_engine *engine, enum arl_cause cause);

#endif
