/* holdfast probe: which chain does a server show, and would the store validate it? */
#include "client/agent/agent.h"
#include "client/port/mbedtls/trust_store_internal.h"
#include "client/port/posix/endpoint_probe.h"
#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"
#include "common/tls/endpoint_url.h"

#include <string.h>

struct probe_options {
    struct hf_agent_options common;
    char *ca, *server_name, *at;
    bool is_tls12, has_legacy_ciphers, accepts_common_names;
};

/* What the command line means. */
struct target {
    const char *text; /* HOST[:PORT] or a URL, as typed; borrowed */
    struct hf_endpoint peer;
    struct hf_endpoint server; /* the name to ask for and to expect */
    int64_t at_s;              /* INT64_MIN: now */
};

/* A URL's path is not requested. */
static enum hf_err parse_arguments(const struct hf_cli_call *call, struct target *t,
                                   struct hf_why *why)
{
    const struct probe_options *o = call->values;
    const char *scheme_end = strstr(call->words[0], "://");
    struct hf_endpoint_url url;
    char address[HF_ENDPOINT_URL_TEXT];

    *t = (struct target){.text = call->words[0], .at_s = INT64_MIN};
    if (o->common.state != NULL && o->ca != NULL)
        return hf_fail(why, HF_E_ARGUMENT, "--state and --ca exclude each other");
    if (o->at != NULL && !hf_time_parse_lenient(o->at, &t->at_s))
        return hf_fail(why, HF_E_ARGUMENT,
                       "--at wants YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ, not \"%s\"", o->at);
    if (scheme_end == NULL) {
        HF_TRY(hf_endpoint_parse(hf_bytes_of_text(t->text), 443, &t->peer, why));
        hf_endpoint_drop_final_dot(&t->peer);
    } else {
        size_t len = (size_t)(scheme_end - t->text) + strlen("://");
        len += strcspn(t->text + len, "/?#");
        if (len >= sizeof address)
            return hf_fail(why, HF_E_ARGUMENT, "the host of the URL is too long");
        memcpy(address, t->text, len);
        address[len] = '\0';
        HF_TRY(hf_endpoint_url_parse(address, &url, why));
        t->peer = url.peer;
    }
    t->server = t->peer;
    if (o->server_name != NULL &&
        hf_endpoint_parse(hf_bytes_of_text(o->server_name), t->peer.port, &t->server, why) != HF_OK)
        return hf_fail_context(why, "--servername");
    return HF_OK;
}

static const char *const digest_names[] = {[HF_CERT_DIGEST_OTHER] = "an outdated hash",
                                           [HF_CERT_DIGEST_SHA1] = "SHA-1",
                                           [HF_CERT_DIGEST_SHA256] = "SHA-256",
                                           [HF_CERT_DIGEST_SHA384] = "SHA-384",
                                           [HF_CERT_DIGEST_SHA512] = "SHA-512"};

/* About one certificate, as part of the whole verdict. */
static const char *remark(const struct hf_chain_verdict *verdict, const struct hf_cert_verdict *v)
{
    if (v->faults[0] != '\0')
        return v->faults;
    if (verdict->is_valid)
        return v->is_in_path ? "valid" : "not needed for the path to the trust anchor";
    if (v->is_in_path)
        return "no fault found in this certificate";
    return v->cert.is_ca
               ? "not part of the path from the server's certificate"
               : "not part of the path: it may not issue certificates (expected cA in its "
                 "basicConstraints, and keyCertSign in its keyUsage)";
}

static void print_cert(const struct hf_cert *cert)
{
    char key[16], sha256[HF_SHA256_HEX_LEN];

    hf_cert_key_text(cert, key);
    hf_hex_encode(cert->sha256, sizeof cert->sha256, sha256);
    printf("  subject  %s\n  issuer   %s\n", cert->subject, cert->issuer);
    printf("  key      %s, certificate signed with %s\n", key, digest_names[cert->digest]);
    printf("  valid    %s to %s\n  SHA-256  %s\n", hf_agent_time(cert->not_before_s).text,
           hf_agent_time(cert->not_after_s).text, sha256);
}

static void print_text(const struct target *t, const struct hf_tls_probe_result *probe,
                       const struct hf_chain_verdict *verdict)
{
    char sha256[HF_SHA256_HEX_LEN];

    printf("%s, asked as %s: %s, %s, %zu certificate%s\n", t->text, t->server.host,
           probe->tls_version, probe->cipher_suite, verdict->n_certs,
           verdict->n_certs == 1 ? "" : "s");
    if (probe->ending[0] != '\0')
        printf("The server proved its key, but the handshake did not end: %s\n", probe->ending);
    for (size_t i = 0; i < verdict->n_certs; i++) {
        const struct hf_cert_verdict *v = &verdict->certs[i];
        printf("\ncertificate %zu%s\n", i, i == 0 ? ", the server's own" : "");
        print_cert(&v->cert);
        if (i == 0)
            printf("  names    %s\n", v->names[0] != '\0' ? v->names : "none");
        printf("  verdict  %s\n", remark(verdict, v));
    }
    if (verdict->has_anchor) {
        printf("\ntrust anchor in the store\n");
        print_cert(&verdict->anchor);
    }
    if (verdict->is_valid) {
        hf_hex_encode(verdict->anchor.sha256, sizeof verdict->anchor.sha256, sha256);
        printf("\nvalid %s through \"%s\" %s\n", t->text, verdict->anchor.subject, sha256);
    }
}

static json_t *key_json(const void *at, const void *ctx)
{
    char key[16];

    (void)ctx;
    hf_cert_key_text(at, key);
    return json_string(key);
}

#define OF(member) offsetof(struct hf_cert, member)

static const struct hf_field cert_fields[] = {
    {"subject", HF_FIELD_CHARS, OF(subject)},
    {"issuer", HF_FIELD_CHARS, OF(issuer)},
    {"key", HF_FIELD_MADE, 0, .make = key_json},
    {"signed_with", HF_FIELD_ENUM, OF(digest), .names = digest_names},
    {"not_before", HF_FIELD_TIME, OF(not_before_s)},
    {"not_after", HF_FIELD_TIME, OF(not_after_s)},
    {"sha256", HF_FIELD_SHA256, OF(sha256)},
    {"spki_sha256", HF_FIELD_SHA256, OF(spki_sha256)},
    {0},
};

static json_t *chain_json(const struct hf_chain_verdict *verdict)
{
    json_t *chain = json_array();

    for (size_t i = 0; chain != NULL && i < verdict->n_certs; i++) {
        const struct hf_cert_verdict *v = &verdict->certs[i];
        json_t *cert = hf_report_object(cert_fields, &v->cert, NULL);
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

static json_t *report_json(const struct target *t, const struct hf_tls_probe_result *probe,
                           const struct hf_chain_verdict *verdict)
{
    char faults[HF_WHY_MAX];

    hf_chain_verdict_faults(verdict, faults);
    return json_pack("{s:o, s:s, s:s, s:s, s:s?, s:b, s:s?, s:o?, s:o}", "endpoint",
                     hf_json_plain(t->text), "server_name", t->server.host, "tls_version",
                     probe->tls_version, "cipher_suite", probe->cipher_suite,
                     "handshake_ended_with", probe->ending[0] != '\0' ? probe->ending : NULL,
                     "is_valid", verdict->is_valid, "faults", faults[0] != '\0' ? faults : NULL,
                     "trust_anchor",
                     verdict->has_anchor ? hf_report_object(cert_fields, &verdict->anchor, NULL)
                                         : NULL,
                     "chain", chain_json(verdict));
}

static enum hf_err open_ca_file(const char *path, struct hf_trust_store **out, struct hf_why *why)
{
    struct hf_buf pem = {0};
    char skipped[HF_WHY_MAX] = "";

    HF_TRY(hf_file_read(path, HF_BUNDLE_BYTES_MAX, &pem, why));
    enum hf_err err = hf_trust_store_new_from_pem(hf_buf_bytes(&pem), out, skipped, why);
    hf_buf_free(&pem);
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", path);
    else if (skipped[0] != '\0')
        fprintf(stderr, "holdfast: warning: %s: %s\n", path, skipped);
    return err;
}

/* HF_E_UNTRUSTED for a chain that is not valid, after the report. */
static enum hf_err probe(const struct probe_options *o, const struct target *t,
                         struct hf_trust_store *store, struct hf_why *why)
{
    const struct hf_probe_request request = {.peer = t->peer,
                                             .server = &t->server,
                                             .offer = {.version = o->is_tls12 ? HF_TLS_12
                                                                              : HF_TLS_12_OR_13,
                                                       .has_legacy_ciphers = o->has_legacy_ciphers},
                                             .timeouts = hf_timeouts_default()};
    struct hf_tls_probe_result result = {0};
    struct hf_chain_verdict verdict = {0};

    enum hf_err err = hf_probe(&request, &result, why);
    if (err == HF_OK)
        err = hf_trust_store_judge(store, &result.chain, t->server.host, t->at_s, &verdict, why);
    if (err == HF_OK && o->common.as_json)
        err = hf_json_print_take(report_json(t, &result, &verdict), stdout, why);
    else if (err == HF_OK)
        print_text(t, &result, &verdict);
    if (err == HF_OK && !verdict.is_valid) {
        char faults[HF_WHY_MAX];
        hf_chain_verdict_faults(&verdict, faults);
        err = hf_fail(why, HF_E_UNTRUSTED, "the server is not trusted: %s", faults);
    }
    hf_chain_verdict_free(&verdict);
    hf_chain_free(&result.chain);
    if (err != HF_OK)
        (void)hf_fail_context(why, "%s", t->text);
    return err;
}

static enum hf_err run(struct hf_cli_call *call, struct hf_why *why)
{
    const struct probe_options *o = call->values;
    struct hf_posix *posix = NULL;
    struct hf_trust_store *own_store = NULL;
    struct target target;
    struct hf_why wrong = {0};
    enum hf_err err;

    if (parse_arguments(call, &target, &wrong) != HF_OK)
        return hf_cli_usage(call, "%s", wrong.text);
    err = o->ca != NULL ? open_ca_file(o->ca, &own_store, why) : hf_agent_open(call, &posix, why);
    if (o->accepts_common_names)
        hf_trust_store_accept_common_names(true);
    if (err == HF_OK)
        err = probe(o, &target, own_store != NULL ? own_store : hf_posix_trust_store(posix), why);
    hf_trust_store_free(own_store);
    hf_posix_close(posix);
    return err;
}

#define AT(member) offsetof(struct probe_options, member)

static const struct hf_cli_option options[] = {
    {"ca", 0, HF_CLI_TEXT, AT(ca), "use the certificates in this PEM file", "FILE"},
    {"servername", 0, HF_CLI_TEXT, AT(server_name),
     "the name to ask for (SNI) and to expect, if it is not HOST", "NAME"},
    {"at", 0, HF_CLI_TEXT, AT(at), "validate as of that time instead of now",
     "YYYY-MM-DD[THH:MM:SSZ]"},
    {"tls12", 0, HF_CLI_FLAG, AT(is_tls12), "offer TLS 1.2 only", NULL},
    {"legacy-ciphers", 0, HF_CLI_FLAG, AT(has_legacy_ciphers),
     "also offer cipher suites with static RSA and CBC", NULL},
    {"common-names", 0, HF_CLI_FLAG, AT(accepts_common_names),
     "the common name counts where there is no subjectAltName", NULL},
    {"json", 0, HF_CLI_FLAG, offsetof(struct hf_agent_options, as_json),
     "print one JSON object instead of text", NULL},
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_probe = {
    .name = "probe",
    .summary = "the chain a server shows, and whether the store validates it",
    .arguments =
        "HOST[:PORT]|URL [--state DIR | --ca FILE] [--servername NAME] [--at TIME] [--json]",
    .about =
        "Connects to HOST (port 443 by default; also a URL such as https://HOST/PATH or\n"
        "mqtts://HOST), makes a TLS handshake and shows the chain of the server: issuers, expiry\n"
        "dates, and whether the store validates it and through which root, or why not. The store\n"
        "is that of the device or, with --ca, the certificates in FILE. Proxies are not used. The\n"
        "exit code is 0 only if the chain validates and the server proves that it holds the key.",
    .examples =
        "Does this device reach AWS IoT, would it still in 2030, and what if it had only this "
        "root?\n"
        "  holdfast probe abc123-ats.iot.eu-central-1.amazonaws.com:8883\n"
        "  holdfast probe abc123-ats.iot.eu-central-1.amazonaws.com:8883 --at 2030-01-01\n"
        "  holdfast probe abc123-ats.iot.eu-central-1.amazonaws.com --ca AmazonRootCA1.pem\n",
    .options = options,
    .values_size = sizeof(struct probe_options),
    .needs_word = "HOST[:PORT]",
    .max_words = 1,
    .run = run,
};
