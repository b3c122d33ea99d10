#include "outbox.h"

void arl_outbox_init(struct arl_outbox *outbox)
{
    for (int class = 0; class < ARL_CLASSES; class ++)
        arl_link_init(&outbox->queued[class]);
    arl_link_init(&outbox->unanswered);
}

void arl_request_init(struct arl_request *request, enum arl_verb verb, enum arl_purpose purpose)
{
    arl_link_init(&request->link);
    request->verb = (uint8_t)verb;
    request->purpose = (uint8_t)purpose;
    request->state = ARL_IDLE;
    request->whole_script = false;
}

static enum arl_class class_of(const struct arl_request *request)
{
    switch ((enum arl_purpose)request->purpose) {
    case ARL_FOR_SETTLE:
        return ARL_CLASS_RELEASE;
    case ARL_FOR_ASK:
        return ARL_CLASS_ASK;
    case ARL_FOR_LEASE:
    case ARL_FOR_CLAIM_DOUBT:
        return ARL_CLASS_RENEW;
    case ARL_FOR_CLAIM_TRY:
        break;
    }
    return ARL_CLASS_TRY;
}

void arl_outbox_queue(struct arl_outbox *outbox, struct arl_request *request)
{
    if (request->state != ARL_IDLE)
        return;
    request->state = ARL_QUEUED;
    arl_list_push(&outbox->queued[class_of(request)], &request->link);
}

bool arl_outbox_unqueue(struct arl_request *request)
{
    if (request->state != ARL_QUEUED)
        return false;
    arl_link_remove(&request->link);
    request->state = ARL_IDLE;
    return true;
}

struct arl_request *arl_outbox_peek(const struct arl_outbox *outbox)
{
    bool renews_wait = !arl_link_alone(&outbox->queued[ARL_CLASS_RENEW]);
    for (int class = 0; class < ARL_CLASSES; class ++) {
        const struct arl_link *first = arl_list_first(&outbox->queued[class]);
        if (first == NULL)
            continue;
        if (class == ARL_CLASS_RENEW && outbox->renews_unanswered >= ARL_RENEWS_UNANSWERED_MAX)
            continue;
        if (class == ARL_CLASS_TRY && outbox->recovering && renews_wait)
            continue;
        return ARL_OF(first, struct arl_request, link);
    }
    return NULL;
}

static bool counts_as_renewal(const struct arl_request *request)
{
    return class_of(request) == ARL_CLASS_RENEW;
}

void arl_outbox_sent(struct arl_outbox *outbox, struct arl_request *request, arl_ns now)
{
    arl_link_remove(&request->link);
    request->state = ARL_UNANSWERED;
    request->sent_at = now;
    arl_list_push(&outbox->unanswered, &request->link);
    outbox->unanswered_count++;
    if (counts_as_renewal(request))
        outbox->renews_unanswered++;
    if (arl_link_alone(&outbox->queued[ARL_CLASS_RENEW]))
        outbox->recovering = false;
}

struct arl_request *arl_outbox_oldest(const struct arl_outbox *outbox)
{
    struct arl_link *first = arl_list_first(&outbox->unanswered);
    return first != NULL ? ARL_OF(first, struct arl_request, link) : NULL;
}

struct arl_request *arl_outbox_answered(struct arl_outbox *outbox)
{
    struct arl_request *request = arl_outbox_oldest(outbox);
    if (request == NULL)
        return NULL;
    arl_link_remove(&request->link);
    request->state = ARL_IDLE;
    outbox->unanswered_count--;
    if (counts_as_renewal(request))
        outbox->renews_unanswered--;
    return request;
}
