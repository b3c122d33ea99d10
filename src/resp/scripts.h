/* scripts.h - the Lua texts that some verbs run on the server, and their digests.
 *
 * Each script has one key (KEYS[1]) and gets every value in ARGV, so its text, and with it its digest, never
 * changes. It writes once, as its last act: where it ends in an error, nothing was changed. It needs no
 * right beyond `+get +del +pexpire +pttl` and works from Redis 6.0 and Valkey 7.2 on. */
#ifndef RESP_SCRIPTS_H
#define RESP_SCRIPTS_H

#include "core/arl.h"

#define RESP_SHA1_LENGTH 40 /* hexadecimal digits of a digest */

struct resp_script {
    const char *text; /* what EVAL sends */
    const char *sha1; /* its SHA1 in lower-case hexadecimal: what EVALSHA sends */
};

/* The script that `verb` runs; a constant. NULL where the verb is a plain command (or no verb). */
const struct resp_script *resp_script_of(enum arl_verb verb);

#endif
