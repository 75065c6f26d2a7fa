#include "tests/support/captured.h"

#include "common/bundle/pem.h"
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX (64 * 1024)

void captured_read(const char *name, struct hf_buf *out)
{
    const char *folder = getenv("HF_TEST_DATA");
    char path[512], content[FILE_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", folder != NULL ? folder : HF_TEST_DATA_DIR, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        print_message("SKIPPED: %s is missing\n", path);
        skip();
        return;
    }
    size_t len = fread(content, 1, sizeof content, file);
    (void)fclose(file);
    CHECK_OK(hf_buf_append(out, content, len));
}

static enum hf_err append(void *ctx, size_t index, struct hf_bytes der, struct hf_why *why)
{
    (void)why;
    assert_int_equal(index, 0);
    return hf_buf_append(ctx, der.data, der.len);
}

void captured_read_der(const char *name, struct hf_buf *out)
{
    struct hf_buf pem = {0};
    captured_read(name, &pem);
    CHECK_OK(hf_pem_walk(hf_buf_bytes(&pem), append, out, NULL));
    hf_buf_free(&pem);
}
