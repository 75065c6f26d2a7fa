#include "server/config/config.h"

#include "common/os/file_util.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum kind {
    TEXT,
    PATH,  /* absolute */
    LIST,  /* one value a line; the key may be given again */
    PATHS, /* the same, of absolute paths */
    NUMBER,
    SECONDS, /* "90", "10s", "5m", "24h", "7d" */
    CHOICE,
};

struct row {
    const char *section, *name;
    enum kind kind;
    size_t at;
    int64_t preset, min, max;
    const char *const *choices; /* NULL at the end */
    bool is_reloadable;
};

#define AT(member) offsetof(struct hf_config, member)
#define DAY INT64_C(86400)

static const char *const sni_choices[] = {"required", "optional", NULL};

static const struct row rows[] = {
    {"repository", "path", PATH, AT(repository.path)},
    {"http", "listen", TEXT, AT(http.listen)},
    {"devices", "listen", TEXT, AT(devices.listen)},
    {"devices", "certificate", PATHS, AT(devices.certificates), .is_reloadable = true},
    {"devices", "key", PATHS, AT(devices.keys), .is_reloadable = true},
    {"devices", "balancer", LIST, AT(devices.balancers), .is_reloadable = true},
    {"devices", "sni", CHOICE, AT(devices.sni), .choices = sni_choices, .is_reloadable = true},
    {"server", "loops", NUMBER, AT(server.loops), 0, 0, 256},
    {"server", "max_connections", NUMBER, AT(server.max_connections), 65536, 1, 4194304,
     .is_reloadable = true},
    {"server", "max_per_address", NUMBER, AT(server.max_per_address), 1024, 1, 4194304,
     .is_reloadable = true},
    {"server", "header_timeout", SECONDS, AT(server.header_timeout_s), 10, 1, 86400,
     .is_reloadable = true},
    {"server", "idle_timeout", SECONDS, AT(server.idle_timeout_s), 60, 1, 86400,
     .is_reloadable = true},
    {"server", "access_log", TEXT, AT(server.access_log), .is_reloadable = true},
    {"server", "state", PATH, AT(server.state)},
    {"admin", "socket", PATH, AT(admin.socket)},
    {"admin", "listen", TEXT, AT(admin.listen)},
    {"admin", "certificate", PATHS, AT(admin.certificates), .is_reloadable = true},
    {"admin", "key", PATHS, AT(admin.keys), .is_reloadable = true},
    {"database", "path", PATH, AT(database.path)},
    {"database", "report_keep", SECONDS, AT(database.report_keep_s), 180 * 86400, 86400,
     3660 * 86400, .is_reloadable = true},
    {"database", "unverified_reports", NUMBER, AT(database.unverified_reports), 10000, 1, 10000000,
     .is_reloadable = true},
    {"signer", "socket", PATH, AT(signer.socket)},
    {"signer", "client_user", TEXT, AT(signer.client_user)},
    {"signer", "state", PATH, AT(signer.state)},
    {"signer", "keys", PATH, AT(signer.keys)},
    {"signer", "passphrase_file", PATH, AT(signer.passphrase_file)},
    {"signer", "timestamp_every", SECONDS, AT(signer.timestamp_every_s), 86400, 1, 30 * 86400,
     .is_reloadable = true},
    {"signer", "issue_per_day", NUMBER, AT(signer.issue_per_day), 10000, 0, 100000000,
     .is_reloadable = true},
    {"signer", "issue_per_day_per_ca", NUMBER, AT(signer.issue_per_day_per_ca), 5000, 0, 100000000,
     .is_reloadable = true},
    {"audits", "every", SECONDS, AT(audits.every_s), 3600, 60, 30 * DAY, .is_reloadable = true},
    {"audits", "ca_certificate_expiring", SECONDS, AT(audits.ca_expiring_s), 30 * DAY, 0,
     3652 * DAY, .is_reloadable = true},
    {"audits", "device_certificate_expiring", SECONDS, AT(audits.certificate_expiring_s), 30 * DAY,
     30 * DAY, 3652 * DAY, .is_reloadable = true},
    {"audits", "device_certificate_age", SECONDS, AT(audits.certificate_age_s), 0, 0, 3652 * DAY,
     .is_reloadable = true},
    {"audits", "rotation_stuck", SECONDS, AT(audits.rotation_stuck_s), 7 * DAY, 3600, 365 * DAY,
     .is_reloadable = true},
    {"audits", "device_silent", SECONDS, AT(audits.device_silent_s), 7 * DAY, 3600, 365 * DAY,
     .is_reloadable = true},
    {"audits", "device_silent_after_update", SECONDS, AT(audits.device_silent_after_update_s),
     21600, 600, 365 * DAY, .is_reloadable = true},
    {"audits", "device_behind", SECONDS, AT(audits.device_behind_s), 7 * DAY, 3600, 365 * DAY,
     .is_reloadable = true},
    {"audits", "anchor_ends", SECONDS, AT(audits.anchor_ends_s), 365 * DAY, 0, 3652 * DAY,
     .is_reloadable = true},
    {"audits", "clock_wrong", SECONDS, AT(audits.clock_wrong_s), 3600, 60, 3652 * DAY,
     .is_reloadable = true},
    {"audits", "conflicting_ids", SECONDS, AT(audits.conflict_s), 7 * DAY, 3600, 365 * DAY,
     .is_reloadable = true},
    {"audits", "metadata_ending", SECONDS, AT(audits.metadata_ending_s), 30 * DAY, 0, 365 * DAY,
     .is_reloadable = true},
    {"audits", "online_metadata_ending", SECONDS, AT(audits.online_metadata_ending_s), 2 * DAY, 0,
     365 * DAY, .is_reloadable = true},
    {"audits", "weak_keys", PATHS, AT(audits.weak_keys), .is_reloadable = true},
    {"audits", "crl", PATHS, AT(audits.crls), .is_reloadable = true},
    {"webhook", "url", TEXT, AT(webhook.url), .is_reloadable = true},
    {"webhook", "secret_file", PATH, AT(webhook.secret_file), .is_reloadable = true},
    {"webhook", "ca_file", PATH, AT(webhook.ca_file), .is_reloadable = true},
};
#define ROWS (sizeof rows / sizeof rows[0])

struct reader {
    const char *path;
    struct hf_config config;
    bool is_given[ROWS];
    enum hf_err err;
    struct hf_why *why;
};

bool hf_config_row(size_t i, const char **section, const char **name)
{
    if (i >= ROWS)
        return false;
    *section = rows[i].section;
    *name = rows[i].name;
    return true;
}

bool hf_config_is_reloadable(size_t i)
{
    return rows[i].is_reloadable;
}

/* A whole number with an optional unit. */
static bool parse_number(const char *text, bool has_unit, int64_t *out)
{
    static const struct {
        char unit;
        int64_t factor;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    char *end = NULL;
    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    int64_t factor = 1;
    for (size_t i = 0; has_unit && i < sizeof units / sizeof units[0]; i++)
        if (end[0] == units[i].unit && end[1] == '\0') {
            factor = units[i].factor;
            end++;
        }
    return *end == '\0' && errno == 0 && !__builtin_mul_overflow(value, factor, out);
}

static enum hf_err add_text(struct reader *r, const struct row *row, const char *value)
{
    char *copy = strdup(value);
    if (copy == NULL)
        return hf_fail(r->why, HF_E_MEMORY, "no memory for %s", r->path);
    char *base = (char *)&r->config + row->at;
    if (row->kind == TEXT || row->kind == PATH) {
        *(char **)(void *)base = copy;
        return HF_OK;
    }
    struct hf_config_list *list = (struct hf_config_list *)(void *)base;
    char **items = list->n < HF_CONFIG_LIST_MAX
                       ? realloc(list->items, (list->n + 1) * sizeof *items)
                       : NULL;
    if (items == NULL) {
        free(copy);
        return hf_fail(r->why, HF_E_LIMIT, "%s: [%s] %s: expected at most %u values, found more",
                       r->path, row->section, row->name, HF_CONFIG_LIST_MAX);
    }
    list->items = items;
    items[list->n++] = copy;
    return HF_OK;
}

static enum hf_err add_number(struct reader *r, const struct row *row, const char *value)
{
    int64_t number = 0;
    bool has_unit = row->kind == SECONDS;
    if (!parse_number(value, has_unit, &number) || number < row->min || number > row->max)
        return hf_fail(r->why, HF_E_ARGUMENT,
                       "%s: [%s] %s: expected %s from %" PRId64 " to %" PRId64 "%s, found \"%s\"",
                       r->path, row->section, row->name, has_unit ? "a time" : "a number", row->min,
                       row->max, has_unit ? " seconds, such as 90, 10s, 5m, 24h or 7d" : "", value);
    memcpy((char *)&r->config + row->at, &number, sizeof number);
    return HF_OK;
}

static enum hf_err add_choice(struct reader *r, const struct row *row, const char *value)
{
    for (int64_t i = 0; row->choices[i] != NULL; i++)
        if (strcmp(row->choices[i], value) == 0) {
            memcpy((char *)&r->config + row->at, &i, sizeof i);
            return HF_OK;
        }
    return hf_fail(r->why, HF_E_ARGUMENT, "%s: [%s] %s: expected %s or %s, found \"%s\"", r->path,
                   row->section, row->name, row->choices[0], row->choices[1], value);
}

static enum hf_err add(struct reader *r, const struct row *row, const char *value)
{
    bool is_list = row->kind == LIST || row->kind == PATHS;
    bool *is_given = &r->is_given[row - rows];
    if (*is_given && !is_list)
        return hf_fail(r->why, HF_E_ARGUMENT,
                       "%s: [%s] %s is given twice; remove one of both lines", r->path,
                       row->section, row->name);
    *is_given = true;
    if (value[0] == '\0')
        return hf_fail(r->why, HF_E_ARGUMENT,
                       "%s: [%s] %s has no value; give one or remove the line", r->path,
                       row->section, row->name);
    if ((row->kind == PATH || row->kind == PATHS) && value[0] != '/')
        return hf_fail(r->why, HF_E_ARGUMENT,
                       "%s: [%s] %s: expected a path that begins with /, found \"%s\"", r->path,
                       row->section, row->name, value);
    if (row->kind == NUMBER || row->kind == SECONDS)
        return add_number(r, row, value);
    return row->kind == CHOICE ? add_choice(r, row, value) : add_text(r, row, value);
}

/* inih calls it for each "name = value"; 0 means that the line is wrong. It goes on after that, so
 * the first error is kept. */
static int on_value(void *user, const char *section, const char *name, const char *value)
{
    struct reader *r = user;
    bool is_section_known = false;
    if (r->err != HF_OK)
        return 0;
    for (size_t i = 0; i < ROWS; i++) {
        bool is_here = strcmp(rows[i].section, section) == 0;
        is_section_known |= is_here;
        if (is_here && strcmp(rows[i].name, name) == 0) {
            r->err = add(r, &rows[i], value);
            return r->err == HF_OK;
        }
    }
    if (section[0] == '\0')
        r->err = hf_fail(r->why, HF_E_ARGUMENT,
                         "%s: %s comes before the first [section]; put it below the section that "
                         "it belongs to",
                         r->path, name);
    else
        r->err = hf_fail(r->why, HF_E_ARGUMENT, "%s: there is no %s \"%s\"%s%s%s", r->path,
                         is_section_known ? "key" : "section", is_section_known ? name : section,
                         is_section_known ? " in [" : "", is_section_known ? section : "",
                         is_section_known ? "]" : "");
    return 0;
}

static enum hf_err check_lines(const char *path, const char *text, struct hf_why *why)
{
    size_t number = 1;
    for (const char *line = text; *line != '\0'; number++) {
        size_t len = strcspn(line, "\n");
        if (len > HF_CONFIG_LINE_MAX)
            return hf_fail(why, HF_E_LIMIT,
                           "%s, line %zu: expected at most %u bytes, found %zu; continue a list on "
                           "a line of its own",
                           path, number, HF_CONFIG_LINE_MAX, len);
        line += len + (line[len] == '\n');
    }
    return HF_OK;
}

/* What no single row can tell. */
static enum hf_err check_together(const struct reader *r)
{
    const struct hf_config *c = &r->config;
    const struct {
        const char *section, *listen;
        const struct hf_config_list *certificates, *keys;
    } listeners[] = {
        {"devices", c->devices.listen, &c->devices.certificates, &c->devices.keys},
        {"admin", c->admin.listen, &c->admin.certificates, &c->admin.keys},
    };
    if (c->repository.path == NULL)
        return hf_fail(r->why, HF_E_ARGUMENT,
                       "%s: [repository] path is missing: the folder that holdfastctl made",
                       r->path);
    for (size_t i = 0; i < 2; i++) {
        size_t n = listeners[i].certificates->n;
        if (n != listeners[i].keys->n)
            return hf_fail(r->why, HF_E_ARGUMENT,
                           "%s: [%s]: expected one key for each certificate, found %zu "
                           "certificates and %zu keys",
                           r->path, listeners[i].section, n, listeners[i].keys->n);
        if (listeners[i].listen != NULL && n == 0)
            return hf_fail(r->why, HF_E_ARGUMENT,
                           "%s: [%s] listen needs a certificate and its key, because it speaks TLS",
                           r->path, listeners[i].section);
    }
    bool is_fleet = c->devices.listen != NULL || c->admin.socket != NULL || c->admin.listen != NULL;
    if (is_fleet && (c->database.path == NULL || c->signer.socket == NULL))
        return hf_fail(r->why, HF_E_ARGUMENT,
                       "%s: [devices] and [admin] need [database] path and [signer] socket",
                       r->path);
    if ((c->webhook.url == NULL) != (c->webhook.secret_file == NULL))
        return hf_fail(r->why, HF_E_ARGUMENT, "%s: [webhook] needs both url and secret_file",
                       r->path);
    if (c->webhook.url != NULL && strncmp(c->webhook.url, "https://", 8) != 0 &&
        strncmp(c->webhook.url, "http://", 7) != 0)
        return hf_fail(r->why, HF_E_ARGUMENT,
                       "%s: [webhook] url: expected an address that begins with https:// or "
                       "http://, found \"%.100s\"",
                       r->path, c->webhook.url);
    return HF_OK;
}

enum hf_err hf_config_read(const char *path, struct hf_config *out, struct hf_why *why)
{
    struct hf_buf text = {0};
    struct reader r = {.path = path, .err = HF_OK, .why = why};
    HF_TRY(hf_file_read_any(path, HF_CONFIG_BYTES_MAX, &text, why));
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].kind == NUMBER || rows[i].kind == SECONDS)
            memcpy((char *)&r.config + rows[i].at, &rows[i].preset, sizeof rows[i].preset);
    const char *lines = text.len > 0 ? (const char *)text.data : "";
    if (strlen(lines) != text.len)
        r.err = hf_fail(why, HF_E_FORMAT, "%s: expected text, found a NUL byte", path);
    if (r.err == HF_OK)
        r.err = check_lines(path, lines, why);
    if (r.err == HF_OK) {
        int line = ini_parse_string(lines, on_value, &r);
        if (r.err == HF_OK && line < 0)
            r.err = hf_fail(why, HF_E_MEMORY, "no memory to read %s", path);
        else if (r.err == HF_OK && line > 0)
            r.err = hf_fail(why, HF_E_FORMAT,
                            "%s, line %d: expected \"[section]\", \"key = value\" or a comment "
                            "that begins with ; or #",
                            path, line);
    }
    if (r.err == HF_OK)
        r.err = check_together(&r);
    hf_buf_free(&text);
    if (r.err == HF_OK)
        *out = r.config;
    else
        hf_config_free(&r.config);
    return r.err;
}

void hf_config_free(struct hf_config *config)
{
    for (size_t i = 0; i < ROWS; i++) {
        char *base = (char *)config + rows[i].at;
        if (rows[i].kind == TEXT || rows[i].kind == PATH) {
            free(*(char **)(void *)base);
        } else if (rows[i].kind == LIST || rows[i].kind == PATHS) {
            struct hf_config_list *list = (struct hf_config_list *)(void *)base;
            for (size_t j = 0; j < list->n; j++)
                free(list->items[j]);
            free(list->items);
        }
    }
    *config = (struct hf_config){0};
}

static bool is_same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool hf_config_differs(const struct hf_config *a, const struct hf_config *b, size_t i)
{
    const char *at_a = (const char *)a + rows[i].at, *at_b = (const char *)b + rows[i].at;
    if (rows[i].kind == TEXT || rows[i].kind == PATH)
        return !is_same_text(*(char *const *)(const void *)at_a,
                             *(char *const *)(const void *)at_b);
    if (rows[i].kind != LIST && rows[i].kind != PATHS)
        return memcmp(at_a, at_b, sizeof(int64_t)) != 0;
    const struct hf_config_list *list_a = (const void *)at_a, *list_b = (const void *)at_b;
    bool are_same = list_a->n == list_b->n;
    for (size_t j = 0; j < list_a->n && are_same; j++)
        are_same = is_same_text(list_a->items[j], list_b->items[j]);
    return !are_same;
}
