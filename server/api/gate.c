#include "server/api/gate.h"

#include "common/base/names.h"
#include "common/base/digest.h"
#include "common/os/service.h"
#include "server/fleet/credential.h"
#include "server/fleet/report_key.h"

#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t clock_s(void)
{
    return (int64_t)time(NULL);
}

static struct hf_identity_view view_of(struct hf_gate *gate)
{
    if (atomic_load_explicit(&gate->offered, memory_order_relaxed) != NULL) {
        hf_directory_unref(gate->directory);
        gate->directory = atomic_exchange(&gate->offered, NULL);
    }
    return (struct hf_identity_view){gate->directory, gate->registry, gate->now_s()};
}

/* What there is to decide about a peer; `cert` is filled in where it has one that can be
 * described. */
static struct hf_identity_question ask_about(const struct hf_tls_peer *peer,
                                             struct hf_client_cert *cert)
{
    struct hf_identity_question question = {(uint32_t)peer->tag, peer->version, NULL, NULL};
    if (peer->leaf == NULL)
        return question;
    question.cert = cert;
    if (hf_client_cert_describe_hashed(peer->leaf, peer->sha256, cert, NULL) == HF_OK)
        question.x509 = peer->leaf;
    else
        *cert = (struct hf_client_cert){0}; /* registered nowhere, so it is unknown */
    return question;
}

/* ---- what a connection changes in the store -------------------------------------------------- */

/* A certificate to register just in time, or one to confirm. No request waits for it. */
struct note {
    struct hf_job job;
    char actor[HF_FLEET_ACTOR_MAX + 1];
    uint32_t account;
    int64_t ca;
    int64_t credential;
    struct hf_buf der;
    struct hf_client_cert cert;
    struct hf_client_cert_text text;
};

static void note_done(struct hf_job *job)
{
    struct note *note = (struct note *)job;
    /* Two connections of one device at once: the second finds it done. */
    if (job->err != HF_OK && job->err != HF_E_STATE)
        hf_service_log(HF_LOG_WARNING, "a client's certificate was not noted: %s", job->why.text);
    hf_buf_free(&note->der);
    free(note);
}

static enum hf_err register_auto(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct note *note = (struct note *)job;
    struct hf_credential made;
    const char *name = note->text.common_name;
    struct hf_credential_new wanted = {
        .account_id = note->account,
        .der = hf_buf_bytes(&note->der),
        .subject = note->text.subject,
        .serial = note->text.serial,
        .kind = HF_CERT_DEVICE,
        .source = HF_SOURCE_AUTO,
        .status = HF_CERT_ACTIVE,
        .ca_id = note->ca,
        .device = hf_device_id_is_valid(name) ? name : NULL,
        .not_before_s = note->cert.not_before_s,
        .not_after_s = note->cert.not_after_s,
    };
    memcpy(wanted.sha256, note->cert.sha256, sizeof wanted.sha256);
    return hf_credential_register(tx, &wanted, &made, why);
}

static enum hf_err confirm(struct hf_job *job, struct hf_tx *tx, struct hf_why *why)
{
    struct note *note = (struct note *)job;
    return hf_credential_confirm(tx, note->account, note->credential, why);
}

static struct note *new_note(const struct hf_tls_peer *peer, uint32_t account)
{
    struct note *note = calloc(1, sizeof *note);
    if (note == NULL)
        return NULL;
    note->account = account;
    memcpy(note->actor, "device:", 7);
    hf_hex_encode(peer->sha256, HF_SHA256_LEN, note->actor + 7);
    note->job.actor = note->actor;
    note->job.done = note_done;
    return note;
}

/* A note that was taken is the writer's, and may be gone already. */
static void submit_take(struct hf_gate *gate, struct note *note)
{
    struct hf_why why;
    enum hf_err err = hf_fleet_write(gate->fleet, &note->job, &why);
    if (err == HF_OK)
        return;
    note->job.err = err;
    note->job.why = why;
    note_done(&note->job);
}

static void note_unknown(struct hf_gate *gate, const struct hf_tls_peer *peer,
                         const struct hf_identity *identity)
{
    struct note *note = new_note(peer, identity->account);
    if (note == NULL)
        return;
    note->ca = (int64_t)identity->ca->id;
    note->job.act = register_auto;
    if (hf_client_cert_describe(peer->leaf, &note->cert, NULL) == HF_OK &&
        hf_client_cert_describe_text(peer->leaf, &note->text, NULL) == HF_OK &&
        hf_client_cert_der(peer->leaf, &note->der, NULL) == HF_OK)
        submit_take(gate, note);
    else
        note_done(&note->job);
}

static void note_used(struct hf_gate *gate, const struct hf_tls_peer *peer,
                      const struct hf_identity *identity)
{
    struct note *note = new_note(peer, identity->account);
    if (note == NULL)
        return;
    note->credential = (int64_t)identity->registered.credential;
    note->job.act = confirm;
    submit_take(gate, note);
}

/* ---- the rules of TLS ------------------------------------------------------------------------ */

static int on_hello(void *ctx, struct hf_tls_peer *peer, enum hf_tls_ask *ask)
{
    struct hf_identity_view view = view_of(ctx);
    struct hf_hello hello;
    hf_identity_hello(&view, peer->sni, peer->version >= HF_TLS_1_3, &hello);
    if (hello.policy == HF_HELLO_REFUSE)
        return (int)hello.alert;
    peer->tag = hello.account;
    *ask = hello.policy == HF_HELLO_REQUIRE ? HF_TLS_ASK_REQUIRED : HF_TLS_ASK_OPTIONAL;
    return 0;
}

static int on_certificate(void *ctx, struct hf_tls_peer *peer, STACK_OF(X509) * chain)
{
    struct hf_identity_view view = view_of(ctx);
    struct hf_client_cert cert;
    struct hf_identity_question question = ask_about(peer, &cert);
    struct hf_identity identity;
    (void)chain; /* the fingerprint of the first one identifies the client */
    hf_identity_decide(&view, &question, &identity);
    return identity.admission == HF_REFUSED ? (int)identity.alert : 0;
}

static bool on_resume(void *ctx, struct hf_tls_peer *peer)
{
    struct hf_identity_view view = view_of(ctx);
    struct hf_client_cert cert;
    struct hf_identity_question question = ask_about(peer, &cert);
    struct hf_identity identity;
    hf_identity_resume(&view, &question, &identity);
    return identity.admission == HF_ADMITTED;
}

/* The client has proved that it has the key: now an unknown certificate may be registered. */
static bool on_established(void *ctx, const struct hf_tls_peer *peer)
{
    struct hf_gate *gate = ctx;
    struct hf_identity_view view = view_of(gate);
    struct hf_client_cert cert;
    struct hf_identity_question question = ask_about(peer, &cert);
    struct hf_identity identity;
    hf_identity_decide(&view, &question, &identity);
    if (identity.admission == HF_MUST_REGISTER && !peer->is_resumed && gate->fleet != NULL &&
        !hf_fleet_is_behind(gate->fleet))
        note_unknown(gate, peer, &identity);
    return identity.admission == HF_ADMITTED;
}

static bool on_still_allowed(void *ctx, const struct hf_tls_peer *peer)
{
    struct hf_identity_view view = view_of(ctx);
    struct hf_client_cert cert;
    struct hf_identity_question question = ask_about(peer, &cert);
    struct hf_identity identity;
    hf_identity_decide(&view, &question, &identity);
    return identity.admission == HF_ADMITTED;
}

/* ---- requests -------------------------------------------------------------------------------- */

/* What a certificate of that kind may be used for. */
static const char *misuse_of_certificate(const struct hf_registered *registered,
                                         enum hf_gate_use use)
{
    if (registered->kind == HF_CERT_CLAIM && use != HF_GATE_ENROLL && use != HF_GATE_WHOAMI)
        return "a claim certificate may enrol devices and nothing else. Use the device's own "
               "certificate";
    return NULL;
}

static const char *misuse_without_certificate(enum hf_anonymous policy, enum hf_gate_use use)
{
    switch (use) {
    case HF_GATE_REPOSITORY:
        if (policy >= HF_ANONYMOUS_READ)
            return NULL;
        return "this account serves files to devices with a certificate only. Enrol the device "
               "first";
    case HF_GATE_ENROLL:
        if (policy >= HF_ANONYMOUS_ENROLL)
            return NULL;
        return "this account enrols no device without a certificate";
    case HF_GATE_REPORT:
        if (policy >= HF_ANONYMOUS_REPORT)
            return NULL;
        return "this account takes reports of known devices only. Enrol the device, or let it sign "
               "its reports";
    case HF_GATE_WHOAMI:
    case HF_GATE_SIGNED:
        return NULL;
    case HF_GATE_DEVICE:
        break;
    }
    return "this needs the device's certificate. Enrol the device first";
}

/* Nothing is known of the client, and what it gets is not secret. */
static unsigned check_plain(const struct hf_identity_view *view, const struct hf_request *request,
                            enum hf_gate_use use, struct hf_identity *out)
{
    *out = (struct hf_identity){.admission = HF_ADMITTED,
                                .anonymous = HF_ANONYMOUS_READ,
                                .sentence = ""};
    if (use == HF_GATE_REPOSITORY)
        return 0;
    if (use != HF_GATE_SIGNED) {
        out->sentence = "this works over TLS only, or with a signature where it is a report. Use "
                        "the https address of the service";
        return 403;
    }
    const struct hf_account *account = hf_directory_by_host(view->directory, request->host.text,
                                                            request->host.len);
    if (account == NULL) {
        out->sentence = "this host name belongs to no account. Use a name of the account";
        return 421;
    }
    out->account = account->id;
    return 0;
}

bool hf_gate_find_report_key(const struct hf_gate *gate, uint32_t account,
                             const uint8_t public_key[HF_REPORT_KEY_LEN], struct hf_registered *out)
{
    uint8_t hash[HF_SHA256_LEN];

    hf_report_key_hash(public_key, hash);
    return hf_registry_find(gate->registry, hash, account, out) &&
           out->kind == HF_CERT_REPORT_KEY && out->status == HF_CERT_ACTIVE;
}

unsigned hf_gate_check(struct hf_gate *gate, const struct hf_request *request, enum hf_gate_use use,
                       struct hf_identity *out)
{
    const struct hf_tls_peer *peer = hf_request_peer(request).tls;
    struct hf_identity_view view = view_of(gate);
    struct hf_client_cert cert;

    if (peer == NULL)
        return check_plain(&view, request, use, out);
    struct hf_identity_question question = ask_about(peer, &cert);
    question.x509 = NULL; /* only the handshake registers a certificate */
    unsigned status = hf_identity_request(&view, &question, request->host.text, request->host.len,
                                          out);
    if (status == 421)
        out->sentence = "this host name belongs to another account. Open a connection for it";
    if (status != 0)
        return status;
    const char *misuse = out->has_certificate ? misuse_of_certificate(&out->registered, use)
                                              : misuse_without_certificate(out->anonymous, use);
    if (misuse != NULL) {
        out->sentence = misuse;
        return 403;
    }
    if (out->has_certificate && (out->registered.flags & HF_CREDENTIAL_UNCONFIRMED) != 0 &&
        gate->fleet != NULL)
        note_used(gate, peer, out);
    return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

void hf_gate_init(struct hf_gate *gate, struct hf_fleet *fleet)
{
    *gate = (struct hf_gate){
        .registry = hf_fleet_registry(fleet),
        .directory = hf_fleet_directory(fleet),
        .fleet = fleet,
        .now_s = clock_s,
        .rules = {.ctx = gate,
                  .hello = on_hello,
                  .certificate = on_certificate,
                  .resume = on_resume,
                  .established = on_established,
                  .still_allowed = on_still_allowed,
                  .generation = hf_registry_generation(hf_fleet_registry(fleet))},
    };
    hf_meter_init(&gate->reports);
}

void hf_gate_free(struct hf_gate *gate)
{
    hf_directory_unref(atomic_exchange(&gate->offered, NULL));
    hf_directory_unref(gate->directory);
}

void hf_gate_offer(struct hf_gate *gate, struct hf_directory *directory)
{
    hf_directory_unref(atomic_exchange(&gate->offered, hf_directory_ref(directory)));
}
