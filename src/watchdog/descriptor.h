/* descriptor.h - what every descriptor of the watchdog is: non-blocking, and closed by exec. */
#ifndef WATCHDOG_DESCRIPTOR_H
#define WATCHDOG_DESCRIPTOR_H

#include <stdbool.h>

/* Makes it both; false where the system refuses. For systems that cannot open it so at once. */
bool descriptor_prepare(int fd);

/* Closes and forgets it, in the order that leaves a fork in between nothing to close twice. -1 is fine. */
void descriptor_close(int *fd);

#endif
