/* The transport: bytes in, bytes out, and its end. */
#include <sys/socket.h>

#include "python/clock.h"
#include "python/connection_type.h"
#include "python/engine_calls.h"
#include "python/errors.h"
#include "python/loss.h"
#include "python/stats.h"
#include "watchdog/watchdog.h"

/* Calls a method of a transport's or a task's without arguments; what it raises is reported. */
static void link_call(struct connection *c, PyObject *object, const char *name)
{
    PyObject *method = PyObject_GetAttrString(object, name);
    PyObject *result = method == NULL ? NULL : PyObject_CallNoArgs(method);

    if (result == NULL)
        errors_report(c, "a connection of locks could not be closed");
    Py_XDECREF(method);
    Py_XDECREF(result);
}

/* The descriptor of the transport's socket, or -1 where it has none. */
static int link_descriptor(PyObject *transport)
{
    PyObject *sock = PyObject_CallMethod(transport, "get_extra_info", "s", "socket");
    int fd = sock == NULL || sock == Py_None ? -1 : PyObject_AsFileDescriptor(sock);

    Py_XDECREF(sock);
    PyErr_Clear();
    return fd;
}

static void link_remember_descriptor(struct connection *c)
{
    struct stat status;

    c->fd = link_descriptor(c->transport);
    if (c->fd < 0 || fstat(c->fd, &status) != 0) {
        c->fd = -1;
        return;
    }
    c->fd_device = status.st_dev;
    c->fd_inode = status.st_ino;
}

static int link_take(struct connection *c, PyObject *transport, PyObject *kept)
{
    if (c->transport != NULL || c->closed || connection_is_foreign(c)) {
        PyErr_SetString(PyExc_RuntimeError, "this connection takes no transport");
        return -1;
    }
    c->write = PyObject_GetAttrString(transport, "write");
    if (c->write == NULL)
        return -1;
    c->reader = resp_reader_new(c->output.memory);
    if (c->reader == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    c->transport = Py_NewRef(transport);
    Py_XSETREF(c->kept, Py_NewRef(kept));
    return 0;
}

int connection_opened(struct connection *c, PyObject *transport, PyObject *kept)
{
    PyObject *error;
    arl_ns now = clock_now();

    if (link_take(c, transport, kept) < 0) {
        error = compat_error_take();
        if (c->transport == NULL)
            Py_CLEAR(c->write);
        c->leaving++;
        link_call(c, transport, "abort");
        compat_error_give(error);
        return -1;
    }
    link_remember_descriptor(c);
    c->reconnects += c->opened_at != 0;
    c->opened_at = now;
    c->paused = false;
    Py_CLEAR(c->error);
    engine_up(c, now);
    connection_watch_server(c);
    connection_pump(c, now);
    return 0;
}

/* ---- out ---- */

static int link_format(struct connection *c)
{
    struct arl_request_view request;
    arl_ns now = clock_now();

    c->output.length = 0;
    while (engine_next_request(c, now, &request))
        if (resp_format(&c->output, &request) < 0)
            return -1;
    return 0;
}

void connection_write(struct connection *c)
{
    PyObject *bytes, *result = NULL;

    if (link_format(c) < 0) {
        c->reset_wanted = true; /* what was drained counts as sent */
        return;
    }
    if (c->output.length == 0)
        return;
    c->bytes_out += c->output.length;
    bytes = PyBytes_FromStringAndSize(c->output.data, (Py_ssize_t)c->output.length);
    c->writing++;
    if (bytes != NULL)
        result = PyObject_CallOneArg(c->write, bytes);
    c->writing--;
    Py_XDECREF(bytes);
    if (result == NULL) {
        c->reset_wanted = true;
        errors_report(c, "a connection of locks could not be written to");
    }
    Py_XDECREF(result);
}

/* ---- in ---- */

static PyObject *link_text(const struct resp_reply *reply)
{
    PyObject *text;

    if (reply->error == NULL)
        return NULL;
    text = PyUnicode_DecodeUTF8(reply->error, (Py_ssize_t)reply->error_length, "replace");
    if (text == NULL)
        PyErr_Clear(); /* the error is told without its text */
    return text;
}

/* One reply to the engine; false when the connection is of no more use. */
static bool link_reply(struct connection *c, const struct resp_reply *reply, arl_ns now)
{
    PyObject *text;
    bool fits = engine_reply(c, reply->outcome, now) == 0;

    if (reply->error == NULL)
        return fits;
    text = link_text(reply);
    if (!fits && text != NULL)
        state_warn(c->state, "the server closes the connection of locks: %s", PyTuple_Pack(1, text));
    connection_collect(c, text);
    Py_XDECREF(text);
    return fits;
}

void connection_feed(struct connection *c, size_t length)
{
    struct resp_reply reply;
    arl_ns now = clock_now();
    int more;

    if (c->reader == NULL)
        return;
    c->used = now;
    c->bytes_in += length;
    more = resp_reader_feed(c->reader, c->input_bytes, length);
    while (more >= 0 && c->reader != NULL) {
        more = resp_reader_next(c->reader, arl_engine_awaited(c->engine), &reply);
        if (more <= 0)
            break;
        if (!link_reply(c, &reply, now))
            more = ARL_EUNASKED;
    }
    if (more < 0)
        c->reset_wanted = true;
    connection_collect(c, NULL);
    connection_watch(c); /* before the tasks run: the first of them may keep the loop from turning */
}

/* ---- the end of a transport ---- */

/* Without lingering the kernel forgets what it holds: no command of ours is sent again after this. */
static void link_no_linger(PyObject *transport)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    PyObject *closing = PyObject_CallMethod(transport, "is_closing", NULL);
    int fd;

    if (closing == NULL)
        PyErr_Clear();
    if (closing == Py_False) { /* else the descriptor may be another's by now */
        fd = link_descriptor(transport);
        if (fd >= 0)
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    }
    Py_XDECREF(closing);
}

/* The engine's side of a transport that is no more. */
static void link_down(struct connection *c)
{
    arl_ns now = clock_now();

    c->short_lived = now - c->opened_at < CONNECTION_SETTLED ? c->short_lived + 1 : 0;
    Py_CLEAR(c->write);
    resp_reader_del(c->reader);
    c->reader = NULL;
    c->fd = -1;
    c->paused = false;
    engine_down(c, now);
}

/* The transport, owned by the caller from now on; its connection_lost will concern nobody. */
static PyObject *link_give_up(struct connection *c)
{
    PyObject *transport = c->transport;

    c->transport = NULL;
    if (transport == NULL)
        return NULL;
    c->leaving++;
    link_down(c);
    return transport;
}

static void link_end(struct connection *c, bool reset)
{
    PyObject *kept = Py_XNewRef(c->kept);
    PyObject *transport = link_give_up(c);

    if (transport != NULL) {
        c->writing++;
        if (reset)
            link_no_linger(transport);
        link_call(c, transport, reset ? "abort" : "close");
        c->writing--;
        Py_DECREF(transport);
    }
    Py_XDECREF(kept);
}

void connection_reset(struct connection *c)
{
    c->reset_wanted = false;
    link_end(c, true);
}

void connection_lost(struct connection *c)
{
    if (c->leaving > 0) {
        c->leaving--; /* one of those given up, in the order in which they were */
    } else if (c->transport != NULL) {
        Py_CLEAR(c->transport);
        link_down(c);
        connection_collect(c, NULL);
        connection_turn(c);
    }
    if (c->transport == NULL && c->leaving == 0)
        Py_CLEAR(c->kept);
    connection_check_closed(c);
}

void connection_abort(struct connection *c)
{
    PyObject *transport = c->kept == NULL ? NULL : PyObject_GetAttrString(c->kept, "transport");

    if (c->transport != NULL) {
        connection_reset(c);
    } else if (transport != NULL && c->leaving > 0) {
        link_call(c, transport, "abort");
    }
    PyErr_Clear();
    Py_XDECREF(transport);
}

/* ---- closing for good ---- */

bool connection_is_idle(const struct connection *c)
{
    return c->closed || connection_is_foreign(c) ||
           (!arl_engine_wants_connection(c->engine) && arl_engine_unanswered(c->engine) == 0);
}

void connection_close(struct connection *c)
{
    bool unanswered = arl_engine_unanswered(c->engine) > 0;

    if (c->closed || connection_is_foreign(c))
        return;
    Py_INCREF(c);
    c->closed = true;
    connection_delist(c);
    connection_disarm(c);
    watchdog_row_clear_server(c->row);
    engine_close(c, clock_now());
    link_end(c, unanswered);
    engine_down(c, clock_now());
    connection_collect(c, NULL);
    connection_deliver_soon(c);
    loss_tell(c);
    if (c->dialling != NULL)
        link_call(c, c->dialling, "cancel");
    stats_remember(c);
    connection_check_closed(c);
    Py_DECREF(c);
}

PyObject *connection_wait_closed(struct connection *c)
{
    PyObject *future = PyObject_CallMethod(c->loop, "create_future", NULL);

    if (future == NULL)
        return NULL;
    if (c->closings == NULL)
        c->closings = PyList_New(0);
    if (c->closings == NULL || PyList_Append(c->closings, future) < 0) {
        Py_DECREF(future);
        return NULL;
    }
    connection_check_closed(c);
    return future;
}
