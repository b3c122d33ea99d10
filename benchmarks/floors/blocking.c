/* The floor below every loop: pairs one after another over blocking hiredis.
 *
 * blocking PORT KEY TOKEN TTL_MS SCRIPT PAIRS
 * sends `SET KEY TOKEN NX PX TTL_MS`, awaits OK, sends EVALSHA of SCRIPT for KEY and TOKEN, awaits 1; so PAIRS
 * times after a tenth of that as warm-up. Prints two numbers: ns of wall and of CPU time for all PAIRS. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hiredis/hiredis.h>

static long long now(clockid_t clock)
{
    struct timespec at;

    clock_gettime(clock, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

/* One command and its reply; the status or number must be what is wanted. */
static void call(redisContext *server, int count, const char **words, long long number)
{
    redisReply *reply = redisCommandArgv(server, count, words, NULL);

    if (!reply || reply->type == REDIS_REPLY_ERROR || reply->type == REDIS_REPLY_NIL ||
        (reply->type == REDIS_REPLY_INTEGER && reply->integer != number)) {
        fprintf(stderr, "blocking: %s: %s\n", words[0], reply && reply->str ? reply->str : server->errstr);
        exit(1);
    }
    freeReplyObject(reply);
}

static void pairs(redisContext *server, const char **take, const char **give, long count)
{
    for (long i = 0; i < count; i++) {
        call(server, 6, take, 0);
        call(server, 5, give, 1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 7)
        return 2;

    redisContext *server = redisConnect("127.0.0.1", atoi(argv[1]));
    if (!server || server->err)
        return 1;

    redisReply *loaded = redisCommand(server, "SCRIPT LOAD %s", argv[5]);
    if (!loaded || loaded->type != REDIS_REPLY_STRING)
        return 1;

    const char *take[] = {"SET", argv[2], argv[3], "NX", "PX", argv[4]};
    const char *give[] = {"EVALSHA", loaded->str, "1", argv[2], argv[3]};
    long count = atol(argv[6]);

    pairs(server, take, give, count / 10);
    long long wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    pairs(server, take, give, count);
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = now(CLOCK_MONOTONIC) - wall;

    printf("%lld %lld\n", wall, cpu);
    freeReplyObject(loaded);
    redisFree(server);
    return 0;
}
