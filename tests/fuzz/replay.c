/* replay.c - runs a fuzzer's target on the files given, and on those in the directories given; without
 * libFuzzer, so with any compiler. Says which file it runs, so that the last one said is the one that failed. */
#define _GNU_SOURCE /* scandir */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_BYTES 4096

/* Reads it into a block of exactly its size, so that a sanitizer sees a read beyond the end. */
static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat about;
    FUZZ_CHECK(file != NULL && fstat(fileno(file), &about) == 0);
    size_t size = (size_t)about.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    FUZZ_CHECK(data != NULL && fread(data, 1, size, file) == size);
    (void)fclose(file);
    printf("%s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static int no_dots(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int replay_directory(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, no_dots, alphasort);
    FUZZ_CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        char inside[PATH_BYTES];
        int length = snprintf(inside, sizeof(inside), "%s/%s", path, entries[i]->d_name);
        FUZZ_CHECK(length > 0 && (size_t)length < sizeof(inside));
        replay_file(inside);
        free(entries[i]);
    }
    free(entries);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;
    for (int i = 1; i < argc; i++) {
        struct stat about;
        FUZZ_CHECK(stat(argv[i], &about) == 0);
        if (S_ISDIR(about.st_mode)) {
            count += replay_directory(argv[i]);
        } else {
            replay_file(argv[i]);
            count++;
        }
    }
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1; /* nothing replayed shows nothing */
}
