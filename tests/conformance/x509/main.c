/*
 * holdfast-x509-limbo: the harness for C2SP/x509-limbo. Reads its test cases as JSON from standard
 * input and writes the results as JSON. tests/conformance/x509/README.md.
 */
#include "tests/conformance/x509/limbo.h"

#include "tests/support/x509_oracle.h"

#include <popt.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum x509_answer judge_tls12(const struct x509_case *c, struct hf_why *why)
{
    return x509_judge_live(c, MBEDTLS_SSL_VERSION_TLS1_2, why);
}

static enum x509_answer judge_tls13(const struct x509_case *c, struct hf_why *why)
{
    return x509_judge_live(c, MBEDTLS_SSL_VERSION_TLS1_3, why);
}

static const struct judge {
    const char *name;
    enum x509_answer (*ask)(const struct x509_case *c, struct hf_why *why);
} judges[] = {
    {"verdict", x509_judge_verdict},
    {"tls12", judge_tls12},
    {"tls13", judge_tls13},
    {"oracle", x509_oracle},
};

static const struct judge *judge_of(const char *name)
{
    for (size_t i = 0; i < sizeof judges / sizeof judges[0]; i++)
        if (strcmp(judges[i].name, name) == 0)
            return &judges[i];
    return NULL;
}

static json_t *result(const char *id, const char *what, const char *context)
{
    return json_pack("{s:s, s:s, s:s?}", "id", id, "actual_result", what, "context", context);
}

static json_t *evaluate(const struct judge *judge, const json_t *testcase)
{
    static struct limbo_case c;
    const char *id = json_string_value(json_object_get(testcase, "id"));
    const char *unsupported = limbo_unsupported(testcase);
    struct hf_why why = {0};
    enum x509_answer answer = X509_REFUSED;

    if (id == NULL)
        return NULL;
    if (unsupported != NULL)
        return result(id, "SKIPPED", unsupported);
    if (limbo_case_read(testcase, &c, &why) == HF_OK)
        answer = judge->ask(&c.question, &why);
    limbo_case_free(&c);
    switch (answer) {
    case X509_ACCEPTED:
        return result(id, "SUCCESS", NULL);
    case X509_NOT_ASKED:
        return result(id, "SKIPPED", "there are more paths than are tried");
    case X509_REFUSED:
        break;
    }
    return result(id, "FAILURE", why.text);
}

static int fail(const char *what, const char *detail)
{
    fprintf(stderr, "holdfast-x509-limbo: %s: %s\n", what, detail);
    return 2;
}

int main(int argc, const char **argv)
{
    char *name = NULL;
    const struct poptOption table[] = {
        {"judge", 0, POPT_ARG_STRING, &name, 0,
         "verdict (the default, what probes and lint go by), tls12 or tls13 (a handshake)", "NAME"},
        POPT_AUTOHELP POPT_TABLEEND};
    poptContext popt = poptGetContext("holdfast-x509-limbo", argc, argv, table, 0);
    bool is_usage = poptGetNextOpt(popt) == -1 && poptPeekArg(popt) == NULL;
    const struct judge *judge = judge_of(name == NULL ? "verdict" : name);
    json_error_t error;
    const json_t *testcase;
    size_t i;

    poptFreeContext(popt);
    free(name);
    if (!is_usage || judge == NULL)
        return fail("usage error", "see --help");
    if (sodium_init() < 0)
        return fail("libsodium", "cannot be set up");
    json_t *limbo = json_loadf(stdin, 0, &error);
    if (limbo == NULL)
        return fail("standard input", error.text);
    json_t *results = json_array(), *all = NULL;
    bool is_ok = true;
    json_array_foreach(json_object_get(limbo, "testcases"), i, testcase)
        is_ok = is_ok && json_array_append_new(results, evaluate(judge, testcase)) == 0;
    int code = is_ok ? 0 : fail("standard input", "a test case has no id");
    if (is_ok)
        all = json_pack("{s:i, s:s, s:O}", "version", 1, "harness", "holdfast-" HF_VERSION,
                        "results", results);
    if (is_ok && json_dumpf(all, stdout, JSON_INDENT(2)) != 0)
        code = fail("standard output", "cannot be written");
    json_decref(all);
    json_decref(results);
    json_decref(limbo);
    return code;
}
