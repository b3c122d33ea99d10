#include "watch.h"

#include "engine.h"
#include "lease.h"
#include "token.h"
#include "waitq.h"

void arl_watch_init(struct arl_watch *watch)
{
    arl_link_init(&watch->due);
    arl_link_init(&watch->unanswered);
    watch->shortest = ARL_NEVER;
}

static struct arl_request *request_of(struct arl_link *link)
{
    return ARL_OF(link, struct arl_request, link);
}

static struct arl_token *token_of(struct arl_request *request)
{
    return ARL_OF(request, struct arl_token, watch);
}

/* Its wait queue while the token is that of its lease; NULL once that was lost or released. */
static struct arl_waitq *queue_of(const struct arl_token *token)
{
    struct arl_waitq *queue = token->queue;
    return queue != NULL && queue->token == token ? queue : NULL;
}

/* ---- the loop ---- */

static void clear_due(struct arl_watch *watch)
{
    struct arl_link *link;
    while ((link = arl_list_first(&watch->due)) != NULL)
        arl_outbox_unqueue(request_of(link));
}

void arl_watch_turned(struct arl_engine *engine, arl_ns now)
{
    struct arl_watch *watch = &engine->watch;
    if (watch->used)
        watch->stalled_for = arl_ns_max(watch->stalled_for, now - watch->turned_at);
    watch->used = false;
    watch->turned_at = now;
    watch->look_at = 0;
    clear_due(watch);
}

void arl_watch_held(struct arl_engine *engine, const struct arl_waitq *queue)
{
    struct arl_watch *watch = &engine->watch;
    if (queue->holder->stall_limit <= 0)
        return;
    watch->shortest = arl_ns_min(watch->shortest, queue->lease.pace);
    watch->look_at = 0;
}

/* ---- what is due ---- */

/* From when (ns) on the loop is stalled for a lease of this pace, unless it turns before. */
static arl_ns stalled_at(const struct arl_engine *engine, arl_ns pace)
{
    arl_ns due = arl_ns_max(arl_engine_deadline(engine), engine->watch.turned_at);
    return arl_ns_max(arl_ns_add(due, pace / 6), arl_ns_add(engine->watch.woke_at, pace / 20));
}

/* Renewals are spread by a jitter; here they are gathered, a little earlier, since each look is at every lease. */
static arl_ns gathered(arl_ns at, arl_ns pace)
{
    return at - at % arl_ns_max(pace / 32, 1);
}

/* When (ns) the lease of a holder is to be renewed by the watchdog; ARL_NEVER where it is not its to keep (any more). */
static arl_ns due_at(const struct arl_engine *engine, const struct arl_waitq *queue, arl_ns now)
{
    const struct arl_handle *holder = queue->holder;
    if (now >= queue->lease.valid_until || queue->token->watch.state == ARL_UNANSWERED)
        return ARL_NEVER;
    arl_ns at = arl_ns_max(stalled_at(engine, queue->lease.pace), queue->token->watch_at);
    if (queue->lease.renew_at != ARL_NEVER) /* else the loop's own renewal is on its way */
        at = arl_ns_max(at, gathered(queue->lease.renew_at, queue->lease.pace));
    return arl_ns_max(at, now) < arl_ns_add(engine->watch.turned_at, holder->stall_limit) ? at : ARL_NEVER;
}

/* Its request is idle again: look_at says so, without a look at every lease. */
static void plan(struct arl_engine *engine, const struct arl_token *token, arl_ns now)
{
    const struct arl_waitq *queue = queue_of(token);
    if (queue != NULL)
        engine->watch.look_at = arl_ns_min(engine->watch.look_at, due_at(engine, queue, now));
}

/* Queues what is due, and notes the shortest ttl and when the next falls due. */
static void look(struct arl_engine *engine, arl_ns now)
{
    struct arl_watch *watch = &engine->watch;
    watch->shortest = watch->look_at = ARL_NEVER;
    for (struct arl_link *link = engine->queues.next; link != &engine->queues; link = link->next) {
        struct arl_waitq *queue = ARL_OF(link, struct arl_waitq, link);
        if (queue->holder == NULL || queue->holder->stall_limit <= 0)
            continue;
        watch->shortest = arl_ns_min(watch->shortest, queue->lease.pace);
        arl_ns at = due_at(engine, queue, now);
        struct arl_request *request = &queue->token->watch;
        if (at > now) {
            watch->look_at = arl_ns_min(watch->look_at, at);
        } else if (request->state == ARL_IDLE) {
            request->state = ARL_QUEUED;
            arl_list_push(&watch->due, &request->link);
        }
    }
}

static arl_ns reply_deadline(const struct arl_engine *engine)
{
    struct arl_link *first = arl_list_first(&engine->watch.unanswered);
    return first != NULL ? token_of(request_of(first))->answer_by : ARL_NEVER;
}

/* Else what was found due waits for the connection or for answers, not for another look. */
static bool may_look(const struct arl_watch *watch)
{
    return arl_link_alone(&watch->due) && watch->unanswered_count < ARL_RENEWS_UNANSWERED_MAX;
}

arl_ns arl_watch_deadline(const struct arl_engine *engine)
{
    const struct arl_watch *watch = &engine->watch;
    arl_ns at = reply_deadline(engine);
    if (engine->held == 0 || watch->shortest == ARL_NEVER || !may_look(watch))
        return at;
    return arl_ns_min(at, arl_ns_max(stalled_at(engine, watch->shortest), watch->look_at));
}

bool arl_watch_is_due(struct arl_engine *engine, arl_ns now)
{
    struct arl_watch *watch = &engine->watch;
    if (may_look(watch) && engine->held > 0 && watch->shortest != ARL_NEVER &&
        arl_ns_max(stalled_at(engine, watch->shortest), watch->look_at) <= now)
        look(engine, now);
    return !arl_link_alone(&watch->due);
}

/* ---- renewals ---- */

/* The first that is still due: time may have passed since the look. */
static struct arl_request *take_due(struct arl_engine *engine, arl_ns now)
{
    struct arl_link *link;
    while ((link = arl_list_pop(&engine->watch.due)) != NULL) {
        struct arl_request *request = request_of(link);
        request->state = ARL_IDLE;
        if (due_at(engine, token_of(request)->queue, now) <= now)
            return request;
        plan(engine, token_of(request), now); /* put off by a user's call since */
    }
    return NULL;
}

/* The last one is to be answered until `by`, and so are those before it: a short lease does not wait for a
 * long one's patience. */
static void bound_answers(struct arl_watch *watch, arl_ns by)
{
    struct arl_link *last = watch->unanswered.prev;
    token_of(request_of(last))->answer_by = by;
    for (struct arl_link *link = last->prev; link != &watch->unanswered; link = link->prev) {
        struct arl_token *token = token_of(request_of(link));
        if (token->answer_by <= by)
            return;
        token->answer_by = by;
    }
}

bool arl_watch_next_request(struct arl_engine *engine, arl_ns now, struct arl_request_view *out)
{
    struct arl_watch *watch = &engine->watch;
    if (watch->unanswered_count >= ARL_RENEWS_UNANSWERED_MAX || !arl_watch_is_due(engine, now))
        return false;
    struct arl_request *request = take_due(engine, now);
    if (request == NULL)
        return false;
    struct arl_token *token = token_of(request);
    struct arl_waitq *queue = token->queue;
    request->state = ARL_UNANSWERED;
    request->sent_at = now;
    request->ttl = queue->lease.ttl;
    arl_list_push(&watch->unanswered, &request->link);
    bound_answers(watch, arl_ns_add(now, arl_ns_max(request->ttl / 6, 100 * ARL_MS)));
    watch->unanswered_count++;
    watch->used = true;
    arl_token_may_live(token, arl_ns_add(now, request->ttl));
    *out = (struct arl_request_view){.verb = ARL_RENEW,
                                     .whole_script = true,
                                     .key = queue->slot.key,
                                     .key_length = queue->slot.key_length,
                                     .token = token->id,
                                     .ttl = request->ttl};
    return true;
}

static struct arl_request *take_unanswered(struct arl_watch *watch)
{
    struct arl_link *link = arl_list_pop(&watch->unanswered);
    if (link == NULL)
        return NULL;
    watch->unanswered_count--;
    request_of(link)->state = ARL_IDLE;
    return request_of(link);
}

static void answered(struct arl_engine *engine, struct arl_token *token, enum arl_outcome outcome, arl_ns now)
{
    struct arl_waitq *queue = queue_of(token); /* NULL: lost or released meanwhile, no answer revives it */
    arl_token_note_outcome(token, outcome, token->watch.ttl, now);
    switch (outcome) {
    case ARL_YES:
        engine->counters.renewed_elsewhere++;
        if (queue != NULL)
            arl_lease_confirm(&queue->lease, token->watch.sent_at, token->watch.ttl, &engine->random);
        return;
    case ARL_NO:
    case ARL_WRONG_TYPE:
        token->watch_at = ARL_NEVER;
        return;
    case ARL_NOT_EXECUTED:
    case ARL_REFUSED:
    case ARL_BUSY:
    case ARL_STALE:
    case ARL_UNKNOWN:
        token->watch_at = arl_ns_max(token->watch_at, arl_ns_add(now, token->watch.ttl / 10));
        return;
    }
}

int arl_watch_reply(struct arl_engine *engine, enum arl_outcome outcome, arl_ns now)
{
    struct arl_request *request = take_unanswered(&engine->watch);
    if (request == NULL)
        return ARL_EUNASKED;
    answered(engine, token_of(request), outcome, now);
    plan(engine, token_of(request), now);
    arl_token_collect(engine, token_of(request));
    return 0;
}

void arl_watch_down(struct arl_engine *engine, arl_ns now)
{
    struct arl_watch *watch = &engine->watch;
    struct arl_request *request;
    struct arl_link *link;
    while ((link = arl_list_pop(&watch->due)) != NULL) {
        struct arl_token *token = token_of(request_of(link));
        token->watch.state = ARL_IDLE;
        token->watch_at = arl_ns_add(now, token->queue->lease.ttl / 10);
        plan(engine, token, now);
    }
    while ((request = take_unanswered(watch)) != NULL) {
        struct arl_token *token = token_of(request);
        answered(engine, token, ARL_UNKNOWN, now);
        plan(engine, token, now);
        arl_token_collect(engine, token);
    }
}

void arl_watch_woke_late(struct arl_engine *engine, arl_ns now)
{
    engine->watch.woke_at = now;
}

arl_ns arl_watch_patience(const struct arl_engine *engine)
{
    arl_ns shortest = engine->watch.shortest;
    return arl_ns_min(arl_ns_max(shortest / 6, 100 * ARL_MS), ARL_SECOND);
}

bool arl_watch_is_over(const struct arl_engine *engine, arl_ns now)
{
    const struct arl_watch *watch = &engine->watch;
    if (watch->unanswered_count > 0)
        return reply_deadline(engine) <= now;
    if (!arl_link_alone(&watch->due))
        return false;
    return engine->held == 0 || watch->shortest == ARL_NEVER || watch->look_at == ARL_NEVER ||
           stalled_at(engine, watch->shortest) > now;
}
