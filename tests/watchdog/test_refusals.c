/* The system refuses memory, threads, descriptors, sockets; and what is left of a password in memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "loop.h"
#include "refusals.h"
#include "support.h"

static const struct login nobody = {0};

static int no_more_refusals(void **state)
{
    (void)state;
    for (int what = 0; what < REFUSALS; what++)
        refuse(what, -1);
    return 0;
}

/* ---- at the beginning ---- */

static void test_no_memory_for_a_watchdog(void **state)
{
    (void)state;
    refuse(REFUSE_MEMORY, 0);
    assert_null(watchdog_new(clock_now));
    watchdog_del(NULL);
    watchdog_row_del(NULL);
}

/* A row needs memory for itself, and at times for what is polled. */
static void test_no_memory_for_a_row(void **state)
{
    (void)state;
    enum { ROWS = 20 };
    struct watchdog_row *rows[ROWS];
    struct world world;
    int failed = 0;
    world_begin(&world, OVER_TCP, nobody);
    for (int i = 0; i < ROWS; i++) {
        int after = 0;
        do {
            refuse(REFUSE_MEMORY, after++);
            rows[i] = watchdog_row_new(world.watchdog, world.loop.engine);
            refuse(REFUSE_MEMORY, -1);
        } while (rows[i] == NULL);
        failed += after - 1;
    }
    assert_in_range(failed, ROWS + 2, 2 * ROWS);
    for (int i = 0; i < ROWS; i++)
        watchdog_row_del(rows[i]);
    world_end(&world);
}

/* Then the row has no server, not even the one before. */
static void test_no_memory_for_a_server(void **state)
{
    (void)state;
    struct world world;
    struct sockaddr_storage address;
    world_begin(&world, OVER_TCP, nobody);
    struct watchdog_server where = {.address = (struct sockaddr *)&address,
                                    .address_length = server_address(world.server, &address),
                                    .database = 1};
    refuse(REFUSE_MEMORY, 0);
    assert_int_equal(watchdog_row_set_server(world.loop.row, &where), ARL_ENOMEM);
    refuse(REFUSE_MEMORY, -1);
    loop_hold(&world.loop, "key", TTL, ARL_NEVER);
    stand_still(TTL);
    assert_int_equal(world_figures(&world).connections, 0);
    world_end(&world);
}

/* The descriptor that the system would give next: the same as before where none was left open. */
static int next_descriptor(void)
{
    int fd = dup(STDIN_FILENO);
    close(fd);
    return fd;
}

static void gives_no_thread(enum refusal what)
{
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    refuse(what, 0);
    int free_before = next_descriptor();
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    assert_int_equal(watchdog_wake(world.watchdog), WATCHDOG_ETHREAD);
    assert_int_equal(refused(what) % 2, 0); /* by the hold, and by the line above */
    watchdog_row_enter(world.loop.row);
    assert_true(watchdog_row_wants_look(world.loop.row)); /* still: there is none */
    watchdog_row_leave(world.loop.row);
    watchdog_stop(world.watchdog);
    assert_int_equal(next_descriptor(), free_before);
    refuse(what, -1);
    assert_int_equal(watchdog_wake(world.watchdog), 0);
    stand_still(3 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    world_end(&world);
}

static void test_no_thread(void **state)
{
    (void)state;
    gives_no_thread(REFUSE_THREAD);
}

static void test_no_eventfd(void **state)
{
    (void)state;
    gives_no_thread(REFUSE_EVENTFD);
}

/* ---- in a stall: tried again a tenth of the ttl later ---- */

static void test_no_socket(void **state)
{
    (void)state;
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    refuse(REFUSE_SOCKET, 0);
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    while (world_figures(&world).connections < 2)
        stand_still(ARL_MS);
    refuse(REFUSE_SOCKET, -1);
    stand_still(3 * TTL);
    assert_true(loop_holds(&world.loop, hold));
    world_end(&world);
}

/* The first `after` pieces of memory can be had: for the reader, then for what is written. */
static void has_no_memory(int after)
{
    struct world world;
    world_begin(&world, OVER_TCP, nobody);
    int before = refused(REFUSE_MEMORY);
    int hold = loop_hold(&world.loop, "key", 2 * TTL, ARL_NEVER);
    refuse(REFUSE_MEMORY, after);
    while (refused(REFUSE_MEMORY) < before + 2)
        stand_still(ARL_MS);
    assert_int_equal(server_count(world.server, SEEN_COMMAND, "EVAL"), 0);
    refuse(REFUSE_MEMORY, -1);
    server_wait(world.server, SEEN_COMMAND, "EVAL", 2);
    assert_true(loop_holds(&world.loop, hold));
    world_end(&world);
}

static void test_no_memory_in_a_stall(void **state)
{
    (void)state;
    has_no_memory(0);
    has_no_memory(1);
}

/* More descriptors than the system lets it wait for: it looks again and again, but at leisure. */
static void test_no_waiting(void **state)
{
    (void)state;
    struct loop loop;
    struct watchdog_figures figures;
    struct watchdog *watchdog = watchdog_new(clock_now);
    assert_non_null(watchdog);
    loop_init(&loop, watchdog);
    refuse(REFUSE_POLL, 0);
    assert_int_equal(watchdog_wake(watchdog), 0);
    stand_still(300 * ARL_MS);
    watchdog_figures(watchdog, &figures);
    assert_in_range(figures.looks, 2, 40);
    loop_free(&loop);
    watchdog_del(watchdog);
}

/* ---- the password ---- */

#define HIDDEN_LENGTH 24
#define SEARCHED_AT_ONCE 65536 /* bytes */

/* The password, put together here and nowhere else, so that the search does not find what it searches for. */
static char hidden(size_t i)
{
    return (char)('A' + (i * 7 + 3) % 26);
}

static bool is_at(const char *bytes)
{
    size_t i = 0;
    while (i < HIDDEN_LENGTH && bytes[i] == hidden(i))
        i++;
    return i == HIDDEN_LENGTH;
}

/* How often it stands in a part of this process's memory; `bytes` has room for SEARCHED_AT_ONCE. */
static int found_between(int memory, unsigned long from, unsigned long to, char *bytes)
{
    int found = 0;
    for (unsigned long at = from; at < to; at += SEARCHED_AT_ONCE - HIDDEN_LENGTH + 1) {
        size_t wanted = to - at < SEARCHED_AT_ONCE ? to - at : SEARCHED_AT_ONCE;
        ssize_t n = pread(memory, bytes, wanted, (off_t)at);
        for (ssize_t i = 0; i + HIDDEN_LENGTH <= n; i++)
            found += is_at(bytes + i);
    }
    return found;
}

/* Private memory that can be written to, but for a sanitizer's maps of all addresses. */
static int found_in_memory(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), found = 0;
    unsigned long from, to;
    char line[512], rights[8];
    /* Shared, so that the search does not find what it has read. */
    char *bytes = mmap(NULL, SEARCHED_AT_ONCE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(bytes != MAP_FAILED);
    assert_non_null(maps);
    assert_true(memory >= 0);
    while (fgets(line, sizeof(line), maps) != NULL)
        if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && strcmp(rights, "rw-p") == 0 &&
            to - from < 1UL << 28)
            found += found_between(memory, from, to, bytes);
    munmap(bytes, SEARCHED_AT_ONCE);
    close(memory);
    fclose(maps);
    return found;
}

/* A server in a process of its own, whose memory is not searched: says OK to AUTH and 1 to EVAL. */
static pid_t other_server(const char *path, struct sockaddr_un *address)
{
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address->sun_family = AF_UNIX;
    snprintf(address->sun_path, sizeof(address->sun_path), "%s", path);
    unlink(path);
    assert_int_equal(bind(listener, (struct sockaddr *)address, sizeof(*address)), 0);
    assert_int_equal(listen(listener, 4), 0);
    pid_t child = fork();
    if (child != 0) {
        close(listener);
        return child;
    }
    alarm(20);
    char bytes[4096];
    int fd = accept(listener, NULL, NULL);
    for (ssize_t n; (n = recv(fd, bytes, sizeof(bytes) - 1, 0)) > 0;) {
        bytes[n] = '\0';
        (void)!write(fd, strstr(bytes, "AUTH") ? "+OK\r\n" : ":1\r\n", strstr(bytes, "AUTH") ? 5 : 4);
    }
    _exit(0);
}

static void set_hidden_server(struct loop *loop, const struct sockaddr_un *address)
{
    char password[HIDDEN_LENGTH];
    for (size_t i = 0; i < HIDDEN_LENGTH; i++)
        password[i] = hidden(i);
    struct watchdog_server where = {.address = (const struct sockaddr *)address,
                                    .address_length = sizeof(*address),
                                    .password = password,
                                    .password_length = HIDDEN_LENGTH};
    assert_int_equal(watchdog_row_set_server(loop->row, &where), 0);
    for (size_t i = 0; i < HIDDEN_LENGTH; i++)
        ((volatile char *)password)[i] = 0;
}

/* While the server is set the password is kept once, also while it is used; afterwards nowhere. */
static void test_the_password_is_wiped(void **state)
{
    (void)state;
    struct loop loop;
    struct sockaddr_un address = {0};
    char path[64];
    if (THREAD_SANITIZER)
        return;
    snprintf(path, sizeof(path), "/tmp/aioredlock-hidden-%d.sock", (int)getpid());
    pid_t child = other_server(path, &address);
    struct watchdog *watchdog = watchdog_new(clock_now);
    loop_init(&loop, watchdog);
    assert_int_equal(found_in_memory(), 0);
    set_hidden_server(&loop, &address);
    assert_int_equal(found_in_memory(), 1);
    set_hidden_server(&loop, &address); /* the same once more */
    assert_int_equal(found_in_memory(), 1);
    loop_hold(&loop, "key", TTL, ARL_NEVER);
    while (loop_kept(&loop) < 2)
        stand_still(ARL_MS);
    assert_int_equal(found_in_memory(), 1);
    watchdog_row_clear_server(loop.row);
    assert_int_equal(found_in_memory(), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    set_hidden_server(&loop, &address);
    loop_free(&loop);
    assert_int_equal(found_in_memory(), 0);
    watchdog_del(watchdog);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_no_memory_for_a_watchdog, no_more_refusals),
        cmocka_unit_test_teardown(test_no_memory_for_a_row, no_more_refusals),
        cmocka_unit_test_teardown(test_no_memory_for_a_server, no_more_refusals),
        cmocka_unit_test_teardown(test_no_thread, no_more_refusals),
        cmocka_unit_test_teardown(test_no_eventfd, no_more_refusals),
        cmocka_unit_test_teardown(test_no_socket, no_more_refusals),
        cmocka_unit_test_teardown(test_no_memory_in_a_stall, no_more_refusals),
        cmocka_unit_test_teardown(test_no_waiting, no_more_refusals),
        cmocka_unit_test(test_the_password_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
