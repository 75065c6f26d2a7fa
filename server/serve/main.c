/* holdfastd: serves a TUF repository over HTTP. Holds no key. */
#include "server/serve/log.h"
#include "server/serve/server.h"
#include "common/json/json.h"

#include <sodium.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    struct hf_serve_options options;
    struct hf_why why;

    hf_json_seed(randombytes_random());
    enum hf_options_end end = hf_serve_options_parse(argc, (const char **)argv, &options, &why);
    if (end == HF_OPTIONS_DONE) {
        if (fflush(stdout) == 0 && ferror(stdout) == 0)
            return 0;
        (void)fputs("holdfastd: standard output could not be written\n", stderr);
        return 1;
    }
    if (end == HF_OPTIONS_WRONG) {
        (void)fprintf(stderr, "holdfastd: %s\n", why.text);
        return 2;
    }
    enum hf_err err = hf_server_run(&options, &why);
    hf_serve_options_free(&options);
    if (err == HF_OK)
        return 0;
    hf_serve_log(HF_LOG_ERROR, "%s", why.text);
    return 1;
}
