#include "common/json/json.h"

#include "common/base/base64.h"
#include "common/base/limits.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/*
 * What jansson allocates, in bytes, on a 64-bit system and with what malloc adds to each block: an
 * upper bound, which tests/attack/test_heap.c compares with the real allocations. An object begins
 * with a table of eight buckets, an array with eight places, and both double when they are full.
 */
#define OBJECT_HEAP 272
#define ARRAY_HEAP 160
#define MEMBER_HEAP 104 /* in its object's table or array, with the room that doubling leaves */
#define STRING_HEAP 80  /* without its bytes; keys are in the table and counted here too */
#define TOKEN_HEAP 4    /* times the longest string, which is collected in a buffer that doubles */

/* What the parser would have to build, counted without building it. */
struct shape {
    unsigned depth_max;
    size_t n_objects;
    size_t n_arrays;
    size_t n_commas;
    size_t n_strings;
    size_t longest; /* string, in bytes */
};

static struct shape measure(struct hf_bytes text)
{
    struct shape shape = {0};
    bool in_string = false;
    unsigned depth = 0;
    size_t token = 0; /* where the string, number or word at hand begins */
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (in_string && c == '\\') {
            i++; /* whatever is escaped, it does not end the string */
        } else if (c == '"') {
            in_string = !in_string;
            shape.n_strings += in_string;
            token = i;
        } else if (!in_string) {
            shape.n_objects += c == '{';
            shape.n_arrays += c == '[';
            shape.n_commas += c == ',';
            if (c == '{' || c == '[')
                depth++;
            else if ((c == '}' || c == ']') && depth > 0)
                depth--;
            if (depth > shape.depth_max)
                shape.depth_max = depth;
            /* A wrong number or word may be as long as the text. */
            bool is_token = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                            (c >= 'a' && c <= 'z') || c == '+' || c == '-' || c == '.';
            if (!is_token)
                token = i;
        }
        if (i - token > shape.longest)
            shape.longest = i - token;
    }
    return shape;
}

static size_t heap_of(const struct shape *shape, size_t len)
{
    size_t n_members = shape->n_commas + shape->n_objects + shape->n_arrays;
    return shape->n_objects * OBJECT_HEAP + shape->n_arrays * ARRAY_HEAP + n_members * MEMBER_HEAP +
           shape->n_strings * STRING_HEAP + len + shape->longest * TOKEN_HEAP;
}

/* Before the parser runs: it recurses, and it builds everything before its caller can refuse. */
static enum hf_err check_unparsed(struct hf_bytes text, const char *what, size_t heap_max,
                                  struct hf_why *why)
{
    struct shape shape = measure(text);
    size_t heap = heap_of(&shape, text.len), i = 0;
    if (text.len == 0)
        return hf_fail(why, HF_E_FORMAT, "%s is empty, a JSON object was expected", what);
    while (i < text.len && (text.data[i] <= ' ' || text.data[i] > 0x7Eu))
        i++;
    if (i < text.len && text.data[i] == '<') /* most often a login page answers for the server */
        return hf_fail(why, HF_E_FORMAT,
                       "%s should be JSON, a web page came instead; is there a login page between "
                       "this device and the server, or is the address wrong?",
                       what);
    if (shape.depth_max > HF_JSON_DEPTH_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s nests deeper than %d levels; it is refused unread",
                       what, HF_JSON_DEPTH_MAX);
    if (heap > heap_max)
        return hf_fail(why, HF_E_LIMIT,
                       "%s packs more values into %zu bytes than real metadata does: expected at "
                       "most %zu bytes of memory for them, found %zu; it is refused unread",
                       what, text.len, heap_max, heap);
    return HF_OK;
}

/* A number with a fraction has no canonical form. Depth is bounded by now. */
static bool numbers_are_whole(const json_t *value)
{
    const char *key;
    json_t *member;
    if (json_typeof(value) == JSON_REAL)
        return false;
    json_object_foreach(hf_json_iterable(value), key, member)
    {
        if (!numbers_are_whole(member))
            return false;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (!numbers_are_whole(json_array_get(value, i)))
            return false;
    }
    return true;
}

/* Why the text is not JSON. jansson's own sentences quote the text, which is not verified. */
static const char *syntax_fault(const json_error_t *at)
{
    static const struct {
        enum json_error_code code;
        const char *fault;
    } faults[] = {
        {json_error_invalid_utf8, "it is not valid UTF-8"},
        {json_error_premature_end_of_input, "it ends too early"},
        {json_error_end_of_input_expected, "something follows the object"},
        {json_error_null_character, "a string holds a NUL character"},
        {json_error_null_byte_in_key, "a string holds a NUL character"},
        {json_error_duplicate_key, "an object has the same key twice"},
        {json_error_numeric_overflow, "a number is too large"},
    };
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        if (faults[i].code == json_error_code(at))
            return faults[i].fault;
    }
    return "wrong syntax";
}

void hf_json_seed(uint32_t random)
{
    /* 0 would ask jansson to open /dev/urandom, which not every device has. */
    json_object_seed(random != 0 ? random : 1);
}

enum hf_err hf_json_parse_object(struct hf_bytes text, const char *what, json_t **out,
                                 struct hf_why *why)
{
    return hf_json_parse_within(text, what, HF_JSON_HEAP_BASE + text.len * HF_JSON_HEAP_PER_BYTE,
                                out, why);
}

enum hf_err hf_json_parse_within(struct hf_bytes text, const char *what, size_t heap_max,
                                 json_t **out, struct hf_why *why)
{
    json_t *value = NULL;

    HF_TRY(hf_json_parse_any(text, what, heap_max, &value, why));
    if (!json_is_object(value)) {
        json_decref(value);
        return hf_fail(why, HF_E_FORMAT, "%s should be a JSON object", what);
    }
    *out = value;
    return HF_OK;
}

enum hf_err hf_json_parse_any(struct hf_bytes text, const char *what, size_t heap_max, json_t **out,
                              struct hf_why *why)
{
    HF_TRY(check_unparsed(text, what, heap_max, why));
    json_error_t at;
    json_t *value = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &at);
    if (value == NULL) {
        if (at.text[0] == '\0' || json_error_code(&at) == json_error_out_of_memory)
            return hf_fail(why, HF_E_MEMORY, "out of memory while reading %s", what);
        return hf_fail(why, HF_E_FORMAT, "%s is not valid JSON: %s (line %d, column %d)", what,
                       hf_plain_mark_len(text) > 0 ? "it begins with a byte order mark; save it as "
                                                     "UTF-8 without one"
                                                   : syntax_fault(&at),
                       at.line, at.column);
    }
    if (!numbers_are_whole(value)) {
        json_decref(value);
        return hf_fail(why, HF_E_FORMAT,
                       "%s holds a number that is not whole; what is signed has whole ones only",
                       what);
    }
    *out = value;
    return HF_OK;
}

enum hf_err hf_json_get_text(const json_t *object, const char *key, const char *what,
                             const char **out, struct hf_why *why)
{
    const char *text = json_string_value(json_object_get(object, key));
    if (text == NULL)
        return hf_fail(why, HF_E_FORMAT, "%s should have a string \"%s\"", what, key);
    *out = text;
    return HF_OK;
}

enum hf_err hf_json_get_object(const json_t *object, const char *key, const char *what,
                               json_t **out, struct hf_why *why)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_object(value))
        return hf_fail(why, HF_E_FORMAT, "%s should have an object \"%s\"", what, key);
    *out = value;
    return HF_OK;
}

enum hf_err hf_json_get_array(const json_t *object, const char *key, const char *what, json_t **out,
                              struct hf_why *why)
{
    json_t *value = json_object_get(object, key);
    if (!json_is_array(value))
        return hf_fail(why, HF_E_FORMAT, "%s should have a list \"%s\"", what, key);
    *out = value;
    return HF_OK;
}

enum hf_err hf_json_get_integer(const json_t *object, const char *key, const char *what,
                                int64_t min, int64_t *out, struct hf_why *why)
{
    const json_t *value = json_object_get(object, key);
    if (!json_is_integer(value))
        return hf_fail(why, HF_E_FORMAT, "%s should have a whole number \"%s\"", what, key);
    int64_t number = json_integer_value(value);
    if (number < min)
        return hf_fail(why, HF_E_FORMAT, "\"%s\" of %s should be at least %lld", key, what,
                       (long long)min);
    if (number > HF_JSON_INTEGER_MAX)
        return hf_fail(why, HF_E_FORMAT, "\"%s\" of %s is beyond 2^53 - 1", key, what);
    *out = number;
    return HF_OK;
}

enum hf_err hf_json_get_time(const json_t *object, const char *key, const char *what,
                             int64_t *out_s, struct hf_why *why)
{
    const char *text = NULL;
    HF_TRY(hf_json_get_text(object, key, what, &text, why));
    if (!hf_time_parse(text, out_s))
        return hf_fail(why, HF_E_FORMAT, "\"%s\" of %s should be a time like 2030-01-31T00:00:00Z",
                       key, what);
    return HF_OK;
}

enum hf_err hf_json_get_base64(const json_t *object, const char *key, const char *what, size_t max,
                               struct hf_buf *out, struct hf_why *why)
{
    const char *text = NULL, *stopped = NULL;
    size_t len = 0;
    HF_TRY(hf_json_get_text(object, key, what, &text, why));
    if (strlen(text) > (max + 2) / 3 * 4)
        return hf_fail(why, HF_E_LIMIT, "\"%s\" of %s should be %zu bytes in base64 at most", key,
                       what, max);
    size_t room = strlen(text) / 4 * 3 + 3;
    if (hf_buf_reserve(out, room) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory reading \"%s\" of %s", key, what);
    if (!hf_base64_decode(text, strlen(text), NULL, sodium_base64_VARIANT_ORIGINAL,
                          out->data + out->len, room, &len, &stopped) ||
        *stopped != '\0')
        return hf_fail(why, HF_E_FORMAT, "\"%s\" of %s should be base64", key, what);
    out->len += len;
    return HF_OK;
}

enum hf_err hf_json_get_bytes(const json_t *object, const char *key, const char *what, uint8_t *out,
                              size_t len, struct hf_why *why)
{
    struct hf_buf bytes = {0};
    enum hf_err err = hf_json_get_base64(object, key, what, len, &bytes, why);
    if (err == HF_OK && bytes.len != len)
        err = hf_fail(why, HF_E_FORMAT, "\"%s\" of %s should be %zu bytes in base64, found %zu",
                      key, what, len, bytes.len);
    if (err == HF_OK)
        memcpy(out, bytes.data, len);
    hf_buf_free(&bytes);
    return err;
}

void hf_json_problem(struct hf_bytes body, char *out, size_t cap)
{
    json_t *problem = NULL;
    const char *text = NULL;

    out[0] = '\0';
    if (hf_json_parse_object(body, "the answer", &problem, NULL) != HF_OK)
        return;
    if (hf_json_get_text(problem, "detail", "the answer", &text, NULL) == HF_OK ||
        hf_json_get_text(problem, "title", "the answer", &text, NULL) == HF_OK)
        (void)snprintf(out, cap, "%s", text);
    hf_text_sanitize(out);
    json_decref(problem);
}
