#include "server/repository/certs/known_roots.h"

#include "common/base/digest.h"
#include "common/base/plaintext.h"
#include "common/base/timetext.h"
#include "common/os/file_util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_BYTES_MAX (1024u * 1024u)
#define ROOTS_MAX 4096 /* of all tables: several root programs' lists whole */

struct reading {
    struct hf_known_roots *known;
    const char *where; /* the file's name, for people */
    char set[HF_SET_NAME_MAX + 1];
    size_t line;
};

/* The next field of a line that is cut up; empty at its end. */
static char *next_field(char **rest)
{
    char *field = *rest + strspn(*rest, " \t");
    size_t len = strcspn(field, " \t");
    *rest = field + len;
    if (**rest != '\0')
        *(*rest)++ = '\0';
    return field;
}

static enum hf_err refuse(const struct reading *r, const char *what, const char *found,
                          struct hf_why *why)
{
    return hf_fail(why, HF_E_FORMAT, "%s, line %zu: expected %s, found \"%.80s\"", r->where,
                   r->line, what, found);
}

static enum hf_err take_hash(const struct reading *r, const char *text, uint8_t out[HF_SHA256_LEN],
                             struct hf_why *why)
{
    if (!hf_hex_decode(text, out, HF_SHA256_LEN))
        return refuse(r, "a SHA-256 of 64 hexadecimal digits", text, why);
    return HF_OK;
}

/* sha256 spki not_after distrust file name */
static enum hf_err parse_root(const struct reading *r, char *line, struct hf_known_root *out,
                              struct hf_why *why)
{
    struct hf_known_root root = {.distrust_s = HF_TIME_NONE};
    HF_TRY(take_hash(r, next_field(&line), root.sha256, why));
    HF_TRY(take_hash(r, next_field(&line), root.spki_sha256, why));
    const char *not_after = next_field(&line);
    if (!hf_time_parse_last(not_after, &root.not_after_s))
        return refuse(r, "the day it expires, YYYY-MM-DD", not_after, why);
    const char *distrust = next_field(&line);
    if (strcmp(distrust, "-") != 0 && !hf_time_parse_last(distrust, &root.distrust_s))
        return refuse(r, "a planned day of distrust, YYYY-MM-DD, or -", distrust, why);
    const char *file = next_field(&line);
    const char *name = line + strspn(line, " \t");
    if (file[0] == '\0' || name[0] == '\0' || strlen(name) >= sizeof root.name)
        return refuse(r, "a file and a name at its end", name, why);
    root.is_removed = strcmp(file, "-") == 0;
    memcpy(root.name, name, strlen(name) + 1);
    memcpy(root.set, r->set, sizeof root.set);
    *out = root;
    return HF_OK;
}

static enum hf_err take_line(struct reading *r, char *line, struct hf_why *why)
{
    static const char age[] = "as-of "; /* as-of YYYY-MM-DD */
    struct hf_known_roots *known = r->known;
    int64_t as_of_s = 0;
    r->line++;
    if (line[strspn(line, " \t")] == '\0' || line[0] == '#')
        return HF_OK;
    if (strncmp(line, age, strlen(age)) == 0) {
        const char *day = line + strlen(age);
        if (!hf_time_parse_lenient(day, &as_of_s))
            return refuse(r, "the day on which the table was right, as-of YYYY-MM-DD", day, why);
        if (known->as_of_s == HF_TIME_NONE || known->as_of_s > as_of_s) {
            known->as_of_s = as_of_s;
            memcpy(known->oldest, r->set, sizeof known->oldest);
        }
        return HF_OK;
    }
    if (known->n_items == ROOTS_MAX)
        return hf_fail(why, HF_E_LIMIT, "%s: more than %d known roots", r->where, ROOTS_MAX);
    struct hf_known_root root;
    HF_TRY(parse_root(r, line, &root, why));
    struct hf_known_root *more = realloc(known->items, (known->n_items + 1) * sizeof *more);
    if (more == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for known roots");
    known->items = more;
    known->items[known->n_items++] = root;
    return HF_OK;
}

/* `text` is cut up. The table "…/amazon.txt" is the set amazon. */
static enum hf_err take_table(struct hf_known_roots *known, const char *where, char *text,
                              struct hf_why *why)
{
    struct reading r = {.known = known, .where = where};
    const char *name = basename(where);
    size_t len = strcspn(name, ".");
    if (len == 0 || len >= sizeof r.set)
        return hf_fail(why, HF_E_ARGUMENT,
                       "%s: a table of roots is a file named after its set, such as factory.txt",
                       where);
    memcpy(r.set, name, len);
    while (*text != '\0') {
        char *end = text + strcspn(text, "\r\n");
        char *next = end + (*end != '\0') + (end[0] == '\r' && end[1] == '\n');
        *end = '\0';
        HF_TRY(take_line(&r, text, why));
        text = next;
    }
    return HF_OK;
}

enum hf_err hf_known_roots_load(const char *const *files, struct hf_known_roots *out,
                                struct hf_why *why)
{
    struct hf_known_roots known = {.as_of_s = HF_TIME_NONE};
    enum hf_err err = HF_OK;
    for (size_t i = 0; i < hf_known_tables_len && err == HF_OK; i++) {
        char *text = strdup(hf_known_tables[i].text);
        err = text == NULL ? hf_fail(why, HF_E_MEMORY, "out of memory for known roots")
                           : take_table(&known, hf_known_tables[i].name, text, why);
        free(text);
    }
    for (size_t i = 0; files != NULL && files[i] != NULL && err == HF_OK; i++) {
        struct hf_buf text = {0};
        err = hf_file_read_any(files[i], TABLE_BYTES_MAX, &text, why);
        if (err == HF_OK && text.len > 0 && memchr(text.data, '\0', text.len) != NULL)
            err = hf_fail(why, HF_E_FORMAT, "%s is no text; a table of known roots is expected",
                          files[i]);
        else if (err == HF_OK && text.len > 0)
            err = take_table(&known, files[i],
                             (char *)text.data + hf_plain_mark_len(hf_buf_bytes(&text)), why);
        hf_buf_free(&text);
    }
    if (err != HF_OK) {
        hf_known_roots_free(&known);
        return err;
    }
    *out = known;
    return HF_OK;
}

void hf_known_roots_free(struct hf_known_roots *known)
{
    free(known->items);
    *known = (struct hf_known_roots){0};
}

static bool is_key_of(const struct hf_known_root *root, const struct hf_cert *cert)
{
    return memcmp(root->spki_sha256, cert->spki_sha256, HF_SHA256_LEN) == 0;
}

const struct hf_known_root *hf_known_roots_find(const struct hf_known_roots *known, const char *set,
                                                const struct hf_cert *cert)
{
    for (size_t i = 0; i < known->n_items; i++) {
        const struct hf_known_root *root = &known->items[i];
        if (!root->is_removed && (set == NULL || strcmp(root->set, set) == 0) &&
            is_key_of(root, cert))
            return root;
    }
    return NULL;
}

int64_t hf_known_roots_distrust_s(const struct hf_known_roots *known, const struct hf_cert *cert)
{
    int64_t earliest_s = HF_TIME_NONE;
    for (size_t i = 0; i < known->n_items; i++) {
        int64_t distrust_s = known->items[i].distrust_s;
        if (distrust_s != HF_TIME_NONE && is_key_of(&known->items[i], cert) &&
            (earliest_s == HF_TIME_NONE || distrust_s < earliest_s))
            earliest_s = distrust_s;
    }
    return earliest_s;
}

bool hf_known_roots_is_old(const struct hf_known_roots *known, int64_t now_s)
{
    return known->as_of_s != HF_TIME_NONE &&
           now_s > known->as_of_s + HF_KNOWN_ROOTS_OLD_DAYS * HF_DAY_S;
}

bool hf_known_roots_is_table_of(const char *table, const char *set)
{
    size_t len = strlen(table);
    return strncmp(set, table, len) == 0 && (set[len] == '\0' || set[len] == '-');
}

bool hf_known_roots_has_set(const struct hf_known_roots *known, const char *set)
{
    for (size_t i = 0; i < known->n_items; i++) {
        if (strcmp(known->items[i].set, set) == 0)
            return true;
    }
    return false;
}

int64_t hf_anchor_distrust_s(const struct hf_anchor *anchor, const struct hf_known_roots *known)
{
    int64_t planned_s = hf_known_roots_distrust_s(known, &anchor->cert);
    int64_t signed_s = anchor->distrust_after_s;
    if (planned_s == HF_TIME_NONE || (signed_s != HF_TIME_NONE && signed_s < planned_s))
        return signed_s;
    return planned_s;
}

struct hf_anchor_end hf_anchor_end(const struct hf_anchor *anchor,
                                   const struct hf_known_roots *known)
{
    return hf_anchor_first_end(anchor->cert.not_after_s, anchor->remove_after_s,
                               hf_anchor_distrust_s(anchor, known));
}
