/* server.h - a server that a test scripts: a thread that speaks enough of the protocol, and writes down what it
 * sees. It holds no keys: what it answers is what the test said. */
#ifndef SERVER_H
#define SERVER_H

#include <sys/socket.h>

#include "core/arl.h"

enum seen { SEEN_CONNECTION, SEEN_COMMAND, SEEN_END };

struct entry {
    enum seen what;
    int connection; /* which, counted from 0 */
    arl_ns at;
    char text[160]; /* COMMAND: its words with a blank between; of EVAL the name, key, token and ttl.
                     * END: `reset` where it was, `by us` where the server hung up, else nothing */
};

enum transport { OVER_TCP, OVER_UNIX };

struct script {
    const char *auth, *select, *eval; /* the reply to each; NULL: silence */
    const char *at_once;              /* is sent when a connection comes; NULL: nothing */
    bool hangs_up;                    /* after each reply, or instead of one that is NULL */
    bool one_byte;                    /* replies are written byte by byte */
};

struct server;

/* Listens; everything is answered well: OK, and 1 to EVAL. */
struct server *server_start(enum transport transport);
void server_stop(struct server *server);

socklen_t server_address(const struct server *server, struct sockaddr_storage *out);

/* From now on it answers so. */
void server_set(struct server *server, struct script script);
struct script server_well(void);

/* Nobody can connect any more, and those who are connected are cut off; or can again. */
void server_down(struct server *server);
void server_up(struct server *server);

/* How many entries there are of this kind whose text begins with `prefix` (NULL: any). */
int server_count(struct server *server, enum seen what, const char *prefix);

/* Waits until there are `count` of them; fails the test after 5 s. */
void server_wait(struct server *server, enum seen what, const char *prefix, int count);

/* The index-th of them, copied. */
struct entry server_entry(struct server *server, enum seen what, const char *prefix, int index);

/* The clock of all: the system's, and what it was set forward by. */
arl_ns clock_now(void);
void clock_forward(arl_ns by);

#endif
