/* main.c - schedules in a row, or one with its trace.
 *
 *   sim [-n COUNT] [-s FIRST_SEED] [-k safe|unsafe|both] [-t SECONDS] [-c JOBS] [-j JUDGE] [-g] [-v]
 *
 * Runs COUNT schedules that count (too little traffic does not) with consecutive seeds, for at most SECONDS, in
 * JOBS processes; every second four are brief; with `both` every fourth is unsafe. -j lets this judge judge
 * alone (register, belief, wire, liveness), -g goes on after a finding and tells how many each judge made, -v
 * prints the trace. Exits with 1 where a judge found something. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"

static int usage(void)
{
    fputs(
        "usage: sim [-n count] [-s first seed] [-k safe|unsafe|both] [-t seconds] [-c jobs] [-j judge] [-g] [-v]\n",
        stderr);
    return -1;
}

static int read_judge(struct options *options, const char *name)
{
    for (int judge = JUDGE_NONE + 1; judge < JUDGES; judge++) {
        if (strcmp(name, sim_judge_name((enum judge)judge)) == 0) {
            options->judges = 1u << judge;
            return 0;
        }
    }
    return usage();
}

static int read_option(struct options *options, char letter, const char *value)
{
    switch (letter) {
    case 'n':
        options->count = atol(value);
        return 0;
    case 's':
        options->first = strtoull(value, NULL, 0);
        return 0;
    case 't':
        options->seconds = atof(value);
        return 0;
    case 'c':
        options->jobs = atoi(value);
        return 0;
    case 'j':
        return read_judge(options, value);
    default:
        options->safe = strcmp(value, "unsafe") != 0;
        options->unsafe = strcmp(value, "safe") != 0;
        return 0;
    }
}

static int read_options(struct options *options, int count, char **words)
{
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (strcmp(word, "-g") == 0)
            options->go_on = true;
        else if (strcmp(word, "-v") == 0)
            options->trace = true;
        else if (word[0] != '-' || word[1] == '\0' || strchr("nsktcj", word[1]) == NULL || ++i == count)
            return usage();
        else if (read_option(options, word[1], words[i]) != 0)
            return -1;
    }
    return 0;
}

int main(int count, char **words)
{
    struct options options = {
        .first = 1, .count = 1000, .seconds = 1e9, .jobs = 1, .judges = ~0u, .safe = true, .unsafe = true};
    if (read_options(&options, count, words) != 0)
        return 2;
    if (options.trace)
        options.jobs = 1;
    return crew_run(&options);
}
