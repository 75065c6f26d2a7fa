/* holdfast enroll and holdfast rotate: this device's own certificate. */
#include "client/agent/agent.h"
#include "client/port/identity/token_uri.h"
#include "common/cli/report.h"
#include "common/os/file_util.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_FILE_BYTES_MAX 1024 /* a token of at most 512, and blanks */

struct enroll_options {
    struct hf_agent_options common;
    char *url;
    char *token;
    char *token_file;
    char *claim_cert;
    char *claim_key;
    char *key_type;
    char *client_key;
    bool is_again;
};

/* What both commands print. */
struct report {
    const char *device_id;
    struct hf_credential credential;
    struct hf_identity_status status;
};

#define AT(member) offsetof(struct report, member)

static const struct hf_field report_fields[] = {
    {"device_id", HF_FIELD_TEXT, AT(device_id)},
    {"service", HF_FIELD_WORDS, AT(status.url)},
    {"credential", HF_FIELD_CHARS, AT(credential.sha256)},
    {"subject", HF_FIELD_CHARS, AT(credential.subject)},
    {"not_before", HF_FIELD_TIME, AT(credential.not_before_s)},
    {"expires", HF_FIELD_TIME, AT(credential.not_after_s)},
    {"certificate_file", HF_FIELD_WORDS, AT(status.cert_file)},
    {"key_file", HF_FIELD_WORDS, AT(status.key_file)},
    {0},
};

static enum hf_err print(struct hf_posix *posix, const char *verb,
                         const struct hf_credential *credential, bool as_json, struct hf_why *why)
{
    struct report report = {.credential = *credential};

    hf_posix_identity_status(posix, &report.status);
    HF_TRY(hf_posix_device_id(posix, &report.device_id, why));
    if (as_json)
        return hf_report_print(report_fields, &report, NULL, stdout, why);
    printf("%s %s: certificate %s, which ends on %s\n", verb, report.device_id, credential->sha256,
           hf_agent_day(credential->not_after_s).text);
    return HF_OK;
}

/* ---- the token ------------------------------------------------------------------------------- */

/* A token stands in a file on a line of its own, and on the command line as it is. */
static enum hf_err check_token(const char *option, char *token, struct hf_why *why)
{
    size_t len = strlen(token);

    while (len > 0 && strchr(" \t\r\n", token[len - 1]) != NULL)
        token[--len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (token[i] <= ' ' || token[i] >= 0x7f)
            return hf_fail(why, HF_E_FORMAT,
                           "%s: expected one enrolment token, found other text around it", option);
    }
    return len > 0 && len <= HF_ENROLL_TOKEN_MAX
               ? HF_OK
               : hf_fail(why, HF_E_FORMAT, "%s: expected a token of 1 to %d characters, found %zu",
                         option, HF_ENROLL_TOKEN_MAX, len);
}

/* `*out` is `file`'s content, or the option's own text. */
static enum hf_err read_token(struct enroll_options *o, struct hf_buf *file, const char **out,
                              struct hf_why *why)
{
    uid_t owner;

    if (o->token_file == NULL) {
        *out = o->token;
        return o->token != NULL ? check_token("--token", o->token, why) : HF_OK;
    }
    if (hf_file_read_any_secret(o->token_file, TOKEN_FILE_BYTES_MAX, file, &owner, why) != HF_OK)
        return hf_fail_context(why, "--token-file");
    if (file->len == 0 || memchr(file->data, '\0', file->len) != NULL)
        return hf_fail(why, HF_E_FORMAT, "--token-file: %s is empty or not text", o->token_file);
    *out = (const char *)file->data;
    return check_token("--token-file", (char *)file->data, why);
}

/* ---- enroll ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum hf_key_kind kind;
} key_types[] = {{"p256", HF_KEY_P256}, {"p384", HF_KEY_P384}, {"rsa2048", HF_KEY_RSA2048}};

static bool find_key_type(const char *name, enum hf_key_kind *out)
{
    for (size_t i = 0; i < sizeof key_types / sizeof key_types[0]; i++) {
        if (name != NULL && strcmp(key_types[i].name, name) == 0) {
            *out = key_types[i].kind;
            return true;
        }
    }
    return name == NULL;
}

static enum hf_err enroll_with(struct hf_cli_call *call, const struct hf_enrolment *enrolment,
                               struct hf_why *why)
{
    const struct enroll_options *o = call->values;
    struct hf_posix *posix = NULL;
    struct hf_credential credential;

    enum hf_err err = hf_agent_open(call, &posix, why);
    if (err == HF_OK)
        err = hf_posix_enroll(posix, enrolment, &credential, why);
    if (err == HF_OK)
        err = print(posix, "enrolled", &credential, o->common.as_json, why);
    hf_posix_close(posix);
    return err;
}

static enum hf_err enroll(struct hf_cli_call *call, struct hf_why *why)
{
    struct enroll_options *o = call->values;
    struct hf_enrolment enrolment = {.url = o->url, .is_again = o->is_again};
    struct hf_buf file = {0};

    if (o->token != NULL && o->token_file != NULL)
        return hf_cli_usage(call, "--token and --token-file exclude each other");
    if ((o->claim_cert == NULL) != (o->claim_key == NULL))
        return hf_cli_usage(call, "--claim-cert and --claim-key belong together");
    if (!find_key_type(o->key_type, &enrolment.key_kind))
        return hf_cli_usage(call, "--key-type is p256, p384 or rsa2048");
    if (o->client_key != NULL && !hf_pkcs11_uri_is(o->client_key))
        return hf_cli_usage(call,
                            "--client-key is a PKCS#11 URI here: pkcs11:token=NAME;object=NAME");
    if (o->client_key != NULL && o->key_type != NULL)
        return hf_cli_usage(call, "--client-key and --key-type exclude each other");
    enrolment.key_uri = o->client_key;
    enrolment.claim_cert_file = o->claim_cert;
    enrolment.claim_key_file = o->claim_key;
    enum hf_err err = read_token(o, &file, &enrolment.token, why);
    if (err == HF_OK)
        err = enroll_with(call, &enrolment, why);
    if (file.data != NULL)
        sodium_memzero(file.data, file.len);
    hf_buf_free(&file);
    if (o->token != NULL)
        sodium_memzero(o->token, strlen(o->token));
    return err;
}

#undef AT
#define AT(member) offsetof(struct enroll_options, member)

static const struct hf_cli_option enroll_options[] = {
    {"token-file", '\0', HF_CLI_TEXT, AT(token_file),
     "a file with the enrolment token, which no other user may read; /dev/stdin to type it",
     "FILE"},
    {"token", '\0', HF_CLI_TEXT, AT(token),
     "the token itself; other users may see it in the list of processes", "TOKEN"},
    {"claim-cert", '\0', HF_CLI_TEXT, AT(claim_cert),
     "a claim certificate, which many devices may share and which may only enrol", "FILE"},
    {"claim-key", '\0', HF_CLI_TEXT, AT(claim_key), "its key", "FILE"},
    {"url", 'u', HF_CLI_TEXT, AT(url),
     "https://HOST[:PORT] of the fleet service (default: the first https mirror)", "URL"},
    {"key-type", '\0', HF_CLI_TEXT, AT(key_type), "of the new key: p256 (default), p384 or rsa2048",
     "TYPE"},
    {"client-key", '\0', HF_CLI_TEXT, AT(client_key),
     "a key that a PKCS#11 token has, in place of a new one in a file; the PIN is in a file that "
     "pin-source names. Use P-256 or P-384: an RSA key in a token works with TLS 1.2 only",
     "URI"},
    {"again", '\0', HF_CLI_FLAG, AT(is_again),
     "also if this device has an identity, which the new one replaces", NULL},
    HF_AGENT_JSON("credential"),
    HF_AGENT_COMMON,
    HF_CLI_END,
};

const struct hf_cli_command hf_cmd_enroll = {
    .name = "enroll",
    .summary = "get this device's own certificate from the fleet service",
    .arguments = "{--token-file FILE|--claim-cert FILE --claim-key FILE} [OPTION...]",
    .about =
        "Makes a private key, asks the fleet service for a certificate of it, and uses it once "
        "the\n"
        "service has accepted it in a connection. The key never leaves this device. From then on\n"
        "the certificate is shown to the update server and, unless another one is configured, to\n"
        "the endpoints. Applications find both in the state folder, and always a pair that works:\n"
        "  STATE/identity/current/certificate.pem\n"
        "  STATE/identity/current/key.pem\n\n"
        "The chain of the service must validate under the trust store or the CA that\n"
        "`init --server-ca` named; run `holdfast update` first if the store is still empty. If an\n"
        "enrolment was interrupted, run the same command again: it continues, and does not need\n"
        "the token again once the certificate had come.\n\n"
        "`holdfast update` and `holdfast run` replace the certificate by themselves: at two "
        "thirds\n"
        "of its life, or when the service asks for it.",
    .examples = "  holdfast enroll --token-file /run/holdfast-token\n"
                "  holdfast enroll --url https://fleet.example.com --claim-cert claim.pem \\\n"
                "      --claim-key claim.key\n"
                "  holdfast enroll --token-file /run/holdfast-token --client-key \\\n"
                "      'pkcs11:token=device;object=identity?pin-source=/etc/holdfast/pin'\n",
    .options = enroll_options,
    .values_size = sizeof(struct enroll_options),
    .run = enroll,
};

/* ---- rotate ---------------------------------------------------------------------------------- */

static enum hf_err rotate(struct hf_cli_call *call, struct hf_why *why)
{
    const struct hf_agent_options *o = call->values;
    struct hf_posix *posix = NULL;
    struct hf_credential credential;

    enum hf_err err = hf_agent_open(call, &posix, why);
    if (err == HF_OK)
        err = hf_posix_rotate(posix, &credential, why);
    if (err == HF_OK)
        err = print(posix, "rotated", &credential, o->as_json, why);
    hf_posix_close(posix);
    return err;
}

static const struct hf_cli_option rotate_options[] = {HF_AGENT_JSON("credential"), HF_AGENT_COMMON,
                                                      HF_CLI_END};

const struct hf_cli_command hf_cmd_rotate = {
    .name = "rotate",
    .summary = "replace this device's certificate and key now",
    .arguments = "[--json] [--state DIR]",
    .about =
        "Makes a new key, asks the fleet service for a certificate of it over the present one, "
        "and\n"
        "uses it once the service has accepted it in a connection. Until then, and if anything\n"
        "fails, the present certificate and key stay in use. A rotation that was interrupted is\n"
        "finished. `holdfast update` and `holdfast run` rotate by themselves when it is time;\n"
        "`holdfast status` shows when.",
    .examples = "  holdfast rotate\n"
                "  holdfast rotate --json | jq -r .expires\n",
    .options = rotate_options,
    .run = rotate,
};
