#include "tests/support/serve_edition.h"

#include "tests/support/check.h"

#include <stdlib.h>

void serve_edition_add(struct hf_edition *g, const char *path, struct hf_bytes bytes)
{
    struct hf_file_mark mark = {0};
    struct hf_served_file *served = NULL;
    struct hf_why why;
    struct hf_buf name = {0};
    uint8_t *body = malloc(bytes.len + 1);
    assert_non_null(body);
    if (bytes.len > 0)
        memcpy(body, bytes.data, bytes.len);
    CHECK_OK(hf_buf_printf(&name, "/%s", path));
    CHECK_OK(
        hf_served_file_new_take((const char *)name.data, &mark, body, bytes.len, &served, &why));
    CHECK_OK(hf_edition_add_take(g, served, &why));
    hf_buf_free(&name);
}

struct hf_edition *serve_edition_of(const struct tuf_repo *repo)
{
    struct hf_edition *g = NULL;
    struct hf_why why;
    CHECK_OK(hf_edition_new(&g, &why));
    for (size_t i = 0; i < repo->files.n_files; i++)
        serve_edition_add(g, repo->files.files[i].path, hf_buf_bytes(&repo->files.files[i].bytes));
    hf_edition_sort(g);
    return g;
}
