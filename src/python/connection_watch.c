/* What the watchdog knows of a connection: when to look at its leases, and how to reach the server by itself. */
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "python/connection_type.h"
#include "python/engine_calls.h"
#include "python/errors.h"
#include "watchdog/watchdog.h"

void connection_watch(struct connection *c)
{
    bool entered = engine_enter(c);
    bool wants = entered && watchdog_row_wants_look(c->row);

    engine_leave(c, entered);
    if (!wants || watchdog_wake(c->state->watchdog) == 0 || c->unwatched)
        return;
    c->unwatched = true;
    state_warn(c->state, "the system gives no thread: locks are not kept while their event loop stands still",
               PyTuple_New(0));
}

/* ---- the server ---- */

union watch_address {
    struct sockaddr any;
    struct sockaddr_un local;
    struct sockaddr_storage storage;
};

/* A Unix socket, by the path that the client has. 0 where it does not fit. */
static socklen_t watch_local(union watch_address *address, const char *path, size_t length)
{
    bool abstract = length > 0 && path[0] == '\0'; /* no file: all bytes are its name, a NUL at the end too */

    if (length >= sizeof(address->local.sun_path))
        return 0;
    memset(address, 0, sizeof(*address));
    address->local.sun_family = AF_UNIX;
    memcpy(address->local.sun_path, path, length);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + !abstract);
}

/* The address that the connection itself has: no name is looked up again. 0 where it has none. */
static socklen_t watch_peer(const struct connection *c, union watch_address *address)
{
    socklen_t length = sizeof(*address);

    if (c->fd < 0 || getpeername(c->fd, &address->any, &length) != 0)
        return 0;
    return address->any.sa_family == AF_INET || address->any.sa_family == AF_INET6 ? length : 0;
}

/* `login`: (path or None, database, user name or None, password or None) as Client.watchdog_login gives it. */
static int watch_set(struct connection *c, PyObject *login)
{
    struct watchdog_server server = {0};
    union watch_address address;
    const char *path;
    Py_ssize_t path_length, username_length, password_length;

    if (!PyArg_ParseTuple(login, "z#iz#z#", &path, &path_length, &server.database, &server.username,
                          &username_length, &server.password, &password_length))
        return -1;
    server.address = &address.any;
    server.username_length = server.username == NULL ? 0 : (size_t)username_length;
    server.password_length = server.password == NULL ? 0 : (size_t)password_length;
    server.address_length =
        path == NULL ? watch_peer(c, &address) : watch_local(&address, path, (size_t)path_length);
    if (server.address_length == 0 || watchdog_row_set_server(c->row, &server) == 0)
        return 0;
    PyErr_NoMemory();
    return -1;
}

void connection_watch_server(struct connection *c)
{
    PyObject *login = PyObject_CallMethod(c->client, "watchdog_login", NULL);

    if (login == NULL || login == Py_None) /* a former password serves no more */
        watchdog_row_clear_server(c->row);
    if (login == NULL || (login != Py_None && watch_set(c, login) < 0))
        errors_report(c, "a lock cannot be kept while its event loop stands still");
    Py_XDECREF(login);
}
