#include "python/redisson_doc.h"

const char redisson_doc[] =
    "Redisson(redis, key='global', ex=10, sleeptime_l=0.02, sleeptime_h=0.1, retry_count=10, carry=None, *, "
    "retry_times=None, blocking_timeout=None, required=False, on_lost=None, stall_limit=60.0)\n"
    "--\n"
    "\n"
    "A lock on a Redis or Valkey server, for asyncio.\n"
    "\n"
    "    async with Redisson(client, key='no1') as lock:\n"
    "        if lock is not None:\n"
    "            ...\n"
    "\n"
    "Objects with the same key compete for the same lock, in this process and in others. While it is held its\n"
    "lease is renewed. Make one object for each `async with`: it costs nothing.\n"
    "\n"
    "redis: a client whose connections are sockets: redis.asyncio.Redis, valkey.asyncio.Valkey, aioredis.Redis.\n"
    "key: str, int or uuid.UUID; as text 1 to 2,048 bytes of UTF-8.\n"
    "ex: seconds that the lease lasts without renewal, from 0.05 to 1e9; int or float.\n"
    "sleeptime_l, sleeptime_h: seconds, the least and the most of the random part of the wait between two\n"
    "    tries. After failed try i, counted from 0, the wait is mean * max(0, i - 2) + uniform(l, h) with\n"
    "    mean = (l + h) / 2.\n"
    "retry_count: tries before `async with` gives None and acquire() gives False; None: without limit.\n"
    "carry: anything; kept as the attribute of that name.\n"
    "retry_times: another name of retry_count.\n"
    "blocking_timeout: seconds that `async with` and acquire() wait, whatever retry_count says; 0: one try.\n"
    "required: `async with` raises LockNotAcquiredError instead of giving None.\n"
    "on_lost: what is done when the lease is lost; None: a WARNING is logged. A callable is called by the loop as\n"
    "    on_lost(lock, error), in the context of the acquire, at most once for each hold; a coroutine that it\n"
    "    returns runs as a task. \"cancel\" (with `async with`, from Python 3.11 on): the body's task is cancelled,\n"
    "    and `async with` raises LockLostError.\n"
    "stall_limit: seconds for which the lease is kept while the loop does not turn; 0: not at all.\n"
    "\n"
    "Raises TypeError or ValueError, naming the argument, for one that cannot be; TypeError for a client without\n"
    "sockets.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_acquire_doc[] =
    "acquire($self, /, blocking=True, blocking_timeout=None)\n"
    "--\n"
    "\n"
    "Acquires the lock; to be awaited.\n"
    "\n"
    "blocking: False for a single try, or none where this process holds or awaits the key.\n"
    "blocking_timeout: seconds to wait, whatever retry_count says; None: as the constructor says; 0: one try.\n"
    "\n"
    "Returns True, or False where it was not acquired. Raises ValueError for a negative blocking_timeout or one\n"
    "beside blocking=False, at the call; RuntimeError where this object is held or being acquired; the client's\n"
    "own exceptions where the server cannot be reached, does not answer, or refuses.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_release_doc[] =
    "release($self, /)\n"
    "--\n"
    "\n"
    "Releases the lock; to be awaited. Returns None, without a round trip where another task of this process\n"
    "waits for the key and takes it over.\n"
    "\n"
    "Raises LockNotOwnedError where the lock is not held: LockLostError where its lease was lost, or the server says\n"
    "that it was not ours any more; the client's own exceptions where the server cannot be reached before the lease\n"
    "ends, or refuses. Not held any more it is in any case. Cancelled, the release goes on.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_extend_doc[] =
    "extend($self, /, seconds)\n"
    "--\n"
    "\n"
    "Asks that the lease last at least so long from now; to be awaited. Never shortens it; later renewals go by\n"
    "`ex` again. (redis-py's Lock.extend adds to what is left instead.)\n"
    "\n"
    "seconds: from 0.05 to 1e9, int or float.\n"
    "\n"
    "Raises LockNotOwnedError where the lock is not held, is released meanwhile, or the server says that it was\n"
    "not ours; the client's own exceptions where no answer comes, in which case the lease goes on as before;\n"
    "TypeError or ValueError for bad seconds, at the call.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_locked_doc[] =
    "locked($self, /)\n"
    "--\n"
    "\n"
    "Asks the server whether anybody holds the key; to be awaited. Returns a bool. Raises the client's own\n"
    "exceptions where no answer comes.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_is_locked_doc[] =
    "is_locked($self, /)\n"
    "--\n"
    "\n"
    "Does this object hold the lock? Answered without I/O, from the lease's end on a clock that counts the time\n"
    "that the machine sleeps. Once False, that lease never comes back.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_remaining_doc[] =
    "remaining($self, /)\n"
    "--\n"
    "\n"
    "Seconds for which the lease is certain still, were it never renewed; 0.0 when not held.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_ensure_held_doc[] =
    "ensure_held($self, /, seconds=None)\n"
    "--\n"
    "\n"
    "Raises LockLostError unless the lease is certain now, or for so long; waits for nothing. Where nothing was\n"
    "acquired it raises as well.\n"
    "\n"
    "seconds: from 0.05 to 1e9, int or float; None: now is enough. Between two renewals no more than 2/3 of `ex` is\n"
    "    certain at all times: more than that fails now and then. extend() makes it longer.\n"
    "\n"
    "Raises TypeError or ValueError for bad seconds.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_uuid_doc[] =
    "uuid($self, /)\n"
    "--\n"
    "\n"
    "The token of the current or the last lease, which is the key's value on the server; before the first lease\n"
    "one that no lease will have. Holders of one process may share a token by handing on.\n"
    "\n"
    ".. versionadded:: 0.1.0";

const char redisson_aenter_doc[] =
    "__aenter__($self, /)\n"
    "--\n"
    "\n"
    "Acquires the lock for a body: gives this object, or None where it was not acquired.";

const char redisson_aexit_doc[] =
    "__aexit__($self, exc_type, exc, traceback, /)\n"
    "--\n"
    "\n"
    "Releases the lock; an exception of the body goes through unchanged. A lease that was lost is told by a WARNING,\n"
    "by on_lost, or, with on_lost=\"cancel\", by LockLostError where the body raised nothing or was cancelled for it.";

const char redisson_no_copy_doc[] = "Raises TypeError: a lease belongs to one object of one process.";

const char redisson_redis_doc[] = "The client that it was made with; read-only.\n\n.. versionadded:: 0.1.0";
const char redisson_key_doc[] =
    "The key as text, without the prefix that it has on the server; read-only.\n\n.. versionadded:: 0.1.0";
const char redisson_carry_doc[] =
    "Whatever it was made with, for the program's own use; may be set.\n\n.. versionadded:: 0.1.0";
