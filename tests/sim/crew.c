#include "crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* So many seeds are taken at a time. */
#define BLOCK 32

double crew_seconds(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* What kind of schedule a seed is: the same whichever other seeds are run. */
static bool is_safe(const struct options *options, uint64_t seed)
{
    if (options->safe && options->unsafe)
        return seed % 4 != 3;
    return options->safe;
}

static void run_seed(struct sim *sim, const struct options *options, struct totals *totals, uint64_t seed)
{
    if (sim_run(sim, seed, is_safe(options, seed), (seed >> 2) % 2 == 0) != 0) {
        totals->found[sim->guilty]++;
        fflush(stdout);
        if (!options->go_on)
            totals->stop = true;
    }
    totals->schedules++;
    totals->counted += sim_counts(sim) || options->trace;
    totals->acquisitions += sim->acquisitions;
    totals->faults += sim->faults_happened;
    totals->stalls += sim->stalls;
    totals->kept += sim->kept;
}

/* Takes seeds, a block at a time, until there are enough. What is taken is run, so that no seed is left out. */
static void work(const struct options *options, struct totals *totals)
{
    double until = crew_seconds() + options->seconds;
    struct sim *sim = calloc(1, sizeof(*sim));
    if (sim == NULL)
        exit(2);
    sim->tracing = options->trace;
    sim->judges = options->judges;
    while (totals->counted < options->count && crew_seconds() < until && !totals->stop) {
        int block = options->count < BLOCK ? 1 : BLOCK;
        uint64_t seed = atomic_fetch_add(&totals->next, (unsigned)block);
        for (int i = 0; i < block && !totals->stop; i++)
            run_seed(sim, options, totals, seed + (unsigned)i);
    }
    sim_free(sim);
    free(sim);
}

static void print_totals(const struct options *options, struct totals *totals, double seconds)
{
    printf("seeds %llu to %llu: %ld schedules, %ld count; %.1f s, %.0f a minute\n",
           (unsigned long long)options->first, (unsigned long long)totals->next - 1, totals->schedules,
           totals->counted, seconds, (double)totals->counted * 60 / seconds);
    printf("%ld acquisitions, %ld faults, %ld of them stalled loops; %ld renewals by watchdogs\n",
           totals->acquisitions, totals->faults, totals->stalls, totals->kept);
    for (int judge = JUDGE_NONE + 1; judge < JUDGES; judge++) {
        if (totals->found[judge] > 0)
            printf("judge %s: %ld findings\n", sim_judge_name((enum judge)judge), totals->found[judge]);
    }
}

/* The others work while this one waits for them. 0, or 2 where one of them crashed. */
static int wait_for_all(int workers)
{
    int code = 0;
    for (int status; workers > 0; workers--) {
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
            code = 2;
    }
    return code;
}

static int run_all(const struct options *options, struct totals *totals)
{
    if (options->jobs < 2) {
        work(options, totals);
        return 0;
    }
    fflush(stdout);
    for (int i = 0; i < options->jobs; i++) {
        pid_t child = fork();
        if (child < 0)
            return 2;
        if (child == 0) {
            work(options, totals);
            exit(0);
        }
    }
    return wait_for_all(options->jobs);
}

int crew_run(const struct options *options)
{
    double started = crew_seconds();
    struct totals *totals =
        mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (totals == MAP_FAILED)
        return 2;
    totals->next = options->first;
    int code = run_all(options, totals);
    print_totals(options, totals, crew_seconds() - started);
    for (int judge = JUDGE_NONE + 1; code == 0 && judge < JUDGES; judge++)
        code = totals->found[judge] > 0;
    munmap(totals, sizeof(*totals));
    return code;
}
