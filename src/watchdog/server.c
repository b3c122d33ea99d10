#include "watchdog/server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "resp/greeting.h"
#include "watchdog/wipe.h"

struct server *server_new(const struct watchdog_server *from)
{
    const struct resp_login login = {.database = from->database,
                                     .username = from->username,
                                     .username_length = from->username_length,
                                     .password = from->password,
                                     .password_length = from->password_length};
    const size_t length = resp_format_greeting(NULL, &login);
    struct server *server;

    assert(from->address_length <= sizeof(server->address));
    server = calloc(1, sizeof(*server) + length);
    if (!server)
        return NULL;
    memcpy(&server->address, from->address, from->address_length);
    server->address_length = from->address_length;
    server->greeting_replies = resp_greeting_replies(&login);
    server->greeting_length = resp_format_greeting(server->greeting, &login);
    return server;
}

void server_del(struct server *server)
{
    if (!server)
        return;
    wipe(server->greeting, server->greeting_length);
    free(server);
}

bool server_is_same(const struct server *a, const struct server *b)
{
    return a->address_length == b->address_length && a->greeting_length == b->greeting_length &&
           memcmp(&a->address, &b->address, a->address_length) == 0 &&
           memcmp(a->greeting, b->greeting, a->greeting_length) == 0;
}
