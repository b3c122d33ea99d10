#include "table.h"

#include <string.h>

#include "mem.h"

#define SIZE_MIN 16u

/* FNV-1a over 64 bits with a seed, folded: short keys, chains checked by length and memcmp. */
static uint32_t hash_of(uint64_t seed, const char *key, size_t key_length)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325) ^ seed;
    for (size_t i = 0; i < key_length; i++)
        hash = (hash ^ (unsigned char)key[i]) * UINT64_C(0x100000001B3);
    hash ^= hash >> 29; /* the low bits choose the bucket: let the seed reach them */
    hash *= UINT64_C(0xBF58476D1CE4E5B9);
    return (uint32_t)(hash >> 32);
}

static struct arl_slot **bucket(const struct arl_table *table, uint32_t hash)
{
    return &table->buckets[hash & (table->size - 1)];
}

struct arl_slot *arl_table_find(const struct arl_table *table, const char *key, size_t key_length)
{
    if (table->size == 0)
        return NULL;
    uint32_t hash = hash_of(table->seed, key, key_length);
    for (struct arl_slot *slot = *bucket(table, hash); slot != NULL; slot = slot->next) {
        if (slot->hash == hash && slot->key_length == key_length && memcmp(slot->key, key, key_length) == 0)
            return slot;
    }
    return NULL;
}

static int resize(struct arl_table *table, const struct arl_settings *settings, uint32_t size)
{
    struct arl_table larger = *table;
    larger.size = size;
    larger.buckets = arl_mem_new(settings, size * sizeof(*larger.buckets));
    if (larger.buckets == NULL)
        return ARL_ENOMEM;
    for (uint32_t i = 0; i < table->size; i++) {
        struct arl_slot *slot = table->buckets[i];
        while (slot != NULL) {
            struct arl_slot *next = slot->next;
            slot->next = *bucket(&larger, slot->hash);
            *bucket(&larger, slot->hash) = slot;
            slot = next;
        }
    }
    arl_mem_free(settings, table->buckets);
    *table = larger;
    return 0;
}

int arl_table_add(struct arl_table *table, const struct arl_settings *settings, struct arl_slot *slot)
{
    if (table->count >= table->size) {
        uint32_t size = table->size == 0 ? SIZE_MIN : table->size * 2;
        int error = size > table->size ? resize(table, settings, size) : 0;
        if (error != 0 && table->size == 0)
            return error; /* a full table only has longer chains */
    }
    slot->hash = hash_of(table->seed, slot->key, slot->key_length);
    slot->next = *bucket(table, slot->hash);
    *bucket(table, slot->hash) = slot;
    table->count++;
    return 0;
}

void arl_table_remove(struct arl_table *table, const struct arl_settings *settings, struct arl_slot *slot)
{
    struct arl_slot **place = bucket(table, slot->hash);
    while (*place != slot)
        place = &(*place)->next;
    *place = slot->next;
    table->count--;
    if (table->size > SIZE_MIN && table->count < table->size / 8)
        (void)resize(table, settings, table->size / 2); /* no memory: it stays sparse */
}

void arl_table_free(struct arl_table *table, const struct arl_settings *settings)
{
    arl_mem_free(settings, table->buckets);
    *table = (struct arl_table){0};
}
