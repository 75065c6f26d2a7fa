/* holdfastctl lint: find problems of a bundle before devices do. Needs no key and no lock. */
#include "server/publish/commands/ctl.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/lint/lint.h"
#include "server/publish/lint/lint_endpoints.h"
#include "common/os/file_util.h"

#include <inttypes.h>
#include <string.h>

/* Everything that is read once; freed in one place. */
struct session {
    const struct hf_ctl_options *o;
    int64_t at_s;
    int64_t next_ceremony_s; /* HF_TIME_NONE: not given */
    struct hf_known_roots known;
    struct hf_lint_device device;
    struct hf_lint_endpoints endpoints; /* empty: none are known */
    struct hf_lint lint;
    struct hf_catalog_view view; /* zero without --repo */
    struct hf_findings findings;
};

static const struct hf_bundle *newest(const struct session *s, const char *set, const char *profile)
{
    const struct hf_repo_bundle *b = hf_repo_bundles_newest(&s->view.catalog.bundles, set, profile);
    return b == NULL ? NULL : &b->bundle;
}

static enum hf_err lint_published(struct session *s, const struct hf_repo_bundle *b,
                                  struct hf_why *why)
{
    char where[2 * HF_SET_NAME_MAX + 32];
    const struct hf_description *d = &b->description;
    const struct hf_accepted accepted = hf_accepted_of(b->target);
    const struct hf_repo_bundle *before = hf_catalog_before(&s->view.catalog, d);
    size_t n_before = s->findings.n_items;
    (void)snprintf(where, sizeof where, "%s/%s %" PRId64, d->set, d->profile, d->version);
    const struct hf_lint_line line = {.where = where,
                                      .bundle = &b->bundle,
                                      .description = d,
                                      .before = before == NULL ? NULL : &before->bundle,
                                      .full = newest(s, d->set, "full")};
    HF_TRY(hf_lint_line(&s->lint, &line, &s->findings, why));
    return hf_accepted_hold(&accepted, &s->lint, &line, &s->findings, n_before, why);
}

/* Files that may become the next version. Their drops are not known yet; bundle add asks about
 * them. */
static enum hf_err lint_candidate(struct session *s, struct hf_bytes pem, const char *profile,
                                  const struct hf_vouching *by, struct hf_why *why)
{
    struct hf_bundle bundle = {0};
    const struct hf_finding *first = NULL;
    struct hf_why reason = {0};
    struct hf_description d = {0};
    if (!hf_set_name_is_valid(s->o->set) || !hf_set_name_is_valid(profile))
        return hf_fail(why, HF_E_ARGUMENT, "\"%.80s\" of \"%.80s\" cannot be a profile of a set",
                       profile, s->o->set);
    memcpy(d.set, s->o->set, strlen(s->o->set) + 1);
    memcpy(d.profile, profile, strlen(profile) + 1);
    /* A pin may be for a file that has another fault. */
    const bool is_whole = hf_findings_errors(&s->findings, &first) == 0;
    if (s->o->repo != NULL &&
        hf_bundle_check_begin(&s->view.catalog.bundles, d.set, d.profile, false, &reason) != HF_OK)
        HF_TRY(hf_findings_add(&s->findings, HF_LINT_NEW_SET, "these files", why,
                               "%s in bundle add", reason.text));
    HF_TRY(hf_bundle_parse(pem, NULL, &bundle, why));
    const struct hf_lint_line line = {.where = "these files",
                                      .bundle = &bundle,
                                      .description = &d,
                                      .before = newest(s, d.set, d.profile),
                                      .full = newest(s, d.set, "full")};
    enum hf_err err = is_whole ? hf_vouching_check_pins(by, &bundle, why) : HF_OK;
    if (err == HF_OK)
        err = hf_lint_line(&s->lint, &line, &s->findings, why);
    hf_bundle_free(&bundle);
    return err;
}

/* A root that was signed before needs no --pin, so without --repo unknown roots are not
 * reported. */
static enum hf_err lint_files(struct session *s, const char *const *files, struct hf_why *why)
{
    struct hf_buf pem = {0};
    const char *profile = s->o->profile == NULL ? "full" : s->o->profile;
    const struct hf_vouching by = {.known = &s->known,
                                   .before = newest(s, s->o->set, profile),
                                   .pins = hf_cli_list(s->o->pins)};
    HF_TRY(hf_vouching_check_pins(&by, NULL, why));
    enum hf_err err = hf_lint_files(files, s->o->repo == NULL ? NULL : &by, &s->findings, &pem,
                                    why);
    if (err == HF_OK && pem.len > 0)
        err = lint_candidate(s, hf_buf_bytes(&pem), profile, &by, why);
    hf_buf_free(&pem);
    return err;
}

static enum hf_err lint_all(struct session *s, const char *const *files, struct hf_why *why)
{
    const struct hf_ctl_options *o = s->o;
    const struct hf_lint_sources sources = hf_ctl_lint_sources(o);
    HF_TRY(hf_known_roots_load(hf_cli_list(o->roots), &s->known, why));
    s->lint = (struct hf_lint){.at_s = s->at_s,
                               .is_later_day = s->at_s > hf_ctl_now_s(),
                               .lead_s = o->lead_days * HF_DAY_S,
                               .known = &s->known,
                               .endpoints = &s->endpoints};
    if (o->device != NULL) {
        HF_TRY(hf_lint_device_load(o->device, &s->device, why));
        s->lint.device = &s->device;
    }
    if (o->repo != NULL)
        HF_TRY(hf_catalog_view_open(o->repo, &s->view, why));
    /* Before servers are probed, so that the operator does not wait for them in vain. */
    if (o->save_dir != NULL && hf_file_exists(o->save_dir))
        return hf_fail(why, HF_E_STATE, "%s exists already; --save-chains makes a new folder",
                       o->save_dir);
    HF_TRY(hf_lint_endpoints_load(&sources, &s->endpoints, why));
    if (o->save_dir != NULL)
        HF_TRY(hf_lint_endpoints_save(&s->endpoints, o->save_dir, hf_ctl_now_s(), why));
    HF_TRY(hf_lint_answers(&s->endpoints, &s->findings, why));
    HF_TRY(hf_lint_tables(&s->known, hf_ctl_now_s(), &s->findings, why));
    if (files != NULL)
        HF_TRY(lint_files(s, files, why));
    else if (o->repo != NULL)
        HF_TRY(hf_catalog_check_has(&s->view.catalog, o->set, o->profile, why));
    for (size_t i = 0; files == NULL && i < s->view.catalog.bundles.n_items; i++) {
        const struct hf_repo_bundle *b = &s->view.catalog.bundles.items[i];
        if (b->is_newest && hf_catalog_is_of(b, o->set, o->profile))
            HF_TRY(lint_published(s, b, why));
    }
    if (o->repo != NULL)
        HF_TRY(hf_lint_metadata(&s->lint, &s->view.set, s->view.catalog.targets, s->next_ceremony_s,
                                &s->findings, why));
    return hf_findings_accept(&s->findings, hf_cli_list(o->accepts), why);
}

static enum hf_err print(const struct session *s, size_t n_errors, struct hf_why *why)
{
    const struct hf_findings *f = &s->findings;
    size_t n_warnings = 0;
    for (size_t i = 0; i < f->n_items; i++)
        n_warnings += !hf_lint_code_is_error(f->items[i].code);
    if (s->o->is_json)
        return hf_json_print_take(json_pack("{s:i, s:o, s:I, s:I, s:I, s:o, s:o}", "format", 1,
                                            "at", hf_json_time(s->at_s), "lead_days",
                                            (json_int_t)s->o->lead_days, "errors",
                                            (json_int_t)n_errors, "warnings",
                                            (json_int_t)n_warnings, "endpoints",
                                            hf_lint_answers_to_json(&s->endpoints), "findings",
                                            hf_findings_to_json(f)),
                                  stdout, why);
    hf_lint_answers_print(&s->endpoints, stdout);
    hf_findings_print(f, 0, stdout);
    printf("%zu error(s), %zu warning(s)\n", n_errors, n_warnings);
    return HF_OK;
}

static enum hf_err lint(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_ctl_options *o = call->values;
    const char *endpoints = o->addresses != NULL ? o->addresses[0] : o->endpoints;
    bool has_bundle = o->repo != NULL || call->words != NULL;
    struct session s = {.o = o, .at_s = hf_ctl_now_s(), .next_ceremony_s = HF_TIME_NONE};
    /* Chains can be saved before there is a bundle to check them with. */
    if (has_bundle || o->save_dir == NULL) {
        HF_TRY(hf_cli_need(call, "--set", o->set));
        HF_TRY(hf_cli_need(call, "--repo, or certificate files,", has_bundle ? "yes" : NULL));
    }
    if (o->save_dir != NULL)
        HF_TRY(hf_cli_need(call, "--endpoint or --endpoints", endpoints));
    HF_TRY(hf_ctl_time(call, "--at", o->at, &s.at_s));
    HF_TRY(hf_ctl_time(call, "--next-ceremony", o->next_ceremony, &s.next_ceremony_s));
    enum hf_err err = lint_all(&s, call->words, why);
    if (err == HF_OK) {
        const struct hf_finding *first = NULL;
        size_t n_errors = hf_findings_errors(&s.findings, &first);
        call->exit_code = n_errors > 0 ? HF_EXIT_FAILED : HF_EXIT_OK;
        err = print(&s, n_errors, why);
    }
    hf_findings_free(&s.findings);
    hf_catalog_view_close(&s.view);
    hf_lint_endpoints_free(&s.endpoints);
    hf_known_roots_free(&s.known);
    return err;
}

static const struct hf_cli_option options[] =
    {HF_CTL_REPO,
     HF_CTL_SET,
     HF_CTL_PROFILE,
     HF_CTL_PIN,
     HF_CTL_LINT,
     HF_CTL_TEXT("save-chains", save_dir,
                 "write what endpoints show into this new folder, with a list for --endpoints",
                 "DIR"),
     HF_CTL_TEXT("next-ceremony", next_ceremony,
                 "when root and targets are signed again (default: a year after they were)",
                 "YYYY-MM-DD"),
     HF_CTL_TEXT("at", at, "check as of that day instead of today", "YYYY-MM-DD"),
     HF_CTL_REPORT("lint-report")};

const struct hf_cli_command hf_cmd_lint = {
    .name = "lint",
    .summary = "Find what would cut devices off, before it is published.",
    .arguments = "--set NAME [--repo DIR] [--profile NAME] [OPTION…] [CERT…]",
    .about =
        "Checks the newest bundles of a set, also those that wait to be published; or, with CERT\n"
        "(PEM, DER, or a folder), what may become the next version. Prints errors, which stop\n"
        "bundle add, and warnings, each with a stable code. With --repo, a root that is in no\n"
        "table of known roots and in no bundle signed before is an error, unless --pin names it\n"
        "as in bundle add, and so is a new set or profile, which bundle add takes with --new.\n\n"
        "--endpoints names the chains that devices see, one per line, with files beside the list:\n"
        "  endpoint NAME CHAIN.pem [CHAIN.pem…]   all chains of a server, RSA and ECC\n"
        "  endpoint NAME mqtts://HOST             the server is asked for them, now\n"
        "  endpoint NAME @FILE                    so is the server that AWS named in FILE\n"
        "  device   NAME CHAIN.pem                a chain of the devices themselves\n"
        "CHAIN.pem begins with the endpoint's own certificate; openssl s_client -showcerts prints\n"
        "it. --endpoint does the same for one server, without a list.\n\n"
        "A server is asked with TLS 1.3 and 1.2, for an RSA and an ECC key. Only handshakes are\n"
        "sent, without a proxy. Proved chains are checked like chains from files. A server that "
        "is\n"
        "silent, or proves nothing, is a warning, because that says nothing about a bundle.\n"
        "--save-chains records the chains for a machine without a network; it needs no bundle.\n"
        "There, --endpoints DIR/endpoints.txt finds the same.\n\n"
        "--device lists what the devices' TLS library supports; a missing line means everything:\n"
        "  digests    sha256 sha384 sha512 sha1\n"
        "  signatures rsa-pkcs1 rsa-pss ecdsa\n"
        "  keys       rsa p256 p384 p521\n"
        "  rsa-bits   4096\n\n"
        "The exit code is 1 if there is an error that is not accepted now (--accept) and was not\n"
        "accepted when the version was signed. The latter covers what was found on that day, not\n"
        "later findings or those of endpoints.",
    .examples = "  holdfastctl lint --repo /srv/roots --set amazon-iot --endpoints endpoints.txt\n"
                "  aws iot describe-endpoint --endpoint-type iot:Data-ATS > iot.json\n"
                "  holdfastctl lint --endpoint @iot.json --save-chains chains-2027\n"
                "  holdfastctl lint --set amazon-iot --endpoints chains-2027/endpoints.txt roots/\n"
                "  holdfastctl lint --repo /srv/roots --set amazon-iot --at 2029-06-01 --lead 730\n"
                "  holdfastctl lint --set factory --json new-roots/ | jq -r '.findings[].code'\n",
    .options = options,
    .max_words = HF_CLI_ANY_WORDS,
    .run = lint,
};
