/*
 * A store port over plain files, as the conformance suite looks into it: DIR/ROLE.json is the
 * trusted metadata of a role, its name percent-encoded; DIR/NAME is a small value. No bundles, and
 * no transactions: there are no power cuts here.
 */
#ifndef HF_TESTS_CONFORMANCE_FILE_STORE_H
#define HF_TESTS_CONFORMANCE_FILE_STORE_H

#include <holdfast/port.h>

struct file_store {
    const char *dir; /* borrowed; exists */
};

struct hf_store_port file_store_port(struct file_store *store);

#endif
