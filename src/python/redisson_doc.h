/* redisson_doc.h - what help() says of Redisson. */
#ifndef PYTHON_REDISSON_DOC_H
#define PYTHON_REDISSON_DOC_H

extern const char redisson_doc[];
extern const char redisson_acquire_doc[];
extern const char redisson_release_doc[];
extern const char redisson_extend_doc[];
extern const char redisson_locked_doc[];
extern const char redisson_is_locked_doc[];
extern const char redisson_remaining_doc[];
extern const char redisson_ensure_held_doc[];
extern const char redisson_uuid_doc[];
extern const char redisson_aenter_doc[];
extern const char redisson_aexit_doc[];
extern const char redisson_no_copy_doc[];
extern const char redisson_redis_doc[];
extern const char redisson_key_doc[];
extern const char redisson_carry_doc[];

#endif
