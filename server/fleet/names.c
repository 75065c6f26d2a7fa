#include "server/fleet/names.h"

#include "common/base/names.h"
#include "common/base/plaintext.h"

#include <stdbool.h>
#include <string.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* `first` and then `more` besides. */
static bool is_name(const char *name, const char *first, const char *more, size_t max)
{
    char all[80] = "";
    size_t len = strlen(name), n_first = strlen(first);

    memcpy(all, first, n_first);
    memcpy(all + n_first, more, strlen(more) + 1);
    return len >= 1 && len <= max && strchr(first, name[0]) != NULL && strspn(name, all) == len;
}

static enum hf_err fail(const char *what, const char *rule, size_t max, struct hf_why *why)
{
    return hf_fail(why, HF_E_ARGUMENT, "%s: not a valid name (expected %s, %zu characters at most)",
                   what, rule, max);
}

enum hf_err hf_name_check_account(const char *name, struct hf_why *why)
{
    if (hf_account_name_is_valid(name))
        return HF_OK;
    return fail("account", "a-z, 0-9 and \"-\", and not \"-\" first or last", HF_ACCOUNT_NAME_MAX,
                why);
}

enum hf_err hf_name_check_ca(const char *name, struct hf_why *why)
{
    if (hf_account_name_is_valid(name))
        return HF_OK;
    return fail("CA", "a-z, 0-9 and \"-\", and not \"-\" first or last", HF_ACCOUNT_NAME_MAX, why);
}

enum hf_err hf_name_check_device(const char *name, struct hf_why *why)
{
    if (hf_device_id_is_valid(name))
        return HF_OK;
    return fail("device", "letters, digits and \"._:-\"", HF_DEVICE_ID_MAX, why);
}

enum hf_err hf_name_check_group(const char *name, struct hf_why *why)
{
    if (name[0] == '\0' || is_name(name, LOWER DIGITS, "._-", HF_FLEET_GROUP_NAME_MAX))
        return HF_OK;
    return fail("group", "a-z, 0-9 and \"._-\", and a letter or digit first",
                HF_FLEET_GROUP_NAME_MAX, why);
}

enum hf_err hf_name_check_token(const char *name, struct hf_why *why)
{
    if (is_name(name, LOWER UPPER DIGITS, "._-", HF_FLEET_TOKEN_NAME_MAX))
        return HF_OK;
    return fail("token", "letters, digits and \"._-\", and a letter or digit first",
                HF_FLEET_TOKEN_NAME_MAX, why);
}

enum hf_err hf_name_check_idempotency_key(const char *key, struct hf_why *why)
{
    size_t len = strlen(key);

    for (size_t i = 0; i < len; i++)
        if (key[i] < 0x21 || key[i] > 0x7e)
            len = 0;
    if (len >= 1 && len <= HF_FLEET_IDEMPOTENCY_KEY_MAX)
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "Idempotency-Key: expected 1 to %u printable characters without spaces",
                   HF_FLEET_IDEMPOTENCY_KEY_MAX);
}

enum hf_err hf_name_check_text(const char *what, const char *text, size_t max, struct hf_why *why)
{
    const char *at = text;
    size_t len;

    while ((len = hf_plain_char_len(at)) > 0)
        at += len;
    if (*at == '\0' && (size_t)(at - text) <= max)
        return HF_OK;
    return hf_fail(why, HF_E_ARGUMENT,
                   "%s: expected at most %zu bytes of UTF-8 without control characters", what, max);
}
