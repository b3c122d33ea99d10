#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "support.h"

#define CLIENTS 64
#define ENTRIES 20000
#define WORDS 8
#define BUFFER 65536

struct client {
    int fd; /* -1: it is nobody's */
    int number;
    size_t length;
    char bytes[BUFFER];
};

struct server {
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* an entry more, or listening changed */
    pthread_t thread;
    struct sockaddr_storage address;
    socklen_t address_length;
    int bell; /* an eventfd: the thread is to look at what the test wants */
    int listener;
    bool serving, stopping;
    bool wanted; /* it is to listen */
    struct script script;
    int connections;
    size_t count;
    struct entry entries[ENTRIES];
    struct client clients[CLIENTS];
};

struct word {
    const char *at;
    size_t length;
};

static _Atomic arl_ns forward; /* ns: how much the tests' clock is ahead of the system's */

arl_ns clock_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return (arl_ns)time.tv_sec * ARL_SECOND + time.tv_nsec + forward;
}

void clock_forward(arl_ns by)
{
    forward += by;
}

/* ---- what it sees: under the mutex ---- */

static struct entry *note(struct server *server, enum seen what, int connection)
{
    assert_true(server->count < ENTRIES);
    struct entry *entry = &server->entries[server->count++];
    *entry = (struct entry){.what = what, .connection = connection, .at = clock_now()};
    pthread_cond_broadcast(&server->changed);
    return entry;
}

static void note_command(struct server *server, const struct client *client, const struct word *words,
                         int count)
{
    struct entry *entry = note(server, SEEN_COMMAND, client->number);
    bool eval = words[0].length == 4 && memcmp(words[0].at, "EVAL", 4) == 0;
    size_t length = 0;

    for (int i = 0; i < count; i++) {
        if (eval && (i == 1 || i == 2))
            continue;
        length += (size_t)snprintf(entry->text + length, sizeof(entry->text) - length, "%s%.*s", i ? " " : "",
                                   (int)words[i].length, words[i].at);
        assert_true(length < sizeof(entry->text));
    }
}

/* ---- what it says ---- */

static void say(const struct client *client, const char *text, bool one_byte)
{
    size_t length = strlen(text), step = one_byte ? 1 : length;

    for (size_t i = 0; i < length; i += step) {
        (void)!send(client->fd, text + i, step, MSG_NOSIGNAL);
        if (one_byte)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
}

/* The reply to a command; NULL: none. */
static const char *reply_to(const struct script *script, const struct word *name)
{
    if (name->length == 4 && memcmp(name->at, "AUTH", 4) == 0)
        return script->auth;
    if (name->length == 6 && memcmp(name->at, "SELECT", 6) == 0)
        return script->select;
    return script->eval;
}

/* ---- what it reads ---- */

/* A header of `kind` at *at: its number; -1 where more bytes are wanted. */
static long header(const struct client *client, size_t *at, char kind)
{
    const char *end = memchr(client->bytes + *at, '\n', client->length - *at);
    if (end == NULL)
        return -1;
    assert_int_equal(client->bytes[*at], kind);
    long number = strtol(client->bytes + *at + 1, NULL, 10);
    *at = (size_t)(end - client->bytes) + 1;
    return number;
}

/* The next command; how many bytes it has, 0 where more are wanted. */
static size_t parse(const struct client *client, struct word *words, int *count)
{
    size_t at = 0;
    long wanted = header(client, &at, '*');
    assert_true(wanted <= WORDS);
    for (*count = 0; *count < wanted; ++*count) {
        long length = header(client, &at, '$');
        if (length < 0 || at + (size_t)length + 2 > client->length)
            return 0;
        words[*count] = (struct word){client->bytes + at, (size_t)length};
        at += (size_t)length + 2;
    }
    return wanted < 0 ? 0 : at;
}

static void forget(struct server *server, int index, const char *how)
{
    struct client *client = &server->clients[index];
    close(client->fd);
    client->fd = -1;
    snprintf(note(server, SEEN_END, client->number)->text, sizeof(server->entries[0].text), "%s", how);
}

static void answer(struct server *server, int index)
{
    struct client *client = &server->clients[index];
    struct word words[WORDS];
    size_t length;
    int count;

    while ((length = parse(client, words, &count)) > 0) {
        const char *reply = reply_to(&server->script, &words[0]);
        note_command(server, client, words, count);
        client->length -= length;
        memmove(client->bytes, client->bytes + length, client->length);
        if (reply != NULL)
            say(client, reply, server->script.one_byte);
        if (server->script.hangs_up) {
            forget(server, index, "by us");
            return;
        }
    }
}

static void hear(struct server *server, int index)
{
    struct client *client = &server->clients[index];
    ssize_t n = recv(client->fd, client->bytes + client->length, BUFFER - client->length, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        forget(server, index, n == 0 ? "" : "reset");
        return;
    }
    client->length += (size_t)n;
    answer(server, index);
}

static void greet(struct server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int index = 0;
    while (server->clients[index].fd >= 0)
        assert_true(++index < CLIENTS);
    struct client *client = &server->clients[index];
    client->fd = fd;
    client->length = 0;
    client->number = server->connections++;
    note(server, SEEN_CONNECTION, client->number);
    if (server->script.at_once != NULL)
        say(client, server->script.at_once, false);
}

/* ---- listening ---- */

static void listen_again(struct server *server)
{
    int family = server->address.ss_family;
    struct sockaddr_un *path = (struct sockaddr_un *)&server->address;

    if (family == AF_UNIX)
        unlink(path->sun_path);
    server->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    assert_int_equal(bind(server->listener, (struct sockaddr *)&server->address, server->address_length), 0);
    assert_int_equal(listen(server->listener, CLIENTS), 0);
    if (family == AF_INET)
        getsockname(server->listener, (struct sockaddr *)&server->address, &server->address_length);
}

static void listen_no_more(struct server *server)
{
    struct sockaddr_un *path = (struct sockaddr_un *)&server->address;

    close(server->listener);
    server->listener = -1;
    if (server->address.ss_family == AF_UNIX)
        unlink(path->sun_path);
    for (int i = 0; i < CLIENTS; i++)
        if (server->clients[i].fd >= 0)
            forget(server, i, "by us");
}

static void obey(struct server *server)
{
    if (server->wanted == (server->listener >= 0))
        return;
    if (server->wanted)
        listen_again(server);
    else
        listen_no_more(server);
    pthread_cond_broadcast(&server->changed);
}

/* ---- the thread ---- */

static nfds_t prepare(const struct server *server, struct pollfd *polled, int *indexes)
{
    nfds_t count = 0;
    polled[count++] = (struct pollfd){.fd = server->bell, .events = POLLIN};
    polled[count++] = (struct pollfd){.fd = server->listener, .events = POLLIN};
    for (int i = 0; i < CLIENTS; i++) {
        if (server->clients[i].fd < 0)
            continue;
        indexes[count] = i;
        polled[count++] = (struct pollfd){.fd = server->clients[i].fd, .events = POLLIN};
    }
    return count;
}

static void *serve(void *ctx)
{
    struct server *server = ctx;
    struct pollfd polled[CLIENTS + 2];
    int indexes[CLIENTS + 2];
    uint64_t rings;

    pthread_mutex_lock(&server->mutex);
    server->serving = true;
    pthread_cond_broadcast(&server->changed);
    while (!server->stopping) {
        nfds_t count = prepare(server, polled, indexes);
        pthread_mutex_unlock(&server->mutex);
        poll(polled, count, -1);
        pthread_mutex_lock(&server->mutex);
        for (nfds_t i = 2; i < count; i++)
            if (polled[i].revents != 0)
                hear(server, indexes[i]);
        if (polled[1].revents != 0)
            greet(server);
        if (polled[0].revents != 0)
            (void)!read(server->bell, &rings, sizeof(rings));
        obey(server);
    }
    pthread_mutex_unlock(&server->mutex);
    return NULL;
}

/* ---- for the tests ---- */

struct script server_well(void)
{
    return (struct script){.auth = "+OK\r\n", .select = "+OK\r\n", .eval = ":1\r\n"};
}

struct server *server_start(enum transport transport)
{
    struct server *server = calloc(1, sizeof(*server));
    assert_non_null(server);
    if (transport == OVER_UNIX) {
        struct sockaddr_un *path = (struct sockaddr_un *)&server->address;
        path->sun_family = AF_UNIX;
        snprintf(path->sun_path, sizeof(path->sun_path), "/tmp/aioredlock-watchdog-%d.sock", (int)getpid());
        server->address_length = sizeof(*path);
    } else {
        struct sockaddr_in *numbers = (struct sockaddr_in *)&server->address;
        numbers->sin_family = AF_INET;
        numbers->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        server->address_length = sizeof(*numbers);
    }
    for (int i = 0; i < CLIENTS; i++)
        server->clients[i].fd = -1;
    server->script = server_well();
    server->wanted = true;
    server->bell = eventfd(0, EFD_CLOEXEC);
    listen_again(server);
    pthread_mutex_init(&server->mutex, NULL);
    pthread_cond_init(&server->changed, NULL);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    pthread_mutex_lock(&server->mutex);
    while (!server->serving) /* until then its signals are blocked */
        pthread_cond_wait(&server->changed, &server->mutex);
    pthread_mutex_unlock(&server->mutex);
    return server;
}

static void ring(const struct server *server)
{
    (void)!write(server->bell, &(uint64_t){1}, sizeof(uint64_t));
}

void server_stop(struct server *server)
{
    pthread_mutex_lock(&server->mutex);
    server->stopping = true;
    pthread_mutex_unlock(&server->mutex);
    ring(server);
    pthread_join(server->thread, NULL);
    if (server->listener >= 0)
        listen_no_more(server);
    close(server->bell);
    pthread_mutex_destroy(&server->mutex);
    pthread_cond_destroy(&server->changed);
    free(server);
}

socklen_t server_address(const struct server *server, struct sockaddr_storage *out)
{
    *out = server->address; /* it never changes once there is one */
    return server->address_length;
}

void server_set(struct server *server, struct script script)
{
    pthread_mutex_lock(&server->mutex);
    server->script = script;
    pthread_mutex_unlock(&server->mutex);
}

static void want(struct server *server, bool wanted)
{
    pthread_mutex_lock(&server->mutex);
    server->wanted = wanted;
    ring(server);
    while (server->wanted != (server->listener >= 0))
        pthread_cond_wait(&server->changed, &server->mutex);
    pthread_mutex_unlock(&server->mutex);
}

void server_down(struct server *server)
{
    want(server, false);
}

void server_up(struct server *server)
{
    want(server, true);
}

/* The index-th entry of the kind, and how many there are; under the mutex. */
static const struct entry *find(const struct server *server, enum seen what, const char *prefix, int index,
                                int *count)
{
    const struct entry *found = NULL;
    *count = 0;
    for (size_t i = 0; i < server->count; i++) {
        const struct entry *entry = &server->entries[i];
        if (entry->what != what || (prefix != NULL && strncmp(entry->text, prefix, strlen(prefix)) != 0))
            continue;
        if (*count == index)
            found = entry;
        ++*count;
    }
    return found;
}

int server_count(struct server *server, enum seen what, const char *prefix)
{
    int count;
    pthread_mutex_lock(&server->mutex);
    find(server, what, prefix, -1, &count);
    pthread_mutex_unlock(&server->mutex);
    return count;
}

void server_wait(struct server *server, enum seen what, const char *prefix, int count)
{
    struct timespec until;
    int seen = 0, rc = 0;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 5;
    pthread_mutex_lock(&server->mutex);
    while (rc == 0) {
        find(server, what, prefix, -1, &seen);
        if (seen >= count)
            break;
        rc = pthread_cond_timedwait(&server->changed, &server->mutex, &until);
    }
    pthread_mutex_unlock(&server->mutex);
    if (seen < count)
        fail_msg("waited for %d of kind %d, %s: %d", count, (int)what, prefix ? prefix : "any", seen);
}

struct entry server_entry(struct server *server, enum seen what, const char *prefix, int index)
{
    struct entry entry = {0};
    int count;
    pthread_mutex_lock(&server->mutex);
    const struct entry *found = find(server, what, prefix, index, &count);
    if (found != NULL)
        entry = *found;
    pthread_mutex_unlock(&server->mutex);
    assert_non_null(found);
    return entry;
}
