/*
 * hf-endpoint-probe: the endpoint port alone, for tests/cli/test_endpoint_probe.py. Looks at one
 * endpoint and prints one JSON object: what the port said of it.
 */
#include "client/port/posix/endpoint_probe.h"
#include "common/base/digest.h"
#include "common/base/timetext.h"
#include "common/bundle/bundle.h"

#include <jansson.h>
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETS_MAX 4

static struct {
    char *endpoint, *alpn, *offer, *at, *distrust_after;
    char *cert, *key;
    const char **sets; /* PEM files; "-" is an empty set */
    int has_legacy_ciphers;
} options;

static const struct poptOption table[] =
    {{"endpoint", 0, POPT_ARG_STRING, &options.endpoint, 0, NULL, NULL},
     {"alpn", 0, POPT_ARG_STRING, &options.alpn, 0, NULL, NULL},
     {"offer", 0, POPT_ARG_STRING, &options.offer, 0, NULL, NULL},
     {"set", 0, POPT_ARG_ARGV, &options.sets, 0, NULL, NULL},
     {"distrust-after", 0, POPT_ARG_STRING, &options.distrust_after, 0, NULL, NULL},
     {"client-cert", 0, POPT_ARG_STRING, &options.cert, 0, NULL, NULL},
     {"client-key", 0, POPT_ARG_STRING, &options.key, 0, NULL, NULL},
     {"at", 0, POPT_ARG_STRING, &options.at, 0, NULL, NULL},
     {"legacy-ciphers", 0, POPT_ARG_NONE, &options.has_legacy_ciphers, 0, NULL, NULL},
     POPT_AUTOHELP POPT_TABLEEND};

static const char *const offers[] = {
    [HF_OFFER_TLS13_RSA] = "tls13-rsa", [HF_OFFER_TLS13_ECC] = "tls13-ecc",
    [HF_OFFER_TLS13_ANY] = "tls13-any", [HF_OFFER_TLS12_RSA] = "tls12-rsa",
    [HF_OFFER_TLS12_ECC] = "tls12-ecc", [HF_OFFER_TLS12_ANY] = "tls12-any",
};

static void die(const char *what, const struct hf_why *why)
{
    fprintf(stderr, "hf-endpoint-probe: %s: %s\n", what, why != NULL ? why->text : "cannot");
    exit(2);
}

static void write_log(void *ctx, enum hf_level level, const char *text)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "log: %s\n", text);
}

static int64_t time_option(const char *text, bool (*parse)(const char *, int64_t *))
{
    int64_t time_s = INT64_MIN;

    if (text != NULL && !parse(text, &time_s))
        die(text, NULL);
    return time_s;
}

static enum hf_offer find_offer(void)
{
    for (size_t i = 0; options.offer != NULL && i < sizeof offers / sizeof offers[0]; i++) {
        if (strcmp(options.offer, offers[i]) == 0)
            return (enum hf_offer)i;
    }
    die("--offer", NULL);
    return HF_OFFER_TLS13_ANY;
}

/* They live as long as the program. */
static struct hf_bundle bundles[SETS_MAX];
static struct hf_anchor_set sets[SETS_MAX];

static struct hf_anchor_set load_set(const char *path, struct hf_bundle *bundle)
{
    static char content[1 << 20];
    struct hf_why why;

    if (strcmp(path, "-") == 0)
        return (struct hf_anchor_set){0};
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        die(path, NULL);
    size_t len = fread(content, 1, sizeof content, file);
    (void)fclose(file);
    if (hf_bundle_parse((struct hf_bytes){(const uint8_t *)content, len}, NULL, bundle, &why) !=
        HF_OK)
        die(path, &why);
    struct hf_trust_anchor *anchors = calloc(bundle->n_anchors, sizeof *anchors);
    for (size_t i = 0; anchors != NULL && i < bundle->n_anchors; i++)
        anchors[i] = (struct hf_trust_anchor){
            .der = bundle->anchors[i].der,
            .not_before_s = bundle->anchors[i].cert.not_before_s,
            .not_after_s = bundle->anchors[i].cert.not_after_s,
            .distrust_after_s = time_option(options.distrust_after, hf_time_parse_last),
            .remove_after_s = INT64_MIN};
    return (struct hf_anchor_set){.anchors = anchors, .n_anchors = bundle->n_anchors};
}

static json_t *anchors_json(const struct hf_chain_observation *observation)
{
    json_t *list = json_array();
    char text[HF_SHA256_HEX_LEN];

    for (size_t i = 0; i < observation->n_anchors; i++) {
        hf_hex_encode(observation->anchors[i], HF_SHA256_LEN, text);
        (void)json_array_append_new(list, json_string(text));
    }
    return list;
}

static void print(const char *name, const struct hf_chain_observation *observation,
                  const bool *is_valid, size_t n_sets)
{
    json_t *valid = json_array();

    for (size_t i = 0; i < n_sets; i++)
        (void)json_array_append_new(valid, json_boolean(is_valid[i]));
    json_t *all = json_pack("{s:s, s:b, s:b, s:o, s:s, s:I, s:I, s:o, s:s}", "name", name,
                            "has_proof", observation->has_proof, "has_chain_proof",
                            observation->has_chain_proof, "is_valid", valid, "issuer",
                            observation->issuer, "leaf_not_before",
                            (json_int_t)observation->leaf_not_before_s, "leaf_not_after",
                            (json_int_t)observation->leaf_not_after_s, "anchors",
                            anchors_json(observation), "text", observation->text);
    (void)json_dumpf(all, stdout, 0);
    json_decref(all);
}

static int probe(struct hf_endpoint_probe *endpoint_probe)
{
    struct hf_endpoint_port port = hf_endpoint_probe_port(endpoint_probe);
    bool is_valid[SETS_MAX] = {true, true, true, true};
    struct hf_chain_observation observation = {0};
    struct hf_why why = {0};
    size_t n_sets = 0;

    for (; options.sets != NULL && options.sets[n_sets] != NULL && n_sets < SETS_MAX; n_sets++)
        sets[n_sets] = load_set(options.sets[n_sets], &bundles[n_sets]);
    enum hf_err err = port.probe(port.ctx, 0, find_offer(), sets, n_sets, is_valid, &observation,
                                 &why);
    if (err != HF_OK) {
        printf("%s\n", hf_err_name(err));
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    print(port.name(port.ctx, 0), &observation, is_valid, n_sets);
    return 0;
}

int main(int argc, const char **argv)
{
    poptContext popt = poptGetContext("hf-endpoint-probe", argc, argv, table, 0);
    struct hf_endpoint_probe *endpoint_probe = NULL;
    struct hf_why why = {0};

    if (poptGetNextOpt(popt) != -1 || options.endpoint == NULL)
        die("bad option", NULL);
    const struct hf_posix_endpoint endpoint = {options.endpoint, options.alpn};
    const struct hf_posix_config config = {.endpoints = &endpoint,
                                           .n_endpoints = 1,
                                           .client_cert_file = options.cert,
                                           .client_key_file = options.key,
                                           .has_legacy_ciphers = options.has_legacy_ciphers != 0};
    hf_trust_store_set_clock(time_option(options.at, hf_time_parse_lenient));
    if (hf_endpoint_probe_new(&config, NULL, (struct hf_log_port){.write = write_log},
                              &endpoint_probe, &why) != HF_OK)
        die("endpoint_probe", &why);
    int code = probe(endpoint_probe);
    hf_endpoint_probe_free(endpoint_probe);
    poptFreeContext(popt);
    return code;
}
