#include "client/core/client_internal.h"

#include "common/json/json.h"

#include <stdlib.h>
#include <string.h>

static enum hf_err check_url(const char *url, struct hf_why *why)
{
    if (url == NULL || (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0))
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected the repository's address to begin with http:// or https://, "
                       "found '%s'",
                       url != NULL ? url : "");
    if (strlen(url) > HF_URL_MAX)
        return hf_fail(why, HF_E_LIMIT, "expected an address of at most %d bytes, found %zu",
                       HF_URL_MAX, strlen(url));
    return HF_OK;
}

static enum hf_err copy_url(struct hf_client *c, const char *url, struct hf_why *why)
{
    HF_TRY(check_url(url, why));
    size_t len = strlen(url);
    while (url[len - 1] == '/')
        len--;
    char *copy = malloc(len + 1);
    if (copy == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the repository's address");
    memcpy(copy, url, len);
    copy[len] = '\0';
    c->urls[c->n_urls++] = copy;
    return HF_OK;
}

static enum hf_err copy_urls(struct hf_client *c, const struct hf_client_config *config,
                             struct hf_why *why)
{
    if (config->n_urls < 1 || config->n_urls > HF_MIRRORS_MAX)
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected 1 to %d addresses of the repository, found %zu", HF_MIRRORS_MAX,
                       config->n_urls);
    for (size_t i = 0; i < config->n_urls; i++)
        HF_TRY(copy_url(c, config->urls[i], why));
    return HF_OK;
}

static enum hf_err copy_name(const char *what, const char *name, char out[HF_SET_NAME_MAX + 1],
                             struct hf_why *why)
{
    if (name == NULL || !hf_set_name_is_valid(name))
        return hf_fail(why, HF_E_ARGUMENT,
                       "expected the name of a %s: a-z, 0-9, '.', '_' and '-', at most %d "
                       "characters, found '%s'",
                       what, HF_SET_NAME_MAX, name != NULL ? name : "");
    memcpy(out, name, strlen(name) + 1);
    return HF_OK;
}

enum hf_err hf_client_init(struct hf_client *c, const struct hf_ports *ports,
                           const struct hf_client_config *config, struct hf_why *why)
{
    *c = (struct hf_client){.ports = *ports,
                            .live_version = -1,
                            .awaits_confirm = config->awaits_confirm};
    hf_schedule_init(c, config->instance);
    uint32_t seed = 0;

    ports->random.fill(ports->random.ctx, &seed, sizeof seed);
    hf_json_seed(seed);
    HF_TRY(copy_name("set", config->set, c->set, why));
    HF_TRY(copy_name("profile", config->profile, c->profile, why));
    enum hf_err err = copy_urls(c, config, why);
    if (err != HF_OK)
        hf_client_clear(c);
    return err;
}

void hf_client_clear(struct hf_client *c)
{
    for (size_t i = 0; i < c->n_urls; i++)
        free(c->urls[i]);
    c->n_urls = 0;
    hf_trusted_set_free(&c->trusted);
}
