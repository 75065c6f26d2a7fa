/*
 * The registry of client certificates, as JSON: memory of an entry, and how much CPU time a look-up
 * takes, of one that is there and of one that is not, in random order. Usage: bench_registry
 * [ENTRIES], 1000000 by default.
 */
#include "server/identity/registry.h"

#include <sodium.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ACCOUNT 1u
#define LOOKUPS 5000000u

static void die(const char *what)
{
    (void)fprintf(stderr, "bench_registry: %s\n", what);
    exit(1);
}

static double now_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As even as a SHA-256, and a hundred times as fast to make. */
static void hash_of(uint64_t n, uint8_t sha256[HF_SHA256_LEN])
{
    uint64_t words[4];
    for (size_t i = 0; i < 4; i++) {
        n += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = n;
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        words[i] = z ^ z >> 31;
    }
    memcpy(sha256, words, HF_SHA256_LEN);
}

/* Microseconds for each of LOOKUPS look-ups among the numbers `from` to `from + n`. */
static double look_up(const struct hf_registry *registry, uint64_t from, uint64_t n, bool are_there)
{
    uint8_t(*hashes)[HF_SHA256_LEN] = malloc(65536 * sizeof *hashes);
    double took_s = 0;
    uint64_t n_found = 0, seed = 1;
    if (hashes == NULL)
        die("no memory");
    for (unsigned done = 0; done < LOOKUPS; done += 65536) {
        for (size_t i = 0; i < 65536; i++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            hash_of(from + (seed >> 33) % n, hashes[i]);
        }
        double began_s = now_s();
        for (size_t i = 0; i < 65536; i++) {
            struct hf_registered found;
            n_found += hf_registry_find(registry, hashes[i], ACCOUNT, &found);
        }
        took_s += now_s() - began_s;
    }
    free(hashes);
    unsigned rounds = (LOOKUPS + 65535) / 65536;
    if (n_found != (are_there ? (uint64_t)rounds * 65536 : 0))
        die("the registry is wrong");
    return took_s * 1e6 / ((double)rounds * 65536);
}

int main(int argc, char **argv)
{
    struct hf_registry *registry = NULL;
    struct hf_why why = {0};
    uint8_t sha256[HF_SHA256_LEN];
    uint64_t n = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;

    if (sodium_init() < 0 || n == 0)
        die("usage: bench_registry [ENTRIES]");
    double began_s = now_s();
    if (hf_registry_new(n, &registry, &why) != HF_OK)
        die(why.text);
    for (uint64_t i = 0; i < n; i++) {
        struct hf_registered entry = {i + 1,          ACCOUNT,
                                      HF_CERT_ACTIVE, HF_CERT_MODE_SNI_ONLY,
                                      HF_CERT_DEVICE, 0};
        hash_of(i, sha256);
        if (hf_registry_set(registry, sha256, &entry, &why) != HF_OK)
            die(why.text);
    }
    double filled_s = now_s() - began_s;
    struct hf_registry_size size = hf_registry_size(registry);
    double hit_us = look_up(registry, 0, n, true);
    double miss_us = look_up(registry, n, n, false);
    (void)printf(
        "{\"entries\": %zu, \"slot_bytes\": %zu, \"bytes_per_entry\": %.1f, \"fill_s\": %.2f, "
        "\"hit_us\": %.3f, \"miss_us\": %.3f}\n",
        size.n_entries, size.slot_bytes, (double)size.bytes / (double)size.n_entries, filled_s,
        hit_us, miss_us);
    hf_registry_free(registry);
    return 0;
}
