#include "server/repository/base/findings.h"

#include "common/base/plaintext.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool is_error;
    bool is_final; /* --accept does not help: no device can use such a certificate */
} codes[HF_LINT_CODES] = {
    [HF_LINT_BROKEN] = {"broken-certificate", true, true},
    [HF_LINT_UNSUPPORTED] = {"unsupported-certificate", true, true},
    [HF_LINT_NOT_A_CA] = {"not-a-ca", true, true},
    [HF_LINT_INTERMEDIATE] = {"intermediate", true},
    [HF_LINT_INTERMEDIATE_KEPT] = {"intermediate-kept", false},
    [HF_LINT_WEAK] = {"weak-certificate", true, true},
    [HF_LINT_UNKNOWN_ROOT] = {"unknown-root", true},
    [HF_LINT_NEW_SET] = {"new-set", true},
    [HF_LINT_NOT_IN_DATE] = {"not-in-date", true, true},
    [HF_LINT_EXPIRED_LEFT_OUT] = {"expired-left-out", false},
    [HF_LINT_NOT_SELECTED] = {"not-selected", false},
    [HF_LINT_TABLES_OLD] = {"tables-old", false},
    [HF_LINT_NAME_CONSTRAINTS] = {"name-constraints", false},
    [HF_LINT_NOT_FOR_SERVERS] = {"not-for-servers", true, true},
    [HF_LINT_EXPIRES_SOON] = {"expires-soon", false},
    [HF_LINT_REMOVED_SOON] = {"removed-soon", false},
    [HF_LINT_DISTRUST_SOON] = {"distrust-soon", false},
    [HF_LINT_SAME_KEY_WITHOUT_DATE] = {"twin-without-date", false},
    [HF_LINT_NO_SUCCESSOR] = {"no-successor", true},
    [HF_LINT_SINGLE_ANCHOR] = {"single-anchor", false},
    [HF_LINT_SHRINKS] = {"shrinks", true},
    [HF_LINT_DROPS_UNKNOWN_KEY] = {"drops-stranger", false},
    [HF_LINT_NO_OVERLAP] = {"no-overlap", true},
    [HF_LINT_ROLLOUT_LATE] = {"rollout-late", false},
    [HF_LINT_ROLLOUT_CUTS_OFF] = {"rollout-cuts-off", true},
    [HF_LINT_KNOWN_ROOT_MISSING] = {"known-root-missing", false},
    [HF_LINT_PROFILE_BEHIND] = {"profile-behind", false},
    [HF_LINT_ENDPOINT_ANCHOR_MISSING] = {"endpoint-anchor-missing", true},
    [HF_LINT_ENDPOINT_REFUSED] = {"endpoint-refused", true},
    [HF_LINT_ENDPOINT_ANCHOR_ENDS] = {"endpoint-anchor-ends", true},
    [HF_LINT_ENDPOINT_UNCHECKED] = {"endpoint-unchecked", false},
    [HF_LINT_ENDPOINT_SILENT] = {"endpoint-silent", false},
    [HF_LINT_ENDPOINT_UNPROVED] = {"endpoint-unproved", false},
    [HF_LINT_CHAIN_ENDS] = {"chain-ends", false},
    [HF_LINT_DEVICE_CHAIN_ENDS] = {"device-chain-ends", true},
    [HF_LINT_ALGORITHM_MISSING] = {"algorithm-missing", true},
    [HF_LINT_ANCHOR_UNUSABLE] = {"anchor-unusable", false},
    [HF_LINT_METADATA_EXPIRED] = {"metadata-expired", true},
    [HF_LINT_METADATA_ENDS] = {"metadata-ends", true},
};

const char *hf_lint_code_name(enum hf_lint_code code)
{
    return codes[code].name;
}

bool hf_lint_code_is_error(enum hf_lint_code code)
{
    return codes[code].is_error;
}

enum hf_err hf_findings_add(struct hf_findings *f, enum hf_lint_code code, const char *where,
                            struct hf_why *why, const char *fmt, ...)
{
    struct hf_finding finding = {.code = code, .where = strdup(where)};
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&finding.sentence, fmt, args) < 0)
        finding.sentence = NULL;
    va_end(args);
    struct hf_finding *more = realloc(f->items, (f->n_items + 1) * sizeof *more);
    if (more != NULL)
        f->items = more;
    if (more == NULL || finding.where == NULL || finding.sentence == NULL) {
        free(finding.where);
        free(finding.sentence);
        return hf_fail(why, HF_E_MEMORY, "out of memory for what lint found");
    }
    /* Names of files and of servers are in it, for terminals and for JSON. */
    hf_text_sanitize(finding.where);
    hf_text_sanitize(finding.sentence);
    f->items[f->n_items++] = finding;
    return HF_OK;
}

void hf_findings_free(struct hf_findings *f)
{
    for (size_t i = 0; i < f->n_items; i++) {
        free(f->items[i].where);
        free(f->items[i].sentence);
    }
    free(f->items);
    *f = (struct hf_findings){0};
}

enum hf_err hf_findings_accept(struct hf_findings *f, const char *const *names, struct hf_why *why)
{
    for (size_t i = 0; names != NULL && names[i] != NULL; i++) {
        size_t code = 0;
        while (code < HF_LINT_CODES &&
               !(codes[code].is_error && strcmp(codes[code].name, names[i]) == 0))
            code++;
        if (code == HF_LINT_CODES)
            return hf_fail(why, HF_E_ARGUMENT, "--accept %.80s: no error of lint has that code",
                           names[i]);
        if (codes[code].is_final)
            return hf_fail(
                why, HF_E_ARGUMENT,
                "--accept %.80s: this error cannot be accepted, because devices cannot use "
                "such a certificate. Leave it out",
                names[i]);
        for (size_t j = 0; j < f->n_items; j++)
            f->items[j].is_accepted = f->items[j].is_accepted || f->items[j].code == code;
    }
    return HF_OK;
}

size_t hf_findings_errors(const struct hf_findings *f, const struct hf_finding **first)
{
    size_t n = 0;
    *first = NULL;
    for (size_t i = 0; i < f->n_items; i++) {
        const struct hf_finding *finding = &f->items[i];
        if (!codes[finding->code].is_error || finding->is_accepted)
            continue;
        if (n++ == 0)
            *first = finding;
    }
    return n;
}

static const char *severity(const struct hf_finding *finding)
{
    if (!codes[finding->code].is_error)
        return "warning";
    return finding->is_accepted ? "accepted" : "error";
}

void hf_findings_print(const struct hf_findings *f, int indent, FILE *out)
{
    for (size_t i = 0; i < f->n_items; i++) {
        const struct hf_finding *finding = &f->items[i];
        fprintf(out, "%*s%s %s (%s): %s\n", indent, "", severity(finding),
                codes[finding->code].name, finding->where, finding->sentence);
    }
}

json_t *hf_findings_to_json(const struct hf_findings *f)
{
    json_t *list = json_array();
    for (size_t i = 0; i < f->n_items; i++) {
        const struct hf_finding *finding = &f->items[i];
        json_t *object = json_pack("{s:s, s:s, s:s, s:s}", "code", codes[finding->code].name,
                                   "severity", severity(finding), "where", finding->where,
                                   "sentence", finding->sentence);
        if (json_array_append_new(list, object) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}
