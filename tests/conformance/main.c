/* holdfast-conformance: the command line of tuf-conformance's CLIENT-CLI.md. */
#include "tests/conformance/session.h"

#include <popt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Owned texts, as popt fills them. */
struct words {
    char *metadata_dir;
    char *metadata_url;
    char *target_dir;
    char *target_base_url;
    char **target_names;
};

static void words_free(struct words *words)
{
    for (char **name = words->target_names; name != NULL && *name != NULL; name++)
        free(*name);
    free(words->target_names);
    free(words->metadata_dir);
    free(words->metadata_url);
    free(words->target_dir);
    free(words->target_base_url);
}

static int usage(const char *fault)
{
    fprintf(
        stderr,
        "holdfast-conformance: %s\n"
        "Usage: holdfast-conformance --metadata-dir DIR init ROOT_JSON\n"
        "       holdfast-conformance --metadata-dir DIR --metadata-url URL refresh\n"
        "       holdfast-conformance --metadata-dir DIR --metadata-url URL --target-name PATH…\n"
        "           --target-base-url URL --target-dir DIR download\n"
        "A client for theupdateframework/tuf-conformance; tests/conformance/README.md.\n",
        fault);
    return 1;
}

static int finish(enum hf_err err, const struct hf_why *why)
{
    if (err == HF_OK)
        return 0;
    fprintf(stderr, "holdfast-conformance: %s: %s\n", hf_err_name(err), why->text);
    return 1;
}

static int dispatch(const struct words *words, const char *command, const char *argument)
{
    struct session_options options = {
        words->metadata_dir,
        words->metadata_url,
        words->target_dir,
        words->target_base_url,
        (const char *const *)words->target_names,
    };
    struct hf_why why = {0};

    if (command == NULL || options.metadata_dir == NULL)
        return usage("a command and --metadata-dir are wanted");
    if (strcmp(command, "init") == 0 && argument != NULL)
        return finish(session_init(&options, argument, &why), &why);
    if (argument != NULL || options.metadata_url == NULL)
        return usage("the command wants --metadata-url and no further word");
    if (strcmp(command, "refresh") == 0)
        return finish(session_refresh(&options, &why), &why);
    if (strcmp(command, "download") != 0)
        return usage("the commands are init, refresh and download");
    if (options.target_names == NULL || options.target_dir == NULL ||
        options.target_base_url == NULL)
        return usage("download wants --target-name, --target-dir and --target-base-url");
    return finish(session_download(&options, &why), &why);
}

static int run(poptContext popt, const struct words *words)
{
    int code = poptGetNextOpt(popt);
    if (code < -1)
        return usage(poptStrerror(code));
    const char *command = poptGetArg(popt);
    const char *argument = poptGetArg(popt);
    return dispatch(words, command, argument);
}

int main(int argc, const char **argv)
{
    struct words words = {0};
    const struct poptOption options[] = {
        {"metadata-dir", '\0', POPT_ARG_STRING, &words.metadata_dir, 0, NULL, NULL},
        {"metadata-url", '\0', POPT_ARG_STRING, &words.metadata_url, 0, NULL, NULL},
        {"target-name", '\0', POPT_ARG_ARGV, &words.target_names, 0, NULL, NULL},
        {"target-dir", '\0', POPT_ARG_STRING, &words.target_dir, 0, NULL, NULL},
        {"target-base-url", '\0', POPT_ARG_STRING, &words.target_base_url, 0, NULL, NULL},
        {NULL, '\0', 0, NULL, 0, NULL, NULL},
    };

    if (sodium_init() < 0)
        return usage("the cryptographic library cannot be initialised");
    poptContext popt = poptGetContext("holdfast-conformance", argc, argv, options, 0);
    int exit_code = run(popt, &words);
    poptFreeContext(popt);
    words_free(&words);
    return exit_code;
}
