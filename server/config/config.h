/*
 * The service's one configuration file: INI with comments (inih), read by holdfastd and
 * holdfast-signer. Every key is a row of one table (config.c): where its value goes, what it may
 * be, what it is without one. An unknown section or key, a key given twice and a value out of
 * bounds are errors, so that a typo never turns a protection off.
 */
#ifndef HF_CONFIG_CONFIG_H
#define HF_CONFIG_CONFIG_H

#include <holdfast/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whole file, in bytes: the commented example takes 5 KiB. */
#define HF_CONFIG_BYTES_MAX (64u * 1024u)
/* inih splits longer lines silently, so they are refused. */
#define HF_CONFIG_LINE_MAX 190u
#define HF_CONFIG_LIST_MAX 32u /* values of one key: certificates, balancers */
#define HF_CONFIG_PATH "/etc/holdfast/holdfast.conf"

struct hf_config_list {
    char **items; /* owned */
    size_t n;
};

enum hf_config_sni { HF_CONFIG_SNI_REQUIRED, HF_CONFIG_SNI_OPTIONAL };

/* NULL or an empty list: not given. Paths are as written; they must be absolute. Times in
 * seconds. */
struct hf_config {
    struct {
        char *path;
    } repository;
    struct {
        char *listen;
    } http; /* static files without TLS, for everyone */
    struct {
        char *listen;
        struct hf_config_list certificates, keys; /* the n-th key belongs to the n-th certificate */
        struct hf_config_list balancers; /* networks whose connections begin with PROXY v2 */
        int64_t sni;                     /* enum hf_config_sni */
    } devices;
    struct {
        int64_t loops; /* 0: one a core */
        int64_t max_connections, max_per_address;
        int64_t header_timeout_s, idle_timeout_s;
        char *access_log; /* "off", "-" or a file */
        char *state;
    } server;
    struct {
        char *socket;
        char *listen;
        struct hf_config_list certificates, keys;
    } admin;
    struct {
        char *path;
        int64_t report_keep_s;
        int64_t unverified_reports; /* of an account */
    } database;
    struct {
        char *socket;
        char *client_user; /* who may connect */
        char *state;
        char *keys;
        char *passphrase_file;
        int64_t timestamp_every_s;
        int64_t issue_per_day;
        int64_t issue_per_day_per_ca;
    } signer;
    struct {
        int64_t every_s;
        int64_t ca_expiring_s, certificate_expiring_s;
        int64_t certificate_age_s; /* 0: off */
        int64_t rotation_stuck_s;
        int64_t device_silent_s, device_silent_after_update_s;
        int64_t device_behind_s, anchor_ends_s;
        int64_t clock_wrong_s, conflict_s;
        int64_t metadata_ending_s, online_metadata_ending_s;
        struct hf_config_list weak_keys, crls; /* files */
    } audits;
    struct {
        char *url;
        char *secret_file;
        char *ca_file;
    } webhook;
};

/** Read and check `path`. `out` is written on HF_OK only, and is to be freed. HF_E_NOT_FOUND,
 *  HF_E_LIMIT, HF_E_FORMAT and HF_E_ARGUMENT with file, section, key, what was expected and what
 *  was found. */
HF_MUST_USE enum hf_err hf_config_read(const char *path, struct hf_config *out, struct hf_why *why);
void hf_config_free(struct hf_config *config);

/** The rows of the table one by one, for tests and documents: `*section` and `*name` of row `i`;
 *  false behind the last. */
bool hf_config_row(size_t i, const char **section, const char **name);

/** Does a program that runs take row `i` at SIGHUP? All others need a restart. */
bool hf_config_is_reloadable(size_t i);

/** Do the two say something else for row `i`? */
bool hf_config_differs(const struct hf_config *a, const struct hf_config *b, size_t i);

#endif
