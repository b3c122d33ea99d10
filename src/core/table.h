/* table.h - key -> wait queue. The wait queues are linked into it; the table owns only its buckets. */
#ifndef ARL_TABLE_H
#define ARL_TABLE_H

#include "arl.h"

/* The part of a wait queue that the table needs; the key's bytes follow the struct around it. */
struct arl_slot {
    struct arl_slot *next; /* in the same bucket */
    uint32_t hash;
    uint32_t key_length;
    const char *key; /* owned by the struct around */
};

struct arl_table {
    struct arl_slot **buckets; /* NULL while empty */
    uint32_t size;             /* a power of two, or 0 */
    uint32_t count;
    uint64_t seed; /* of the hash: keys may come from strangers */
};

/* The slot of a key, or NULL. */
struct arl_slot *arl_table_find(const struct arl_table *table, const char *key, size_t key_length);

/* Adds a slot whose key and key_length are set and not in the table yet. 0 or ARL_ENOMEM. */
int arl_table_add(struct arl_table *table, const struct arl_settings *settings, struct arl_slot *slot);

/* Takes a slot out that is in the table; gives memory back when the table became sparse. Never fails. */
void arl_table_remove(struct arl_table *table, const struct arl_settings *settings, struct arl_slot *slot);

void arl_table_free(struct arl_table *table, const struct arl_settings *settings);

#endif
