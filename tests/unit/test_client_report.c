/*
 * client/core/report and report_send: what is reported when, in the transaction of its event; what
 * is sent, and what becomes of it; and that nothing of it is in the way of an update.
 */
#include "tests/support/check.h"

#include "common/base/timetext.h"
#include "common/report/report.h"
#include "tests/support/device.h"

#include <stdio.h>
#include <stdlib.h>

#define URL "https://fleet.test/v1/reports"
#define TAKEN "{\"accepted\":1,\"duplicates\":0,\"nonce\":\"00112233aabbccdd\"}"
#define REFUSED "{\"title\":\"Bad Request\",\"detail\":\"no such set\"}"

static void report_to(struct device *d)
{
    CHECK_OK(hf_client_report_to(d->client, URL, &d->why));
}

static int report_setup(void **state)
{
    int rc = device_setup(state);
    struct device *d = *state;

    d->fake.transport.service = (struct fake_service_answer){.status = 200, .body = TAKEN};
    report_to(d);
    return rc;
}

static void reboot(struct device *d)
{
    device_reboot(d);
    report_to(d);
}

/* Report `i` that waits. */
static struct hf_report waiting(const struct device *d, size_t i)
{
    const struct fake_rows *rows = &d->fake.store.state.reports;
    struct hf_report *list = NULL;
    size_t n = 0;

    assert_true(i < rows->n);
    CHECK_OK(hf_report_list_read(hf_buf_bytes(&rows->rows[i].bytes), &list, &n, NULL));
    assert_int_equal(n, 1);
    const struct hf_report report = list[0];
    free(list);
    return report;
}

static size_t n_waiting(const struct device *d)
{
    return d->fake.store.state.reports.n;
}

/* Those of post `i`; free them. */
static struct hf_report *posted(const struct device *d, size_t i, size_t *n)
{
    struct hf_report *list = NULL;

    assert_true(i < d->fake.transport.n_posts);
    CHECK_OK(hf_report_list_read(hf_buf_bytes(&d->fake.transport.posts[i].body), &list, n, NULL));
    return list;
}

static enum hf_err send_reports(struct device *d, bool is_now)
{
    d->why = (struct hf_why){0};
    fake_transport_forget(&d->fake.transport);
    return hf_client_send_reports(d->client, HF_REPORT_TIMEOUT_MS, is_now, NULL, &d->why);
}

/* The device has reported all there is. */
static void settle(struct device *d)
{
    CHECK_OK(device_update(d));
    CHECK_OK(send_reports(d, true));
    assert_int_equal(n_waiting(d), 0);
}

static void no_service(struct device *d)
{
    d->fake.transport.service = (struct fake_service_answer){.err = HF_E_NETWORK};
}

/* ---- what is reported ------------------------------------------------------------------------ */

static void off_unless_there_is_a_service(void **state)
{
    struct device *d = *state;

    CHECK_OK(hf_client_report_to(d->client, NULL, &d->why));
    CHECK_OK(device_update(d));
    CHECK_OK(send_reports(d, false));
    assert_int_equal(n_waiting(d), 0);
    assert_int_equal(d->fake.transport.n_posts, 0);
    assert_string_equal(fake_store_value(&d->fake.store, "report.installation"), "");
    CHECK_REFUSED(send_reports(d, true), HF_E_STATE, &d->why, "holdfast config set report");
}

static void the_first_bundle_is_announced_and_confirmed(void **state)
{
    struct device *d = *state;
    size_t n = 0;

    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_posts, 1);
    struct hf_report *announced = posted(d, 0, &n);
    assert_int_equal(n, 1);
    assert_int_equal(announced[0].kind, HF_REPORT_ANNOUNCE);
    assert_int_equal(announced[0].from, -1);
    assert_int_equal(announced[0].to, 1);
    free(announced);
    assert_int_equal(n_waiting(d), 1);
    const struct hf_report confirmed = waiting(d, 0);
    assert_int_equal(confirmed.kind, HF_REPORT_CONFIRMED); /* there is no trial of a first bundle */
    assert_int_equal(confirmed.to, 1);
    assert_int_equal(confirmed.seq, 2);
    assert_string_equal(confirmed.device, "pump-17");
    assert_string_equal(confirmed.set, DEVICE_SET);
    assert_string_equal(confirmed.groups[1], "ring-1");
    assert_string_not_equal(confirmed.agent, "");
    assert_string_equal(confirmed.outcome, "ok");
    assert_int_equal(strlen(confirmed.installation), 32);
    assert_true(confirmed.clock_s == DEVICE_NOW_S);
    assert_true(confirmed.next_expiry_s > DEVICE_NOW_S);
}

static void count_swaps(void *ctx)
{
    struct device *d = ctx;
    char name[8];

    (void)snprintf(name, sizeof name, "at %u", d->fake.trust.n_swaps);
    fake_store_put_value(&d->fake.store, "test.swaps", name);
}

static void announce_comes_before_the_swap_and_swapped_over_a_new_connection(void **state)
{
    struct device *d = *state;
    size_t n = 0;

    settle(d);
    const unsigned n_swaps = d->fake.trust.n_swaps;
    char before[8];
    (void)snprintf(before, sizeof before, "at %u", n_swaps);
    device_publish(d, 2);
    d->fake.transport.on_post = count_swaps;
    d->fake.transport.on_post_ctx = d;
    CHECK_OK(device_update(d));
    d->fake.transport.on_post = NULL;
    assert_string_equal(fake_store_value(&d->fake.store, "test.swaps"), before);
    assert_int_equal(d->fake.trust.n_swaps, n_swaps + 1);
    /* after all that the update fetches */
    assert_int_equal(d->fake.transport.posts[0].n_requests, d->fake.transport.n_requests);
    assert_int_equal(d->fake.transport.posts[0].timeout_ms, 5000);
    assert_false(d->fake.transport.posts[0].needs_new_connection);
    CHECK_OK(send_reports(d, false));
    struct hf_report *list = posted(d, 0, &n);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].kind, HF_REPORT_SWAPPED);
    assert_int_equal(list[0].from, 1);
    assert_int_equal(list[0].to, 2);
    assert_string_equal(list[0].nonce, "00112233aabbccdd");
    assert_true(list[0].sent_s == DEVICE_NOW_S);
    free(list);
    assert_true(d->fake.transport.posts[0].needs_new_connection);
    /* the next one may use it */
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    CHECK_OK(send_reports(d, false));
    assert_false(d->fake.transport.posts[0].needs_new_connection);
}

static void a_trial_is_reported_to_its_end(void **state)
{
    struct device *d = *state;

    settle(d);
    no_service(d);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d)); /* confirms it: there is neither endpoint nor application */
    assert_int_equal(n_waiting(d), 3);
    assert_int_equal(waiting(d, 1).kind, HF_REPORT_SWAPPED);
    const struct hf_report confirmed = waiting(d, 2);
    assert_int_equal(confirmed.kind, HF_REPORT_CONFIRMED);
    assert_int_equal(confirmed.to, 2);
    assert_string_equal(confirmed.sha256, waiting(d, 1).sha256);
}

static void a_rollback_says_from_where_to_where(void **state)
{
    struct device *d = *state;

    d->awaits_confirm = true;
    reboot(d);
    settle(d);
    no_service(d);
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    CHECK_OK(hf_client_reject(d->client, "no connection to the broker", &d->why));
    const struct hf_report report = waiting(d, n_waiting(d) - 1);
    assert_int_equal(report.kind, HF_REPORT_ROLLED_BACK);
    assert_int_equal(report.from, 2);
    assert_int_equal(report.to, 1);
    assert_non_null(strstr(report.text, "no connection to the broker"));
}

static void a_failure_is_reported_once_a_day_until_it_is_over(void **state)
{
    struct device *d = *state;

    settle(d);
    no_service(d);
    fake_mirror_answer(&d->fake.transport.mirrors[0], "*", 500, NULL);
    assert_int_equal(device_update(d), HF_E_NETWORK);
    assert_int_equal(device_update(d), HF_E_NETWORK);
    assert_int_equal(n_waiting(d), 1);
    const struct hf_report report = waiting(d, 0);
    assert_int_equal(report.kind, HF_REPORT_FAILED);
    assert_string_equal(report.outcome, "network");
    assert_int_equal(report.from, 1);
    assert_int_equal(report.to, -1);
    /* once a day as long as it lasts */
    for (int hour = 0; hour < 10 * 24; hour++) {
        d->fake.now_s += 3600;
        assert_int_equal(device_update(d), HF_E_NETWORK);
    }
    const size_t n = n_waiting(d);
    assert_in_range(n, 10, 12);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(waiting(d, i).kind, HF_REPORT_FAILED);
    /* by hand it says that it fails, and the next check that it is over */
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    assert_int_equal(waiting(d, n).kind, HF_REPORT_CURRENT);
    assert_string_equal(waiting(d, n).outcome, "state");
    assert_string_not_equal(waiting(d, n).text, "");
    fake_mirror_reset(&d->fake.transport.mirrors[0]);
    CHECK_OK(device_update(d));
    assert_int_equal(n_waiting(d), n + 2);
    assert_int_equal(waiting(d, n + 1).kind, HF_REPORT_CURRENT);
    assert_string_equal(waiting(d, n + 1).outcome, "ok");
    CHECK_OK(device_update(d));
    assert_int_equal(n_waiting(d), n + 2);
}

static void current_comes_once_a_day(void **state)
{
    struct device *d = *state;
    size_t n_current = 0;

    settle(d);
    no_service(d);
    for (int hour = 0; hour < 10 * 24; hour++) {
        d->fake.now_s += 3600;
        CHECK_OK(device_update(d));
    }
    for (size_t i = 0; i < n_waiting(d); i++)
        n_current += waiting(d, i).kind == HF_REPORT_CURRENT;
    assert_in_range(n_current, 10, 11);
    assert_int_equal(n_current, n_waiting(d));
    /* a clock that stands still makes no more; one that is put back one */
    d->fake.now_s -= 20 * HF_DAY_S;
    CHECK_OK(device_update(d));
    CHECK_OK(device_update(d));
    assert_int_equal(n_waiting(d), n_current + 1);
}

static unsigned transactions_of_a_day(struct device *d)
{
    const unsigned before = d->fake.store.n_transactions;

    for (int hour = 0; hour < 24; hour++) {
        d->fake.now_s += 3600;
        CHECK_OK(device_update(d));
        CHECK_OK(send_reports(d, false));
    }
    return d->fake.store.n_transactions - before;
}

static void a_day_costs_one_transaction_more(void **state)
{
    struct device *d = *state;

    settle(d);
    (void)transactions_of_a_day(d);
    const unsigned with = transactions_of_a_day(d);
    CHECK_OK(hf_client_report_to(d->client, NULL, &d->why));
    const unsigned without = transactions_of_a_day(d);
    print_message("transactions of a day with hourly checks: %u, with reports %u\n", without, with);
    assert_int_equal(with, without + 1);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void a_full_queue_drops_current_first(void **state)
{
    struct device *d = *state;

    settle(d);
    no_service(d);
    device_publish(d, 2);
    CHECK_OK(device_update(d)); /* announce and swapped */
    for (int i = 0; i < 100; i++)
        CHECK_OK(hf_client_note_current(d->client, &d->why));
    assert_int_equal(n_waiting(d), 64);
    assert_int_equal(waiting(d, 0).kind, HF_REPORT_ANNOUNCE);
    assert_int_equal(waiting(d, 1).kind, HF_REPORT_SWAPPED);
    for (size_t i = 1; i < 64; i++)
        assert_true(waiting(d, i).seq > waiting(d, i - 1).seq);
}

static void a_store_without_room_for_reports_stops_no_update(void **state)
{
    struct device *d = *state;

    settle(d);
    d->fake.store.refuses_reports = true;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
    assert_true(fake_log_has(&d->fake, "a report to the fleet service is left out"));
}

static void a_full_queue_goes_in_two_requests(void **state)
{
    struct device *d = *state;
    size_t n = 0;

    settle(d);
    for (int i = 0; i < 70; i++)
        CHECK_OK(hf_client_note_current(d->client, &d->why));
    CHECK_OK(send_reports(d, false));
    assert_int_equal(d->fake.transport.n_posts, 2);
    free(posted(d, 0, &n));
    assert_int_equal(n, 50);
    free(posted(d, 1, &n));
    assert_int_equal(n, 14);
    assert_int_equal(n_waiting(d), 0);
}

static void what_is_shown_is_what_is_sent(void **state)
{
    struct device *d = *state;
    struct hf_buf shown = {0};
    size_t n = 0;

    settle(d);
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    CHECK_OK(hf_client_show_reports(d->client, &shown, &n, &d->why));
    assert_int_equal(n, 1);
    CHECK_OK(send_reports(d, false));
    assert_true(
        hf_bytes_equal(hf_buf_bytes(&shown), hf_buf_bytes(&d->fake.transport.posts[0].body)));
    hf_buf_free(&shown);
    CHECK_OK(hf_client_show_reports(d->client, &shown, &n, &d->why));
    assert_int_equal(n, 0);
    assert_int_equal(shown.len, 0);
    hf_buf_free(&shown);
}

/* ---- what the service says ------------------------------------------------------------------- */

static void check_status(struct device *d, int64_t n_failures, const char *error)
{
    struct hf_report_status status;

    hf_client_report_status(d->client, &status);
    assert_true(status.is_on);
    assert_int_equal(status.n_failures, n_failures);
    if (strstr(status.last_error, error) == NULL)
        fail_msg("the error lacks \"%s\": %s", error, status.last_error);
}

static void after_a_failure_it_waits_longer_and_longer(void **state)
{
    struct device *d = *state;
    struct hf_report_status status;
    int64_t wait_s = 0;

    settle(d);
    no_service(d);
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    for (int64_t i = 1; i <= 20; i++) {
        assert_int_equal(send_reports(d, false), HF_E_NETWORK);
        check_status(d, i < 16 ? i : 16, "the service does not answer");
        CHECK_OK(send_reports(d, false)); /* it waits */
        assert_int_equal(d->fake.transport.n_posts, 0);
        hf_client_report_status(d->client, &status);
        assert_true(status.next_try_s - d->fake.now_s >= wait_s);
        wait_s = status.next_try_s - d->fake.now_s;
        assert_in_range(wait_s, 225, 5 * 3600 * 5 / 4 + 5400);
        d->fake.now_s = status.next_try_s;
        reboot(d); /* the wait is in the store */
    }
    d->fake.transport.service = (struct fake_service_answer){.status = 200, .body = TAKEN};
    CHECK_OK(send_reports(d, true)); /* by hand it does not wait */
    check_status(d, 0, "");
    assert_int_equal(fake_store_count_events(&d->fake.store, "report"), 0);
}

static void retry_after_is_obeyed(void **state)
{
    struct device *d = *state;
    struct hf_report_status status;

    settle(d);
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    d->fake.transport.service = (struct fake_service_answer){.status = 503, .retry_after_s = 80000};
    CHECK_REFUSED(send_reports(d, false), HF_E_NETWORK, &d->why, "(HTTP 503)");
    hf_client_report_status(d->client, &status);
    assert_true(status.next_try_s >= d->fake.now_s + 80000);
    assert_int_equal(n_waiting(d), 1);
    /* an install is not announced against its will either */
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_posts, 0);
    assert_int_equal(n_waiting(d), 3);
}

static void retry_after_is_a_week_at_most(void **state)
{
    struct device *d = *state;
    struct hf_report_status status;

    settle(d);
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    d->fake.transport.service = (struct fake_service_answer){.status = 503,
                                                             .retry_after_s = INT64_MAX};
    CHECK_REFUSED(send_reports(d, false), HF_E_NETWORK, &d->why, "(HTTP 503)");
    hf_client_report_status(d->client, &status);
    assert_in_range(status.next_try_s - d->fake.now_s, 7 * HF_DAY_S, 8 * HF_DAY_S);
}

static void an_answer_that_is_none_removes_nothing(void **state)
{
    struct device *d = *state;

    settle(d);
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    d->fake.transport.service = (struct fake_service_answer){.status = 200, .body = "<html>"};
    CHECK_REFUSED(send_reports(d, true), HF_E_FORMAT, &d->why, "login page");
    d->fake.transport.service = (struct fake_service_answer){.status = 302};
    CHECK_REFUSED(send_reports(d, true), HF_E_NETWORK, &d->why, "(HTTP 302)");
    assert_non_null(strstr(d->why.text, "config set report"));
    d->fake.transport.service = (struct fake_service_answer){.status = 202, .body = TAKEN};
    CHECK_REFUSED(send_reports(d, true), HF_E_NETWORK, &d->why, "(HTTP 202)");
    assert_int_equal(n_waiting(d), 1);
}

/* Of three reports the service never takes the second. */
static void a_report_that_is_never_taken_does_not_block_the_others(void **state)
{
    static const struct fake_service_answer no = {.status = 400, .body = REFUSED};
    static const struct fake_service_answer yes = {.status = 200, .body = TAKEN};
    struct device *d = *state;
    size_t n = 0;

    settle(d);
    for (int i = 0; i < 3; i++)
        CHECK_OK(hf_client_note_current(d->client, &d->why));
    const int64_t first = waiting(d, 0).seq;
    d->fake.transport.service = no;
    CHECK_REFUSED(send_reports(d, true), HF_E_POLICY, &d->why, "(HTTP 400): no such set");
    const struct fake_service_answer answers[] = {yes, no};
    d->fake.transport.services = answers;
    d->fake.transport.n_services = 2;
    assert_int_equal(send_reports(d, true), HF_E_POLICY); /* the first alone, then the rest */
    assert_int_equal(waiting(d, 0).seq, first + 1);
    d->fake.transport.n_services = 0;
    assert_int_equal(send_reports(d, true), HF_E_POLICY);
    assert_int_equal(send_reports(d, true), HF_E_POLICY); /* given up */
    assert_int_equal(n_waiting(d), 1);
    assert_int_equal(waiting(d, 0).seq, first + 2);
    d->fake.transport.service = yes;
    CHECK_OK(send_reports(d, true));
    struct hf_report *list = posted(d, 0, &n);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].seq, first + 2);
    free(list);
    assert_int_equal(n_waiting(d), 0);
    assert_true(fake_store_count_events(&d->fake.store, "report") >= 2);
}

static void a_clone_keeps_its_reports_and_says_so_once(void **state)
{
    struct device *d = *state;

    settle(d);
    const char *installation = "report.installation";
    char before[40];
    (void)snprintf(before, sizeof before, "%s", fake_store_value(&d->fake.store, installation));
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    d->fake.transport.service = (struct fake_service_answer){
        .status = 409, .body = "{\"detail\":\"another installation reports as pump-17\"}"};
    for (int i = 0; i < 5; i++)
        CHECK_REFUSED(send_reports(d, true), HF_E_POLICY, &d->why, "another installation");
    assert_int_equal(n_waiting(d), 1);
    assert_int_equal(fake_store_count_events(&d->fake.store, "report"), 1);
    assert_string_equal(fake_store_value(&d->fake.store, installation), before);
}

static void a_reset_begins_a_new_installation_and_keeps_the_nonce(void **state)
{
    struct device *d = *state;
    char before[40];

    settle(d);
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    (void)snprintf(before, sizeof before, "%s",
                   fake_store_value(&d->fake.store, "report.installation"));
    d->fake.random ^= 0x5a5a5a5a;
    CHECK_OK(hf_client_reset(d->client, (struct hf_bytes){0}, &d->why));
    assert_int_equal(n_waiting(d), 0);
    CHECK_OK(hf_client_note_current(d->client, &d->why));
    const struct hf_report report = waiting(d, 0);
    assert_int_equal(report.seq, 1);
    assert_string_not_equal(report.installation, before);
    assert_string_equal(fake_store_value(&d->fake.store, "report.nonce"), "00112233aabbccdd");
}

/* ---- never in the way ------------------------------------------------------------------------ */

static void a_service_that_hangs_delays_an_install_by_its_limit_only(void **state)
{
    struct device *d = *state;

    settle(d);
    d->fake.transport.service = (struct fake_service_answer){.err = HF_E_NETWORK};
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
    assert_true(d->result.is_changed);
    assert_int_equal(d->fake.transport.n_posts, 1); /* one try, before the install, and no other */
    assert_int_equal(d->fake.transport.posts[0].timeout_ms, 5000);
    assert_int_equal(n_waiting(d), 2);
}

static void pass_five_seconds(void *ctx)
{
    ((struct fake_ports *)ctx)->uptime_ms += 5000;
}

/* A queue that needs two requests still has five seconds in all. */
static void the_limit_is_for_all_requests_together(void **state)
{
    struct device *d = *state;

    settle(d);
    for (int i = 0; i < 60; i++)
        CHECK_OK(hf_client_note_current(d->client, &d->why));
    d->fake.transport.on_post = pass_five_seconds;
    d->fake.transport.on_post_ctx = &d->fake;
    device_publish(d, 2);
    CHECK_OK(device_update(d));
    assert_int_equal(d->fake.transport.n_posts, 1);
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
}

/* The check goes on without validating the mirror; the install is not announced, and what is sent
 * later goes over a connection that is validated (a post cannot waive that). */
static void nothing_is_sent_in_a_check_that_waives_validation(void **state)
{
    struct device *d = *state;
    struct fake_mirror *mirror = &d->fake.transport.mirrors[0];

    settle(d);
    device_publish(d, 2);
    mirror->is_untrusted = true;
    d->fake.now_s += 20 * 365 * HF_DAY_S; /* every anchor has ended */
    (void)device_update(d);
    assert_true(d->fake.transport.n_waived > 0);
    assert_int_equal(d->fake.transport.n_posts, 0);
}

/* ---- power cuts ------------------------------------------------------------------------------ */

/* What the service has seen, by number. */
#define SEEN_MAX 64
struct seen {
    struct hf_buf json[SEEN_MAX];
};

/* A number has one content, whatever happened. */
static void see(struct seen *seen, const struct device *d)
{
    for (size_t i = 0; i < d->fake.transport.n_posts; i++) {
        size_t n = 0;
        struct hf_report *list = posted(d, i, &n);
        for (size_t k = 0; k < n; k++) {
            struct hf_buf json = {0};
            list[k].nonce[0] = '\0';
            list[k].sent_s = HF_TIME_NONE;
            assert_in_range(list[k].seq, 1, SEEN_MAX - 1);
            CHECK_OK(hf_report_write(&list[k], &json, NULL));
            struct hf_buf *known = &seen->json[list[k].seq];
            if (known->data == NULL) {
                *known = json;
                continue;
            }
            assert_string_equal((const char *)known->data, (const char *)json.data);
            hf_buf_free(&json);
        }
        free(list);
    }
}

/* Under how many numbers. */
static unsigned count_seen(const struct seen *seen, const char *kind, int64_t to)
{
    unsigned n = 0;
    char part[64], version[32];

    (void)snprintf(part, sizeof part, "\"kind\":\"%s\"", kind);
    (void)snprintf(version, sizeof version, "\"to\":%lld,", (long long)to);
    for (size_t i = 0; i < SEEN_MAX; i++) {
        const char *json = (const char *)seen->json[i].data;
        n += json != NULL && strstr(json, part) != NULL && strstr(json, version) != NULL;
    }
    return n;
}

/* An update and its reports, cut at write `cut`. True if it did not come to that. */
static bool cut_at(unsigned cut)
{
    void *state = NULL;
    struct seen seen = {0};

    report_setup(&state);
    struct device *d = state;
    CHECK_OK(device_update(d));
    see(&seen, d);
    CHECK_OK(send_reports(d, false));
    see(&seen, d);
    device_publish(d, 2);
    d->fake.store.n_writes = 0;
    d->fake.store.cut_at_write = cut;
    d->fake.now_s += 60; /* another content of reports that come again */
    (void)device_update(d);
    see(&seen, d);
    (void)send_reports(d, false);
    see(&seen, d);
    bool is_finished = !d->fake.store.is_power_off;
    reboot(d);
    d->fake.now_s += 60;
    CHECK_OK(device_update(d));
    see(&seen, d);
    CHECK_OK(send_reports(d, true));
    see(&seen, d);
    /* None is lost, and none has two numbers: each event that is in the store was reported. An
     * install that was cut off is announced again. */
    assert_int_equal(device_version(d, HF_SLOT_ACTIVE), 2);
    assert_in_range(count_seen(&seen, "announce", 2), 1, 2);
    assert_int_equal(count_seen(&seen, "swapped", 2), 1);
    assert_int_equal(n_waiting(d), 0);
    for (size_t i = 0; i < SEEN_MAX; i++)
        hf_buf_free(&seen.json[i]);
    device_teardown(&state);
    return is_finished;
}

static void a_power_cut_loses_no_report_and_changes_none(void **state)
{
    unsigned cut = 1;

    (void)state;
    while (!cut_at(cut))
        cut++;
    assert_true(cut > 15);
}

#define REPORT_TEST(name) cmocka_unit_test_setup_teardown(name, report_setup, device_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REPORT_TEST(off_unless_there_is_a_service),
        REPORT_TEST(the_first_bundle_is_announced_and_confirmed),
        REPORT_TEST(announce_comes_before_the_swap_and_swapped_over_a_new_connection),
        REPORT_TEST(a_trial_is_reported_to_its_end),
        REPORT_TEST(a_rollback_says_from_where_to_where),
        REPORT_TEST(a_failure_is_reported_once_a_day_until_it_is_over),
        REPORT_TEST(current_comes_once_a_day),
        REPORT_TEST(a_day_costs_one_transaction_more),
        REPORT_TEST(a_full_queue_drops_current_first),
        REPORT_TEST(a_store_without_room_for_reports_stops_no_update),
        REPORT_TEST(a_full_queue_goes_in_two_requests),
        REPORT_TEST(what_is_shown_is_what_is_sent),
        REPORT_TEST(after_a_failure_it_waits_longer_and_longer),
        REPORT_TEST(retry_after_is_obeyed),
        REPORT_TEST(retry_after_is_a_week_at_most),
        REPORT_TEST(an_answer_that_is_none_removes_nothing),
        REPORT_TEST(a_report_that_is_never_taken_does_not_block_the_others),
        REPORT_TEST(a_clone_keeps_its_reports_and_says_so_once),
        REPORT_TEST(a_reset_begins_a_new_installation_and_keeps_the_nonce),
        REPORT_TEST(a_service_that_hangs_delays_an_install_by_its_limit_only),
        REPORT_TEST(the_limit_is_for_all_requests_together),
        REPORT_TEST(nothing_is_sent_in_a_check_that_waives_validation),
        cmocka_unit_test(a_power_cut_loses_no_report_and_changes_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
