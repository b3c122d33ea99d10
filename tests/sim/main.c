/* main.c - schedules in a row, or one with its trace.
 *
 *   sim [-n COUNT] [-s FIRST_SEED] [-k safe|unsafe|both] [-t SECONDS] [-g] [-v]
 *
 * Runs COUNT schedules that count (too little traffic does not) with consecutive seeds, for at most SECONDS;
 * every second one is brief; with `both` every fourth is unsafe. -g goes on after a finding and tells how many
 * each judge made, -v prints the trace. Exits with 1 where a judge found something. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

struct options {
    uint64_t first;
    long count;
    double seconds;
    bool safe, unsafe;
    bool go_on;
    bool trace;
};

struct totals {
    long schedules, counted, acquisitions, faults;
    long found[JUDGES];
};

static double seconds_now(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int usage(void)
{
    fputs("usage: sim [-n count] [-s first seed] [-k safe|unsafe|both] [-t seconds] [-g] [-v]\n", stderr);
    return -1;
}

static int read_options(struct options *options, int count, char **words)
{
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (strcmp(word, "-g") == 0) {
            options->go_on = true;
            continue;
        }
        if (strcmp(word, "-v") == 0) {
            options->trace = true;
            continue;
        }
        if (word[0] != '-' || word[1] == '\0' || strchr("nskt", word[1]) == NULL || i + 1 == count)
            return usage();
        const char *value = words[++i];
        if (word[1] == 'n') {
            options->count = atol(value);
        } else if (word[1] == 's') {
            options->first = strtoull(value, NULL, 0);
        } else if (word[1] == 't') {
            options->seconds = atof(value);
        } else {
            options->safe = strcmp(value, "unsafe") != 0;
            options->unsafe = strcmp(value, "safe") != 0;
        }
    }
    return 0;
}

/* What kind of schedule a seed is: the same whichever other seeds are run. */
static bool is_safe(const struct options *options, uint64_t seed)
{
    if (options->safe && options->unsafe)
        return seed % 4 != 3;
    return options->safe;
}

static void print_totals(const struct options *options, const struct totals *totals, double seconds)
{
    printf("%ld schedules from seed %llu, %ld count; %ld acquisitions, %ld faults; %.1f s, %.0f a minute\n",
           totals->schedules, (unsigned long long)options->first, totals->counted, totals->acquisitions,
           totals->faults, seconds, (double)totals->counted * 60 / seconds);
    for (int judge = JUDGE_NONE + 1; judge < JUDGES; judge++) {
        if (totals->found[judge] > 0)
            printf("judge %s: %ld findings\n", sim_judge_name((enum judge)judge), totals->found[judge]);
    }
}

static int run(struct sim *sim, const struct options *options)
{
    struct totals totals = {0};
    double started = seconds_now();
    bool clean = true;
    for (uint64_t seed = options->first; totals.counted < options->count; seed++) {
        if (sim_run(sim, seed, is_safe(options, seed), (seed >> 2) % 2 == 0) != 0) {
            clean = false;
            totals.found[sim->guilty]++;
            if (!options->go_on)
                break;
        }
        totals.schedules++;
        totals.counted += sim_counts(sim) || options->trace;
        totals.acquisitions += sim->acquisitions;
        totals.faults += sim->faults_happened;
        if (totals.schedules % 256 == 0 && seconds_now() - started > options->seconds)
            break;
    }
    print_totals(options, &totals, seconds_now() - started);
    return clean ? 0 : 1;
}

int main(int count, char **words)
{
    struct options options = {.first = 1, .count = 1000, .seconds = 1e9, .safe = true, .unsafe = true};
    struct sim *sim = calloc(1, sizeof(*sim));
    if (sim == NULL || read_options(&options, count, words) != 0) {
        free(sim);
        return 2;
    }
    sim->tracing = options.trace;
    int code = run(sim, &options);
    sim_free(sim);
    free(sim);
    return code;
}
