/*
 * An MQTT device that stays connected while its roots of trust are exchanged: the example to copy.
 *
 *     mqtt_device STATE HOST PORT CERT.pem KEY.pem NAME
 *
 * STATE was made by `holdfast init`. What has to do with Holdfast is marked (1) to (4), all else is
 * a plain MQTT 3.1.1 client over TLS. SIGUSR1 asks for an update now, SIGTERM ends it.
 */
#include "mqtt.h"

#include <holdfast/runner.h>

#include <mbedtls/error.h>
#include <mbedtls/net_sockets.h>
#include <mbedtls/psa_util.h>

#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 1000       /* of silence; then there is time for other things */
#define HANDSHAKE_MS 20000 /* of silence, before the session is up */
#define RETRY_MAX_S 64

struct device {
    const char *host, *port, *name;
    struct hf_trust_store *roots;
    mbedtls_ssl_config tls;
    mbedtls_x509_crt cert;
    mbedtls_pk_context key;
};

/* ---- what signals reach ---------------------------------------------------------------------- */

static struct hf_runner *updates;
static _Atomic bool is_over;

static void end(int signal_number)
{
    (void)signal_number;
    is_over = true;
    hf_runner_stop(updates);
}

static void update_now(int signal_number)
{
    (void)signal_number;
    hf_runner_poke(updates);
}

static void listen_to_signals(void)
{
    (void)sigaction(SIGTERM, &(struct sigaction){.sa_handler = end}, NULL);
    (void)sigaction(SIGUSR1, &(struct sigaction){.sa_handler = update_now}, NULL);
}

/* ---- updates: a thread of their own, so that a slow mirror never delays a packet ------------- */

/* (3) Checks when it is time to. New handshakes see new roots at once, connections that are up
 * stay. */
static void *keep_roots_fresh(void *runner)
{
    hf_runner_run(runner);
    return NULL;
}

/* (4) What became of a check, in that thread. */
static void tell_update(void *ctx, enum hf_err err, const struct hf_update_result *result,
                        const struct hf_why *why)
{
    (void)ctx;
    if (err == HF_OK)
        printf("roots: %s version %" PRId64 "\n", result->is_changed ? "updated to" : "still",
               result->to_version);
    else
        printf("roots: no update: %s\n", why->text);
}

/* ---- a session ------------------------------------------------------------------------------- */

/* Something to tell the broker: which generation of roots this device stands on. */
static bool publish_generation(const struct device *device, mbedtls_ssl_context *ssl,
                               uint64_t generation)
{
    char topic[MQTT_NAME_LEN_MAX + 16], text[32];

    (void)snprintf(topic, sizeof topic, "devices/%s/roots", device->name);
    (void)snprintf(text, sizeof text, "generation %" PRIu64, generation);
    return mqtt_publish(ssl, topic, text);
}

/** Until the broker is gone or the program ends. */
static void talk(const struct device *device, mbedtls_ssl_context *ssl)
{
    enum mqtt_event event = MQTT_OTHER;
    uint64_t told = 0;

    for (int quiet_s = 0; event != MQTT_GONE && quiet_s < MQTT_KEEP_ALIVE_S; quiet_s++) {
        uint64_t generation = hf_trust_store_generation(device->roots);
        if (is_over) {
            mqtt_disconnect(ssl);
            return;
        }
        if (generation != told && !publish_generation(device, ssl, generation))
            return;
        if (quiet_s == MQTT_KEEP_ALIVE_S / 2 && !mqtt_ping(ssl))
            return;
        told = generation;
        event = mqtt_wait(ssl);
        if (event == MQTT_ACKNOWLEDGED)
            printf("session: the broker knows of generation %" PRIu64 "\n", told);
        if (event != MQTT_SILENCE)
            quiet_s = 0;
    }
}

static int shake_hands(struct device *device, mbedtls_net_context *net, mbedtls_ssl_context *ssl)
{
    int code = mbedtls_net_connect(net, device->host, device->port, MBEDTLS_NET_PROTO_TCP);

    if (code == 0)
        code = mbedtls_ssl_setup(ssl, &device->tls);
    if (code == 0)
        code = mbedtls_ssl_set_hostname(ssl, device->host); /* SNI, and the name that must fit */
    if (code != 0)
        return code;
    mbedtls_ssl_set_bio(ssl, net, mbedtls_net_send, NULL, mbedtls_net_recv_timeout);
    mbedtls_ssl_conf_read_timeout(&device->tls, HANDSHAKE_MS);
    do
        code = mbedtls_ssl_handshake(ssl);
    while (code == MBEDTLS_ERR_SSL_WANT_READ && !is_over);
    return code;
}

/* The sentence says more than the flags of Mbed TLS. */
static int verify(void *roots, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
    char text[HF_WHY_MAX];
    int code = hf_trust_store_verify(roots, crt, depth, flags);

    if (depth == 0 && *flags != 0) {
        hf_trust_store_explain(roots, crt, text, sizeof text);
        if (text[0] != '\0')
            printf("session: what the broker showed is not valid: %s\n", text);
    }
    return code;
}

static void say_why(const mbedtls_ssl_context *ssl, int code)
{
    char text[256] = "";

    if (code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
        (void)mbedtls_x509_crt_verify_info(text, sizeof text, "",
                                           mbedtls_ssl_get_verify_result(ssl));
        printf("session: the broker is not trusted: %s", text); /* which ends in a newline */
    } else {
        mbedtls_strerror(code, text, sizeof text);
        printf("session: cannot connect: %s\n", text);
    }
}

/** Connect and stay for as long as the broker does. False: there was no session. */
static bool run_session(struct device *device)
{
    mbedtls_net_context net;
    mbedtls_ssl_context ssl;
    bool is_in = false;

    mbedtls_net_init(&net);
    mbedtls_ssl_init(&ssl);
    int code = shake_hands(device, &net, &ssl);
    if (code != 0) {
        say_why(&ssl, code);
    } else if (!mqtt_connect(&ssl, device->name)) {
        printf("session: the broker did not let this device in\n");
    } else {
        printf("session: connected, %s\n", mbedtls_ssl_get_version(&ssl));
        is_in = true;
        mbedtls_ssl_conf_read_timeout(&device->tls, TICK_MS);
        talk(device, &ssl);
        printf("session: ended\n");
    }
    mbedtls_ssl_free(&ssl);
    mbedtls_net_free(&net);
    return is_in;
}

/* ---- the program ----------------------------------------------------------------------------- */

static enum hf_err set_up_tls(struct device *device, struct hf_trust_store *roots,
                              const char *cert_file, const char *key_file, struct hf_why *why)
{
    int code = mbedtls_ssl_config_defaults(&device->tls, MBEDTLS_SSL_IS_CLIENT,
                                           MBEDTLS_SSL_TRANSPORT_STREAM,
                                           MBEDTLS_SSL_PRESET_DEFAULT);
    mbedtls_ssl_conf_rng(&device->tls, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
    if (code == 0)
        code = mbedtls_x509_crt_parse_file(&device->cert, cert_file);
    if (code == 0)
        code = mbedtls_pk_parse_keyfile(&device->key, key_file, NULL, mbedtls_psa_get_random,
                                        MBEDTLS_PSA_RANDOM_STATE);
    if (code == 0)
        code = mbedtls_ssl_conf_own_cert(&device->tls, &device->cert, &device->key);
    if (code != 0)
        return hf_fail(why, HF_E_KEY, "%s and %s are no certificate and its key (Mbed TLS -0x%04x)",
                       cert_file, key_file, (unsigned)-code);
    /* (2) Once, before the first connection: from now on they decide whom to trust. */
    device->roots = roots;
    enum hf_err err = hf_trust_store_bind(roots, &device->tls, why);
    mbedtls_ssl_conf_verify(&device->tls, verify, roots);
    return err;
}

static void stay_connected(struct device *device)
{
    unsigned retry_s = 1;

    while (!is_over) {
        if (run_session(device))
            retry_s = 1;
        else if (retry_s < RETRY_MAX_S)
            retry_s *= 2;
        if (!is_over)
            (void)sleep(retry_s); /* SIGTERM ends that too */
    }
}

static enum hf_err run(struct device *device, struct hf_why *why)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, keep_roots_fresh, updates) != 0)
        return hf_fail(why, HF_E_MEMORY, "the system gives no thread for the updates");
    listen_to_signals();
    stay_connected(device);
    (void)pthread_join(thread, NULL);
    return HF_OK;
}

int main(int argc, char **argv)
{
    struct hf_posix *holdfast = NULL;
    struct hf_why why;

    if (argc != 7 || strlen(argv[6]) > MQTT_NAME_LEN_MAX) {
        fprintf(stderr, "usage: mqtt_device STATE HOST PORT CERT.pem KEY.pem NAME\n");
        return 2;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);

    struct device device = {.host = argv[2], .port = argv[3], .name = argv[6]};
    mbedtls_ssl_config_init(&device.tls);
    mbedtls_x509_crt_init(&device.cert);
    mbedtls_pk_init(&device.key);

    /* (1) The roots that this device holds, from its state folder. */
    enum hf_err err = hf_posix_open(argv[1], (struct hf_log_port){0}, &holdfast, &why);
    if (err == HF_OK)
        err = set_up_tls(&device, hf_posix_trust_store(holdfast), argv[4], argv[5], &why);
    if (err == HF_OK)
        err = hf_runner_new(holdfast, &(struct hf_runner_options){.ended = tell_update}, &updates,
                            &why);
    if (err == HF_OK)
        err = run(&device, &why);
    if (err != HF_OK)
        fprintf(stderr, "mqtt_device: %s\n", why.text);

    hf_runner_free(updates);
    mbedtls_ssl_config_free(&device.tls); /* before the store that it is bound to */
    mbedtls_x509_crt_free(&device.cert);
    mbedtls_pk_free(&device.key);
    hf_posix_close(holdfast);
    return err == HF_OK ? 0 : 1;
}
