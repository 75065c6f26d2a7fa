/* The table of checks, and how a step of one is made. AWS IoT Device Defender's names where it has
 * the check. */
#include "server/findings/check.h"

#include <string.h>

static const char *no_age(const struct hf_check_ctx *ctx)
{
    return ctx->settings->certificate_age_s == 0
               ? "it is turned off ([audits] device_certificate_age)"
               : NULL;
}

static const char *no_crls(const struct hf_check_ctx *ctx)
{
    return ctx->settings->n_crls == 0 ? "there is no revocation list ([audits] crl)" : NULL;
}

static const char *no_metadata(const struct hf_check_ctx *ctx)
{
    return ctx->metadata.first_s == 0 ? "no repository is served" : NULL;
}

static const char *no_published(const struct hf_check_ctx *ctx)
{
    return ctx->published == NULL ? "no repository is served" : NULL;
}

const struct hf_check hf_checks[] = {
    {.name = "CA_CERTIFICATE_EXPIRING",
     .kind = "ca",
     .what_to_do = "Make the next CA, register it beside this one (`holdfast-admin ca register`), "
                   "and rotate the "
                   "devices' certificates. Then set this one INACTIVE.",
     .rows = &hf_check_sql[HF_CHECK_CAS],
     .judge = hf_judge_ca_expiring},
    {.name = "DEVICE_CERTIFICATE_EXPIRING",
     .kind = "certificate",
     .what_to_do = "Ask the device to rotate its certificate (`holdfast-admin credential "
                   "request-rotation`). If it does "
                   "not connect, give it a new one by an enrolment token.",
     .rows = &hf_check_sql[HF_CHECK_CERTIFICATES],
     .judge = hf_judge_certificate_expiring},
    {.name = "DEVICE_CERTIFICATE_AGE",
     .kind = "certificate",
     .what_to_do =
         "Ask the device to rotate its certificate (`holdfast-admin credential request-rotation`).",
     .rows = &hf_check_sql[HF_CHECK_CERTIFICATES],
     .judge = hf_judge_certificate_age,
     .why_not = no_age},
    {.name = "CA_CERTIFICATE_KEY_QUALITY",
     .kind = "ca",
     .what_to_do = "Make a CA with a good key, register it, rotate the devices' certificates, and "
                   "set this CA INACTIVE. If "
                   "its private key can be computed, set it INACTIVE at once.",
     .rows = &hf_check_sql[HF_CHECK_CAS],
     .judge = hf_judge_ca_key},
    {.name = "DEVICE_CERTIFICATE_KEY_QUALITY",
     .kind = "certificate",
     .what_to_do = "Give the device a new key and certificate. If the private key can be computed, "
                   "revoke this one at once: "
                   "a rotation asked for by the old key may come from an attacker.",
     .rows = &hf_check_sql[HF_CHECK_KEYS],
     .judge = hf_judge_certificate_key,
     .needs_keys = true},
    {.name = "DEVICE_CERTIFICATE_SHARED",
     .kind = "certificate",
     .what_to_do = "Two devices have the same private key, often by a copied image. Enrol each of "
                   "them with a new key, "
                   "and revoke the certificates of this key.",
     .rows = &hf_check_sql[HF_CHECK_SHARED],
     .judge = hf_judge_certificate_shared,
     .needs_keys = true},
    {.name = "REVOKED_CA_CERTIFICATE_STILL_ACTIVE",
     .kind = "ca",
     .what_to_do = "Find out why its issuer has revoked it. Set it INACTIVE (`holdfast-admin ca "
                   "change`), and review the "
                   "certificates that it has signed.",
     .rows = &hf_check_sql[HF_CHECK_CAS],
     .judge = hf_judge_ca_revoked,
     .why_not = no_crls,
     .needs_crls = true},
    {.name = "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE",
     .kind = "certificate",
     .what_to_do = "Revoke it (`holdfast-admin credential revoke`), and give the "
                   "device a new key and "
                   "certificate.",
     .rows = &hf_check_sql[HF_CHECK_REVOKED],
     .judge = hf_judge_certificate_revoked,
     .needs_keys = true,
     .needs_crls = true},
    {.name = "ROTATION_STUCK",
     .kind = "certificate",
     .what_to_do = "The old certificate still counts, so the device is not shut out. Look at the "
                   "device's journal: the new "
                   "certificate may not have reached it, or the device does not save it.",
     .rows = &hf_check_sql[HF_CHECK_CERTIFICATES],
     .judge = hf_judge_rotation_stuck},
    {.name = "CONFLICTING_CLIENT_IDS",
     .kind = "device",
     .what_to_do =
         "Revoke the device's certificates or its report key, and enrol the right device with a "
         "new key. If it "
         "was only set up again, enrol it again too: a new certificate tells the two apart.",
     .rows = &hf_check_sql[HF_CHECK_DEVICES],
     .judge = hf_judge_conflicting_ids},
    {.name = "DEVICE_SILENT",
     .kind = "device",
     .what_to_do = "Is it switched on, and does it reach the service? If it is out of use, revoke "
                   "its certificates.",
     .rows = &hf_check_sql[HF_CHECK_DEVICES],
     .judge = hf_judge_device_silent},
    {.name = "DEVICE_SILENT_AFTER_UPDATE",
     .kind = "device",
     .what_to_do = "It may have lost its way home by the update, although it rolls back by itself "
                   "if an endpoint fails. Hold "
                   "back the bundle from other devices until you know. `holdfast-admin device "
                   "reports` shows what it said.",
     .rows = &hf_check_sql[HF_CHECK_DEVICES],
     .judge = hf_judge_device_silent_after_update},
    {.name = "DEVICE_UPDATE_FAILED",
     .kind = "device",
     .what_to_do =
         "The device goes on with the bundle before. Hold the new one back from other devices with "
         "this endpoint until you know why. Publish a bundle that holds the root which is named, "
         "or move the endpoint to a root that the bundle holds. `holdfast-admin device explain` "
         "says more.",
     .rows = &hf_check_sql[HF_CHECK_RESULTS],
     .judge = hf_judge_device_update_failed},
    {.name = "DEVICE_BEHIND",
     .kind = "device",
     .what_to_do = "`holdfast-admin device explain` says what keeps it from updating, and what to "
                   "do. If no "
                   "cause is found, run `holdfast update` on it, and look at its mirror.",
     .rows = &hf_check_sql[HF_CHECK_DEVICES],
     .judge = hf_judge_device_behind,
     .why_not = no_published},
    {.name = "ANCHOR_ENDS_BEFORE_FLEET_IS_READY",
     .kind = "anchor",
     .what_to_do = "If no successor is published, publish a version with a root that lasts longer "
                   "(`holdfastctl bundle add`). Otherwise find the devices that do not take it up "
                   "(`holdfast-admin device list --set --version`), and ask why for one of them "
                   "(`device explain`). `holdfast-admin fleet readiness` has the numbers.",
     .rows = &hf_check_sql[HF_CHECK_DEVICES],
     .judge = hf_judge_census,
     .conclude = hf_conclude_readiness,
     .why_not = no_published},
    {.name = "CLOCK_WRONG",
     .kind = "device",
     .what_to_do = "Repair its time service or its battery. With a wrong clock it takes valid "
                   "certificates for expired ones, or "
                   "the other way round.",
     .rows = &hf_check_sql[HF_CHECK_DEVICES],
     .judge = hf_judge_clock_wrong},
    {.name = "ROLLOUT_PAUSED",
     .kind = "rollout",
     .what_to_do =
         "See what the devices say (`holdfast-admin rollout show`, and the runbook "
         "paused-rollout.md). If the bundle is at fault, abort it, publish a higher version, and "
         "unlist this one; if the devices are, exclude them and resume. Decide before the date "
         "that is named.",
     .rows = &hf_check_sql[HF_CHECK_ROLLOUTS],
     .is_of_service = true,
     .judge = hf_judge_rollout_paused,
     .why_not = no_published},
    {.name = "ROLLOUT_STALLED",
     .kind = "rollout",
     .what_to_do = "Find out why the devices of the stage do not report or do not update "
                   "(`holdfast-admin rollout show`, and `device explain` for one of them). "
                   "`holdfast-admin rollout promote` opens the next stage all the same.",
     .rows = &hf_check_sql[HF_CHECK_ROLLOUTS],
     .is_of_service = true,
     .judge = hf_judge_rollout_stalled,
     .why_not = no_published},
    {.name = "METADATA_ENDING",
     .kind = "repository",
     .what_to_do =
         "timestamp and snapshot: holdfast-signer renews them; see whether it runs "
         "(`holdfast-admin signer status`). "
         "targets and root: sign new ones with the offline keys (the runbook renewal.md).",
     .judge = hf_judge_metadata_ending,
     .why_not = no_metadata},
};
const size_t hf_n_checks = sizeof hf_checks / sizeof hf_checks[0];

const struct hf_check *hf_check_find(const char *name)
{
    for (size_t i = 0; i < hf_n_checks; i++)
        if (strcmp(hf_checks[i].name, name) == 0)
            return &hf_checks[i];
    return NULL;
}

/* A certificate counts while it is ACTIVE: that of a device that has rotated becomes INACTIVE by
 * itself. */
#define CERTIFICATE                                                                                \
    "SELECT c.id, c.sha256, c.subject, d.name, c.status, c.not_before_s, c.not_after_s, "          \
    "c.created_s, c.is_confirmed, c.retire_at_s"
#define CERTIFICATE_TYPES "ibtTtiiiiI"
/* Of a device c: how many certificates and keys let it in. */
#define CREDENTIALS                                                                                \
    "(SELECT count(*) FROM credential b WHERE b.device_id = c.id AND b.status = 'ACTIVE') + "      \
    "(SELECT count(*) FROM report_key k WHERE k.device_id = c.id AND k.revoked_s IS NULL)"
#define OF_ACCOUNT "WHERE c.account_id = :account AND c.id > :after ORDER BY c.id LIMIT :limit"

/* Certificates with the key of `k`, the oldest first, and not all of them: an image that was copied
 * to a million devices has one key, and each of them would look at all others. */
#define SAME_KEY                                                                                   \
    "(SELECT credential_id FROM credential_key WHERE spki_sha256 = k.spki_sha256 "                 \
    "ORDER BY credential_id LIMIT " HF_CHECK_SAME_KEY_TEXT ") o"

const struct hf_sql hf_check_sql[] = {
    [HF_CHECK_CAS] = {"check_cas",
                      "SELECT c.id, c.sha256, c.subject, c.status, c.not_after_s, c.der "
                      "FROM ca c " OF_ACCOUNT,
                      "ibttib"},
    [HF_CHECK_CERTIFICATES] = {"check_certificates",
                               CERTIFICATE " FROM credential c "
                                           "LEFT JOIN device d ON d.id = c.device_id " OF_ACCOUNT,
                               CERTIFICATE_TYPES},
    [HF_CHECK_KEYS] = {"check_keys",
                       CERTIFICATE
                       ", k.fault FROM credential c "
                       "LEFT JOIN device d ON d.id = c.device_id "
                       "LEFT JOIN credential_key k ON k.credential_id = c.id " OF_ACCOUNT,
                       CERTIFICATE_TYPES "T"},
    [HF_CHECK_SHARED] = {"check_shared",
                         CERTIFICATE
                         ", (SELECT e.name FROM " SAME_KEY
                         " JOIN credential b ON b.id = o.credential_id "
                         "JOIN device e ON e.id = b.device_id "
                         "WHERE b.account_id = c.account_id AND b.device_id <> c.device_id "
                         "AND b.status <> 'REVOKED' LIMIT 1) FROM credential c "
                         "LEFT JOIN device d ON d.id = c.device_id "
                         "LEFT JOIN credential_key k ON k.credential_id = c.id " OF_ACCOUNT,
                         CERTIFICATE_TYPES "T"},
    [HF_CHECK_REVOKED] = {"check_revoked",
                          CERTIFICATE
                          ", (SELECT b.subject FROM " SAME_KEY
                          " JOIN credential b ON b.id = o.credential_id "
                          "WHERE b.status = 'REVOKED' AND b.id <> c.id LIMIT 1), r.der "
                          "FROM credential c "
                          "LEFT JOIN device d ON d.id = c.device_id "
                          "LEFT JOIN credential_key k ON k.credential_id = c.id "
                          "LEFT JOIN credential_der r ON r.credential_id = c.id " OF_ACCOUNT,
                          CERTIFICATE_TYPES "TB"},
    [HF_CHECK_DEVICES] =
        {"check_devices",
         "SELECT c.id, c.name, " CREDENTIALS ", s.seen_s, s.kind, s.set_name, s.result_version, "
         "s.clock_offset_s, s.conflicts, s.conflict_s, s.profile, s.active_version "
         "FROM device c "
         "JOIN device_state s ON s.device_id = c.id " OF_ACCOUNT,
         "itiittiiiiti"},
    /* The report that says it is looked for among the newest ones of the device, and only where one
     * failed. */
    [HF_CHECK_RESULTS] =
        {"check_results",
         "SELECT c.id, c.name, " CREDENTIALS ", s.seen_s, s.result, s.set_name, s.result_version, "
         "s.active_version, s.reason, r.endpoint, r.root, r.root_name FROM device c "
         "JOIN device_state s ON s.device_id = c.id "
         "LEFT JOIN report r ON r.device_id = c.id AND r.number = "
         "CASE WHEN s.result IN ('refused', 'rolled-back', 'failed') THEN (SELECT o.number "
         "FROM report o WHERE o.device_id = c.id AND o.kind = s.result "
         "ORDER BY o.number DESC LIMIT 1) END " OF_ACCOUNT,
         "itiittiitTTT"},
    /* As the service saw them last; what is published now decides. */
    [HF_CHECK_ROLLOUTS] =
        {"audit_rollouts",
         "SELECT c.id, c.set_name, c.profile, c.bundle_version, c.stalled_since_s FROM rollout c "
         "WHERE :account = 0 AND c.id > :after "
         "AND (c.signed_state = 'paused' OR c.stalled_since_s IS NOT NULL) "
         "ORDER BY c.id LIMIT :limit",
         "ittiI"},
    {0},
};

static enum hf_err judge(const struct hf_check *check, const struct hf_check_ctx *ctx,
                         const struct hf_rows *rows, struct hf_check_step *step, struct hf_why *why)
{
    struct hf_found *found = &step->found[step->n_found];
    bool is_found = false;
    *found = (struct hf_found){.kind = check->kind};
    HF_TRY(check->judge(ctx, rows, found, &is_found, why));
    step->n_found += is_found;
    return HF_OK;
}

enum hf_err hf_check_step(const struct hf_check *check, const struct hf_check_ctx *ctx,
                          struct hf_db *db, int64_t account_id, struct hf_check_step *step,
                          struct hf_why *why)
{
    struct hf_rows rows;
    size_t n = 0;
    step->n_found = 0;
    step->is_end = true;
    if (check->rows == NULL)
        return judge(check, ctx, NULL, step, why);
    HF_TRY(hf_db_run(db, check->rows,
                     HF_PARAMS(hf_p_int("account", account_id), hf_p_int("after", step->after),
                               hf_p_int("limit", HF_CHECK_STEP_ROWS)),
                     &rows, why));
    enum hf_err err = HF_OK;
    for (; err == HF_OK && (err = hf_db_next(&rows, why)) == HF_OK; n++) {
        step->after = hf_col_int(&rows, 0);
        err = judge(check, ctx, &rows, step, why);
    }
    hf_db_end(&rows);
    step->is_end = n < HF_CHECK_STEP_ROWS;
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}
