/*
 * main() of a fuzz target in builds without libFuzzer: gives it every file
 * named on the command line, and every file of a folder named there; of files
 * up to 4 KiB every truncation as well, and every version with one byte
 * changed. Fails if a file cannot be read.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MUTATED_MAX = 4096, PATH_SIZE = 4096, FILE_MAX = 64 * 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Each input lies in a block of its own size, so that AddressSanitizer sees one byte too far. */
static int run_exactly(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = malloc(size == 0 ? 1 : size);
    if (copy == NULL)
        return 1;
    memcpy(copy, bytes, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

static int run_mutated(uint8_t *bytes, size_t size)
{
    int result = run_exactly(bytes, size);
    if (size > MUTATED_MAX)
        return result;
    for (size_t i = 0; i < size && result == 0; i++) {
        const uint8_t original = bytes[i];
        result = run_exactly(bytes, i);
        bytes[i] = (uint8_t)(original ^ (1U << (i % 8)));
        result |= run_exactly(bytes, size);
        bytes[i] = 0xFF;
        result |= run_exactly(bytes, size);
        bytes[i] = original;
    }
    return result;
}

static int replay_file(const char *path)
{
    int result = 1;
    uint8_t *bytes = NULL;
    struct stat status;
    FILE *file = fopen(path, "rb");
    if (file == NULL || fstat(fileno(file), &status) != 0 || status.st_size > FILE_MAX)
        goto out;
    const size_t size = (size_t)status.st_size;
    bytes = malloc(size + 1);
    if (bytes == NULL || fread(bytes, 1, size, file) != size)
        goto out;
    result = run_mutated(bytes, size);
out:
    if (result != 0)
        fprintf(stderr, "%s could not be replayed\n", path);
    free(bytes);
    if (file != NULL)
        fclose(file);
    return result;
}

static int replay_folder(const char *path, DIR *folder)
{
    int result = 0;
    size_t count = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char file[PATH_SIZE];
        if (entry->d_name[0] == '.')
            continue;
        const int length = snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        result |= length < 0 || (size_t)length >= sizeof file || replay_file(file) != 0;
        count++;
    }
    printf("%s: %zu files replayed\n", path, count);
    return result | (count == 0);
}

int main(int argc, char **argv)
{
    int result = argc < 2;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        result |= folder != NULL ? replay_folder(argv[i], folder) : replay_file(argv[i]);
        if (folder != NULL)
            closedir(folder);
    }
    return result;
}
