/* What a request to the fleet service leaves in memory: nothing of the token. */
#include "client/port/identity/service.h"
#include "tests/support/check.h"

#include <jansson.h>
#include <malloc.h>
#include <stdlib.h>

#define TOKEN "enrolment-token-of-a-test"

static unsigned n_left; /* blocks that were freed with the token in them */

static void free_and_look(void *block)
{
    size_t size = block != NULL ? malloc_usable_size(block) : 0;

    if (size > 0 && memmem(block, size, TOKEN, sizeof TOKEN - 1) != NULL)
        n_left++;
    free(block);
}

static enum hf_err refuse(void *ctx, const struct hf_api_request *request,
                          struct hf_api_response *out, struct hf_why *why)
{
    unsigned *n_asked = ctx;

    (void)why;
    assert_non_null(memmem(request->json.data, request->json.len, TOKEN, sizeof TOKEN - 1));
    (*n_asked)++;
    out->status = 403;
    out->is_problem = true;
    return HF_OK;
}

static void the_token_is_wiped_before_its_memory_is_free(void **state)
{
    unsigned n_asked = 0;
    struct hf_service service = {.api = {&n_asked, refuse}};
    struct hf_buf certificate = {0};
    (void)state;

    json_set_alloc_funcs(malloc, free_and_look);
    CHECK_OK(hf_service_set_url(&service, "https://fleet.example", NULL));
    assert_int_equal(hf_service_enroll(&service, "a request", "pump-1", TOKEN, NULL, &certificate,
                                       NULL),
                     HF_E_POLICY);
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(n_asked, 1);
    assert_int_equal(n_left, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_token_is_wiped_before_its_memory_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
