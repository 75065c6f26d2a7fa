#include "server/publish/commands/init_report.h"

#include "common/base/limits.h"
#include "common/os/file_util.h"
#include "server/repository/certs/fingerprint.h"
#include "server/repository/base/json_text.h"

#include <inttypes.h>

#define FIRST_ROOT "metadata/1.root.json"

/* ---- for people ------------------------------------------------------------------------------- */

static void print_text(const struct hf_init_made *made, const struct hf_root *root, FILE *out)
{
    const struct hf_role *of_root = &root->roles[HF_ROLE_ROOT];
    const struct hf_role *of_targets = &root->roles[HF_ROLE_TARGETS];
    fprintf(out, "made an empty repository in %s and its keys in %s\n\n", made->repo_dir,
            made->keys_dir);
    fprintf(
        out,
        "  offline/  root %" PRId64 " of %zu, targets %" PRId64
        " of %zu: move it to where no network reaches,\n"
        "            keep a copy elsewhere, bring it back to sign bundles\n"
        "  online/   snapshot, timestamp: for the machine that runs holdfastctl refresh daily\n",
        of_root->threshold, of_root->n_key_ids, of_targets->threshold, of_targets->n_key_ids);
    if (made->is_insecure)
        fputs("\nThe keys lie open: they were made with --insecure-no-passphrase, for tests only\n",
              out);
    fprintf(out,
            "\n%s/" FIRST_ROOT " is what devices start from.\n"
            "Next: holdfastctl bundle add --repo %s --keys %s --set NAME --profile full CERT…\n",
            made->repo_dir, made->repo_dir, made->keys_dir);
}

/* ---- for scripts ------------------------------------------------------------------------------ */

static json_t *role_json(const struct hf_role *role)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < role->n_key_ids; i++)
        ids = hf_json_append_take(ids, json_string(role->key_ids[i]));
    return json_pack("{s:I, s:o}", "threshold", (json_int_t)role->threshold, "key_ids", ids);
}

static json_t *roles_json(const struct hf_root *root)
{
    json_t *roles = json_object();
    int failures = roles == NULL;
    for (int role = 0; role < HF_TOP_ROLES; role++)
        failures += json_object_set_new(roles, hf_top_role_name((enum hf_top_role)role),
                                        role_json(&root->roles[role]));
    if (failures == 0)
        return roles;
    json_decref(roles);
    return NULL;
}

static json_t *to_json(const struct hf_init_made *made, const struct hf_root *root,
                       struct hf_bytes file)
{
    char sha256[HF_SHA256_HEX_LEN];
    hf_sha256_hex(file, sha256);
    return json_pack("{s:i, s:s, s:s, s:b, s:{s:s, s:s, s:o}, s:o}", "format", 1, "repo",
                     made->repo_dir, "keys", made->keys_dir, "insecure", made->is_insecure, "root",
                     "path", FIRST_ROOT, "sha256", sha256, "expires",
                     hf_json_time(root->env.expires_s), "roles", roles_json(root));
}

/* ---- either ----------------------------------------------------------------------------------- */

static enum hf_err read_root(const char *repo_dir, struct hf_buf *file, struct hf_root *root,
                             struct hf_why *why)
{
    struct hf_path path;
    HF_TRY(hf_path_set(&path, why, "%s/" FIRST_ROOT, repo_dir));
    HF_TRY(hf_file_read_any(path.text, HF_ROOT_BYTES_MAX, file, why));
    return hf_root_parse(hf_buf_bytes(file), root, why);
}

enum hf_err hf_init_report(const struct hf_init_made *made, bool is_json, FILE *out,
                           struct hf_why *why)
{
    struct hf_root root = {0};
    struct hf_buf file = {0};
    enum hf_err err = read_root(made->repo_dir, &file, &root, why);
    if (err == HF_OK && is_json)
        err = hf_json_print_take(to_json(made, &root, hf_buf_bytes(&file)), out, why);
    else if (err == HF_OK)
        print_text(made, &root, out);
    hf_root_free(&root);
    hf_buf_free(&file);
    return err;
}
