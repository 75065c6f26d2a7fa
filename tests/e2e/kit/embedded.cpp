// Firmware in C++: all public headers, and a use of each that a C++ compiler could trip over. Links and
// runs without a device: tests/e2e/test_embed.py.
#include <holdfast/anchor.h>
#include <holdfast/bytes.h>
#include <holdfast/client.h>
#include <holdfast/error.h>
#include <holdfast/port.h>
#include <holdfast/posix.h>
#include <holdfast/runner.h>
#include <holdfast/simulate.h>
#include <holdfast/trust_store.h>

#include <cstdio>
#include <cstring>

static enum hf_err bind(hf_trust_store *store, mbedtls_ssl_config *config, hf_why *why)
{
    HF_TRY(hf_trust_store_bind(store, config, why));
    return HF_OK;
}

static bool binds()
{
    hf_trust_store *store = nullptr;
    mbedtls_ssl_config config;
    hf_why why = {};

    mbedtls_ssl_config_init(&config);
    bool is_bound = hf_trust_store_new(&store, &why) == HF_OK &&
                    mbedtls_ssl_config_defaults(&config, MBEDTLS_SSL_IS_CLIENT,
                                                MBEDTLS_SSL_TRANSPORT_STREAM,
                                                MBEDTLS_SSL_PRESET_DEFAULT) == 0 &&
                    bind(store, &config, &why) == HF_OK;
    mbedtls_ssl_config_free(&config);
    hf_trust_store_free(store);
    return is_bound;
}

// Never called: what matters is that it compiles and links.
static void use_the_rest(hf_posix *posix, hf_runner *runner)
{
    hf_simulation simulation = {};
    hf_buf pem = {};
    hf_why why = {};

    hf_simulation_query query = {};
    if (hf_client_simulate(hf_posix_client(posix), &query, &simulation, &why) == HF_OK)
        hf_simulation_free(&simulation);
    if (hf_client_export_pem(hf_posix_client(posix), &pem, &why) == HF_OK)
        hf_buf_free(&pem);
    hf_runner_stop(runner);
}

int main(int argc, char **argv)
{
    hf_posix *posix = nullptr;
    hf_log_port log = {};
    hf_why why = {};

    if (argc != 2)
        use_the_rest(nullptr, nullptr);
    enum hf_err err = hf_posix_open(argv[1], log, &posix, &why);
    hf_posix_close(posix);
    std::printf("%s: %s\n%s\n", hf_err_name(err), why.text, binds() ? "bound" : "not bound");
    return 0;
}
