/* model_main.c - the model of the server alone, asked line by line; tests/python/test_model.py holds it to real
 * servers. Its time stands still but for `at`.
 *
 *   at T                     it is T us after the start; answers how many us the nearest end of a key is away
 *   VERB key token ttl whole try, renew, release, peek, expire; ttl in ms; whole: the script's text, not its digest
 *   pttl key                 ms, or -2
 *   type key ttl             others replace the key by one of another type, for ttl ms
 *   forget                   the server forgets its scripts
 *   wipe                     others delete every key
 *
 * Each line is answered by one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define TOKENS 8

struct asked {
    struct sim *sim;
    uint32_t tokens[TOKENS];
};

static void say(const char *text)
{
    puts(text);
}

static void go_to(struct sim *sim, arl_ns at)
{
    struct alarm *alarm;
    arl_ns nearest = ARL_NEVER;
    for (int i = 0; i < KEYS_MAX; i++) {
        const struct server_key *key = &sim->server.keys[i];
        if (key->token == LEDGER_NOBODY && !key->other_type)
            continue;
        arl_ns away = key->expires_at - at;
        nearest = arl_ns_min(nearest, away < 0 ? -away : away);
    }
    while (sim->agenda.count > 0 && sim->agenda.heap[0].at <= at) {
        alarm = agenda_pop(&sim->agenda);
        sim->now = alarm->at;
        alarm->ring(sim, alarm);
    }
    sim->now = at;
    printf("%lld\n", (long long)(nearest / 1000));
}

static int verb_of(const char *word)
{
    static const char *const words[] = {"try", "renew", "release", "peek", "expire"};
    for (int verb = 0; verb < (int)(sizeof(words) / sizeof(*words)); verb++) {
        if (strcmp(word, words[verb]) == 0)
            return verb;
    }
    return -1;
}

static void change_type(struct sim *sim, int number, arl_ns ttl)
{
    struct server_key *key = &sim->server.keys[number];
    server_change_type(sim, number);
    key->expires_at = sim->now + ttl;
    agenda_set(&sim->agenda, &key->expiry, key->expires_at);
    say("ok");
}

static void tell_pttl(const struct sim *sim, int number)
{
    const struct server_key *key = &sim->server.keys[number];
    bool exists = key->token != LEDGER_NOBODY || key->other_type;
    printf("%lld\n", exists ? (long long)((key->expires_at - sim->now) / ARL_MS) : -2);
}

static void execute(struct asked *asked, int verb, int key, int token, long long ttl, int whole)
{
    const struct message message = {.verb = (uint8_t)verb,
                                    .key = (uint8_t)key,
                                    .token = asked->tokens[token],
                                    .ttl = ttl * ARL_MS,
                                    .whole = whole != 0,
                                    .foreign = verb == WIRE_EXPIRE};
    say(judge_outcome_name(server_execute(asked->sim, &message)));
}

/* False where the line says nothing that is known. */
static bool answer(struct asked *asked, const char *line)
{
    struct sim *sim = asked->sim;
    char word[16];
    int key = 0, token = 0, whole = 0;
    long long number = 0;
    if (sscanf(line, "at %lld", &number) == 1) {
        go_to(sim, number * 1000);
    } else if (sscanf(line, "pttl %d", &key) == 1 && key < KEYS_MAX) {
        tell_pttl(sim, key);
    } else if (sscanf(line, "type %d %lld", &key, &number) == 2 && key < KEYS_MAX) {
        change_type(sim, key, number * ARL_MS);
    } else if (strcmp(line, "forget\n") == 0) {
        server_forget_scripts(sim);
        say("ok");
    } else if (strcmp(line, "wipe\n") == 0) {
        for (int i = 0; i < KEYS_MAX; i++)
            server_overwrite(sim, i, LEDGER_NOBODY, 0);
        say("ok");
    } else if (sscanf(line, "%15s %d %d %lld %d", word, &key, &token, &number, &whole) == 5 &&
               verb_of(word) >= 0 && key < KEYS_MAX && token < TOKENS) {
        execute(asked, verb_of(word), key, token, number, whole);
    } else {
        return false;
    }
    return true;
}

int main(void)
{
    struct asked asked = {.sim = calloc(1, sizeof(struct sim))};
    char line[128];
    bool known = asked.sim != NULL;
    if (!known)
        return 2;
    asked.sim->plan.keys = KEYS_MAX;
    ledger_clear(&asked.sim->ledger);
    server_start(asked.sim);
    server_forget_scripts(asked.sim);
    for (int i = 0; i < TOKENS; i++)
        asked.tokens[i] = ledger_draw(asked.sim, LEDGER_FOREIGN, 0);
    while (known && fgets(line, sizeof(line), stdin) != NULL) {
        known = answer(&asked, line);
        fflush(stdout);
    }
    sim_free(asked.sim);
    free(asked.sim);
    return known ? 0 : 2;
}
