/* The table of wait queues against a plain array, with keys of any bytes and lengths. */
#include "core/table.h"
#include "fuzz.h"

#include <string.h>

#define ENTRIES 256
#define KEY_BYTES 4

struct entry {
    struct arl_slot slot;
    char key[KEY_BYTES];
    bool in;
};

struct book {
    struct arl_table table;
    struct entry entries[ENTRIES];
    uint32_t in;
    struct fuzz_memory memory;
    struct arl_settings settings;
};

/* Different for each number, NUL bytes among them, and many a beginning of others: 0 is the empty key. */
static void name(struct entry *entry, unsigned number)
{
    static const char digits[KEY_BYTES] = {0, 'a', (char)0xFF, 'b'};
    uint32_t length = 0;
    for (; number > 0; number = (number - 1) / 4)
        entry->key[length++] = digits[(number - 1) % 4];
    entry->slot.key = entry->key;
    entry->slot.key_length = length;
}

static struct arl_slot *find(const struct book *book, const struct entry *entry)
{
    char copy[KEY_BYTES]; /* the table may not lean on the slot's own bytes */
    memcpy(copy, entry->key, entry->slot.key_length);
    return arl_table_find(&book->table, copy, entry->slot.key_length);
}

static void check(const struct book *book)
{
    const struct arl_table *table = &book->table;
    uint32_t linked = 0;
    FUZZ_CHECK(table->count == book->in);
    FUZZ_CHECK((table->size & (table->size - 1)) == 0);
    for (uint32_t i = 0; i < table->size; i++) {
        for (const struct arl_slot *slot = table->buckets[i]; slot != NULL; slot = slot->next) {
            FUZZ_CHECK((slot->hash & (table->size - 1)) == i);
            linked++;
        }
    }
    FUZZ_CHECK(linked == book->in);
}

static void add(struct book *book, struct entry *entry)
{
    if (entry->in)
        return;
    uint32_t size = book->table.size;
    int error = arl_table_add(&book->table, &book->settings, &entry->slot);
    FUZZ_CHECK(error == 0 || (error == ARL_ENOMEM && size == 0)); /* later only the chains get longer */
    entry->in = error == 0;
    book->in += error == 0;
}

static void take_out(struct book *book, struct entry *entry)
{
    if (!entry->in)
        return;
    arl_table_remove(&book->table, &book->settings, &entry->slot);
    entry->in = false;
    book->in--;
}

static void step(struct book *book, struct fuzz_input *input)
{
    unsigned what = fuzz_below(input, 8), first = fuzz_byte(input);
    unsigned count = what == 1 || what == 3 ? fuzz_byte(input) : 1; /* one, or many at a time */
    for (unsigned i = first; i < first + count; i++) {
        struct entry *entry = &book->entries[i % ENTRIES];
        if (what < 2)
            add(book, entry);
        else if (what < 4)
            take_out(book, entry);
        FUZZ_CHECK(find(book, entry) == (entry->in ? &entry->slot : NULL));
    }
    if (what == 7)
        book->memory = (struct fuzz_memory){.out = book->memory.out, .fine = first % 4, .fail = first / 64};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct book book; /* large */
    struct fuzz_input input = {data, data + size};
    memset(&book, 0, sizeof(book));
    book.settings = (struct arl_settings){.alloc = fuzz_alloc, .release = fuzz_release, .ctx = &book.memory};
    book.table.seed = fuzz_byte(&input);
    for (unsigned i = 0; i < ENTRIES; i++)
        name(&book.entries[i], i);
    while (fuzz_more(&input)) {
        step(&book, &input);
        check(&book);
    }
    book.memory.fail = 0;
    for (unsigned i = 0; i < ENTRIES; i++) {
        FUZZ_CHECK(find(&book, &book.entries[i]) == (book.entries[i].in ? &book.entries[i].slot : NULL));
        take_out(&book, &book.entries[i]);
    }
    check(&book);
    arl_table_free(&book.table, &book.settings);
    FUZZ_CHECK(book.memory.out == 0);
    return 0;
}
