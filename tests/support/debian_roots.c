#include "tests/support/debian_roots.h"

#include "tests/support/check.h"

#include <stdio.h>

#define FOLDER "/usr/share/ca-certificates/mozilla/"

const struct debian_root debian_roots[DEBIAN_ROOTS] = {
    {"Amazon_Root_CA_1.crt", "CN=Amazon Root CA 1", "RSA 2048", "2038-01-17",
     "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
     "fbe3018031f9586bcbf41727e417b7d1c45c2f47f93be372a17b96b50757d5a2"},
    {"Amazon_Root_CA_2.crt", "CN=Amazon Root CA 2", "RSA 4096", "2040-05-26",
     "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
     "7f4296fc5b6a4e3b35d3c369623e364ab1af381d8fa7121533c9d6c633ea2461"},
    {"Amazon_Root_CA_3.crt", "CN=Amazon Root CA 3", "P-256", "2040-05-26",
     "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
     "36abc32656acfc645c61b71613c4bf21c787f5cabbee48348d58597803d7abc9"},
    {"Amazon_Root_CA_4.crt", "CN=Amazon Root CA 4", "P-384", "2040-05-26",
     "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
     "f7ecded5c66047d28ed6466b543c40e0743abe81d109254dcf845d4c2c7853c5"},
    {"Starfield_Services_Root_Certificate_Authority_-_G2.crt",
     "CN=Starfield Services Root Certificate Authority - G2", "RSA 2048", "2037-12-31",
     "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
     "2b071c59a0a0ae76b0eadb2bad23bad4580b69c3601b630c2eaf0613afa83f92"},
};

void debian_root_load(const struct debian_root *root, struct hf_buf *out)
{
    char path[256], text[4096];
    assert_true(snprintf(path, sizeof path, FOLDER "%s", root->file) < (int)sizeof path);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        print_message("skipped: %s is not there (package ca-certificates)\n", path);
        skip();
        return;
    }
    size_t len = fread(text, 1, sizeof text, file);
    (void)fclose(file);
    assert_in_range(len, 1, sizeof text - 1);
    CHECK_OK(hf_buf_append(out, text, len));
}
