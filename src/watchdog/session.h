/* session.h - one connection of the watchdog's: it connects, greets, asks, reads. Nothing here blocks.
 *
 * Renewals and answers are its engine's, whose mutex is held for each call into it and never around I/O. */
#ifndef WATCHDOG_SESSION_H
#define WATCHDOG_SESSION_H

#include "resp/format.h"
#include "watchdog/server.h"

struct resp_reader;

#define SESSION_EREFUSED (-202) /* the server refused the greeting for good */
#define SESSION_EBROKEN (-203)  /* the connection is of no more use */

enum session_state {
    SESSION_NONE,       /* there is none */
    SESSION_CONNECTING, /* until the system says that it stands */
    SESSION_GREETING,   /* logging in */
    SESSION_READY       /* renewals are asked and answered */
};

/* The engine that a session works for. */
struct session_owner {
    struct arl_engine *engine; /* borrowed */
    pthread_mutex_t *mutex;    /* of the engine, borrowed */
    arl_ns (*clock)(void);
};

struct session {
    struct session_owner owner;
    enum session_state state;
    int fd;            /* -1 where there is none */
    arl_ns patience;   /* ns: for connecting, and once more for the greeting */
    arl_ns wait_until; /* ns: when the state has lasted too long; ARL_NEVER: the engine judges that */
    struct resp_reader *reader; /* owned */
    struct resp_buffer out;     /* requests formatted */
    size_t sent;                /* bytes of out, or of the greeting, that are written */
    unsigned greeted;           /* replies to the greeting so far */
    size_t unanswered;          /* renewals that wait for their reply */
    unsigned long asked;        /* renewals over all its connections */
};

/* Without a connection. */
void session_init(struct session *session, const struct session_owner *owner);

/* Begins to connect, where there is no connection. 0, or ARL_ENOMEM or SESSION_EBROKEN and there still is none. */
int session_open(struct session *session, const struct server *server, arl_ns patience);

/* Goes on with whatever the socket allows: connects, greets, takes in replies, writes what is formatted. 0, or
 * negative (SESSION_EREFUSED, SESSION_EBROKEN, ARL_ENOMEM): close it. */
int session_turn(struct session *session, const struct server *server);

/* Takes renewals that are due and writes them; only where session_is_free. 0 or negative, as above. */
int session_ask(struct session *session);

/* Can it take renewals: is it ready, and everything before written? */
bool session_is_free(const struct session *session);

/* What poll() is to wait for. */
short session_events(const struct session *session, const struct server *server);

/* Closes the connection, where there is one; reset where replies are outstanding, so that nothing that was
 * written arrives later than it must. The engine is not told. */
void session_close(struct session *session);

/* In the child of a fork that came in the midst of anything: closes the child's copy of the socket and forgets
 * the rest, which may be half-changed. */
void session_abandon(struct session *session);

#endif
