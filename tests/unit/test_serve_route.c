/* server/serve/route and served_file: which name gets which answer, and how long it may be kept. */
#include "tests/support/check.h"

#include "server/serve/route.h"

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
    hf_edition_seal(g);
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
    bool is_path = hf_route_path(target, strlen(target), path, &len);
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
    assert_true(ask(g, HTTP_HEAD, name, "").is_head);
    assert_int_equal(ask(g, HTTP_POST, name, "").status, 405);
    assert_null(ask(g, HTTP_POST, name, "").file);
    assert_int_equal(ask(NULL, HTTP_GET, name, "").status, 503);
    assert_true(ask(NULL, HTTP_GET, "/healthz", "").is_health);
    assert_true(ask(g, HTTP_HEAD, "/healthz?x", "").is_health);
    assert_int_equal(ask(g, HTTP_POST, "/healthz", "").status, 405);
}

static void a_refused_request_is_not_routed(void **state)
{
    struct hf_request request = {.refused = 413, .method = HTTP_GET};
    memcpy(request.target.text, "/targets/a", 10);
    request.target.len = 10;
    struct hf_answer a = hf_route(&request, *state);
    assert_int_equal(a.status, 413);
    assert_null(a.file);
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
    CHECK_OK(hf_edition_add_take(next, hf_served_file_ref(file), &why));
    hf_edition_seal(next);
    assert_int_equal(atomic_load(&file->references), 2);
    hf_edition_unref(next);
    assert_int_equal(atomic_load(&file->references), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_of_a_target_is_decoded_once),
        cmocka_unit_test_setup_teardown(only_names_in_the_table_are_found, make, drop),
        cmocka_unit_test_setup_teardown(the_answer_depends_on_method_condition_and_edition, make,
                                        drop),
        cmocka_unit_test_setup_teardown(a_refused_request_is_not_routed, make, drop),
        cmocka_unit_test(what_never_changes_may_be_kept),
        cmocka_unit_test_setup_teardown(files_are_shared_and_go_with_their_last_holder, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
