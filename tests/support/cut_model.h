/*
 * What the disk of cut_disk.h is made of: files that may have no name, names, and what was done and
 * not synced yet. cut_disk.c does the operations, cut_model.c is about what becomes of them.
 */
#ifndef HF_TESTS_SUPPORT_CUT_MODEL_H
#define HF_TESTS_SUPPORT_CUT_MODEL_H

#include "tests/support/disk_image.h"

#define CUT_NODES_MAX 256
#define CUT_NAMES_MAX 256
#define CUT_PENDING_MAX 2048
#define CUT_PATH_BYTES 256

/* A file, link or folder, whatever its names. */
struct cut_node {
    enum disk_kind kind;
    unsigned mode;
    struct hf_buf content; /* on disk for certain */
};

struct cut_name {
    char path[CUT_PATH_BYTES]; /* below the folder */
    int node;
};

struct cut_names {
    struct cut_name items[CUT_NAMES_MAX];
    size_t n;
};

enum cut_kind { CUT_WRITE, CUT_TRUNCATE, CUT_NAME, CUT_UNNAME };

/* What was done and not synced yet. CUT_NAME: `path` is `node`; `from`, where there is one, is
 * nothing any more. */
struct cut_pending {
    enum cut_kind kind;
    int node;
    int64_t offset; /* of CUT_WRITE; the length of CUT_TRUNCATE */
    struct hf_buf bytes;
    char path[CUT_PATH_BYTES];
    char from[CUT_PATH_BYTES];
};

struct cut_model {
    char folder[CUT_PATH_BYTES];
    bool is_on;
    bool is_counting;
    unsigned n_operations;
    unsigned cut_at;
    bool is_cut_at_sync;
    uint64_t seed;
    uint64_t random;
    struct cut_node nodes[CUT_NODES_MAX];
    int n_nodes;
    struct cut_names now;    /* what the program sees */
    struct cut_names synced; /* what is on disk for certain */
    struct cut_pending pending[CUT_PENDING_MAX];
    size_t n_pending;
};
extern struct cut_model cut_model;

/** The next random number of the seed's. */
uint64_t cut_model_draw(void);

void cut_name_set(struct cut_names *names, const char *path, int node);
/** Where `path` is another node by now, it stays. */
void cut_name_unset(struct cut_names *names, const char *path, int node);

/** What the program sees at `path`; -1 for nothing. */
int cut_node_at(const char *path);
int cut_node_add(enum disk_kind kind, unsigned mode, struct hf_bytes content);

/** To be filled. */
struct cut_pending *cut_pending_add(enum cut_kind kind, int node);
/** It is on disk. */
void cut_model_do(const struct cut_pending *op);
/** Do what a sync of `path`, which is `node`, keeps; all of it where `path` is NULL. `may_lose`: or
 *  lose it, as the seed says. It is not pending any more. */
void cut_model_settle(const char *path, int node, bool may_lose);

#endif
