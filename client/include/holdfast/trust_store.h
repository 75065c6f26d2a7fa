/*
 * The active trust store of an application that uses Mbed TLS.
 *
 *     struct hf_trust_store *store;                 // usually from hf_posix_trust_store()
 *     hf_trust_store_bind(store, &ssl_config, &why);
 *
 * From then on every handshake of every connection with that configuration is verified against the
 * anchors of the newest swap. Open connections stay open. Readers never wait for a swap.
 *
 * Anchors are kept as DER with an index by subject and read when a chain asks for them. What a
 * server sends is judged by Holdfast's own verifier (RFC 5280, RFC 9525): it finds a path through
 * the certificates in any order, to an anchor that is valid, not past its remove_after, and not
 * distrusted for the date of the server's certificate. Name constraints, extended key usages and
 * policies count, of anchors too. A profile of `ssl_config` (mbedtls_ssl_conf_cert_profile) that is
 * stricter applies to the server's own certificate and the key that signed it, and to nothing
 * above.
 */
#ifndef HOLDFAST_TRUST_STORE_H
#define HOLDFAST_TRUST_STORE_H

#include <holdfast/port.h>

#include <mbedtls/build_info.h>
#include <mbedtls/platform_time.h>
#include <mbedtls/ssl.h>

#include <assert.h>

#if !defined(MBEDTLS_X509_TRUSTED_CERTIFICATE_CALLBACK) || !defined(MBEDTLS_PLATFORM_TIME_ALT) ||  \
    !defined(MBEDTLS_THREADING_C)
#error                                                                                             \
    "These are the headers of another Mbed TLS: those that are installed with Holdfast must come first on the include path, as pkg-config --cflags holdfast puts them"
#endif

/* One of 32 bits ends on 2038-01-19, and would be another one than the library's. */
static_assert(sizeof(mbedtls_time_t) == sizeof(int64_t),
              "Holdfast needs a time_t of 64 bits: compile with -D_TIME_BITS=64 "
              "-D_FILE_OFFSET_BITS=64, as it was itself");

#ifdef __cplusplus
extern "C" {
#endif

struct hf_trust_store;

/** An empty store: every handshake fails until the first swap. Thread-safe from here on. */
HF_MUST_USE enum hf_err hf_trust_store_new(struct hf_trust_store **out, struct hf_why *why);

/** No configuration that is bound to it may still be in use. */
void hf_trust_store_free(struct hf_trust_store *store);

/**
 * Replace all anchors. DER is copied. The old generation is freed after the last handshake that
 * uses it, and its saved sessions are dropped. On failure nothing changes.
 * Concurrent swaps are serialised.
 *
 * HF_E_FORMAT  an anchor is not one whole certificate.
 * HF_E_POLICY  it is one that is not supported, for its key, its algorithm or a critical extension.
 * HF_E_ARGUMENT  not_before_s and not_after_s are both 0.
 * HF_E_LIMIT, HF_E_MEMORY
 */
HF_MUST_USE enum hf_err hf_trust_store_swap(struct hf_trust_store *store,
                                            const struct hf_trust_anchor *anchors, size_t n_anchors,
                                            struct hf_why *why);

/** Certificates are validated at max(system time, floor), for devices that boot in 1970.
 *  Process-wide; the highest floor ever set counts. */
void hf_trust_store_set_clock_floor(int64_t floor_s);

/** Validate certificates at exactly this time, for tools and tests; INT64_MIN: the system's again.
 *  Process-wide. */
void hf_trust_store_set_clock(int64_t now_s);

/** Take the common name of a server's certificate for its host name where it has no subjectAltName,
 *  as old private servers need it. Off at first (RFC 9525). Process-wide. The programs have
 *  `--common-names` and `holdfast config set common-names yes`, which a device that holds STATE
 *  needs too: its trials verify the same servers. */
void hf_trust_store_accept_common_names(bool is_accepted);

/** The clock floor and the swap as the port that hf_client_open takes. */
struct hf_trust_port hf_trust_store_port(struct hf_trust_store *store);

/**
 * Verify the peers of `config` against this store: sets the CA callback, the verify callback and
 * MBEDTLS_SSL_VERIFY_REQUIRED. The configuration keeps everything else. `store` must outlive it.
 * HF_E_ARGUMENT when the application was compiled with another Mbed TLS configuration.
 */
#define hf_trust_store_bind(store, config, why)                                                    \
    hf_trust_store_bind_checked((store), (config), HF_TRUST_STORE_ABI, (why))

/* What must agree between the application and the library. */
struct hf_trust_store_abi {
    unsigned version_number;
    size_t ssl_config_size;
    size_t ssl_context_size;
    size_t x509_crt_size;
};
#define HF_TRUST_STORE_ABI_VALUES                                                                  \
    {                                                                                              \
        MBEDTLS_VERSION_NUMBER, sizeof(mbedtls_ssl_config), sizeof(mbedtls_ssl_context),           \
            sizeof(mbedtls_x509_crt)                                                               \
    }
#ifdef __cplusplus
#define HF_TRUST_STORE_ABI (hf_trust_store_abi HF_TRUST_STORE_ABI_VALUES)
#else
#define HF_TRUST_STORE_ABI ((struct hf_trust_store_abi)HF_TRUST_STORE_ABI_VALUES)
#endif
HF_MUST_USE enum hf_err hf_trust_store_bind_checked(struct hf_trust_store *store,
                                                    mbedtls_ssl_config *config,
                                                    struct hf_trust_store_abi abi,
                                                    struct hf_why *why);

/**
 * Prove that a client with `config` refuses wrong servers. Call it once at start-up, when the
 * configuration is complete. For each version of TLS that it allows, two handshakes in memory with
 * temporary servers: one whose CA is in no store, one whose CA is trusted but whose
 * certificate is for another host. It uses no network and does not change `config`, and no other
 * thread trusts the temporary CA. The application's callbacks
 * are called with these certificates ("throwaway.invalid"). What is set for one connection only
 * (mbedtls_ssl_set_verify, no mbedtls_ssl_set_hostname) is not seen.
 *
 * It takes some ten milliseconds and about 105 KiB of heap. A configuration that offers no
 * ECDSA has an RSA key made for it, which can take seconds.
 *
 * HF_OK             certificates are verified, against `store`, and so are host names.
 * HF_E_POLICY       they are not; the error names the check that is off and what turns it on.
 * HF_E_TLS          it could not be tested: the handshakes did not reach a certificate.
 * HF_E_ARGUMENT     as bind; a configuration of a server or for DTLS, or not complete.
 * HF_E_STATE, HF_E_MEMORY
 */
#define hf_trust_store_check_config(store, config, why)                                            \
    hf_trust_store_check_config_checked((store), (config), HF_TRUST_STORE_ABI, (why))
HF_MUST_USE enum hf_err hf_trust_store_check_config_checked(struct hf_trust_store *store,
                                                            const mbedtls_ssl_config *config,
                                                            struct hf_trust_store_abi abi,
                                                            struct hf_why *why);

/**
 * The verify callback that bind installs, for an application that has its own: call it from there
 * for every certificate, with the store as context, and keep the flags it adds.
 */
int hf_trust_store_verify(void *store, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/**
 * For a CA callback that joins several stores, at most four: `*out` is a copy, to be freed by Mbed
 * TLS, of the next certificate of a valid path, or NULL where there is none. 0 or an Mbed TLS
 * error. Where one joined store finds a path, the chain is valid: call hf_trust_store_verify of
 * each for every certificate. What a store refuses that the CA callback has not asked is refused.
 * Where no store has a path, answer with one empty certificate (mbedtls_calloc,
 * mbedtls_x509_crt_init): it ends Mbed TLS's own search, which costs signatures.
 */
int hf_trust_store_candidates(void *store, const mbedtls_x509_crt *child, mbedtls_x509_crt **out);

/**
 * For error messages: write to `out` (at most `cap` bytes with the NUL; HF_WHY_MAX are enough) why
 * the list that a server sent is not valid, such as `certificate 1 "CN=…": expired on 2025-10-19`,
 * or "" if it is. To be called from a verify callback at depth 0, where `crt` is the list, when the
 * flags are not 0: Mbed TLS has few flags, and names of hosts are its own to check. Costs as much
 * as the verdict.
 */
void hf_trust_store_explain(struct hf_trust_store *store, const mbedtls_x509_crt *list, char *out,
                            size_t cap);

/** Number of the current generation: 0 before the first swap, +1 with each. */
uint64_t hf_trust_store_generation(const struct hf_trust_store *store);

/*
 * TLS session resumption. A resumed session is not verified again, so sessions belong to the
 * generation that verified them. They last at most a day from the verification, however often they
 * are resumed, and never past the end of an anchor. Sessions that are saved here are dropped in
 * time.
 *
 *     struct hf_trust_resumption r = hf_trust_store_resume(store, "host:8883", &ssl);
 *     ... mbedtls_ssl_handshake(&ssl) ...
 *     hf_trust_store_save(store, "host:8883", r, &ssl);
 *
 * With TLS 1.3 a ticket comes after the handshake, as MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET
 * out of mbedtls_ssl_read: save then, and read again. Mbed TLS drops these tickets unless
 * mbedtls_ssl_conf_tls13_enable_signal_new_session_tickets was called for the configuration.
 */

/* The basis of the trust in a connection, known before its handshake. */
struct hf_trust_resumption {
    uint64_t generation; /* that was in force */
    int64_t verified_s;  /* when the session offered was verified; now, where none was offered */
};

/**
 * Call before the handshake: offers a saved session for `peer` ("host:port"), if there is one. Pass
 * the result to hf_trust_store_save of the same connection.
 */
struct hf_trust_resumption hf_trust_store_resume(struct hf_trust_store *store, const char *peer,
                                                 mbedtls_ssl_context *ssl);

/**
 * Keep the session of an established connection for `peer`. A session is not kept if it was not
 * verified or is older than the newest swap.
 */
void hf_trust_store_save(struct hf_trust_store *store, const char *peer,
                         struct hf_trust_resumption resumption, mbedtls_ssl_context *ssl);

#ifdef __cplusplus
}
#endif

#endif
