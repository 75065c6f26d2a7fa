#include "server/repository/certs/cert_files.h"

#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/bundle/pem.h"
#include "common/os/file_util.h"
#include "server/repository/certs/select.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct paths {
    char **items; /* NULL-terminated */
    size_t n_items;
};

void hf_cert_paths_free(char **paths)
{
    for (size_t i = 0; paths != NULL && paths[i] != NULL; i++)
        free(paths[i]);
    free(paths);
}

static enum hf_err add(struct paths *p, const char *path, struct hf_why *why)
{
    char *copy = strdup(path);
    char **more = realloc(p->items, (p->n_items + 2) * sizeof *more);
    if (more != NULL)
        p->items = more;
    if (copy == NULL || more == NULL) {
        free(copy);
        return hf_fail(why, HF_E_MEMORY, "out of memory for the names of certificates");
    }
    p->items[p->n_items++] = copy;
    p->items[p->n_items] = NULL;
    return HF_OK;
}

static int has_cert_name(const struct dirent *entry)
{
    /* The last ones are read to say how to convert them: they are not left out in silence. */
    static const char *const endings[] = {".pem", ".crt", ".cer", ".der",
                                          ".p7b", ".p7c", ".p12", ".pfx"};
    const char *dot = strrchr(entry->d_name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof endings / sizeof endings[0]; i++) {
        if (strcasecmp(dot, endings[i]) == 0)
            return 1;
    }
    return 0;
}

static enum hf_err add_folder(struct paths *p, const char *folder, struct hf_why *why)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, has_cert_name, alphasort);
    if (n < 0)
        return hf_fail(why, HF_E_STORAGE, "%s cannot be read: %m", folder);
    enum hf_err err = HF_OK;
    if (n == 0)
        err = hf_fail(why, HF_E_NOT_FOUND, "there is no *.pem, *.crt, *.cer or *.der in %s",
                      folder);
    for (int i = 0; i < n; i++) {
        struct hf_path path;
        struct stat st;
        if (err == HF_OK)
            err = hf_path_set(&path, why, "%s/%s", folder, entries[i]->d_name);
        if (err == HF_OK && stat(path.text, &st) == 0 && !S_ISREG(st.st_mode))
            err = hf_fail(why, HF_E_FORMAT, "%s is not a regular file; take it out of the folder",
                          path.text);
        if (err == HF_OK)
            err = add(p, path.text, why);
        free(entries[i]);
    }
    free(entries);
    return err;
}

enum hf_err hf_cert_paths_find(const char *const *paths, char ***out, struct hf_why *why)
{
    struct paths p = {0};
    struct stat st;
    enum hf_err err = HF_OK;
    for (size_t i = 0; paths != NULL && paths[i] != NULL && err == HF_OK; i++)
        err = stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode) ? add_folder(&p, paths[i], why)
                                                              : add(&p, paths[i], why);
    if (err != HF_OK) {
        hf_cert_paths_free(p.items);
        return err;
    }
    *out = p.items;
    return HF_OK;
}

struct reading {
    const struct hf_cert_source *source;
    struct hf_buf *pem;
    const char *file;               /* the one being read */
    uint8_t (*seen)[HF_SHA256_LEN]; /* certificates that are in `pem` */
    size_t n_seen;
    size_t *n_selected;       /* by each of source->selects */
    struct hf_buf not_chosen; /* names of certificates, as a sentence lists them */
    size_t n_not_chosen;
    bool *is_found; /* of each known root, in a table that was chosen */
};

/* `list` gets one more name. */
static enum hf_err add_name(struct hf_buf *list, const char *name, const char *file,
                            struct hf_why *why)
{
    const char *comma = list->len == 0 ? "" : ", ";
    enum hf_err err = file == NULL ? hf_buf_printf(list, "%s\"%s\"", comma, name)
                                   : hf_buf_printf(list, "%s\"%s\" (%s)", comma, name, file);
    return err == HF_OK ? HF_OK : hf_fail(why, HF_E_MEMORY, "out of memory for certificates");
}

static enum hf_err keep(struct reading *r, const struct hf_cert *cert, struct hf_bytes der,
                        struct hf_why *why)
{
    for (size_t i = 0; i < r->n_seen; i++) { /* the same certificate from two files is one */
        if (memcmp(r->seen[i], cert->sha256, HF_SHA256_LEN) == 0)
            return HF_OK;
    }
    if (r->n_seen == HF_BUNDLE_ANCHORS_MAX)
        return hf_fail(why, HF_E_LIMIT, "more than the %d certificates that devices accept",
                       HF_BUNDLE_ANCHORS_MAX);
    memcpy(r->seen[r->n_seen++], cert->sha256, HF_SHA256_LEN);
    if (hf_pem_append(r->pem, der) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory for certificates");
    return HF_OK;
}

static enum hf_err take_cert(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    struct reading *r = ctx;
    const struct hf_cert_source *source = r->source;
    const struct hf_known_roots *known = source->known;
    struct hf_cert cert;
    struct hf_why reason = {0};
    enum hf_err err = hf_cert_parse(der, &cert, &reason);
    if (err != HF_OK && source->problems != NULL)
        return hf_findings_add(source->problems,
                               err == HF_E_POLICY ? HF_LINT_UNSUPPORTED : HF_LINT_BROKEN, r->file,
                               why, "%s: certificate %zu: %s", r->file, index + 1, reason.text);
    if (err != HF_OK)
        return hf_fail(why, err, "certificate %zu: %s", index + 1, reason.text);

    for (size_t i = 0; source->selects != NULL && source->selects[i] != NULL; i++)
        r->n_selected[i] += hf_select_matches(source->selects[i], known, &cert);
    for (size_t i = 0; known != NULL && i < known->n_items; i++)
        r->is_found[i] = r->is_found[i] ||
                         memcmp(known->items[i].spki_sha256, cert.spki_sha256, HF_SHA256_LEN) == 0;

    enum hf_choice choice = hf_select_choose(source->selects, known, &cert);
    if (choice == HF_NOT_CHOSEN) {
        if (source->left_out == NULL || !source->are_named)
            return HF_OK;
        r->n_not_chosen++;
        return add_name(&r->not_chosen, cert.subject, r->file, why);
    }
    if (source->present != NULL && hf_bundle_find(source->present, cert.sha256) != NULL)
        return HF_OK;
    if (choice == HF_CHOSEN_BY_TABLE && source->left_out != NULL &&
        cert.not_after_s < source->at_s) {
        char day[HF_TIME_TEXT_MAX];
        hf_time_format_day(cert.not_after_s, day);
        return hf_findings_add(source->left_out, HF_LINT_EXPIRED_LEFT_OUT, r->file, why,
                               "\"%s\" is in the table that was chosen, but expired on %s; it is "
                               "left out",
                               cert.subject, day);
    }
    return keep(r, &cert, der, why);
}

/* Roots of a chosen table that no file had. */
static enum hf_err note_missing(const struct reading *r, const char *table, struct hf_why *why)
{
    const struct hf_known_roots *known = r->source->known;
    struct hf_buf names = {0};
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < known->n_items && err == HF_OK; i++) {
        const struct hf_known_root *root = &known->items[i];
        if (strcmp(root->set, table) == 0 && !r->is_found[i] && !root->is_removed &&
            root->not_after_s > r->source->at_s)
            err = add_name(&names, root->name, NULL, why);
    }
    if (err == HF_OK && names.len > 0)
        err = hf_findings_add(r->source->left_out, HF_LINT_KNOWN_ROOT_MISSING, table, why,
                              "of the table that was chosen, these roots are in none of the files: "
                              "%.*s; get them from their owners",
                              (int)names.len, (const char *)names.data);
    hf_buf_free(&names);
    return err;
}

/* Every select chose something; what it did not choose, and what it lacks, is noted. */
static enum hf_err check_selects(const struct reading *r, struct hf_why *why)
{
    const char *const *selects = r->source->selects;
    char unused[HF_WHY_MAX / 2] = "";
    for (size_t i = 0; selects != NULL && selects[i] != NULL; i++) {
        if (r->n_selected[i] == 0)
            hf_text_append(unused, sizeof unused, "%s\"%.80s\"", unused[0] == '\0' ? "" : ", ",
                           selects[i]);
    }
    if (unused[0] != '\0')
        return hf_fail(why, HF_E_ARGUMENT,
                       "%s is no SHA-256, table of known roots or part of a subject of any "
                       "certificate there",
                       unused);
    if (r->n_not_chosen > 0)
        HF_TRY(hf_findings_add(r->source->left_out, HF_LINT_NOT_SELECTED, "--select", why,
                               "%zu certificate(s) are left out, because no --select chooses them: "
                               "%.*s",
                               r->n_not_chosen, (int)r->not_chosen.len,
                               (const char *)r->not_chosen.data));
    for (size_t i = 0; r->source->set != NULL && selects != NULL && selects[i] != NULL; i++) {
        if (hf_select_is_table(selects[i], r->source->known) &&
            !hf_known_roots_is_table_of(selects[i], r->source->set))
            HF_TRY(note_missing(r, selects[i], why));
    }
    return HF_OK;
}

static enum hf_err read_all(struct reading *r, char *const *files, struct hf_why *why)
{
    struct hf_findings *problems = r->source->problems;
    for (size_t i = 0; files != NULL && files[i] != NULL; i++) {
        struct hf_why reason = {0};
        struct hf_buf content = {0};
        r->file = files[i];
        enum hf_err err = hf_file_read_any(r->file, HF_BUNDLE_BYTES_MAX, &content, &reason);
        if (err == HF_OK) { /* else the sentence names the file already */
            err = hf_pem_or_der_walk(hf_buf_bytes(&content), take_cert, r, &reason);
            if (err != HF_OK)
                (void)hf_fail_context(&reason, "%s", r->file);
        }
        hf_buf_free(&content);
        bool is_of_file = err == HF_E_FORMAT || err == HF_E_NOT_FOUND || err == HF_E_STORAGE;
        if (is_of_file && problems != NULL)
            HF_TRY(hf_findings_add(problems, HF_LINT_BROKEN, r->file, why, "%s", reason.text));
        else if (err != HF_OK)
            return hf_fail(why, err, "%s", reason.text);
    }
    /* What was chosen may be in a file that could not be read. */
    return problems != NULL && problems->n_items > 0 ? HF_OK : check_selects(r, why);
}

enum hf_err hf_cert_files_read(const struct hf_cert_source *source, struct hf_buf *pem,
                               struct hf_why *why)
{
    char **files = NULL;
    size_t n_known = source->known == NULL ? 0 : source->known->n_items, n_selects = 0;
    while (source->selects != NULL && source->selects[n_selects] != NULL)
        n_selects++;
    HF_TRY(hf_cert_paths_find(source->paths, &files, why));
    struct reading r = {.source = source,
                        .pem = pem,
                        .seen = calloc(HF_BUNDLE_ANCHORS_MAX, sizeof *r.seen),
                        .n_selected = calloc(n_selects + 1, sizeof *r.n_selected),
                        .is_found = calloc(n_known + 1, sizeof *r.is_found)};
    enum hf_err err = r.seen == NULL || r.n_selected == NULL || r.is_found == NULL
                          ? hf_fail(why, HF_E_MEMORY, "out of memory for certificates")
                          : read_all(&r, files, why);
    free(r.seen);
    free(r.n_selected);
    free(r.is_found);
    hf_buf_free(&r.not_chosen);
    hf_cert_paths_free(files);
    return err;
}
