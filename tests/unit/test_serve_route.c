/* server/serve/route and edition: which name gets which answer, how long it may be kept,
 * /healthz. */
#include "tests/support/check.h"

#include "server/serve/route.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static struct hf_served_file *make_file(const char *name, const char *content)
{
    struct hf_served_file *file = NULL;
    struct hf_file_mark mark = {0};
    struct hf_why why;
    CHECK_OK(hf_served_file_new_take(name, &mark, (uint8_t *)strdup(content), strlen(content),
                                     &file, &why));
    return file;
}

static int make(void **state)
{
    static const char *const names[] = {"/metadata/timestamp.json", "/metadata/1.root.json",
                                        "/targets/a b", "/targets/a", "/targets/a/b%c"};
    struct hf_edition *g = NULL;
    struct hf_why why;
    CHECK_OK(hf_edition_new(&g, &why));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_OK(hf_edition_add_take(g, make_file(names[i], names[i]), &why));
    hf_edition_sort(g);
    *state = g;
    return 0;
}

static int drop(void **state)
{
    hf_edition_unref(*state);
    return 0;
}

static struct hf_answer ask(const struct hf_edition *g, unsigned method, const char *target,
                            const char *if_none_match)
{
    static struct hf_request request;
    request = (struct hf_request){.method = (uint8_t)method};
    request.target.len = strlen(target);
    memcpy(request.target.text, target, request.target.len);
    request.if_none_match.len = strlen(if_none_match);
    memcpy(request.if_none_match.text, if_none_match, request.if_none_match.len);
    return hf_route(&request, g);
}

static void assert_path(const char *target, const char *want)
{
    char path[256];
    size_t len = 0;
    bool is_path = hf_request_path(target, strlen(target), path, &len);
    if (is_path != (want != NULL))
        fail_msg("%s is%s a path", target, is_path ? "" : " not");
    if (want == NULL)
        return;
    assert_int_equal(len, strlen(want));
    assert_memory_equal(path, want, len);
}

static void the_path_of_a_target_is_decoded_once(void **state)
{
    (void)state;
    assert_path("/a", "/a");
    assert_path("/a?b=/c%", "/a");
    assert_path("/%61%2F%3f", "/a/?");
    assert_path("/%2541", "/%41");
    assert_path("/a/../b//.", "/a/../b//.");
    assert_path("http://host/a?b", "/a");
    assert_path("HTTPS://host:1/a", "/a");
    assert_path("http://[::1]:80/a", "/a");
    assert_path("http:///a", NULL);
    assert_path("http://:80/a", NULL);
    assert_path("http://user@host/a", NULL);
    assert_path("http://ho st/a", NULL);
    assert_path("http://host:x/a", NULL);
    assert_path("/a#b", NULL);
    assert_path("http://host", NULL);
    assert_path("http://host?/a", NULL);
    assert_path("ftp://host/a", NULL);
    assert_path("*", NULL);
    assert_path("a", NULL);
    assert_path("", NULL);
    assert_path("/%", NULL);
    assert_path("/%4", NULL);
    assert_path("/%4g", NULL);
    assert_path("/%-1", NULL);
}

static void only_names_in_the_table_are_found(void **state)
{
    const struct hf_edition *g = *state;
    static const struct {
        const char *target;
        unsigned status;
    } cases[] = {
        {"/metadata/timestamp.json", 200},
        {"/metadata/1.root.json", 200},
        {"/targets/a%20b", 200},
        {"/targets/a", 200},
        {"/targets/a/b%25c", 200},
        {"/targets/a/b%c", 400},
        {"/targets/a/", 404},
        {"/targets/", 404},
        {"/targets/a%00", 404},
        {"/targets/b", 404},
        {"/metadata/2.root.json", 404},
        {"/metadata/timestamp.jso", 404},
        {"/metadata/timestamp.jsonn", 404},
        {"/", 404},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hf_answer a = ask(g, HTTP_GET, cases[i].target, "");
        if (a.status != cases[i].status || (a.file != NULL) != (a.status == 200))
            fail_msg("%u: %s", a.status, cases[i].target);
    }
}

static void the_answer_depends_on_method_condition_and_edition(void **state)
{
    const struct hf_edition *g = *state;
    const char *name = "/metadata/timestamp.json";
    struct hf_answer got = ask(g, HTTP_GET, name, "");
    assert_int_equal(ask(g, HTTP_GET, name, got.file->etag).status, 304);
    assert_ptr_equal(ask(g, HTTP_GET, name, got.file->etag).file, got.file);
    assert_int_equal(ask(g, HTTP_GET, name, "\"other\"").status, 200);
    assert_int_equal(ask(g, HTTP_GET, "/nothing", "*").status, 404);
    assert_ptr_equal(ask(g, HTTP_HEAD, name, "").file, got.file);
    assert_int_equal(ask(g, HTTP_POST, name, "").status, 405);
    assert_null(ask(g, HTTP_POST, name, "").file);
    assert_int_equal(ask(NULL, HTTP_GET, name, "").status, 503);
    assert_true(ask(NULL, HTTP_GET, "/healthz", "").is_health);
    assert_true(ask(g, HTTP_HEAD, "/healthz?x", "").is_health);
    assert_int_equal(ask(g, HTTP_POST, "/healthz", "").status, 405);
}

static void what_never_changes_may_be_kept(void **state)
{
    (void)state;
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char target[256];
    assert_true(snprintf(target, sizeof target, "/targets/a/%s.1.pem", hash) > 0);
    assert_non_null(strstr(hf_served_file_cache_rule(target), "immutable"));
    assert_true(snprintf(target, sizeof target, "/targets/a/%s", hash) > 0);
    assert_null(strstr(hf_served_file_cache_rule(target), "immutable"));
    assert_non_null(strstr(hf_served_file_cache_rule("/metadata/12.root.json"), "immutable"));
    static const char *const short_lived[] = {"/metadata/timestamp.json", "/metadata/root.json",
                                              "/metadata/a1.root.json",   "/metadata/.json",
                                              "/targets/1.pem",           "/targets/abc.pem"};
    for (size_t i = 0; i < sizeof short_lived / sizeof short_lived[0]; i++)
        assert_string_equal(hf_served_file_cache_rule(short_lived[i]),
                            "public, max-age=60, must-revalidate");
}

static void files_are_shared_and_go_with_their_last_holder(void **state)
{
    struct hf_edition *g = *state;
    struct hf_served_file *file = hf_edition_find(g, "/targets/a", 10);
    struct hf_edition *next = NULL;
    struct hf_why why;
    CHECK_OK(hf_edition_new(&next, &why));
    (void)hf_body_ref(&file->body);
    CHECK_OK(hf_edition_add_take(next, file, &why));
    hf_edition_sort(next);
    assert_int_equal(atomic_load(&file->body.references), 2);
    hf_edition_unref(next);
    assert_int_equal(atomic_load(&file->body.references), 1);
}

static json_t *health(const struct hf_repository_status *status, int64_t now_s, unsigned want)
{
    static char text[HF_HEALTH_TEXT_MAX];
    size_t len = 0;
    assert_int_equal(hf_health_text(status, now_s, text, &len), want);
    assert_true(len <= sizeof text);
    assert_int_equal(text[len - 1], '\n');
    json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    return json;
}

static const char *text_of(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

static void health_tells_served_expired_and_missing_apart(void **state)
{
    (void)state;
    struct hf_repository_status status = {.is_served = true,
                                          .summary = {1, 7, 5, 3, 1000, "targets"},
                                          .problem = ""};
    json_t *json = health(&status, 999, 200);
    assert_string_equal(text_of(json, "status"), "ok");
    assert_string_equal(text_of(json, "expires"), "1970-01-01T00:16:40Z");
    assert_int_equal(json_integer_value(json_object_get(json, "seconds_left")), 1);
    assert_string_equal(text_of(json, "expires_role"), "targets");
    assert_int_equal(json_integer_value(json_object_get(json, "timestamp")), 7);
    assert_null(json_object_get(json, "problem"));
    json_decref(json);

    json = health(&status, 1000, 200);
    assert_string_equal(text_of(json, "status"), "expired");
    json_decref(json);

    status = (struct hf_repository_status){.is_served = false, .problem = "a \"reason\"\n"};
    json = health(&status, 0, 503);
    assert_string_equal(text_of(json, "status"), "unavailable");
    assert_string_equal(text_of(json, "problem"), "a \"reason\"\n");
    assert_null(json_object_get(json, "timestamp"));
    json_decref(json);
}

static void the_longest_problem_fits(void **state)
{
    (void)state;
    struct hf_repository_status status = {.is_served = true,
                                          .summary = {INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
                                                      INT64_MIN}};
    memset(status.summary.expires_role, '\x01', sizeof status.summary.expires_role - 1);
    memset(status.problem, '\x01', sizeof status.problem - 1);
    json_t *json = health(&status, 0, 200);
    assert_int_equal(strlen(text_of(json, "problem")), sizeof status.problem - 1);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_of_a_target_is_decoded_once),
        cmocka_unit_test_setup_teardown(only_names_in_the_table_are_found, make, drop),
        cmocka_unit_test_setup_teardown(the_answer_depends_on_method_condition_and_edition, make,
                                        drop),
        cmocka_unit_test(what_never_changes_may_be_kept),
        cmocka_unit_test_setup_teardown(files_are_shared_and_go_with_their_last_holder, make, drop),
        cmocka_unit_test(health_tells_served_expired_and_missing_apart),
        cmocka_unit_test(the_longest_problem_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
