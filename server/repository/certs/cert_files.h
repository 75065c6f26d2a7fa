/* Certificates from files, PEM with any number of them or DER with one, and from folders of
 * such. */
#ifndef HF_REPOSITORY_CERT_FILES_H
#define HF_REPOSITORY_CERT_FILES_H

#include "common/bundle/bundle.h"
#include "server/repository/base/findings.h"
#include "server/repository/certs/known_roots.h"

/* Where Debian's package ca-certificates has Mozilla's roots, one file each. */
#define HF_DEBIAN_ROOTS "/usr/share/ca-certificates/mozilla"

/** All is borrowed; lists are NULL-terminated or NULL. */
struct hf_cert_source {
    const char *const *paths;   /* files, and folders: their *.pem, *.crt and so on, by name */
    const char *const *selects; /* only what one of these means (select.h); NULL: everything */
    const struct hf_known_roots *known; /* for `selects`; may be NULL without them */
    const struct hf_bundle *present;    /* what is here already is passed over; NULL */
    /* What only a whole table chooses is left out when it has expired at `at_s`: it was not asked
     * for. Noted in `left_out`; NULL: dates are looked at later, by the user of the result. */
    struct hf_findings *left_out;
    int64_t at_s;
    bool are_named; /* a person named `paths`: what `selects` leave out of them is noted too */
    /* What the tables of `selects` have and `paths` do not is noted, unless lint says it of this
     * set; NULL: is not noted. */
    const char *set;
    /* Files that cannot be read, and certificates that do not parse, are noted there and passed
     * over; NULL: the first one is an error. */
    struct hf_findings *problems;
};

/**
 * Append the certificates of `source`, in order, to `pem`: each once, however often it is given.
 * Each must parse. HF_E_ARGUMENT for a select that means none of them. HF_E_NOT_FOUND, HF_E_LIMIT.
 */
HF_MUST_USE enum hf_err hf_cert_files_read(const struct hf_cert_source *source, struct hf_buf *pem,
                                           struct hf_why *why);

/**
 * The files that `paths` stand for, folders opened: `*out` is NULL-terminated, as are its texts
 * for hf_cert_paths_free. HF_E_NOT_FOUND for a folder without certificates.
 */
HF_MUST_USE enum hf_err hf_cert_paths_find(const char *const *paths, char ***out,
                                           struct hf_why *why);
void hf_cert_paths_free(char **paths);

#endif
