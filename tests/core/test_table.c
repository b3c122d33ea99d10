/* table.c: keys found again, whatever their bytes and however many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/backoff.h"
#include "core/table.h"

#define KEYS 3000

static long blocks;
static bool starving;

static void *take(void *ctx, size_t size)
{
    (void)ctx;
    if (starving)
        return NULL;
    blocks++;
    return malloc(size);
}

static void give(void *ctx, void *memory)
{
    (void)ctx;
    blocks--;
    free(memory);
}

static const struct arl_settings settings = {.alloc = take, .release = give};

struct named {
    struct arl_slot slot;
    char key[16];
    bool in;
};

static void name(struct named *entry, int number)
{
    entry->slot.key_length = (uint32_t)snprintf(entry->key, sizeof(entry->key), "key:%d", number);
    entry->slot.key = entry->key;
}

static void keys_come_and_go_by_the_thousand(void **state)
{
    static struct named entries[KEYS];
    struct arl_table table = {.seed = 99};
    struct arl_random random = {11};
    uint32_t count = 0, largest = 0;
    (void)state;
    for (int i = 0; i < KEYS; i++)
        name(&entries[i], i);
    for (int i = 0; i < 60000; i++) {
        struct named *entry = &entries[arl_random_between(&random, 0, KEYS - 1)];
        starving = arl_random_between(&random, 0, 3) == 0 && table.size > 0; /* longer chains then */
        bool wants_in = i < 30000 ? true : arl_random_between(&random, 0, 9) == 0;
        assert_ptr_equal(arl_table_find(&table, entry->key, entry->slot.key_length),
                         entry->in ? &entry->slot : NULL);
        if (wants_in && !entry->in)
            assert_int_equal(arl_table_add(&table, &settings, &entry->slot), 0);
        else if (!wants_in && entry->in)
            arl_table_remove(&table, &settings, &entry->slot);
        count += (wants_in && !entry->in) - (!wants_in && entry->in);
        entry->in = wants_in;
        assert_int_equal(table.count, count);
        largest = table.size > largest ? table.size : largest;
    }
    starving = false;
    assert_true(largest >= KEYS / 2);
    for (int i = 0; i < KEYS; i++) {
        if (entries[i].in)
            arl_table_remove(&table, &settings, &entries[i].slot);
    }
    assert_true(table.count == 0 && table.size <= largest / 8); /* memory goes back */
    arl_table_free(&table, &settings);
    assert_int_equal(blocks, 0);
}

static void a_key_is_bytes_and_a_length(void **state)
{
    static const char bytes[] = {'a', 0, 'b', (char)0xC3, (char)0xA9, 0};
    struct arl_slot slots[6] = {0};
    struct arl_table table = {.seed = 1};
    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        slots[i].key = bytes;
        slots[i].key_length = i + 1;
        assert_null(arl_table_find(&table, bytes, i + 1));
        assert_int_equal(arl_table_add(&table, &settings, &slots[i]), 0);
    }
    for (uint32_t i = 0; i < 6; i++)
        assert_ptr_equal(arl_table_find(&table, bytes, i + 1), &slots[i]);
    arl_table_free(&table, &settings);
    assert_int_equal(blocks, 0);
}

static void without_memory_for_the_first_key_nothing_is_added(void **state)
{
    struct named entry = {0};
    struct arl_table table = {.seed = 1};
    (void)state;
    name(&entry, 1);
    starving = true;
    assert_int_equal(arl_table_add(&table, &settings, &entry.slot), ARL_ENOMEM);
    starving = false;
    assert_null(arl_table_find(&table, entry.key, entry.slot.key_length));
    assert_int_equal(table.count, 0);
    arl_table_free(&table, &settings);
}

static void the_seed_decides_the_buckets(void **state)
{
    struct arl_table one = {.seed = 1}, other = {.seed = 2};
    static struct named entries[2][100];
    int differ = 0;
    (void)state;
    for (int i = 0; i < 100; i++) {
        name(&entries[0][i], i);
        name(&entries[1][i], i);
        assert_int_equal(arl_table_add(&one, &settings, &entries[0][i].slot), 0);
        assert_int_equal(arl_table_add(&other, &settings, &entries[1][i].slot), 0);
        differ += entries[0][i].slot.hash % 16 != entries[1][i].slot.hash % 16;
    }
    assert_true(differ > 50); /* strangers cannot aim at one chain */
    arl_table_free(&one, &settings);
    arl_table_free(&other, &settings);
    assert_int_equal(blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_and_go_by_the_thousand),
        cmocka_unit_test(a_key_is_bytes_and_a_length),
        cmocka_unit_test(without_memory_for_the_first_key_nothing_is_added),
        cmocka_unit_test(the_seed_decides_the_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
