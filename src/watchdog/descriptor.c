#define _DEFAULT_SOURCE

#include "watchdog/descriptor.h"

#include <fcntl.h>
#include <unistd.h>

bool descriptor_prepare(int fd)
{
    const int status = fcntl(fd, F_GETFL);

    return status >= 0 && fcntl(fd, F_SETFL, status | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

void descriptor_close(int *fd)
{
    const int closed = *fd;

    *fd = -1;
    if (closed >= 0)
        close(closed);
}
