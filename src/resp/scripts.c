/* scripts.c - the Lua texts and their digests. Whoever changes a text changes its digest below it. */
#include "resp/scripts.h"

/* Never shortens: a RENEW that arrives late, after one for a longer time, must not end the lease early.
 * It writes even where nothing is to be prolonged, so that a server that may not write any more (a former
 * primary) answers with its refusal and not with "yours". A key without an expiry is given one: it holds our
 * token, so it is a lease, and a lease must end.
 *     ARGV: token, ttl in milliseconds. Answers 1 (renewed) or 0 (not this token's). */
static const struct resp_script renew = {
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
    "local ttl, left = ARGV[2], redis.call('PTTL', KEYS[1])\n"
    "if left > tonumber(ttl) then ttl = left end\n"
    "redis.call('PEXPIRE', KEYS[1], ttl)\n"
    "return 1\n",
    "a49eafeb73b6f569c4640dae7ed62eaa2f5bc841",
};

/*     ARGV: token. Answers 1 (deleted) or 0 (not this token's). */
static const struct resp_script release = {
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
    "return redis.call('DEL', KEYS[1])\n",
    "3c9c9e0fad36a4c131785264072fb16c2f7347b2",
};

static const struct resp_script *const scripts[ARL_VERBS] = {
    [ARL_RENEW] = &renew,
    [ARL_RELEASE] = &release,
};

const struct resp_script *resp_script_of(enum arl_verb verb)
{
    return verb < ARL_VERBS ? scripts[verb] : NULL;
}
