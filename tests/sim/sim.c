#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define STEPS_MAX 3000000L

/* ---- telling ---- */

static void print_time(const struct sim *sim)
{
    printf("%12.6f ", (double)sim->now / (double)ARL_SECOND);
}

void sim_note(const struct sim *sim, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_time(sim);
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

const char *sim_judge_name(enum judge judge)
{
    static const char *const names[JUDGES] = {"nobody", "register", "belief", "wire", "liveness"};
    return names[judge];
}

void sim_blame(struct sim *sim, enum judge judge, const char *format, ...)
{
    if (sim->guilty != JUDGE_NONE || (sim->judges >> judge & 1) == 0)
        return;
    sim->guilty = judge;
    va_list arguments;
    va_start(arguments, format);
    printf("seed %llu %s %s, %.6f s, judge %s: ", (unsigned long long)sim->seed,
           sim->plan.safe ? "safe" : "unsafe", sim->plan.brief ? "brief" : "long",
           (double)sim->now / (double)ARL_SECOND, sim_judge_name(judge));
    vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
}

void sim_stop(struct sim *sim, const char *why, int process)
{
    sim_blame(sim, JUDGE_LIVENESS, "p%d: %s", process, why);
    sim->stopped = true;
}

static void note_plan(const struct sim *sim)
{
    const struct plan *plan = &sim->plan;
    NOTE(sim, "%s, %d processes of %d tasks, %d pollers, %d keys; ttl %lld ms, sleeps %lld..%lld ms",
         plan->safe ? "safe" : "unsafe", plan->processes, plan->tasks, plan->pollers, plan->keys,
         (long long)(plan->ttl / ARL_MS), (long long)(plan->sleep_low / ARL_MS),
         (long long)(plan->sleep_high / ARL_MS));
    NOTE(sim, "reply timeout %lld ms, delays %d, turn %lld us, server ends keys %lld us early",
         (long long)(plan->reply_timeout / ARL_MS), (int)plan->delays, (long long)(plan->turn / 1000),
         (long long)(plan->early / 1000));
    for (int i = 0; sim->tracing && i < plan->processes; i++)
        NOTE(sim, "p%d: its clock drifts by %lld millionths", i, (long long)sim->processes[i].clock.drift);
}

/* ---- a schedule ---- */

static void ring_end(struct sim *sim, struct alarm *alarm)
{
    (void)alarm;
    NOTE(sim, "faults stop; nothing new begins");
    sim->ending = true;
    faults_stop(sim);
    for (int i = 0; i < sim->plan.processes; i++) {
        for (int j = 0; sim->processes[i].engine != NULL && j < sim->plan.tasks; j++)
            task_hurry(sim, &sim->processes[i].tasks[j]);
    }
    agenda_set(&sim->agenda, &sim->bound, sim->now + judge_bound(sim));
}

static void ring_bound(struct sim *sim, struct alarm *alarm)
{
    (void)alarm;
    judge_all_over(sim);
}

static void start(struct sim *sim, uint64_t seed, bool safe, bool brief)
{
    sim->seed = seed;
    sim->dice.state = seed;
    sim->now = 0;
    sim->ending = false;
    sim->guilty = JUDGE_NONE;
    sim->stopped = false;
    sim->acquisitions = sim->faults_happened = sim->stalls = sim->kept = 0;
    sim->steps = 0;
    agenda_clear(&sim->agenda);
    ledger_clear(&sim->ledger);
    links_start(sim);
    memset(sim->registers, 0, sizeof(sim->registers));
    plan_draw(&sim->plan, &sim->dice, safe, brief);
    server_start(sim);
    for (int i = 0; i < sim->plan.processes; i++)
        process_start(sim, &sim->processes[i], i);
    for (int i = 0; i < sim->plan.pollers; i++)
        poller_start(sim, &sim->pollers[i], i);
    faults_start(sim);
    sim->end = (struct alarm){.ring = ring_end};
    sim->bound = (struct alarm){.ring = ring_bound};
    agenda_set(&sim->agenda, &sim->end, sim->plan.end);
    note_plan(sim);
}

int sim_run(struct sim *sim, uint64_t seed, bool safe, bool brief)
{
    struct alarm *alarm;
    start(sim, seed, safe, brief);
    while (sim->guilty == JUDGE_NONE && !sim->stopped && (alarm = agenda_pop(&sim->agenda)) != NULL) {
        sim->now = alarm->at;
        if (++sim->steps > STEPS_MAX)
            sim_stop(sim, "it does not come to an end", 0);
        alarm->ring(sim, alarm);
    }
    if (sim->guilty == JUDGE_NONE && !sim->stopped)
        judge_all_over(sim);
    agenda_clear(&sim->agenda);
    for (int i = 0; i < sim->plan.processes; i++)
        process_kill(sim, &sim->processes[i]);
    return sim->guilty != JUDGE_NONE;
}

bool sim_counts(const struct sim *sim)
{
    return sim->acquisitions >= 20 && sim->faults_happened >= 2;
}

void sim_free(struct sim *sim)
{
    agenda_free(&sim->agenda);
    ledger_free(&sim->ledger);
    links_free(&sim->links);
}
