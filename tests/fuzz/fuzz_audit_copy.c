/*
 * server/audit/copy: lines of a copy of the log, or entries that a log is made of (the first byte
 * says which). What is accepted is one chain without a gap, and its canonical form verifies to the
 * same hash; whatever entries a log has, its copy verifies, and with one byte of an entry changed
 * it does not. An entry that states a restart must be one (hf_audit_restart_verify).
 */
#include "tests/fuzz/fuzz.h"

#include "server/audit/copy.h"

#include <string.h>

/* The next line, without its line feed; false at the end. */
static bool next_line(struct hf_bytes *rest, struct hf_bytes *line)
{
    if (rest->len == 0)
        return false;
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t len = end != NULL ? (size_t)(end - rest->data) : rest->len;
    *line = (struct hf_bytes){rest->data, len};
    len += end != NULL;
    *rest = (struct hf_bytes){rest->data + len, rest->len - len};
    return true;
}

static void read_copy(struct hf_bytes rest)
{
    struct hf_audit_copy copy = {0};
    struct hf_why why = {0};
    struct hf_bytes line;

    while (next_line(&rest, &line)) {
        const struct hf_audit_copy before = copy;
        enum hf_err err = hf_audit_copy_line(&copy, line, &why);
        FUZZ_CHECK(copy.n_lines == before.n_lines + 1);
        if (err != HF_OK) {
            fuzz_check_refusal(err, &why);
            FUZZ_CHECK(copy.head.sequence == before.head.sequence);
            FUZZ_CHECK(copy.n_seals == before.n_seals && copy.n_restarts == before.n_restarts);
            return;
        }
        FUZZ_CHECK(copy.head.sequence - before.head.sequence + copy.n_seals - before.n_seals == 1);
        FUZZ_CHECK(copy.sealed_sequence == 0); /* without a key nothing counts as sealed */
        if (copy.n_restarts != before.n_restarts)
            FUZZ_CHECK(copy.restart_sequence == copy.head.sequence && copy.restart_lost > 0);
    }
}

/* Does the entry state a restart that is none? The service never logs such a one. */
static bool is_false_restart(const json_t *entry)
{
    struct hf_audit_head lost;
    const char *reason = NULL, *action = json_string_value(json_object_get(entry, "action"));
    struct hf_why why = {0};
    return action != NULL && strcmp(action, HF_AUDIT_RESTART) == 0 &&
           hf_audit_restart_verify(json_object_get(entry, "details"), NULL, &lost, &reason, &why) !=
               HF_OK;
}

/* A log of the entries that can be logged, and its copy. */
static void write_copy(struct hf_bytes rest)
{
    struct hf_audit_head head = {0};
    struct hf_audit_copy copy = {0};
    struct hf_why why = {0};
    struct hf_bytes line;

    while (next_line(&rest, &line)) {
        struct hf_buf text = {0}, written = {0};
        json_t *entry = NULL;
        if (hf_json_parse_object(line, "entry", &entry, &why) == HF_OK &&
            !is_false_restart(entry) && hf_audit_entry_text(entry, &text, &why) == HF_OK &&
            hf_audit_extend(&head, entry, &why) == HF_OK) {
            FUZZ_OK(hf_audit_entry_line(hf_buf_bytes(&text), head.hash, &written, &why), &why);
            written.len--; /* the line feed */
            struct hf_audit_copy changed = copy;
            FUZZ_OK(hf_audit_copy_line(&copy, hf_buf_bytes(&written), &why), &why);
            FUZZ_CHECK(memcmp(copy.head.hash, head.hash, sizeof head.hash) == 0);
            FUZZ_CHECK(copy.head.sequence == head.sequence);
            written.data[strlen("{\"entry\":") + text.len / 2] ^= 1;
            FUZZ_CHECK(hf_audit_copy_line(&changed, hf_buf_bytes(&written), &why) != HF_OK);
        }
        json_decref(entry);
        hf_buf_free(&text);
        hf_buf_free(&written);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 'c')
        read_copy((struct hf_bytes){data + 1, size - 1});
    else
        write_copy((struct hf_bytes){data + 1, size - 1});
    return 0;
}
