/* server/api: a method, a request target and a body, for every route of the API. What is accepted
 * fits the route; the sentence of a refusal is one line that can be shown. */
#include "tests/fuzz/fuzz.h"

#include "server/api/api.h"
#include "server/api/problem.h"
#include "server/api/route.h"

static void check_member(const struct hf_body_field *field, const json_t *value)
{
    if (value == NULL)
        return;
    if (json_is_string(value) && field->max != 0)
        FUZZ_CHECK(json_string_length(value) <= field->max);
    if (json_is_integer(value))
        FUZZ_CHECK(json_integer_value(value) >= field->min);
    if (json_is_array(value))
        FUZZ_CHECK(json_array_size(value) <= HF_API_LISTED_MAX);
}

static void check_body(const struct hf_api_route *route, struct hf_bytes text)
{
    struct hf_why why = {0};
    json_t *body = NULL;
    enum hf_err err = hf_body_read(text, route->body, &body, &why);
    if (err != HF_OK) {
        struct hf_buf problem = {0};
        fuzz_check_refusal(err, &why);
        FUZZ_OK(hf_problem_write(400, &why, &problem), &why);
        hf_buf_free(&problem);
        FUZZ_CHECK(body == NULL);
        return;
    }
    for (const struct hf_body_field *f = route->body; f != NULL && f->kind != HF_BODY_END; f++) {
        check_member(f, json_object_get(body, f->name));
        FUZZ_CHECK(!f->is_required || json_object_get(body, f->name) != NULL);
    }
    FUZZ_CHECK(body == NULL || route->body != NULL);
    json_decref(body);
}

static void check_match(const struct hf_api_match *match)
{
    FUZZ_CHECK(match->limit >= 1 && match->limit <= HF_FLEET_PAGE_MAX && match->after >= 0);
    for (size_t i = 0; i < HF_API_PARAMS_MAX; i++)
        FUZZ_CHECK(memchr(match->params[i], '\0', sizeof match->params[i]) != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const llhttp_method_t methods[] = {HTTP_GET, HTTP_POST, HTTP_PATCH, HTTP_DELETE,
                                              HTTP_PUT};
    struct fuzz_input in = {data, size};
    struct hf_api_match match;
    struct hf_why why = {0};
    llhttp_method_t method = methods[fuzz_below(&in, 5)];
    bool is_device = fuzz_below(&in, 2) == 1;
    struct hf_bytes target = fuzz_section(&in);
    unsigned status = hf_api_route_find(is_device ? hf_api_device_routes : hf_api_admin_routes,
                                        method, (const char *)target.data, target.len, &match,
                                        &why);
    if (status != 0) {
        FUZZ_CHECK(status == 400 || status == 404 || status == 405);
        fuzz_check_refusal(why.code, &why);
    } else {
        check_match(&match);
        check_body(match.route, fuzz_section(&in));
    }
    return 0;
}
