/*
 * How the inputs of JSON harnesses change: as bytes now and then, else as JSON. Where an input has
 * several sections (fuzz_section), the first is the JSON.
 */
#include "tests/fuzz/edit.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size); /* libFuzzer's own */

#define SCRIPT_LEN 48

/* The edited JSON, or NULL where there is none to be edited. */
static char *edited(struct hf_bytes text, unsigned int seed)
{
    uint8_t script[SCRIPT_LEN];
    json_t *value = json_loadb((const char *)text.data, text.len, 0, NULL);
    if (!json_is_object(value)) {
        json_decref(value);
        return NULL;
    }
    for (size_t i = 0; i < sizeof script; i++) {
        seed = seed * 1103515245u + 12345u;
        script[i] = (uint8_t)(seed >> 16);
    }
    struct fuzz_input in = {script, sizeof script};
    for (size_t n = fuzz_below(&in, 3) + 1; n > 0; n--)
        fuzz_edit(value, &in);
    char *result = json_dumps(value, fuzz_below(&in, 4) == 0 ? JSON_INDENT(1) : JSON_COMPACT);
    json_decref(value);
    return result;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed)
{
    struct fuzz_input in = {data, size};
    struct hf_bytes first = fuzz_section(&in);
    size_t rest = size - first.len;
    char *json = seed % 4 == 0 ? NULL : edited(first, seed / 4);
    if (json == NULL || strlen(json) + rest > max_size) {
        free(json);
        return LLVMFuzzerMutate(data, size, max_size);
    }
    memmove(data + strlen(json), data + first.len, rest);
    memcpy(data, json, strlen(json));
    size = strlen(json) + rest;
    free(json);
    return size;
}
