#include "server/identity/status.h"

#include <stddef.h>
#include <string.h>

static const char *const status_names[HF_CERT_STATUSES] = {
    [HF_CERT_NONE] = "NONE",
    [HF_CERT_ACTIVE] = "ACTIVE",
    [HF_CERT_INACTIVE] = "INACTIVE",
    [HF_CERT_REVOKED] = "REVOKED",
    [HF_CERT_PENDING_TRANSFER] = "PENDING_TRANSFER",
    [HF_CERT_PENDING_ACTIVATION] = "PENDING_ACTIVATION",
};
static const char *const mode_names[] =
    {"NONE", [HF_CERT_MODE_DEFAULT] = "DEFAULT", [HF_CERT_MODE_SNI_ONLY] = "SNI_ONLY"};
static const char *const kind_names[] =
    {"none", [HF_CERT_DEVICE] = "device", [HF_CERT_CLAIM] = "claim"};

#define LEN(names) (sizeof(names) / sizeof *(names))

static const char *name_of(const char *const *names, size_t n, unsigned value)
{
    return names[value < n ? value : 0];
}

/* 0 for no name of the list: the first one means "none". */
static unsigned value_of(const char *const *names, size_t n, const char *text)
{
    for (unsigned i = 1; i < n; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    return 0;
}

const char *hf_cert_status_name(enum hf_cert_status status)
{
    return name_of(status_names, LEN(status_names), status);
}

bool hf_cert_status_parse(const char *text, enum hf_cert_status *out)
{
    unsigned value = value_of(status_names, LEN(status_names), text);
    if (value != 0)
        *out = (enum hf_cert_status)value;
    return value != 0;
}

const char *hf_cert_mode_name(enum hf_cert_mode mode)
{
    return name_of(mode_names, LEN(mode_names), mode);
}

bool hf_cert_mode_parse(const char *text, enum hf_cert_mode *out)
{
    unsigned value = value_of(mode_names, LEN(mode_names), text);
    if (value != 0)
        *out = (enum hf_cert_mode)value;
    return value != 0;
}

const char *hf_cert_kind_name(enum hf_cert_kind kind)
{
    return name_of(kind_names, LEN(kind_names), kind);
}

bool hf_cert_kind_parse(const char *text, enum hf_cert_kind *out)
{
    unsigned value = value_of(kind_names, LEN(kind_names), text);
    if (value != 0)
        *out = (enum hf_cert_kind)value;
    return value != 0;
}

enum hf_err hf_cert_status_check_set(enum hf_cert_status from, enum hf_cert_status to,
                                     struct hf_why *why)
{
    if (to != HF_CERT_ACTIVE && to != HF_CERT_INACTIVE && to != HF_CERT_REVOKED)
        return hf_fail(why, HF_E_ARGUMENT,
                       "status: %s cannot be set by hand (expected ACTIVE, INACTIVE or REVOKED)",
                       hf_cert_status_name(to));
    bool is_allowed = from == to;
    if (to == HF_CERT_REVOKED)
        is_allowed = from != HF_CERT_NONE;
    else if (from == HF_CERT_ACTIVE || from == HF_CERT_INACTIVE)
        is_allowed = true;
    else if (from == HF_CERT_PENDING_ACTIVATION)
        is_allowed = to == HF_CERT_ACTIVE;
    if (is_allowed)
        return HF_OK;
    if (from == HF_CERT_REVOKED)
        return hf_fail(why, HF_E_STATE,
                       "status: the certificate is REVOKED, which is final. Give the device a new "
                       "certificate");
    return hf_fail(why, HF_E_STATE, "status: %s cannot become %s. %s", hf_cert_status_name(from),
                   hf_cert_status_name(to),
                   from == HF_CERT_PENDING_TRANSFER
                       ? "Cancel the transfer, or let the other account accept it"
                       : "Set it to ACTIVE first");
}

enum hf_err hf_cert_status_after(enum hf_cert_status from, enum hf_cert_act act,
                                 enum hf_cert_status *out, struct hf_why *why)
{
    bool is_offer = act == HF_CERT_ACT_TRANSFER;
    if (is_offer && from == HF_CERT_REVOKED)
        return hf_fail(
            why, HF_E_STATE,
            "transfer: the certificate is REVOKED, which is final. Give the device a new "
            "certificate");
    if (is_offer && from == HF_CERT_PENDING_TRANSFER)
        return hf_fail(why, HF_E_STATE,
                       "transfer: the certificate is PENDING_TRANSFER, so it is offered to another "
                       "account already. Cancel that offer first");
    if (from != (is_offer ? HF_CERT_INACTIVE : HF_CERT_PENDING_TRANSFER))
        return hf_fail(
            why, HF_E_STATE,
            is_offer ? "transfer: the certificate must be INACTIVE before it is offered to "
                       "another account (found %s). Set it to INACTIVE first"
                     : "transfer: the certificate is not offered to another account (expected "
                       "PENDING_TRANSFER, found %s)",
            hf_cert_status_name(from));
    *out = is_offer ? HF_CERT_PENDING_TRANSFER : HF_CERT_INACTIVE;
    return HF_OK;
}
