/*
 * Errors of all functions.
 *
 * A function that can fail returns an hf_err and, through `why`, one sentence for a person: what
 * was expected, what was found, what to do. The code is for the program, the sentence for the
 * reader of the log. No code is shown to a person without a sentence.
 */
#ifndef HOLDFAST_ERROR_H
#define HOLDFAST_ERROR_H

#if defined(__GNUC__)
#define HF_MUST_USE __attribute__((warn_unused_result))
#define HF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define HF_MUST_USE
#define HF_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Devices store sets of these as bits: new ones come at the end. */
enum hf_err {
    HF_OK = 0,
    HF_E_ARGUMENT,     /* an invalid argument of the caller */
    HF_E_MEMORY,       /* an allocation failed */
    HF_E_FORMAT,       /* bytes are not what their format says */
    HF_E_LIMIT,        /* larger, longer or more than limits.h allows */
    HF_E_SIGNATURE,    /* fewer distinct keys have signed than the threshold asks */
    HF_E_ROLLBACK,     /* a version lower than one already trusted, or not the one announced */
    HF_E_SAME_VERSION, /* the very version that is trusted already; no news, not a fault */
    HF_E_EXPIRED,      /* the metadata's expiry has passed */
    HF_E_HASH,         /* a hash or length differs from the one announced */
    HF_E_POLICY,       /* well-formed, but not something that may be trusted */
    HF_E_NOT_FOUND,    /* does not exist, where existing is not required */
    HF_E_NETWORK,      /* no answer, or one that is not HTTP as expected */
    HF_E_TLS,          /* the TLS handshake failed */
    HF_E_STORAGE,      /* disk: full, read-only, damaged, unreadable */
    HF_E_SCHEMA,       /* written by a newer Holdfast; readable, not writable */
    HF_E_BUSY,         /* another process holds the lock */
    HF_E_KEY,          /* a private key is missing, damaged or its passphrase is wrong */
    HF_E_STATE,        /* called in the wrong order */
    HF_E_UNTRUSTED,    /* a TLS server's chain does not validate under the trust store */
    HF_E_POSTPONED,    /* not now, and nothing is wrong: it goes on by itself at a later check */
};

#define HF_WHY_MAX 640 /* bytes of a sentence, its NUL included; longer ones end in "…" */

struct hf_why {
    enum hf_err code;
    char text[HF_WHY_MAX];
};

/**
 * Write the sentence (no trailing newline or full stop needed) and return `code`.
 * `why` may be NULL: then only the code travels.
 */
enum hf_err hf_fail(struct hf_why *why, enum hf_err code, const char *fmt, ...) HF_PRINTF(3, 4);

/** Put a part in front of the sentence already there ("mirror http://…: …"). Returns why->code;
 *  with a NULL `why`, which has lost the code, HF_E_STATE. */
enum hf_err hf_fail_context(struct hf_why *why, const char *fmt, ...) HF_PRINTF(2, 3);

/** A short stable name for scripts and journals, such as "signature". Never NULL. */
const char *hf_err_name(enum hf_err code);

/** Return early from a function that holds nothing. */
#define HF_TRY(expr)                                                                               \
    do {                                                                                           \
        enum hf_err hf_try_err_ = (expr);                                                          \
        if (hf_try_err_ != HF_OK)                                                                  \
            return hf_try_err_;                                                                    \
    } while (0)

#ifdef __cplusplus
}
#endif

#endif
