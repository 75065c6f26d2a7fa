/* server/api/route, body and problem: paths, queries and bodies of any form, without a server. */
#include "tests/support/check.h"

#include "server/api/body.h"
#include "server/api/problem.h"
#include "server/api/route.h"

#include "common/base/timetext.h"

static const struct hf_api_route routes[] = {
    {HTTP_GET, "/v1/a", HF_ADMIN_VIEWER, .is_list = true, .filters = {"status", "device"}},
    {HTTP_POST, "/v1/a", HF_ADMIN_ADMIN},
    {HTTP_GET, "/v1/a/{x}", HF_ADMIN_VIEWER},
    {0},
};
static const struct hf_api_route more_routes[] = {
    {HTTP_GET, "/v1/a/{x}/b/{y}", HF_ADMIN_VIEWER},
    {HTTP_DELETE, "/v1/a/{x}/b/{y}", HF_ADMIN_VIEWER},
    {0},
};
static const struct hf_api_route *const tables[] = {routes, more_routes, NULL};

static struct hf_api_match match;
static struct hf_why why;

static unsigned find(llhttp_method_t method, const char *target)
{
    why = (struct hf_why){0};
    unsigned status = hf_api_route_find(tables, method, target, strlen(target), &match, &why);
    assert_true((status == 0) == (why.text[0] == '\0'));
    return status;
}

/* ---- paths ----------------------------------------------------------------------------------- */

static void a_path_finds_its_route_and_parameters(void **state)
{
    (void)state;
    assert_int_equal(find(HTTP_GET, "/v1/a"), 0);
    assert_ptr_equal(match.route, &routes[0]);
    assert_int_equal(find(HTTP_POST, "/v1/a"), 0);
    assert_ptr_equal(match.route, &routes[1]);
    assert_int_equal(find(HTTP_GET, "/v1/a/pump%2d7"), 0);
    assert_string_equal(match.params[0], "pump-7");
    assert_int_equal(find(HTTP_DELETE, "/v1/a/one/b/two%2Fthree"), 0);
    assert_string_equal(match.params[0], "one");
    assert_string_equal(match.params[1], "two/three");
}

static void other_paths_find_nothing(void **state)
{
    static const char *const bad[] =
        {"",       "/",         "/v1/",      "/v1/a/",  "/v1/a/x/",  "/v1/a//b/y", "/v1/a/x/b/",
         "/v1/ab", "/v1/a/x/c", "/v1/a/%00", "/v1/a/%", "/v1/a/%zz", "/v1/a/x/b",  "/v1/a/x/b/y/z"};
    char longest[HF_API_PARAM_MAX + 16] = "/v1/a/";
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(find(HTTP_GET, bad[i]), 404);
    memset(longest + 6, 'x', HF_API_PARAM_MAX);
    longest[6 + HF_API_PARAM_MAX] = '\0';
    assert_int_equal(find(HTTP_GET, longest), 0);
    assert_int_equal(strlen(match.params[0]), HF_API_PARAM_MAX);
    memcpy(longest + 6 + HF_API_PARAM_MAX, "x", 2);
    assert_int_equal(find(HTTP_GET, longest), 404);
}

static void a_wrong_method_is_told_the_right_ones(void **state)
{
    (void)state;
    assert_int_equal(find(HTTP_PUT, "/v1/a"), 405);
    assert_string_equal(match.allow, "GET, POST");
    assert_int_equal(find(HTTP_PATCH, "/v1/a/x/b/y"), 405);
    assert_string_equal(match.allow, "GET, DELETE");
}

/* ---- queries --------------------------------------------------------------------------------- */

static void a_query_is_read(void **state)
{
    (void)state;
    assert_int_equal(find(HTTP_GET, "/v1/a"), 0);
    assert_int_equal(match.limit, HF_API_PAGE_DEFAULT);
    assert_int_equal(match.after, 0);
    assert_int_equal(find(HTTP_GET, "/v1/a?"), 0);
    assert_int_equal(find(HTTP_GET, "/v1/a?limit=1000&after=77&device=a%3ab&status="), 0);
    assert_int_equal(match.limit, 1000);
    assert_int_equal(match.after, 77);
    assert_true(match.has_filter[0] && match.has_filter[1]);
    assert_string_equal(match.filters[0], "");
    assert_string_equal(match.filters[1], "a:b");
}

static void a_bad_query_is_refused(void **state)
{
    static const char *const bad[] = {
        "/v1/a?limit=0",
        "/v1/a?limit=1001",
        "/v1/a?limit=-1",
        "/v1/a?limit=1x",
        "/v1/a?limit",
        "/v1/a?after=",
        "/v1/a?after=-1",
        "/v1/a?page=1",
        "/v1/a?=1",
        "/v1/a?status=%0",
        "/v1/a?device=a&device=b",
        "/v1/a/x?limit=1",
        "/v1/a?status=%00",
        "/v1/a?after=9999999999999999999",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(find(HTTP_GET, bad[i]), 400);
    assert_int_equal(find(HTTP_GET, "/v1/a?x%1b[2J=1"), 400);
    assert_null(strchr(why.text, '\x1b'));
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static const struct hf_body_field fields[] = {
    {"name", HF_BODY_TEXT, .is_required = true, .max = 4},
    {"maybe", HF_BODY_TEXT_OR_NULL},
    {"list", HF_BODY_TEXTS, .max = 3},
    {"n", HF_BODY_INTEGER, .min = 1, .max = 9},
    {"until", HF_BODY_TIME},
    {0},
};
static const struct hf_body_field optional_fields[] = {{"name", HF_BODY_TEXT}, {0}};

static enum hf_err read_body(const char *text, const struct hf_body_field *table, json_t **out)
{
    why = (struct hf_why){0};
    return hf_body_read(hf_bytes_of_text(text), table, out, &why);
}

static void a_body_is_read_by_its_table(void **state)
{
    json_t *body = NULL;
    (void)state;
    CHECK_OK(read_body("{\"name\":\"abcd\",\"maybe\":null,\"list\":[\"a\",\"abc\"],\"n\":9,"
                       "\"until\":\"2027-01-01T00:00:00Z\"}",
                       fields, &body));
    assert_string_equal(hf_body_text(body, "name"), "abcd");
    assert_null(hf_body_text(body, "maybe"));
    assert_int_equal(hf_body_integer(body, "n", 0), 9);
    assert_int_equal(hf_body_integer(body, "m", 5), 5);
    assert_int_equal(hf_body_time(body, "until"), 1798761600);
    assert_true(hf_body_time(body, "name") == HF_TIME_NONE);
    json_decref(body);
}

static void a_body_may_be_missing_where_nothing_is_needed(void **state)
{
    json_t *body = (json_t *)state;
    CHECK_OK(read_body("", optional_fields, &body));
    assert_null(body);
    CHECK_OK(read_body("", NULL, &body));
    assert_null(body);
    CHECK_OK(read_body("{}", optional_fields, &body));
    assert_non_null(body);
    json_decref(body);
}

static void a_bad_body_is_refused_by_the_name_of_the_member(void **state)
{
    static const struct {
        const char *text, *sentence;
    } bad[] = {
        {"", "it is missing"},
        {"{}", "\"name\" is missing"},
        {"{\"name\":\"a\",\"nam\":1}", "unknown member \"nam\" (expected \"name\", \"maybe\""},
        {"{\"name\":\"abcde\"}", "\"name\": expected at most 4 bytes, found 5"},
        {"{\"name\":null}", "\"name\": expected a text"},
        {"{\"name\":\"a\",\"maybe\":1}", "\"maybe\": expected a text or null"},
        {"{\"name\":\"a\",\"list\":\"a\"}", "\"list\": expected an array"},
        {"{\"name\":\"a\",\"list\":[1]}", "\"list\": expected a text in each place"},
        {"{\"name\":\"a\",\"list\":[\"abcd\"]}", "\"list\": expected at most 3 bytes"},
        {"{\"name\":\"a\",\"n\":0}", "\"n\": expected a whole number from 1 to 9"},
        {"{\"name\":\"a\",\"n\":10}", "\"n\": expected a whole number"},
        {"{\"name\":\"a\",\"n\":\"1\"}", "\"n\": expected a whole number"},
        {"{\"name\":\"a\",\"until\":\"2027-01-01\"}", "\"until\": expected a time"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *body = NULL;
        CHECK_REFUSED(read_body(bad[i].text, fields, &body), HF_E_ARGUMENT, &why, bad[i].sentence);
        assert_null(body);
    }
    json_t *body = NULL;
    CHECK_REFUSED(read_body("{\"x\\u001b[2J\":1}", optional_fields, &body), HF_E_ARGUMENT, &why,
                  "unknown member");
    assert_null(strchr(why.text, '\x1b'));
    CHECK_REFUSED(read_body("{}", NULL, &body), HF_E_ARGUMENT, &why, "this request takes none");
    assert_int_equal(read_body("[", fields, &body), HF_E_FORMAT);
}

static void a_long_list_is_refused(void **state)
{
    struct hf_buf text = {0};
    json_t *body = NULL;
    (void)state;
    CHECK_OK(hf_buf_append_text(&text, "{\"name\":\"a\",\"list\":[\"a\""));
    for (unsigned i = 0; i < HF_API_LISTED_MAX; i++)
        CHECK_OK(hf_buf_append_text(&text, ",\"a\""));
    CHECK_OK(hf_buf_append_text(&text, "]}"));
    CHECK_REFUSED(read_body((const char *)text.data, fields, &body), HF_E_ARGUMENT, &why,
                  "at most 64 texts");
    hf_buf_free(&text);
}

/* ---- problems -------------------------------------------------------------------------------- */

static void a_problem_says_what_is_wrong_and_a_fault_of_ours_says_nothing(void **state)
{
    struct hf_why found = {HF_E_NOT_FOUND, "there is no \"x\"\nhere"};
    struct hf_buf out = {0};
    (void)state;
    CHECK_OK(hf_problem_write(404, &found, &out));
    json_t *problem = json_loadb((const char *)out.data, out.len, 0, NULL);
    assert_non_null(problem);
    assert_string_equal(hf_body_text(problem, "title"), "Not Found");
    assert_string_equal(hf_body_text(problem, "code"), "not-found");
    json_decref(problem);
    hf_buf_free(&out);
    found = (struct hf_why){HF_E_STORAGE, "/var/lib/secret: disk full"};
    CHECK_OK(hf_problem_write(hf_problem_status(found.code), &found, &out));
    assert_null(strstr((const char *)out.data, "secret"));
    hf_buf_free(&out);
}

static void every_error_has_a_status(void **state)
{
    (void)state;
    for (int err = HF_E_ARGUMENT; err <= HF_E_POSTPONED; err++) {
        unsigned status = hf_problem_status((enum hf_err)err);
        assert_true(status >= 400 && status < 600);
    }
    assert_int_equal(hf_problem_status(HF_E_HASH), 412);
    assert_int_equal(hf_problem_status(HF_E_BUSY), 503);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_finds_its_route_and_parameters),
        cmocka_unit_test(other_paths_find_nothing),
        cmocka_unit_test(a_wrong_method_is_told_the_right_ones),
        cmocka_unit_test(a_query_is_read),
        cmocka_unit_test(a_bad_query_is_refused),
        cmocka_unit_test(a_body_is_read_by_its_table),
        cmocka_unit_test(a_body_may_be_missing_where_nothing_is_needed),
        cmocka_unit_test(a_bad_body_is_refused_by_the_name_of_the_member),
        cmocka_unit_test(a_long_list_is_refused),
        cmocka_unit_test(a_problem_says_what_is_wrong_and_a_fault_of_ours_says_nothing),
        cmocka_unit_test(every_error_has_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
