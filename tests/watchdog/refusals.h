/* refusals.h - the system refuses, when a test says so. The programs are linked with --wrap for these calls. */
#ifndef REFUSALS_H
#define REFUSALS_H

#include <stdbool.h>

enum refusal { REFUSE_MEMORY, REFUSE_THREAD, REFUSE_EVENTFD, REFUSE_SOCKET, REFUSE_POLL, REFUSALS };

/* Each such call is refused from the one after the next `after` ones on; -1: none is. */
void refuse(enum refusal what, int after);

/* How many were refused so far. */
int refused(enum refusal what);

#endif
