/* What a repository in memory holds, as holdfastd has it: read, and not yet checked. */
#ifndef HF_TESTS_SUPPORT_SERVE_EDITION_H
#define HF_TESTS_SUPPORT_SERVE_EDITION_H

#include "server/serve/edition.h"
#include "tests/support/tuf_repo.h"

/** One reference; sorted. Fails the running test without memory. */
struct hf_edition *serve_edition_of(const struct tuf_repo *repo);

/** A file more, before it is sorted. */
void serve_edition_add(struct hf_edition *g, const char *path, struct hf_bytes bytes);

#endif
