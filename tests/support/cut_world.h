/*
 * A device that a power cut may come to, with a publisher: hf_posix as a whole, real SQLite and
 * real files in a folder of the test's. Only the network is in memory, and the on-swap command is a
 * function here. For tests that are linked with --wrap (tests/CMakeLists.txt); there is one such
 * device.
 */
#ifndef HF_TESTS_SUPPORT_CUT_WORLD_H
#define HF_TESTS_SUPPORT_CUT_WORLD_H

#include "tests/support/fake_transport.h"
#include "tests/support/temp_dir.h"
#include "tests/support/tuf_repo.h"

#define CUT_VERSIONS 3
#define CUT_NO_VERSION (-1)

/* What one version is to be, wherever it is found. */
struct cut_version {
    struct hf_buf pem;   /* as published */
    char exported[8192]; /* as programs read it */
};

struct cut_world {
    struct temp_dir *dir; /* device/ is the state, roots/roots.pem the export */
    struct tuf_repo repo;
    struct fake_transport transport;
    struct cut_version versions[CUT_VERSIONS + 1]; /* by version; 0 is not used */
    bool awaits_confirm;                           /* set before init: the application decides */
    int64_t told_version;                          /* what the on-swap command was told last */
};
extern struct cut_world cut_world;

/* cmocka's setup and teardown: nothing is published, nothing initialised; databases go through
 * cut_vfs.h from then on. */
int cut_world_setup(void **state);
int cut_world_teardown(void **state);
const char *cut_state_dir(void);

/** Publish a version with some anchors of its own. */
void cut_publish(int64_t version);

/* A command each: opens the state, does its work, closes it. */
enum hf_err cut_init(struct hf_why *why);
enum hf_err cut_update(struct hf_why *why);
enum hf_err cut_reject(struct hf_why *why);

/* Nothing is cut: what fails, fails the test. */
void cut_init_device(void);
/** Publish a version, update to it, and remember what it looks like to other programs. */
void cut_update_to(int64_t version);

/*
 * The fleet service of that device, which takes every report. It fails the test if a number comes
 * again with another content, within one installation.
 */

/** The device is another one: nothing is known of it. */
void cut_reports_forget(void);
/** Was an outcome of the install of `version` reported (swapped, confirmed), or the rollback to
 *  it? */
bool cut_reports_has(int64_t version);
/** How many lines the journal has. */
size_t cut_journal_lines(void);
/** Each line about an outcome behind the first `n_before` was reported once, under one number, and
 *  each outcome that was reported stands in a line. */
void cut_reports_check_journal(size_t n_before);

/* What was found, after checking that all places agree to the byte. */
struct cut_found {
    int64_t active; /* CUT_NO_VERSION where there is none */
    int64_t root, timestamp, targets;
};

/** The device must come up able to write, with rows and files of whole versions. */
struct cut_found cut_look(void);
/** The same after an update, which must succeed. */
struct cut_found cut_update_and_look(void);
/** Which version other programs read; every byte of it. */
int64_t cut_exported_version(void);

#endif
