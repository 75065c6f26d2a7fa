#include "server/findings/check.h"

#include <stdlib.h>
#include <string.h>

static size_t bytes_of(const char *const *texts, size_t n)
{
    size_t bytes = n * sizeof *texts;
    for (size_t i = 0; i < n; i++)
        bytes += strlen(texts[i]) + 1;
    return bytes;
}

/* The list, and behind it its texts; `*at` moves behind them. */
static const char *const *copy_texts(const char *const *texts, size_t n, const char **list,
                                     char **at)
{
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(texts[i]) + 1;
        memcpy(*at, texts[i], size);
        list[i] = *at;
        *at += size;
    }
    return list;
}

struct hf_check_settings *hf_check_settings_copy(const struct hf_check_settings *settings)
{
    const size_t n = settings->n_weak_keys + settings->n_crls;
    struct hf_check_settings *copy = malloc(sizeof *copy +
                                            bytes_of(settings->weak_keys, settings->n_weak_keys) +
                                            bytes_of(settings->crls, settings->n_crls));
    if (copy == NULL)
        return NULL;
    const char **lists = (const char **)(copy + 1);
    char *texts = (char *)(lists + n);
    *copy = *settings;
    copy->weak_keys = copy_texts(settings->weak_keys, settings->n_weak_keys, lists, &texts);
    copy->crls = copy_texts(settings->crls, settings->n_crls, lists + settings->n_weak_keys,
                            &texts);
    return copy;
}
