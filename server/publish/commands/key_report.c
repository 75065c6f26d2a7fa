#include "server/publish/commands/key_report.h"

#include "server/repository/base/json_text.h"
#include "server/repository/keys/key_type.h"

#include <inttypes.h>
#include <string.h>

struct hf_key_about hf_key_about_file(const struct hf_key_file *file)
{
    bool is_sealed = file->kdf.kind != HF_KDF_NONE;
    return (struct hf_key_about){
        .key = file->path,
        .kind = file->uri != NULL ? "reference"
                : is_sealed       ? "sealed"
                                  : "open",
        .key_id = file->key_id,
        .public_key = file->public_key,
        .uri = file->uri,
        .kdf = is_sealed ? &file->kdf : NULL,
    };
}

static const char *public_text(const struct hf_key_about *about)
{
    return json_string_value(
        json_object_get(json_object_get(about->public_key, "keyval"), "public"));
}

/* ---- for people ------------------------------------------------------------------------------- */

/* A PEM is no line; whoever wants it takes --public, or --json. */
static void print_public(const struct hf_key_about *about, FILE *out)
{
    const char *type = hf_key_type_word(about->public_key);
    if (strchr(public_text(about), '\n') != NULL)
        fprintf(out, "  type      %s\n", type);
    else
        fprintf(out, "  %-9s %s\n", type, public_text(about));
}

void hf_key_about_print(const struct hf_key_about *about, FILE *out)
{
    fprintf(out, "%s\n  key id    %s\n", about->key, about->key_id);
    print_public(about, out);
    if (about->uri != NULL && strcmp(about->uri, about->key) != 0)
        fprintf(out, "  in token  %s\n", about->uri);
    if (about->kdf != NULL)
        fprintf(out, "  sealed    Argon2id, %" PRId64 " passes over %" PRId64 " MiB\n",
                about->kdf->passes, about->kdf->memory_bytes >> 20);
    if (strcmp(about->kind, "open") == 0)
        fputs("  sealed    no: the private key lies open in this file\n", out);
    if (strcmp(about->kind, "public") == 0)
        fputs("  the public part only\n", out);
}

/* ---- for scripts ------------------------------------------------------------------------------ */

enum hf_err hf_key_about_append(const struct hf_key_about *about, json_t *keys, struct hf_why *why)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?}", "key", about->key, "kind",
                               about->kind, "key_id", about->key_id, "type",
                               hf_key_type_word(about->public_key), "public", public_text(about),
                               "uri", about->uri);
    if (json_array_append_new(keys, object) != 0)
        return hf_fail(why, HF_E_MEMORY, "out of memory for a report");
    return HF_OK;
}

static enum hf_err append_file(const char *path, json_t *keys, struct hf_why *why)
{
    struct hf_key_file file = {0};
    HF_TRY(hf_key_file_read(path, &file, why));
    const struct hf_key_about about = hf_key_about_file(&file);
    enum hf_err err = hf_key_about_append(&about, keys, why);
    hf_key_file_free(&file);
    return err;
}

enum hf_err hf_key_report_files(const char *const *paths, struct hf_why *why)
{
    json_t *keys = json_array();
    enum hf_err err = HF_OK;
    for (size_t i = 0; paths[i] != NULL && err == HF_OK; i++)
        err = append_file(paths[i], keys, why);
    if (err == HF_OK)
        return hf_key_report_print_take(keys, why);
    json_decref(keys);
    return err;
}

enum hf_err hf_key_report_print_take(json_t *keys, struct hf_why *why)
{
    return hf_json_print_take(json_pack("{s:i, s:o}", "format", 1, "keys", keys), stdout, why);
}
