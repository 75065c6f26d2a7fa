#include "tests/support/fake_token.h"

#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

void fake_token_use(const struct temp_dir *dir, const char *faults)
{
    assert_int_equal(setenv("HF_FAKE_TOKEN", faults, 1), 0);
    assert_int_equal(setenv("HF_FAKE_TOKEN_LOG", temp_path(dir, "log"), 1), 0);
}

const char *fake_token_uri_with_pin(const struct temp_dir *dir, const char *path, const char *pin)
{
    static char uris[4][1024];
    static size_t next;
    char *uri = uris[next++ % 4];
    const char *file = temp_path(dir, "pin");
    int len = snprintf(uri, sizeof uris[0], "pkcs11:%s?module-path=%s/hf-fake-token.so", path,
                       HF_TEST_MODULES_DIR);
    if (pin == NULL)
        return uri;
    temp_write(file, pin);
    assert_int_equal(chmod(file, 0600), 0);
    (void)snprintf(uri + len, sizeof uris[0] - (size_t)len, "&pin-source=%s", file);
    return uri;
}

const char *fake_token_uri(const struct temp_dir *dir, const char *path)
{
    return fake_token_uri_with_pin(dir, path, "123456\n");
}

const char *fake_token_log(const struct temp_dir *dir)
{
    const char *path = temp_path(dir, "log");
    return temp_exists(path) ? temp_read(path) : "";
}
