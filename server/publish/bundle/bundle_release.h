/*
 * How every command makes a new version of a bundle: build it on the newest version, derive its
 * profiles, check all of them with lint, sign them in one targets metadata, and publish if the
 * online keys are here.
 */
#ifndef HF_PUBLISH_BUNDLE_RELEASE_H
#define HF_PUBLISH_BUNDLE_RELEASE_H

#include "server/publish/bundle/bundle_build.h"
#include "server/publish/bundle/catalog.h"
#include "server/publish/lint/lint_endpoints.h"
#include "server/repository/publication.h"

/* Older versions stay listed, so that a device that has just selected one can still fetch it. */
#define HF_KEEP_DEFAULT 5
#define HF_KEEP_MAX 1000

/** The options of a command. Lists are NULL-terminated or NULL; all is borrowed. */
struct hf_release_order {
    struct hf_publication_context place;
    struct hf_bundle_order bundle; /* `from`, `known`, `self_signed` are filled in here */
    bool is_new;                   /* --new (catalog.h) */
    const char *from_profile;      /* the newest bundle of this profile is its `from`; NULL: none */
    const char *const *derives;    /* --derive: "rsa", "ecc", also "rsa,ecc" */
    const char *const *accepts;    /* --accept */
    const char *const *roots;      /* --roots: tables beside those compiled in */
    struct hf_lint_sources endpoints;
    const char *device_file;            /* NULL: none */
    const struct hf_rollout_plan *plan; /* of the new versions; NULL: none */
    const char *draft_file;             /* write a draft there and sign nothing; NULL: sign */
    int64_t lead_s;
    int keep;
    bool is_json; /* the report */
};

/** Prints what was published and what lint says. HF_E_POLICY for an error that is not accepted,
 *  and as hf_bundle_build and hf_publication_open. */
HF_MUST_USE enum hf_err hf_release(const struct hf_release_order *order, struct hf_why *why);

/** A release under way: the bundle that was asked for, and the profiles derived from it. */
struct hf_release_run {
    const struct hf_release_order *order;
    struct hf_publication p;
    struct hf_lint_endpoints endpoints;
    struct hf_known_roots known;
    struct hf_catalog catalog; /* as it was before */
    struct hf_bundle_built built[1 + HF_DERIVED_MAX];
    size_t n_built;
    json_t *unlisted;        /* versions that are too old now */
    int64_t targets_version; /* 0: there is nothing to publish, and the targets stay */
    bool is_published;       /* neither published nor, with order->draft_file, signed */
};

#endif
