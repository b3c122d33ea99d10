/* greeting.h - what a connection of our own says first: who it is, and which database it wants. Always RESP2. */
#ifndef RESP_GREETING_H
#define RESP_GREETING_H

#include <stdbool.h>
#include <stddef.h>

#include "resp/parse.h"

/* How to log in. Texts are not NUL-terminated; lengths in bytes. */
struct resp_login {
    int database; /* selected where it is not 0 */
    const char *username;
    size_t username_length; /* 0: AUTH with the password alone */
    const char *password;   /* NULL: no AUTH */
    size_t password_length;
};

/* How many bytes the greeting has; 0 where nothing needs to be said. With `out` (room for as many) they are
 * written there, and nowhere else: no copy of the password is left behind. No NUL follows. */
size_t resp_format_greeting(char *out, const struct resp_login *login);

/* How many replies the greeting gets: each is read as a TRY's, which is OK or an error as theirs. */
unsigned resp_greeting_replies(const struct resp_login *login);

/* Does this error reply to a greeting last, so that saying it again would only be one more failed login? The
 * others pass by themselves: the server loads its data, or has too many clients. */
bool resp_greeting_is_refused(const struct resp_reply *reply);

#endif
