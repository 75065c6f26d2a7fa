#include "client/agent/probe_report.h"

#include "common/base/hex.h"
#include "common/base/timetext.h"

#include <jansson.h>

static const char *digest_text(enum hf_cert_digest digest)
{
    switch (digest) {
    case HF_CERT_DIGEST_SHA1:
        return "SHA-1";
    case HF_CERT_DIGEST_SHA256:
        return "SHA-256";
    case HF_CERT_DIGEST_SHA384:
        return "SHA-384";
    case HF_CERT_DIGEST_SHA512:
        return "SHA-512";
    case HF_CERT_DIGEST_OTHER:
        break;
    }
    return "an outdated hash";
}

/** What there is to say of a certificate in the light of the whole verdict. */
static const char *remark(const struct hf_chain_verdict *verdict, const struct hf_cert_verdict *v)
{
    if (v->faults[0] != '\0')
        return v->faults;
    if (verdict->is_valid)
        return v->is_in_path ? "valid" : "not needed: the path to the trust anchor goes without it";
    return v->is_in_path ? "nothing wrong with it by itself"
                         : "not part of the path from the server's certificate";
}

/* ---- for people --------------------------------------------------------------------------------- */

static void print_cert(const struct hf_cert *cert, FILE *out)
{
    char key[16], from[HF_TIME_TEXT_MAX], to[HF_TIME_TEXT_MAX], sha256[HF_SHA256_HEX_LEN];

    hf_cert_key_text(cert, key);
    hf_time_format(cert->not_before_s, from);
    hf_time_format(cert->not_after_s, to);
    hf_hex_encode(cert->sha256, sizeof cert->sha256, sha256);
    fprintf(out, "  subject  %s\n  issuer   %s\n", cert->subject, cert->issuer);
    fprintf(out, "  key      %s, certificate signed with %s\n", key, digest_text(cert->digest));
    fprintf(out, "  valid    %s to %s\n  SHA-256  %s\n", from, to, sha256);
}

void hf_probe_report_text(const struct hf_probe_report *report, FILE *out)
{
    const struct hf_chain_verdict *verdict = report->verdict;

    fprintf(out, "%s, asked as %s: %s, %s, %zu certificate%s\n", report->endpoint,
            report->server_name, report->probe->tls_version, report->probe->cipher_suite,
            verdict->n_certs, verdict->n_certs == 1 ? "" : "s");
    if (report->probe->ending[0] != '\0')
        fprintf(out, "The server proved its key, but the handshake did not end: %s\n",
                report->probe->ending);
    for (size_t i = 0; i < verdict->n_certs; i++) {
        const struct hf_cert_verdict *v = &verdict->certs[i];
        fprintf(out, "\ncertificate %zu%s\n", i, i == 0 ? ", the server's own" : "");
        print_cert(&v->cert, out);
        if (i == 0)
            fprintf(out, "  names    %s\n", v->names[0] != '\0' ? v->names : "none");
        fprintf(out, "  verdict  %s\n", remark(verdict, v));
    }
    if (verdict->has_anchor) {
        fprintf(out, "\ntrust anchor in the store\n");
        print_cert(&verdict->anchor, out);
    }
}

/* ---- for programs ------------------------------------------------------------------------------- */

static json_t *cert_json(const struct hf_cert *cert)
{
    char key[16], from[HF_TIME_TEXT_MAX], to[HF_TIME_TEXT_MAX];
    char sha256[HF_SHA256_HEX_LEN], spki_sha256[HF_SHA256_HEX_LEN];

    hf_cert_key_text(cert, key);
    hf_time_format(cert->not_before_s, from);
    hf_time_format(cert->not_after_s, to);
    hf_hex_encode(cert->sha256, sizeof cert->sha256, sha256);
    hf_hex_encode(cert->spki_sha256, sizeof cert->spki_sha256, spki_sha256);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "subject", cert->subject, "issuer",
                     cert->issuer, "key", key, "signed_with", digest_text(cert->digest),
                     "not_before", from, "not_after", to, "sha256", sha256, "spki_sha256",
                     spki_sha256);
}

static json_t *chain_json(const struct hf_chain_verdict *verdict)
{
    json_t *chain = json_array();

    for (size_t i = 0; chain != NULL && i < verdict->n_certs; i++) {
        const struct hf_cert_verdict *v = &verdict->certs[i];
        json_t *cert = cert_json(&v->cert);
        json_t *more = json_pack("{s:I, s:b, s:s, s:s?}", "number", (json_int_t)i, "is_in_path",
                                 v->is_in_path, "remark", remark(verdict, v), "names",
                                 i == 0 ? v->names : NULL);
        if (json_object_update(cert, more) != 0 || json_array_append_new(chain, cert) != 0) {
            json_decref(chain);
            chain = NULL;
        }
        json_decref(more);
    }
    return chain;
}

static json_t *report_json(const struct hf_probe_report *report)
{
    const struct hf_chain_verdict *verdict = report->verdict;
    char faults[HF_WHY_MAX];

    hf_chain_verdict_faults(verdict, faults);
    return json_pack("{s:s, s:s, s:s, s:s, s:s?, s:b, s:s?, s:o?, s:o}", "endpoint",
                     report->endpoint, "server_name", report->server_name, "tls_version",
                     report->probe->tls_version, "cipher_suite", report->probe->cipher_suite,
                     "handshake_ended_with",
                     report->probe->ending[0] != '\0' ? report->probe->ending : NULL, "is_valid",
                     verdict->is_valid, "faults", faults[0] != '\0' ? faults : NULL, "trust_anchor",
                     verdict->has_anchor ? cert_json(&verdict->anchor) : NULL, "chain",
                     chain_json(verdict));
}

enum hf_err hf_probe_report_json(const struct hf_probe_report *report, FILE *out,
                                 struct hf_why *why)
{
    json_t *json = report_json(report);
    int code = json == NULL ? -1 : json_dumpf(json, out, JSON_INDENT(2));

    json_decref(json);
    if (code != 0)
        return hf_fail(why, HF_E_MEMORY, "no memory for the report");
    fputc('\n', out);
    return HF_OK;
}
