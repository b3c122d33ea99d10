/* The life of the thread and of rows: stop, start, fork, the end of a row in the middle of anything. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "support.h"

static const struct login nobody = {0};
static const struct login somebody = {.database = 2, .username = "user", .password = "secret"};

static int entries_of(const char *path)
{
    DIR *directory = opendir(path);
    int count = 0;
    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

static int threads(void)
{
    return entries_of("/proc/self/task");
}

static int descriptors(void)
{
    return entries_of("/proc/self/fd");
}

/* ---- stop and start ---- */

static void test_stop_in_a_stall(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, somebody);
    int before = threads();
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    assert_int_equal(threads(), before + 1);
    watchdog_stop(world.watchdog);
    assert_int_equal(threads(), before);
    server_wait(world.server, SEEN_END, NULL, 1);
    watchdog_stop(world.watchdog); /* twice is once */
    watchdog_row_enter(world.loop.row);
    assert_true(watchdog_row_wants_look(world.loop.row));
    watchdog_row_leave(world.loop.row);
    assert_int_equal(watchdog_wake(world.watchdog), 0);
    stand_still(3 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 2);
    world_end(&world);
}

/* What is unanswered when it is stopped does not arrive later than it must: the connection is reset. */
static void test_stop_resets(void **state)
{
    (void)state;
    struct world world;
    struct script script = server_well();
    world_begin(&world, OVER_TCP, nobody);
    script.eval = NULL;
    server_set(world.server, script);
    loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    watchdog_stop(world.watchdog);
    server_wait(world.server, SEEN_END, "reset", 1);
    server_set(world.server, server_well());
    assert_int_equal(watchdog_wake(world.watchdog), 0);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 2); /* it counts as unanswered, not as under way */
    world_end(&world);
}

static void test_the_kernel_counts_it_no_more(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    int before = threads();
    for (int i = 0; i < 500; i++) {
        assert_int_equal(watchdog_wake(world.watchdog), 0);
        watchdog_stop(world.watchdog);
        assert_int_equal(threads(), before);
    }
    world_end(&world);
}

/* ---- what it is made of ---- */

/* How many threads of this process have all that matters blocked. */
static int blocked_threads(void)
{
    const unsigned long long wanted = 1ULL << (SIGINT - 1) | 1ULL << (SIGTERM - 1) | 1ULL << (SIGCHLD - 1) |
                                      1ULL << (SIGPIPE - 1) | 1ULL << (SIGALRM - 1) | 1ULL << (SIGUSR1 - 1);
    char path[64], line[256];
    int blocked = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        snprintf(path, sizeof(path), "/proc/self/task/%.20s/status", entry->d_name);
        FILE *status = fopen(path, "r");
        while (status != NULL && fgets(line, sizeof(line), status) != NULL)
            if (strncmp(line, "SigBlk:", 7) == 0)
                blocked += (strtoull(line + 7, NULL, 16) & wanted) == wanted;
        if (status != NULL)
            fclose(status);
    }
    closedir(tasks);
    return blocked;
}

static void test_all_signals_are_blocked(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    int before = blocked_threads();
    loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_CONNECTION, NULL, 1);
    assert_int_equal(blocked_threads(), before + 1);
    world_end(&world);
}

/* Every descriptor is closed by exec, and in the end all are. */
static void test_descriptors(void **state)
{
    (void)state;
    struct world world;
    bool inherited[256];
    int before = descriptors();
    for (int fd = 0; fd < 256; fd++)
        inherited[fd] = fcntl(fd, F_GETFD) >= 0;
    world_begin(&world, OVER_TCP, nobody);
    int idle = descriptors();
    loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    assert_int_equal(descriptors(), idle + 3); /* both ends of the connection, and what wakes the thread */
    for (int fd = 0; fd < 256; fd++)
        assert_true(inherited[fd] || fcntl(fd, F_GETFD) < 0 || (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    watchdog_stop(world.watchdog);
    server_wait(world.server, SEEN_END, NULL, 1);
    assert_int_equal(descriptors(), idle);
    world_end(&world);
    assert_int_equal(descriptors(), before);
}

/* ---- fork ---- */

/* How the child ended; it has five seconds. */
static int status_of(pid_t child)
{
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* In the child: it can keep locks of its own. 0 or what went wrong. */
static int keeps_locks_anew(struct world *world)
{
    struct loop loop;
    int hold, kept;
    if (THREAD_SANITIZER)
        return 0;
    loop_init(&loop, world->watchdog);
    loop_serve(&loop, world->server, somebody);
    hold = loop_hold(&loop, "child", TTL, ARL_NEVER);
    stand_still(2 * TTL);
    kept = loop_holds(&loop, hold);
    loop_free(&loop);
    return kept ? 0 : 1;
}

/* In the child: its rows are free, know no server, and can go. 0 or what went wrong. */
static int forgets(struct world *world, int wanted_descriptors)
{
    alarm(5);
    watchdog_forked(world->watchdog);
    if (descriptors() != wanted_descriptors)
        return 2;
    watchdog_row_enter(world->loop.row);
    bool wants = watchdog_row_wants_look(world->loop.row);
    watchdog_row_leave(world->loop.row);
    return wants ? 3 : 0;
}

static void test_fork_while_stopped(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, somebody);
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    watchdog_stop(world.watchdog);
    server_wait(world.server, SEEN_END, NULL, 1);
    int open = descriptors();
    pid_t child = fork();
    if (child == 0) {
        int rc = forgets(&world, open);
        rc = rc != 0 ? rc : keeps_locks_anew(&world);
        watchdog_row_del(world.loop.row);
        watchdog_del(world.watchdog);
        _exit(rc);
    }
    assert_int_equal(watchdog_wake(world.watchdog), 0);
    assert_int_equal(status_of(child), 0);
    stand_still(TTL);
    assert_true(loop_holds(&world.loop, hold));
    assert_true(THREAD_SANITIZER || server_count(world.server, SEEN_COMMAND, "EVAL redisson:child") >= 2);
    world_end(&world);
}

/* A fork that nobody told us of, while the thread has a connection: the child closes its copies, and the parent
 * does not feel it. */
static void test_fork_in_a_stall(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, somebody);
    int hold = loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    int open = descriptors();
    pid_t child = fork();
    if (child == 0) {
        int rc = forgets(&world, open - 2);
        _exit(rc != 0 ? rc : keeps_locks_anew(&world));
    }
    assert_int_equal(status_of(child), 0);
    stand_still(2 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    int by_child = server_count(world.server, SEEN_COMMAND, "EVAL redisson:child") > 0;
    assert_int_equal(by_child, !THREAD_SANITIZER);
    assert_about(server_count(world.server, SEEN_CONNECTION, NULL), 1 + by_child);
    world_end(&world);
}

/* Whatever the thread does at that moment, and whichever mutex it holds. */
static void test_fork_at_any_moment(void **state)
{
    (void)state;
    enum { LOOPS = 100 };
    static struct loop loops[LOOPS]; /* so that a look takes its time */
    struct world world;
    world_begin(&world, OVER_UNIX, somebody);
    for (int i = 0; i < LOOPS; i++) {
        loop_init(&loops[i], world.watchdog);
        loop_serve(&loops[i], world.server, somebody);
    }
    loop_hold(&world.loop, "key", 60 * ARL_MS, ARL_NEVER);
    for (int i = 0; i < 200; i++) {
        watchdog_wake(world.watchdog);
        for (arl_ns until = clock_now() + i * ARL_MS / 1000; clock_now() < until;)
            continue;
        pid_t child = fork();
        if (child == 0) {
            alarm(5);
            watchdog_forked(world.watchdog);
            for (int row = 0; row < LOOPS; row++) {
                watchdog_row_enter(loops[row].row);
                watchdog_row_leave(loops[row].row);
            }
            watchdog_row_del(world.loop.row);
            watchdog_stop(world.watchdog);
            _exit(0);
        }
        assert_int_equal(status_of(child), 0);
    }
    for (int i = 0; i < LOOPS; i++)
        loop_free(&loops[i]);
    world_end(&world);
}

/* A thread of the program forks while another is in a call into the engine. */
static void test_fork_while_a_row_is_entered(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_UNIX, nobody);
    watchdog_row_enter(world.loop.row);
    pid_t child = fork();
    if (child == 0)
        _exit(forgets(&world, descriptors()));
    watchdog_row_leave(world.loop.row);
    assert_int_equal(status_of(child), 0);
    world_end(&world);
}

/* ---- the end of a row, and everything at once ---- */

/* Engines and rows go at any moment: afterwards the thread touches neither. */
static void test_rows_end_in_the_middle(void **state)
{
    (void)state;
    enum { LOOPS = 10, ROUNDS = 20 };
    static struct loop loops[LOOPS];
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    for (int round = 0; round < ROUNDS; round++) {
        struct script script = server_well();
        script.one_byte = round % 3 == 1;
        script.eval = round % 3 == 2 ? NULL : ":1\r\n";
        server_set(world.server, script);
        for (int i = 0; i < LOOPS; i++) {
            loop_init(&loops[i], world.watchdog);
            loop_serve(&loops[i], world.server, i % 2 ? nobody : somebody);
            loop_hold(&loops[i], "key", 100 * ARL_MS, ARL_NEVER);
        }
        stand_still(45 * ARL_MS);
        for (int i = 0; i < LOOPS; i++) {
            stand_still(ARL_MS);
            loop_free(&loops[i]);
        }
    }
    assert_true(world_figures(&world).renewals > 0);
    int open = server_count(world.server, SEEN_CONNECTION, NULL);
    assert_true(open >= ROUNDS);
    server_wait(world.server, SEEN_END, NULL, open);
    world_end(&world);
}

struct crew {
    struct world *world;
    unsigned seed;
    unsigned long kept;
};

/* A loop in a thread of its own that holds, stands still, turns, releases, and loses its server at times. */
static void *live(void *ctx)
{
    struct crew *crew = ctx;
    struct loop *loop = calloc(1, sizeof(*loop));
    arl_ns end = clock_now() + 2 * ARL_SECOND;
    loop_init(loop, crew->world->watchdog);
    for (int i = 0; i < LOOP_HOLDS && clock_now() < end; i++) {
        loop_serve(loop, crew->world->server, rand_r(&crew->seed) % 2 ? somebody : nobody);
        int hold = loop_try_hold(loop, "key", 500 * ARL_MS, ARL_NEVER);
        stand_still(rand_r(&crew->seed) % 2 ? rand_r(&crew->seed) % 400 * ARL_MS : ARL_MS);
        loop_turn(loop);
        if (rand_r(&crew->seed) % 8 == 0)
            watchdog_row_clear_server(loop->row);
        if (hold >= 0 && loop_holds(loop, hold))
            loop_release(loop, hold);
    }
    crew->kept = loop_kept(loop);
    loop_free(loop);
    free(loop);
    return NULL;
}

static void *stop_and_wake(void *ctx)
{
    struct crew *crew = ctx;
    for (arl_ns end = clock_now() + 2 * ARL_SECOND; clock_now() < end;) {
        stand_still(100 * ARL_MS);
        watchdog_stop(crew->world->watchdog);
        watchdog_wake(crew->world->watchdog);
    }
    return NULL;
}

/* At the end of an interpreter the module, and the watchdog with it, may go before the connections. */
static void test_rows_outlive_it(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, somebody);
    int before = threads();
    loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 1);
    struct loop second;
    loop_init(&second, world.watchdog);
    watchdog_del(world.watchdog);
    assert_int_equal(threads(), before);
    server_wait(world.server, SEEN_END, NULL, 1);
    loop_free(&second);
    world.watchdog = NULL;
    world_end(&world);
}

static void test_everything_at_once(void **state)
{
    (void)state;
    enum { LOOPS = 8 };
    struct world world;
    struct crew crew[LOOPS + 2];
    pthread_t ids[LOOPS + 2];
    unsigned long kept = 0;
    world_begin(&world, OVER_TCP, somebody);
    for (int i = 0; i < LOOPS + 2; i++) {
        crew[i] = (struct crew){.world = &world, .seed = (unsigned)i};
        assert_int_equal(pthread_create(&ids[i], NULL, i < LOOPS ? live : stop_and_wake, &crew[i]), 0);
    }
    for (int i = 0; i < LOOPS + 2; i++) {
        pthread_join(ids[i], NULL);
        kept += crew[i].kept;
    }
    assert_true(kept >= LOOPS);
    world_end(&world);
}

/* A loop that does not turn, but whose blocking code asks all the time. */
static void *ask(void *ctx)
{
    struct crew *crew = ctx;
    struct loop *loop = calloc(1, sizeof(*loop));
    loop_init(loop, crew->world->watchdog);
    loop_serve(loop, crew->world->server, nobody);
    for (arl_ns end = clock_now() + ARL_SECOND; loop->count < LOOP_HOLDS && clock_now() < end;) {
        int hold = loop_try_hold(loop, "key", TTL / 2, ARL_NEVER);
        while (hold >= 0 && clock_now() < end && loop_holds(loop, hold)) {
            watchdog_row_enter(loop->row);
            watchdog_row_wants_look(loop->row);
            watchdog_row_leave(loop->row);
            sched_yield(); /* a mutex is not fair */
        }
    }
    loop_free(loop);
    free(loop);
    return NULL;
}

/* The server hangs up after each reply: connections come and go while the engine is asked. */
static void test_asked_all_the_time(void **state)
{
    (void)state;
    enum { LOOPS = 6 };
    struct world world;
    struct crew crew = {.world = &world};
    struct script script = server_well();
    pthread_t ids[LOOPS];
    world_begin(&world, OVER_UNIX, nobody);
    script.hangs_up = true;
    server_set(world.server, script);
    for (int i = 0; i < LOOPS; i++)
        assert_int_equal(pthread_create(&ids[i], NULL, ask, &crew), 0);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(ids[i], NULL);
    assert_true(server_count(world.server, SEEN_END, "by us") > 0);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop_in_a_stall),
        cmocka_unit_test(test_stop_resets),
        cmocka_unit_test(test_the_kernel_counts_it_no_more),
        cmocka_unit_test(test_all_signals_are_blocked),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_fork_while_stopped),
        cmocka_unit_test(test_fork_in_a_stall),
        cmocka_unit_test(test_fork_at_any_moment),
        cmocka_unit_test(test_fork_while_a_row_is_entered),
        cmocka_unit_test(test_rows_end_in_the_middle),
        cmocka_unit_test(test_rows_outlive_it),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_asked_all_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
