/*
 * server/http/request: a request target to a path, what may stand for a host,
 * and lists of entity tags. What is decoded never grows and is decoded once.
 */
#include "tests/fuzz/fuzz.h"

#include "server/http/request.h"

#define ETAG "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\""

static void check_path(const uint8_t *data, size_t size)
{
    size_t len = SIZE_MAX;
    char *target = malloc(size), *path = malloc(size); /* not a byte more */
    FUZZ_CHECK(target != NULL && path != NULL);
    memcpy(target, data, size);
    if (hf_request_path(target, size, path, &len)) {
        FUZZ_CHECK(len >= 1 && len <= size && path[0] == '/');
        /* Without an escape, it is a part of the target as it came. */
        if (memchr(target, '%', size) == NULL)
            FUZZ_CHECK(memmem(target, size, path, len) != NULL);
    }
    free(path);
    free(target);
}

static void check_authority(const uint8_t *data, size_t size)
{
    char *text = malloc(size); /* not a byte more */
    FUZZ_CHECK(text != NULL);
    memcpy(text, data, size);
    if (hf_authority_is_valid(text, size)) {
        FUZZ_CHECK(text[0] != ':');
        for (size_t i = 0; i < size; i++)
            FUZZ_CHECK(text[i] > ' ' && text[i] < 0x7f &&
                       strchr("@/?#\\\"<>{}|^`", text[i]) == NULL);
    }
    free(text);
}

static void check_etags(const uint8_t *data, size_t size)
{
    bool is_match = hf_etag_list_matches((const char *)data, size, ETAG);
    bool is_there = memmem(data, size, ETAG, strlen(ETAG)) != NULL;
    bool is_star = memchr(data, '*', size) != NULL;
    FUZZ_CHECK(!is_match || is_there || is_star);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    struct hf_bytes target = fuzz_section(&in);
    if (target.len > 0) {
        check_path(target.data, target.len);
        check_authority(target.data, target.len);
    }
    if (in.len > 0)
        check_etags(in.data, in.len);
    return 0;
}
