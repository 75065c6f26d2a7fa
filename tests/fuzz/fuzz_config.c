/*
 * client/port/posix/config_store and device_id: what `holdfast init` is told, sections in the order
 * of the fields, and the first line of a device id's file.
 */
#include "tests/fuzz/scratch.h"

#include "client/port/posix/config_store.h"
#include "client/port/posix/system.h"
#include "common/tls/endpoint_url.h"
#include "client/port/posix/url.h"
#include "common/bundle/description.h"

static char *next_text(struct fuzz_input *in)
{
    struct hf_bytes section = fuzz_section(in);
    return section.len > 0 ? fuzz_text(section) : NULL;
}

static void check_endpoints(const struct hf_posix_config *config)
{
    struct hf_endpoint_url urls[2];
    struct hf_why why = {0};
    for (size_t i = 0; i < config->n_endpoints; i++) {
        FUZZ_OK(hf_endpoint_url_parse(config->endpoints[i].url, &urls[i], &why), &why);
        if (config->endpoints[i].alpn != NULL)
            FUZZ_OK(hf_alpn_check(config->endpoints[i].alpn, &why), &why);
    }
    FUZZ_CHECK(urls[0].scheme != urls[1].scheme ||
               !hf_endpoint_equal(&urls[0].peer, &urls[1].peer));
}

static void check_config(const struct hf_posix_config *config)
{
    struct hf_url url;
    struct hf_why why = {0};
    enum hf_err err = hf_config_check(config, NULL, NULL, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(err == HF_E_ARGUMENT || err == HF_E_FORMAT);
        fuzz_check_refusal(err, &why);
        return;
    }
    FUZZ_OK(hf_url_parse(config->client.urls[0], &url, &why), &why);
    FUZZ_CHECK(hf_set_name_is_valid(config->client.set));
    FUZZ_CHECK(hf_set_name_is_valid(config->client.profile));
    FUZZ_CHECK(strchr(config->client.set, '/') == NULL);
    FUZZ_CHECK(config->client.device_id == NULL || hf_device_id_is_valid(config->client.device_id));
    FUZZ_CHECK(config->export_file == NULL || config->export_file[0] == '/');
    check_endpoints(config);
}

static void check_id_file(struct hf_bytes content, bool is_machine_id)
{
    char id[HF_DEVICE_ID_MAX + 1];
    const char *path = scratch_path("id");
    struct hf_why why = {0};
    scratch_write(path, content);
    enum hf_err err = is_machine_id ? hf_device_id_derive(path, id, &why)
                                    : hf_device_id_from_file(path, id, &why);
    if (err == HF_OK)
        FUZZ_CHECK(hf_device_id_is_valid(id));
    else
        fuzz_check_refusal(err, &why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    char *url = next_text(&in), *set = next_text(&in), *profile = next_text(&in);
    char *id = next_text(&in), *id_file = next_text(&in), *export_file = next_text(&in);
    char *server_ca = next_text(&in);
    char *first = next_text(&in), *second = next_text(&in), *alpn = next_text(&in);
    const struct hf_posix_endpoint endpoints[] = {
        {first != NULL ? first : "tls://first.test:1", NULL},
        {second != NULL ? second : "tls://second.test:2", alpn},
    };
    const char *urls[] = {url != NULL ? url : ""};
    struct hf_posix_config config =
        {.client = {.urls = urls, .n_urls = 1, .set = set, .profile = profile, .device_id = id},
         .device_id_file = id_file,
         .export_file = export_file,
         .server_ca = server_ca,
         .endpoints = endpoints,
         .n_endpoints = 2};
    check_config(&config);
    check_id_file((struct hf_bytes){in.data, in.len}, false);
    check_id_file((struct hf_bytes){in.data, in.len}, true);
    free(url);
    free(set);
    free(profile);
    free(id);
    free(id_file);
    free(export_file);
    free(server_ca);
    free(first);
    free(second);
    free(alpn);
    return 0;
}
