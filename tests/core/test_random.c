/* Random inputs to several engines on one model server, from a seed; fleet_check.c says what must hold.
 *
 * RANDOM_SEEDS=n runs that many seeds (a few seconds' worth otherwise), from RANDOM_FIRST on (1 otherwise);
 * RANDOM_FIRST alone with RANDOM_SEEDS=1 prints what happens. */
#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/engine.h"

#define SEEDS 3000
#define STEPS 250

static struct fleet fleet; /* large; one run at a time */

/* How this run is: drawn once. */
struct mood {
    int cut;     /* per mille of steps at which some connection is cut */
    int stall;   /* per mille at which a loop stalls */
    int slow;    /* per mille of steps at which a wire stands still */
    int blind;   /* per mille of due looks of a watchdog that do not come yet */
    int late;    /* per mille of due ticks that come late */
    int keys;    /* how many are used */
    int foreign; /* per mille at which another program takes or frees a key */
    int loss;    /* per mille at which the server loses a key */
    bool closes;
};

static struct mood draw_mood(void)
{
    static const int often[] = {0, 0, 5, 20, 60};
    static const int slow[] = {0, 100, 500, 900};
    struct mood mood = {
        .cut = often[fleet_draw(&fleet, 5)],
        .stall = often[fleet_draw(&fleet, 5)],
        .slow = slow[fleet_draw(&fleet, 4)],
        .late = often[fleet_draw(&fleet, 5)] * 5,
        .blind = often[fleet_draw(&fleet, 5)] * 10,
        .keys = 1 + fleet_draw(&fleet, MODEL_KEYS),
        .foreign = often[fleet_draw(&fleet, 4)],
        .closes = fleet_chance(&fleet, 100),
    };
    fleet.unsafe = fleet_chance(&fleet, 250);
    mood.loss = fleet.unsafe ? often[2 + fleet_draw(&fleet, 3)] : 0;
    fleet.trouble = often[fleet_draw(&fleet, 4)];
    fleet.starve = often[fleet_draw(&fleet, 4)];
    return mood;
}

static arl_ns draw_ttl(void)
{
    static const int ttls[] = {50, 200, 300, 1000, 3000, 10000};
    arl_ns ttl = ttls[fleet_draw(&fleet, 6)] * ARL_MS;
    fleet.ttl_longest = arl_ns_max(fleet.ttl_longest, ttl);
    return ttl;
}

static struct arl_want draw_want(void)
{
    static const arl_ns limits[] = {0, 300 * ARL_MS, 5 * ARL_SECOND, 60 * ARL_SECOND, ARL_NEVER};
    struct arl_want want = {
        .ttl = draw_ttl(),
        .sleep_low = fleet_draw(&fleet, 30) * ARL_MS,
        .tries = fleet_chance(&fleet, 400) ? ARL_TRIES_WITHOUT_LIMIT : fleet_draw(&fleet, 12),
        .patience = ARL_NEVER,
    };
    want.sleep_high = want.sleep_low + fleet_draw(&fleet, 100) * ARL_MS;
    if (fleet_chance(&fleet, 200))
        want.patience = 1 + fleet_draw(&fleet, 2000) * ARL_MS;
    want.once = fleet_chance(&fleet, 100);
    want.stall_limit = limits[fleet_draw(&fleet, 5)];
    return want;
}

/* ---- what owners do ---- */

static bool stalled(const struct fleet_member *member)
{
    return member->stalled_until > fleet.model.now;
}

static void act_on_slot(struct fleet_member *member, struct fleet_slot *slot)
{
    int what = fleet_draw(&fleet, 100);
    enum arl_state state = arl_handle_state(slot->handle);
    if (state == ARL_ENDED || what < 5)
        fleet_drop(member, slot);
    else if (state == ARL_GRANTED && what < 90)
        fleet_confirm(member, slot);
    else if (state == ARL_HELD && what < 50)
        fleet_release(member, slot);
    else if (state == ARL_HELD && what < 60)
        fleet_extend(member, slot, draw_ttl());
    else if (what < 70)
        fleet_look(member, slot);
    else if (what < 73)
        fleet_release(member, slot);
    else if (what < 76)
        fleet_extend(member, slot, draw_ttl());
}

static void act(struct fleet_member *member, const struct mood *mood)
{
    struct fleet_slot *slot = &member->slots[fleet_draw(&fleet, FLEET_SLOTS)];
    struct fleet_ask *ask = &member->asks[fleet_draw(&fleet, FLEET_ASKS)];
    if (slot->handle != NULL) {
        act_on_slot(member, slot);
    } else if (fleet_chance(&fleet, 300)) {
        struct arl_want want = draw_want();
        fleet_acquire(member, &want, fleet_draw(&fleet, mood->keys));
    } else if (fleet_chance(&fleet, 30)) {
        fleet_peek(member, fleet_draw(&fleet, mood->keys));
    }
    if (ask->ask != NULL && fleet_chance(&fleet, 20))
        fleet_drop_ask(member, ask);
}

/* ---- what the world does ---- */

static void act_on_connection(struct fleet_member *member, const struct mood *mood)
{
    static const int delays[] = {0, 1, 100, 400, 900, 5000, 20000};
    if (!member->up) {
        if (fleet_chance(&fleet, 50))
            fleet_unreachable(member);
        else if (fleet_chance(&fleet, 200))
            fleet_up(member);
    } else if (fleet_chance(&fleet, mood->cut)) {
        fleet_cut(member, fleet_draw(&fleet, 8), delays[fleet_draw(&fleet, 7)] * ARL_MS);
    }
}

static void move_wire(struct fleet_member *member, const struct mood *mood)
{
    if (!member->up || fleet_chance(&fleet, mood->slow))
        return;
    int executed = fleet_draw(&fleet, 4), delivered = fleet_draw(&fleet, 4);
    while (executed-- > 0 && fleet_execute(member))
        ;
    while (!stalled(member) && delivered-- > 0 && member->up && fleet_deliver(member))
        ;
}

static void move_watchdog(struct fleet_member *member, const struct mood *mood)
{
    static const int delays[] = {0, 100, 900, 20000};
    int executed = fleet_draw(&fleet, 4), delivered = fleet_draw(&fleet, 4);
    if (fleet_chance(&fleet, mood->slow))
        return;
    while (executed-- > 0 && fleet_watch_execute(member))
        ;
    while (delivered-- > 0 && fleet_watch_deliver(member))
        ;
    if (fleet_chance(&fleet, mood->cut))
        fleet_watch_cut(member, fleet_draw(&fleet, 4), delays[fleet_draw(&fleet, 4)] * ARL_MS);
    if (fleet_chance(&fleet, 5))
        arl_watch_woke_late(member->engine, fleet_now(member));
    if (arl_watch_deadline(member->engine) <= fleet_now(member) && !fleet_chance(&fleet, mood->blind))
        fleet_watch(member);
}

static void act_as_another_program(int keys)
{
    const uint64_t other = FLEET_TOKENS + 1;
    struct model_command command = {
        .verb = ARL_TRY, .key = fleet_draw(&fleet, keys), .token = other, .ttl = 500 * ARL_MS};
    if (model_holder(&fleet.model, command.key) == other)
        fleet.model.keys[command.key].ends_at = 0;
    else
        (void)model_execute(&fleet.model, &command);
}

static arl_ns next_deadline(void)
{
    arl_ns at = ARL_NEVER;
    for (int i = 0; i < FLEET_MEMBERS; i++) {
        const struct fleet_member *member = &fleet.members[i];
        arl_ns deadline = arl_watch_deadline(member->engine);
        if (!stalled(member))
            deadline = arl_ns_min(deadline, arl_engine_deadline(member->engine));
        if (deadline != ARL_NEVER) /* of the server's clock, not exactly */
            at = arl_ns_min(at, fleet.model.now + arl_ns_max(deadline - fleet_now(member), 0));
    }
    return at;
}

static void advance(void)
{
    static const int longest[] = {0, 1, 3, 30, 300, 2000};
    arl_ns most = longest[fleet_draw(&fleet, fleet_chance(&fleet, 100) ? 6 : 4)] * ARL_MS;
    arl_ns to = fleet.model.now + arl_random_between(&fleet.random, 0, most);
    if (fleet_chance(&fleet, 400))
        to = arl_ns_max(fleet.model.now, arl_ns_min(next_deadline(), fleet.model.now + 2 * ARL_SECOND));
    model_advance(&fleet.model, to);
}

static void tick_if_due(struct fleet_member *member, int late)
{
    arl_ns early = fleet_chance(&fleet, 200) ? ARL_EARLY : 0;
    if (stalled(member) || arl_engine_deadline(member->engine) > fleet_now(member) + early)
        return;
    if (!fleet_chance(&fleet, late))
        fleet_tick(member);
}

static void step(const struct mood *mood)
{
    struct fleet_member *member = &fleet.members[fleet_draw(&fleet, FLEET_MEMBERS)];
    fleet.steps++;
    advance();
    fleet_check(&fleet);
    if (fleet_chance(&fleet, mood->foreign))
        act_as_another_program(mood->keys);
    if (fleet_chance(&fleet, mood->loss))
        fleet.model.keys[fleet_draw(&fleet, mood->keys)].ends_at = 0;
    for (int i = 0; i < FLEET_MEMBERS; i++) {
        move_wire(&fleet.members[i], mood);
        tick_if_due(&fleet.members[i], mood->late);
        move_watchdog(&fleet.members[i], mood);
    }
    if (stalled(member)) {
        if (fleet_chance(&fleet, 100)) /* the code that keeps the loop from turning uses locks */
            act(member, mood);
        return;
    }
    for (int i = 0; i < 3; i++)
        act(member, mood);
    fleet_drain(member);
    act_on_connection(member, mood);
    if (fleet_chance(&fleet, mood->stall))
        member->stalled_until = fleet.model.now + arl_random_between(&fleet.random, 0, 15 * ARL_SECOND);
    if (mood->closes && !member->closed && fleet_chance(&fleet, 5))
        fleet_shut(member);
}

/* ---- ends ---- */

static bool all_slots_are_free(void)
{
    for (int i = 0; i < FLEET_MEMBERS; i++) {
        for (int j = 0; j < FLEET_SLOTS; j++) {
            if (fleet.members[i].slots[j].handle != NULL)
                return false;
        }
    }
    return true;
}

/* Owners finish: what is granted is left after a moment, what ended is dropped. */
static void wind_up(struct fleet_member *member, bool leave)
{
    for (int i = 0; i < FLEET_SLOTS; i++) {
        struct fleet_slot *slot = &member->slots[i];
        if (slot->handle == NULL)
            continue;
        if (arl_handle_state(slot->handle) == ARL_ENDED)
            fleet_drop(member, slot);
        else if (arl_handle_state(slot->handle) == ARL_GRANTED)
            fleet_confirm(member, slot);
        else if (arl_handle_state(slot->handle) == ARL_HELD && leave)
            fleet_release(member, slot);
    }
    fleet_drain(member);
}

/* One step of a world in order (healthy), or of one whose server is mute. */
static void step_in_order(bool healthy, bool connects)
{
    for (int i = 0; i < FLEET_MEMBERS; i++) {
        struct fleet_member *member = &fleet.members[i];
        if (!member->up && connects)
            fleet_up(member);
        while (healthy && (fleet_execute(member) || fleet_deliver(member)))
            ;
        while (healthy && (fleet_watch_execute(member) || fleet_watch_deliver(member)))
            ;
        if (arl_engine_deadline(member->engine) <= fleet_now(member))
            fleet_tick(member);
        if (arl_watch_deadline(member->engine) <= fleet_now(member))
            fleet_watch(member);
        wind_up(member, healthy || fleet_chance(&fleet, 10));
    }
    model_advance(&fleet.model, arl_ns_max(fleet.model.now + ARL_MS / 10,
                                           arl_ns_min(next_deadline(), fleet.model.now + 5 * ARL_MS)));
}

static void faults_end(void)
{
    fleet.trouble = fleet.starve = 0;
    for (int i = 0; i < FLEET_MEMBERS; i++)
        fleet.members[i].stalled_until = 0;
}

/* Everyone is granted or gives up; then nothing is left in the engines, nor of theirs on the server. */
static void end_healthy(void)
{
    arl_ns limit = fleet.model.now + 4 * fleet.ttl_longest + 60 * ARL_SECOND;
    while (!all_slots_are_free()) {
        FLEET_CHECK(&fleet, fleet.model.now < limit);
        step_in_order(true, true);
    }
    arl_ns settled = fleet.model.now + 1500 * ARL_MS;
    while (fleet.model.now < settled || fleet.model.late_count > 0)
        step_in_order(true, true);
    for (int i = 0; i < MODEL_KEYS; i++) {
        uint64_t holder = model_holder(&fleet.model, i);
        if (holder == 0 || holder > FLEET_TOKENS || fleet.tokens[holder].excused)
            continue;
        FLEET_CHECK(&fleet, fleet.model.keys[i].set_late > 500 * ARL_MS); /* slipped through: rule 4 */
    }
    settled = fleet.model.now + fleet.ttl_longest;
    for (int i = 0; i < FLEET_MEMBERS; i++) {
        const struct arl_engine *engine = fleet.members[i].engine;
        FLEET_CHECK(&fleet, arl_engine_unanswered(engine) == 0);
        FLEET_CHECK(&fleet, !arl_engine_wants_connection(engine));
        FLEET_CHECK(&fleet, arl_engine_deadline(engine) == ARL_NEVER);
        FLEET_CHECK(&fleet, engine->table.count == 0);
        FLEET_CHECK(&fleet, engine->watch.unanswered_count == 0);
        FLEET_CHECK(&fleet, arl_watch_deadline(engine) == ARL_NEVER);
    }
}

/* The server is mute, or not there at all: nobody waits for ever. */
static void end_mute(bool connects)
{
    arl_ns limit = fleet.model.now + 2 * fleet.ttl_longest + 4 * fleet.reply_timeout + ARL_SECOND;
    while (!all_slots_are_free()) {
        FLEET_CHECK(&fleet, fleet.model.now < limit);
        step_in_order(false, connects);
    }
}

static void run_seed(uint64_t seed, bool talks)
{
    fleet_open(&fleet, seed);
    fleet.talks = talks;
    const struct mood mood = draw_mood();
    for (int i = 0; i < STEPS; i++)
        step(&mood);
    int end = fleet_draw(&fleet, 8);
    fleet_say(&fleet, "-- end %d", end);
    if (end > 0)
        faults_end();
    if (end >= 1 && end <= 5)
        end_healthy();
    else if (end >= 6)
        end_mute(end == 6);
    fleet_close(&fleet);
}

static long number(const char *name, long otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

static void random_inputs(void **state)
{
    long first = number("RANDOM_FIRST", 1), seeds = number("RANDOM_SEEDS", SEEDS), granted = 0, watched = 0;
    (void)state;
    for (long seed = first; seed < first + seeds; seed++) {
        run_seed((uint64_t)seed, seeds == 1);
        granted += fleet.granted;
        watched += fleet.watched;
    }
    printf("%ld seeds, %ld leases told, %ld renewals of watchdogs\n", seeds, granted, watched);
    assert_true(granted >= seeds && watched >= seeds / 2); /* a run with too little traffic shows nothing */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
