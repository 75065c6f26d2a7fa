/* holdfast-admin log: a copy of the audit log, and its verification without the service. */
#include "server/admin/api.h"
#include "server/admin/commands.h"
#include "server/audit/copy_file.h"
#include "server/audit/copy.h"

#include "common/base/digest.h"
#include "common/os/file_util.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define AT(member) offsetof(struct hf_admin_options, member)
#define SERVICE "the service's answer"
#define SEALS_AT_ONCE 1000

/* ---- export ---------------------------------------------------------------------------------- */

/* Seals are read in front of the entries that they stand behind. */
struct copier {
    struct hf_admin_api *api;
    json_t *seals; /* a page of them */
    size_t next_seal;
    struct hf_audit_copy check; /* of what is written: never a copy that does not verify */
};

static enum hf_err put(struct copier *c, struct hf_buf *line, struct hf_why *why)
{
    enum hf_err err = hf_audit_copy_line(&c->check, (struct hf_bytes){line->data, line->len - 1},
                                         why);
    if (err == HF_OK && fwrite(line->data, 1, line->len, stdout) != line->len)
        err = hf_file_fail(why, "write", "standard output", errno);
    hf_buf_free(line);
    return err;
}

static enum hf_err read_seals(struct copier *c, int64_t after, struct hf_why *why)
{
    char path[96];
    struct hf_admin_call call = {.method = "GET", .path = path};
    (void)snprintf(path, sizeof path, "/v1/log/seals?after=%" PRId64 "&limit=%d", after,
                   SEALS_AT_ONCE);
    HF_TRY(hf_admin_call(c->api, &call, why));
    json_decref(c->seals);
    c->seals = json_incref(json_object_get(call.answer, "seals"));
    c->next_seal = 0;
    json_decref(call.answer);
    return HF_OK;
}

/* The seal of entry `sequence`, if it has one. */
static enum hf_err put_seal(struct copier *c, int64_t sequence, struct hf_why *why)
{
    const json_t *seal = json_array_get(c->seals, c->next_seal);
    uint8_t signature[HF_AUDIT_SIGNATURE_LEN];
    int64_t of = 0, sealed_s = 0;
    struct hf_buf line = {0};
    if (seal == NULL)
        return HF_OK;
    HF_TRY(hf_json_get_integer(seal, "sequence", SERVICE, 1, &of, why));
    if (of != sequence)
        return HF_OK;
    HF_TRY(hf_json_get_time(seal, "time", SERVICE, &sealed_s, why));
    HF_TRY(hf_json_get_bytes(seal, "signature", SERVICE, signature, sizeof signature, why));
    HF_TRY(hf_audit_seal_line(sequence, sealed_s, signature, &line, why));
    HF_TRY(put(c, &line, why));
    if (++c->next_seal == json_array_size(c->seals) && c->next_seal == SEALS_AT_ONCE)
        return read_seals(c, sequence, why);
    return HF_OK;
}

static bool is_seal_left(const struct copier *c)
{
    return c->next_seal < json_array_size(c->seals);
}

static enum hf_err put_entry(struct copier *c, const json_t *row, struct hf_why *why)
{
    json_t *entry = NULL;
    const char *hex = NULL;
    uint8_t hash[HF_AUDIT_HASH_LEN];
    struct hf_buf text = {0}, line = {0};
    HF_TRY(hf_json_get_object(row, "entry", SERVICE, &entry, why));
    HF_TRY(hf_json_get_text(row, "hash", SERVICE, &hex, why));
    if (!hf_hex_decode(hex, hash, sizeof hash))
        return hf_fail(why, HF_E_FORMAT, SERVICE ": a hash is no 64 hexadecimal digits");
    HF_TRY(hf_audit_entry_text(entry, &text, why));
    enum hf_err err = hf_audit_entry_line(hf_buf_bytes(&text), hash, &line, why);
    hf_buf_free(&text);
    if (err == HF_OK)
        err = put(c, &line, why);
    return err == HF_OK ? put_seal(c, c->check.head.sequence, why) : err;
}

/* All pages after the entries that were put. */
static enum hf_err put_entries(struct copier *c, struct hf_why *why)
{
    char next[1024];
    enum hf_err err = HF_OK;
    (void)snprintf(next, sizeof next, "/v1/log?after=%" PRId64 "&limit=1000",
                   c->check.head.sequence);
    while (err == HF_OK && next[0] != '\0') {
        struct hf_admin_call call = {.method = "GET", .path = next};
        err = hf_admin_call(c->api, &call, why);
        const json_t *entries = json_object_get(call.answer, "entries");
        for (size_t i = 0; i < json_array_size(entries) && err == HF_OK; i++)
            err = put_entry(c, json_array_get(entries, i), why);
        json_decref(call.answer);
        memcpy(next, call.next, sizeof next);
    }
    return err;
}

static enum hf_err export_log(struct hf_cli_call *cli, struct hf_why *why)
{
    struct copier c = {0};
    int64_t before;
    HF_TRY(hf_admin_open_for(cli->values, &c.api, why));
    enum hf_err err = read_seals(&c, 0, why);
    do { /* again for seals that were made meanwhile, over entries that came meanwhile */
        before = c.check.head.sequence;
        if (err == HF_OK)
            err = put_entries(&c, why);
    } while (err == HF_OK && c.check.head.sequence > before && is_seal_left(&c));
    if (err == HF_OK && is_seal_left(&c))
        err = hf_fail(why, HF_E_ROLLBACK,
                      "the log ends at entry %" PRId64 ", and a seal is left that does not stand "
                      "behind one of its entries: entries are missing or were changed",
                      c.check.head.sequence);
    json_decref(c.seals);
    hf_admin_close(c.api);
    return err;
}

static const struct hf_cli_option export_options[] = {HF_ADMIN_WHERE};

const struct hf_cli_command hf_admin_log_export = {
    .name = "log export",
    .summary = "Print a copy of the audit log with its seals, a line each.",
    .arguments = "[OPTION…]",
    .about = "The copy begins at the first entry. Each hash is computed again before its line is\n"
             "printed, so what is printed hangs together; `log verify` tells whether the signer\n"
             "sealed it.",
    .examples = "  holdfast-admin log export >log.jsonl\n",
    .options = export_options,
    .run = export_log,
};

/* ---- verify ---------------------------------------------------------------------------------- */

static enum hf_err verify_log(struct hf_cli_call *cli, struct hf_why *why)
{
    const struct hf_admin_options *o = cli->values;
    uint8_t key[HF_AUDIT_KEY_LEN];
    struct hf_audit_copy copy = {.key = key};
    struct hf_audit_line line;
    enum hf_err err;
    if (!hf_hex_decode(o->key, key, sizeof key))
        return hf_fail(
            why, HF_E_ARGUMENT,
            "--key: expected 64 hexadecimal digits, as holdfast-signer init prints them");
    FILE *in = fopen(cli->words[0], "re");
    if (in == NULL)
        return hf_file_fail(why, "read", cli->words[0], errno);
    while ((err = hf_audit_line_read(in, &line, why)) == HF_OK) {
        int64_t n_restarts = copy.n_restarts;
        err = hf_audit_copy_line(&copy, (struct hf_bytes){(const uint8_t *)line.text, line.len},
                                 why);
        if (err != HF_OK)
            break;
        if (copy.n_restarts > n_restarts)
            printf("GAP: entry %" PRId64
                   " states that the log was restarted: entries up to %" PRId64
                   " had been sealed, and those after entry %" PRId64 " are lost\n",
                   copy.restart_sequence, copy.restart_lost, copy.restart_sequence - 1);
    }
    (void)fclose(in);
    if (err != HF_E_NOT_FOUND)
        return hf_fail_context(why, "%s", cli->words[0]);
    printf("%" PRId64 " entries hang together; %" PRId64 " seals of this key, up to entry %" PRId64
           "\n",
           copy.head.sequence, copy.n_seals, copy.sealed_sequence);
    if (copy.sealed_sequence < copy.head.sequence)
        printf("entries %" PRId64 " to %" PRId64 " are not sealed yet\n", copy.sealed_sequence + 1,
               copy.head.sequence);
    return HF_OK;
}

static const struct hf_cli_option verify_options[] = {
    {"key", '\0', HF_CLI_TEXT, AT(key), "the signer's log key, 64 hexadecimal digits", "KEY"},
    HF_CLI_HELP_ROW,
    HF_CLI_END,
};

const struct hf_cli_command hf_admin_log_verify = {
    .name = "log verify",
    .summary = "Verify a copy of the audit log, without the service.",
    .arguments = "FILE --key KEY",
    .about =
        "FILE is what `log export` printed. Every entry must follow from the one before, and\n"
        "every seal must be of that key. Entries up to the last seal cannot have been changed\n"
        "by a stolen holdfastd or a stolen database. A line with GAP is printed for each entry "
        "that\n"
        "states a restart of the log: sealed entries before it are lost.",
    .examples = "  holdfast-admin log verify log.jsonl --key 754eb93b40977933573bdd95e24634…\n",
    .options = verify_options,
    .needs = {"--key KEY"},
    .needs_word = "a copy of the log",
    .max_words = 1,
    .run = verify_log,
};
