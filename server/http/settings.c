#include "server/http/settings.h"

#include <stdlib.h>
#include <string.h>

enum hf_err hf_http_settings_new(const struct hf_http_settings *values,
                                 struct hf_http_settings **out, struct hf_why *why)
{
    struct hf_http_settings *settings = malloc(sizeof *settings);
    if (settings == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for settings");
    memcpy(settings, values, sizeof *settings);
    atomic_init(&settings->references, 1);
    *out = settings;
    return HF_OK;
}

struct hf_http_settings *hf_http_settings_ref(struct hf_http_settings *settings)
{
    atomic_fetch_add_explicit(&settings->references, 1, memory_order_relaxed);
    return settings;
}

void hf_http_settings_unref(struct hf_http_settings *settings)
{
    if (settings != NULL &&
        atomic_fetch_sub_explicit(&settings->references, 1, memory_order_acq_rel) == 1)
        free(settings);
}
