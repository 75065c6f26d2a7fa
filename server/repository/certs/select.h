/* Which certificates a person means: by fingerprint, by subject, or by a table of known roots. */
#ifndef HF_REPOSITORY_SELECT_H
#define HF_REPOSITORY_SELECT_H

#include "server/repository/certs/known_roots.h"

/**
 * Does `text` mean this certificate? The SHA-256 (or the first 16 digits or more) of it or of its
 * key; or the name of a table of known roots that holds its key; or else a part of its subject, of
 * either case.
 */
bool hf_select_matches(const char *text, const struct hf_known_roots *known,
                       const struct hf_cert *cert);

/** Does it mean a whole table, and no certificate in particular? */
bool hf_select_is_table(const char *text, const struct hf_known_roots *known);

enum hf_choice {
    HF_NOT_CHOSEN = 0,
    HF_CHOSEN_BY_TABLE,  /* by a whole table only: no person asked for this one */
    HF_CHOSEN_BY_ITSELF, /* by its fingerprint or subject; or nothing was to be chosen */
};
/** How these (NULL-terminated; NULL or empty: everything is meant) choose the certificate. */
enum hf_choice hf_select_choose(const char *const *texts, const struct hf_known_roots *known,
                                const struct hf_cert *cert);

#endif
