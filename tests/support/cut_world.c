#include "tests/support/cut_world.h"

#include "tests/support/check.h"
#include "tests/support/cut_vfs.h"
#include "tests/support/test_pki.h"

#include "client/port/posix/bundle_files.h"
#include "client/port/posix/posix_internal.h"

#include "common/base/timetext.h"
#include "common/os/process.h"
#include "common/report/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define URL "http://a.test/repo"
#define SET "amazon-iot"
#define PROFILE "full"
#define SERVICE "https://fleet.test"

struct cut_world cut_world;

/* Names that the linker makes of --wrap. */
struct hf_transport_port __wrap_hf_http_transport_port(struct hf_http_transport *transport);
struct hf_transport_port __wrap_hf_http_transport_port(struct hf_http_transport *transport)
{
    (void)transport;
    return fake_transport_port(&cut_world.transport);
}

enum hf_err __wrap_hf_shell_run(const char *command, const char *what,
                                const struct hf_variable *variables, size_t n_variables,
                                unsigned timeout_ms, struct hf_why *why);
enum hf_err __wrap_hf_shell_run(const char *command, const char *what,
                                const struct hf_variable *variables, size_t n_variables,
                                unsigned timeout_ms, struct hf_why *why)
{
    (void)what;
    (void)timeout_ms;
    (void)why;
    assert_string_equal(command, "tell the broker");
    for (size_t i = 0; i < n_variables; i++) {
        if (strcmp(variables[i].name, "HOLDFAST_NEW_VERSION") == 0)
            cut_world.told_version = strtoll(variables[i].value, NULL, 10);
    }
    return HF_OK;
}

const char *cut_state_dir(void)
{
    return temp_path(cut_world.dir, "device");
}

static const char *export_file(void)
{
    return temp_path(cut_world.dir, "roots/roots.pem");
}

/* ---- the publisher --------------------------------------------------------------------------- */

/* Big enough to go over several pages of the database. */
static void make_roots(int64_t version, int n_roots, struct hf_buf *pem)
{
    char subject[80];
    struct pki_key key;

    pki_key_make(&key, PKI_P256);
    for (int i = 0; i < n_roots; i++) {
        (void)snprintf(subject, sizeof subject, "CN=Root %d of version %lld", i,
                       (long long)version);
        struct pki_cert cert = {.subject = subject, .key = &key, .is_ca = true};
        pki_issue_pem(&cert, pem);
    }
    pki_key_free(&key);
}

void cut_publish(int64_t version)
{
    char path[80];
    struct cut_version *wanted = &cut_world.versions[version];

    make_roots(version, 4 + (int)version, &wanted->pem);
    json_t *custom = json_pack("{s:{s:s, s:s, s:I}}", "holdfast", "set", SET, "profile", PROFILE,
                               "version", (json_int_t)version);
    (void)snprintf(path, sizeof path, SET "/" PROFILE "/%lld.pem", (long long)version);
    tuf_repo_add_target(&cut_world.repo, path, hf_buf_bytes(&wanted->pem), custom);
    tuf_repo_publish_next(&cut_world.repo);
}

/* ---- the device ------------------------------------------------------------------------------ */

enum hf_err cut_init(struct hf_why *why)
{
    static const char *const urls[] = {URL};
    struct hf_posix_config config = {
        .client = {.urls = urls,
                   .n_urls = 1,
                   .set = SET,
                   .profile = PROFILE,
                   .awaits_confirm = cut_world.awaits_confirm,
                   .device_id = "crash-test"},
        .export_file = export_file(),
        .on_swap = "tell the broker",
        .report = SERVICE,
    };
    struct hf_bytes root = tuf_files_find(&cut_world.repo.files, "metadata/1.root.json");
    return hf_posix_init(cut_state_dir(), &config, root, (struct hf_bytes){0},
                         (struct hf_log_port){0}, why);
}

enum hf_err cut_update(struct hf_why *why)
{
    struct hf_posix *posix = NULL;
    struct hf_update_result result = {0};

    fake_transport_forget(&cut_world.transport);
    HF_TRY(hf_posix_open(cut_state_dir(), (struct hf_log_port){0}, &posix, why));
    enum hf_err err = hf_posix_update(posix, &result, why);
    hf_posix_close(posix);
    return err;
}

/* The application says that it cannot work with the bundle on trial. */
enum hf_err cut_reject(struct hf_why *why)
{
    struct hf_posix *posix = NULL;

    HF_TRY(hf_posix_open(cut_state_dir(), (struct hf_log_port){0}, &posix, why));
    enum hf_err err = hf_posix_reject(posix, "no connection to the broker", why);
    hf_posix_close(posix);
    return err;
}

/* ---- the service ----------------------------------------------------------------------------- */

#define REPORTS_MAX 256

struct seen_report {
    enum hf_report_kind kind; /* HF_REPORT_OTHER: not seen */
    int64_t to;
    char text[HF_REPORT_TEXT_MAX + 1];
    char sha256[HF_SHA256_HEX_LEN]; /* of its content */
};

static struct {
    char installation[HF_REPORT_INSTALLATION_SIZE];
    struct seen_report reports[REPORTS_MAX]; /* by number */
} service;

void cut_reports_forget(void)
{
    memset(&service, 0, sizeof service);
}

static void take_report(const struct hf_report *report)
{
    struct hf_report content = *report;
    struct hf_buf json = {0};

    if (strcmp(service.installation, report->installation) != 0)
        cut_reports_forget();
    memcpy(service.installation, report->installation, sizeof service.installation);
    content.nonce[0] = '\0';
    content.sent_s = HF_TIME_NONE;
    CHECK_OK(hf_report_write(&content, &json, NULL));
    assert_in_range(report->seq, 1, REPORTS_MAX - 1);
    struct seen_report *known = &service.reports[report->seq];
    struct seen_report seen = {.kind = report->kind, .to = report->to};
    memcpy(seen.text, report->text, sizeof seen.text);
    hf_sha256_hex(hf_buf_bytes(&json), seen.sha256);
    if (known->kind != HF_REPORT_OTHER && strcmp(known->sha256, seen.sha256) != 0)
        fail_msg("a %s was report %lld, and now it is %s", hf_report_kind_name(known->kind),
                 (long long)report->seq, (const char *)json.data);
    *known = seen;
    hf_buf_free(&json);
}

static void take_post(void *ctx)
{
    const struct fake_transport *t = ctx;
    struct hf_report *list = NULL;
    size_t n = 0;

    CHECK_OK(hf_report_list_read(hf_buf_bytes(&t->posts[t->n_posts - 1].body), &list, &n, NULL));
    for (size_t i = 0; i < n; i++)
        take_report(&list[i]);
    free(list);
}

static bool is_install_outcome(const struct seen_report *report)
{
    return report->kind == HF_REPORT_SWAPPED || report->kind == HF_REPORT_CONFIRMED ||
           report->kind == HF_REPORT_ROLLED_BACK;
}

bool cut_reports_has(int64_t version)
{
    for (size_t i = 0; i < REPORTS_MAX; i++)
        if (service.reports[i].to == version && is_install_outcome(&service.reports[i]))
            return true;
    return false;
}

/* ---- the journal and the reports ------------------------------------------------------------- */

/* Events that are reported with the words of their line in the journal. */
static bool is_outcome(const char *event_kind)
{
    return strcmp(event_kind, "swap") == 0 || strcmp(event_kind, "confirmed") == 0 ||
           strcmp(event_kind, "rollback") == 0;
}

struct lines {
    size_t n, n_new; /* of the journal; those to look at, which are the newest */
    size_t n_outcomes;
};

static void count_line(void *ctx, const struct hf_event *event)
{
    (void)event;
    ((struct lines *)ctx)->n++;
}

static void check_line(void *ctx, const struct hf_event *event)
{
    struct lines *lines = ctx;
    size_t n_reports = 0;

    if (lines->n++ >= lines->n_new || !is_outcome(event->kind))
        return;
    lines->n_outcomes++;
    for (size_t i = 0; i < REPORTS_MAX; i++) {
        const struct seen_report *report = &service.reports[i];
        n_reports += is_install_outcome(report) && strstr(event->text, report->text) != NULL;
    }
    if (n_reports != 1)
        fail_msg("%zu reports tell what the journal tells: %s", n_reports, event->text);
}

static struct lines read_journal(void (*each)(void *ctx, const struct hf_event *event),
                                 struct lines lines)
{
    struct hf_posix *posix = NULL;
    struct hf_why why = {0};

    CHECK_OK(hf_posix_open(cut_state_dir(), (struct hf_log_port){0}, &posix, &why));
    CHECK_OK(hf_posix_journal_read(posix, SIZE_MAX, each, &lines, &why));
    hf_posix_close(posix);
    return lines;
}

size_t cut_journal_lines(void)
{
    return read_journal(count_line, (struct lines){0}).n;
}

void cut_reports_check_journal(size_t n_before)
{
    const struct lines found = read_journal(check_line,
                                            (struct lines){.n_new = cut_journal_lines() -
                                                                    n_before});
    size_t n_reports = 0;

    for (size_t i = 0; i < REPORTS_MAX; i++)
        n_reports += is_install_outcome(&service.reports[i]);
    assert_int_equal(n_reports, found.n_outcomes); /* none of what did not happen */
}

/* ---- what is there --------------------------------------------------------------------------- */

/* What `slot` holds, and its files say the same. */
static int64_t version_in(struct hf_posix *posix, enum hf_slot slot)
{
    struct hf_store_port store = hf_sqlite_store_port(posix->store);
    struct hf_bundle_record row = {0};
    struct hf_bundle_record file = {0};
    struct hf_why why = {0};

    enum hf_err err = store.load_bundle(store.ctx, slot, &row, &why);
    if (err == HF_E_NOT_FOUND) {
        assert_int_equal(hf_bundle_files_load(cut_state_dir(), slot, &file, NULL), HF_E_NOT_FOUND);
        return CUT_NO_VERSION;
    }
    CHECK_OK(err);
    assert_true(row.version >= 1 && row.version <= CUT_VERSIONS);
    assert_true(
        hf_bytes_equal(hf_buf_bytes(&row.pem), hf_buf_bytes(&cut_world.versions[row.version].pem)));
    if (hf_bundle_files_load(cut_state_dir(), slot, &file, &why) != HF_OK)
        fail_msg("the files of slot %d: %s", (int)slot, why.text);
    assert_int_equal(file.version, row.version);
    assert_true(hf_bytes_equal(hf_buf_bytes(&file.pem), hf_buf_bytes(&row.pem)));
    int64_t version = row.version;
    hf_bundle_record_free(&row);
    hf_bundle_record_free(&file);
    return version;
}

/* Which version other programs read; every byte of it. */
int64_t cut_exported_version(void)
{
    if (!temp_exists(export_file()))
        return CUT_NO_VERSION;
    const char *found = temp_read(export_file());
    for (int64_t version = 1; version <= CUT_VERSIONS; version++) {
        if (strcmp(found, cut_world.versions[version].exported) == 0)
            return version;
    }
    fail_msg("the export is no version, it has %zu bytes", strlen(found));
    return CUT_NO_VERSION;
}

static struct cut_found look_at(struct hf_posix *posix)
{
    struct hf_status status = {0};
    struct hf_why why = {0};

    CHECK_OK(hf_client_status(hf_posix_client(posix), &status, &why));
    struct cut_found found = {
        .active = version_in(posix, HF_SLOT_ACTIVE),
        .root = status.root.version,
        .timestamp = status.timestamp.version,
        .targets = status.targets.version,
    };
    assert_int_equal(status.active.is_present ? status.active.version : CUT_NO_VERSION,
                     found.active);
    hf_status_free(&status);
    return found;
}

/* After a power cut the device must come up able to write, whatever was lost. */
static struct hf_posix *come_up(void)
{
    struct hf_posix *posix = NULL;
    struct hf_why why = {0};

    if (hf_posix_open(cut_state_dir(), (struct hf_log_port){0}, &posix, &why) != HF_OK ||
        hf_posix_is_writable(posix, &why) != HF_OK)
        fail_msg("after the cut: %s", why.text);
    return posix;
}

struct cut_found cut_look(void)
{
    struct hf_posix *posix = come_up();
    struct cut_found found = look_at(posix);
    hf_posix_close(posix);
    return found;
}

struct cut_found cut_update_and_look(void)
{
    struct hf_posix *posix = come_up();
    struct hf_update_result result = {0};
    struct hf_why why = {0};

    fake_transport_forget(&cut_world.transport);
    if (hf_posix_update(posix, &result, &why) != HF_OK)
        fail_msg("the next update failed: %s", why.text);
    struct cut_found found = look_at(posix);
    hf_posix_close(posix);
    return found;
}

static void remember_export(int64_t version)
{
    struct cut_version *wanted = &cut_world.versions[version];
    (void)snprintf(wanted->exported, sizeof wanted->exported, "%s", temp_read(export_file()));
}

void cut_init_device(void)
{
    struct hf_why why = {0};
    if (cut_init(&why) != HF_OK)
        fail_msg("%s", why.text);
}

/* What every version looks like to other programs, told by a device that nothing happens to. */
void cut_update_to(int64_t version)
{
    cut_publish(version);
    assert_int_equal(cut_update_and_look().active, version);
    remember_export(version);
}

/* ---- setup and teardown ---------------------------------------------------------------------- */

int cut_world_setup(void **state)
{
    cut_world = (struct cut_world){0};
    temp_dir_setup(state);
    cut_world.dir = *state;
    cut_vfs_register();
    assert_int_equal(mkdir(temp_path(cut_world.dir, "roots"), 0700), 0);
    tuf_repo_init(&cut_world.repo, (int64_t)time(NULL) - 86400);
    tuf_repo_publish_root(&cut_world.repo);
    fake_transport_add(&cut_world.transport, URL, &cut_world.repo.files);
    cut_reports_forget();
    cut_world.transport.service = (struct fake_service_answer){
        .status = 200, .body = "{\"accepted\":1,\"duplicates\":0,\"nonce\":\"00112233aabbccdd\"}"};
    cut_world.transport.on_post = take_post;
    cut_world.transport.on_post_ctx = &cut_world.transport;
    return 0;
}

int cut_world_teardown(void **state)
{
    for (size_t i = 0; i < sizeof cut_world.versions / sizeof cut_world.versions[0]; i++)
        hf_buf_free(&cut_world.versions[i].pem);
    fake_transport_free(&cut_world.transport);
    tuf_repo_free(&cut_world.repo);
    return temp_dir_teardown(state);
}
