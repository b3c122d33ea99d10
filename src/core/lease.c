#include "lease.h"

arl_ns arl_lease_margin(arl_ns ttl)
{
    return ttl / 100 + 2 * ARL_MS;
}

arl_ns arl_lease_belief(arl_ns sent_at, arl_ns ttl)
{
    return arl_ns_add(sent_at, ttl - arl_lease_margin(ttl));
}

void arl_lease_confirm(struct arl_lease *lease, arl_ns sent_at, arl_ns ttl, struct arl_random *random)
{
    lease->valid_until = arl_ns_max(lease->valid_until, arl_lease_belief(sent_at, ttl));
    lease->pace = arl_ns_min(lease->ttl, ttl);
    arl_ns third = lease->pace / 3;
    lease->renew_at = arl_ns_add(sent_at, third - arl_random_between(random, 0, third / 10));
    lease->show_at = arl_ns_add(sent_at, lease->pace / 2);
}

void arl_lease_pass(struct arl_lease *lease, arl_ns ttl, arl_ns now)
{
    lease->ttl = ttl;
    lease->pace = arl_ns_min(lease->pace, ttl);
    if (lease->renew_at == ARL_NEVER)
        return; /* one is on its way; its answer plans the next */
    if (lease->valid_until - now < ttl / 2)
        lease->renew_at = now;
    else
        lease->renew_at = arl_ns_min(lease->renew_at, arl_ns_add(now, ttl / 3));
}

arl_ns arl_lease_retry_at(const struct arl_lease *lease, arl_ns now)
{
    arl_ns pause = arl_ns_max(arl_ns_min(lease->ttl / 10, ARL_SECOND), 5 * ARL_MS);
    return arl_ns_add(now, pause);
}

arl_ns arl_lease_patience(const struct arl_lease *lease)
{
    return arl_ns_max(lease->ttl / 3, 200 * ARL_MS);
}
