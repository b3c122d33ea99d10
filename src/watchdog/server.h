/* server.h - where a row's server is and what to say to it first: a copy of its own, wiped in the end. */
#ifndef WATCHDOG_SERVER_H
#define WATCHDOG_SERVER_H

#include "watchdog/watchdog.h"

struct server {
    struct sockaddr_storage address;
    socklen_t address_length;
    bool refused;              /* it refused the greeting: it is never told again */
    unsigned greeting_replies; /* how many replies the greeting gets */
    size_t greeting_length;
    char greeting[]; /* the bytes that log in: the only place where the password is kept */
};

/* A copy, or NULL (no memory). */
struct server *server_new(const struct watchdog_server *from);

/* Wipes and frees; NULL is fine. */
void server_del(struct server *server);

/* Do both mean the same place, database, user and password? */
bool server_is_same(const struct server *a, const struct server *b);

#endif
