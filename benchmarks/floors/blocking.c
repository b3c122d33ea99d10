/* The floor below every loop: pairs over blocking hiredis, one after another or DEPTH keys at a time.
 *
 * blocking PORT KEY TOKEN TTL_MS SCRIPT PAIRS DEPTH
 * sends `SET KEY TOKEN NX PX TTL_MS`, awaits OK, sends EVALSHA of SCRIPT for KEY and TOKEN, awaits 1; PAIRS
 * times, after a tenth of that as warm-up. With DEPTH > 1 that many pairs, on KEY0, KEY1 and so on, share each
 * write and each wait. Prints two numbers: ns of wall and of CPU time for all PAIRS. */
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

/* The reply to `words`: the status or number must be what is wanted. */
static void check(redisContext *server, const char **words, long long number)
{
    void *got = NULL;
    redisReply *reply;

    redisGetReply(server, &got);
    reply = got;
    if (!reply || reply->type == REDIS_REPLY_ERROR || reply->type == REDIS_REPLY_NIL ||
        (reply->type == REDIS_REPLY_INTEGER && reply->integer != number)) {
        fprintf(stderr, "blocking: %s: %s\n", words[0], reply && reply->str ? reply->str : server->errstr);
        exit(1);
    }
    freeReplyObject(reply);
}

/* The same command for each of the keys, in one write; the key's place among its words is `place`. */
static void call(redisContext *server, int count, const char **words, int place, char **keys,
                 long long number)
{
    for (char **key = keys; *key; key++) {
        words[place] = *key;
        redisAppendCommandArgv(server, count, words, NULL);
    }
    for (char **key = keys; *key; key++)
        check(server, words, number);
}

static char **names(const char *key, long depth)
{
    char **keys = calloc((size_t)depth + 1, sizeof(*keys));

    for (long i = 0; keys && i < depth; i++) {
        keys[i] = malloc(strlen(key) + 24);
        if (!keys[i])
            exit(1);
        if (depth == 1)
            strcpy(keys[i], key);
        else
            sprintf(keys[i], "%s%ld", key, i);
    }
    return keys;
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return 2;

    redisContext *server = redisConnect("127.0.0.1", atoi(argv[1]));
    if (!server || server->err)
        return 1;

    redisReply *loaded = redisCommand(server, "SCRIPT LOAD %s", argv[5]);
    if (!loaded || loaded->type != REDIS_REPLY_STRING)
        return 1;

    const char *take[] = {"SET", NULL, argv[3], "NX", "PX", argv[4]};
    const char *give[] = {"EVALSHA", loaded->str, "1", NULL, argv[3]};
    long depth = atol(argv[7]), turns = atol(argv[6]) / depth;
    char **keys = names(argv[2], depth);
    long long wall = 0, cpu = 0;

    if (!keys)
        return 1;
    for (long i = -turns / 10; i < turns; i++) {
        if (i == 0) {
            wall = now(CLOCK_MONOTONIC);
            cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        }
        call(server, 6, take, 1, keys, 0);
        call(server, 5, give, 3, keys, 1);
    }
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    wall = now(CLOCK_MONOTONIC) - wall;
    printf("%lld %lld\n", wall, cpu);

    for (char **key = keys; *key; key++)
        free(*key);
    free(keys);
    freeReplyObject(loaded);
    redisFree(server);
    return 0;
}
