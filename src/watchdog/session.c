#define _DEFAULT_SOURCE

#include "watchdog/session.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>

#include "resp/greeting.h"
#include "resp/parse.h"
#include "watchdog/descriptor.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* the socket has SO_NOSIGPIPE there */
#endif

#define READ_SIZE 4096   /* bytes taken at once; within RESP_FEED_MAX */
#define READS_A_TURN 16  /* a server that never stops talking does not keep the other rows waiting */
#define OUT_FULL 0x10000 /* bytes: no more requests are formatted before these are written */

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    return malloc(size);
}

static void give_back(void *ctx, void *memory)
{
    (void)ctx;
    free(memory);
}

static const struct resp_memory memory = {.alloc = take, .release = give_back};

void session_init(struct session *session, const struct session_owner *owner)
{
    *session = (struct session){.owner = *owner, .fd = -1, .wait_until = ARL_NEVER, .out.memory = &memory};
}

/* ---- opening and closing ---- */

/* A socket that neither blocks, nor survives exec, nor raises SIGPIPE; -1 where the system gives none. */
static int open_socket(int family)
{
#ifdef SOCK_CLOEXEC
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd >= 0 && !descriptor_prepare(fd))
        descriptor_close(&fd);
#endif
#ifdef SO_NOSIGPIPE
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int)) != 0)
        descriptor_close(&fd);
#endif
    return fd;
}

static void enter_state(struct session *session, enum session_state state)
{
    session->state = state;
    session->wait_until =
        state == SESSION_READY ? ARL_NEVER : arl_ns_add(session->owner.clock(), session->patience);
}

int session_open(struct session *session, const struct server *server, arl_ns patience)
{
    const struct sockaddr *address = (const struct sockaddr *)&server->address;

    session->patience = patience;
    session->reader = resp_reader_new(&memory);
    if (!session->reader)
        return ARL_ENOMEM;
    session->fd = open_socket(address->sa_family);
    if (session->fd < 0) {
        session_close(session);
        return SESSION_EBROKEN;
    }
    if (address->sa_family != AF_UNIX) /* without it a renewal may wait for the acknowledgement of another */
        setsockopt(session->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(session->fd, address, server->address_length) != 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        session_close(session);
        return SESSION_EBROKEN;
    }
    enter_state(session, SESSION_CONNECTING);
    return 0;
}

void session_close(struct session *session)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    if (session->fd >= 0 && session->unanswered > 0)
        setsockopt(session->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    descriptor_close(&session->fd);
    resp_reader_del(session->reader);
    resp_buffer_free(&session->out);
    session->reader = NULL;
    session->sent = session->unanswered = 0;
    session->greeted = 0;
    session->state = SESSION_NONE;
    session->wait_until = ARL_NEVER;
}

void session_abandon(struct session *session)
{
    descriptor_close(&session->fd);
    session_init(session, &session->owner);
}

/* ---- bytes out ---- */

/* Writes what is left of `length` bytes, as far as the socket takes it. 0 or SESSION_EBROKEN. */
static int send_rest(struct session *session, const char *bytes, size_t length)
{
    while (session->sent < length) {
        ssize_t n = send(session->fd, bytes + session->sent, length - session->sent, MSG_NOSIGNAL);

        if (n >= 0)
            session->sent += (size_t)n;
        else if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        else if (errno != EINTR)
            return SESSION_EBROKEN;
    }
    return 0;
}

static int send_requests(struct session *session)
{
    int rc = send_rest(session, session->out.data, session->out.length);

    if (rc == 0 && session->sent == session->out.length)
        session->out.length = session->sent = 0;
    return rc;
}

bool session_is_free(const struct session *session)
{
    return session->state == SESSION_READY && session->out.length == 0;
}

/* Takes the next renewal that is due and formats it. 1, 0 where there is none, or negative. */
static int format_next(struct session *session)
{
    struct arl_request_view view;
    int rc = 0;

    pthread_mutex_lock(session->owner.mutex); /* the view is borrowed */
    if (arl_watch_next_request(session->owner.engine, session->owner.clock(), &view)) {
        session->unanswered++;
        session->asked++;
        rc = resp_format(&session->out, &view);
        rc = rc < 0 ? rc : 1;
    }
    pthread_mutex_unlock(session->owner.mutex);
    return rc;
}

int session_ask(struct session *session)
{
    int rc = 1;

    while (rc > 0 && session_is_free(session)) {
        while (session->out.length < OUT_FULL && (rc = format_next(session)) > 0)
            continue;
        if (rc >= 0 && send_requests(session) < 0)
            rc = SESSION_EBROKEN;
    }
    return rc < 0 ? rc : 0;
}

/* ---- bytes in ---- */

static int greeting_answered(struct session *session, const struct server *server)
{
    struct resp_reply reply;
    int rc;

    while (session->greeted < server->greeting_replies) {
        rc = resp_reader_next(session->reader, ARL_TRY, &reply);
        if (rc <= 0)
            return rc;
        if (reply.error)
            return resp_greeting_is_refused(&reply) ? SESSION_EREFUSED : SESSION_EBROKEN;
        if (reply.outcome != ARL_YES)
            return SESSION_EBROKEN;
        session->greeted++;
    }
    if (session->sent < server->greeting_length)
        return SESSION_EBROKEN; /* it answers what it has not heard */
    enter_state(session, SESSION_READY);
    session->sent = 0;
    return 0;
}

static int renewals_answered(struct session *session)
{
    struct resp_reply reply;
    int rc;

    while ((rc = resp_reader_next(session->reader, ARL_RENEW, &reply)) > 0) {
        if (session->unanswered == 0)
            return SESSION_EBROKEN; /* nobody asked */
        session->unanswered--;
        pthread_mutex_lock(session->owner.mutex);
        rc = arl_watch_reply(session->owner.engine, reply.outcome, session->owner.clock());
        pthread_mutex_unlock(session->owner.mutex);
        if (rc < 0 || reply.outcome == ARL_STALE)
            return SESSION_EBROKEN;
    }
    return rc;
}

static int answered(struct session *session, const struct server *server)
{
    int rc = 0;

    if (session->state == SESSION_GREETING)
        rc = greeting_answered(session, server);
    if (rc == 0 && session->state == SESSION_READY)
        rc = renewals_answered(session);
    return rc;
}

/* Takes in what has come. */
static int receive(struct session *session, const struct server *server)
{
    char bytes[READ_SIZE];

    for (int i = 0; i < READS_A_TURN; i++) {
        ssize_t n = recv(session->fd, bytes, sizeof(bytes), 0);
        int rc;

        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : SESSION_EBROKEN;
        if (n == 0)
            return SESSION_EBROKEN;
        rc = resp_reader_feed(session->reader, bytes, (size_t)n);
        if (rc == 0)
            rc = answered(session, server);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* ---- the turn ---- */

/* Does the connection stand? Then it begins to greet, or is ready where there is nothing to say. */
static int connected(struct session *session, const struct server *server)
{
    struct pollfd polled = {.fd = session->fd, .events = POLLOUT};
    int error = 0;
    socklen_t length = sizeof(error);

    if (poll(&polled, 1, 0) <= 0)
        return 0;
    if (getsockopt(session->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0)
        return SESSION_EBROKEN;
    enter_state(session, server->greeting_replies > 0 ? SESSION_GREETING : SESSION_READY);
    return 0;
}

int session_turn(struct session *session, const struct server *server)
{
    int rc = 0;

    if (session->state == SESSION_CONNECTING)
        rc = connected(session, server);
    /* First what has come: an error may stand before the end of the connection. */
    if (rc == 0 && session->state > SESSION_CONNECTING)
        rc = receive(session, server);
    if (rc == 0 && session->state == SESSION_GREETING)
        rc = send_rest(session, server->greeting, server->greeting_length);
    if (rc == 0 && session->state == SESSION_READY)
        rc = send_requests(session);
    if (rc == 0 && session->owner.clock() >= session->wait_until)
        rc = SESSION_EBROKEN;
    return rc;
}

short session_events(const struct session *session, const struct server *server)
{
    bool writes = session->state == SESSION_CONNECTING || session->out.length > 0 ||
                  (session->state == SESSION_GREETING && session->sent < server->greeting_length);

    return (short)(writes ? POLLIN | POLLOUT : POLLIN);
}
