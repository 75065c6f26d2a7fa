#include "server/fleet/device_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the page before ended: a number, a name, or a time and a number. */
#define COLUMNS HF_DEVICE_STATE_COLUMNS ", d.name, d.group_name, d.created_s, d.version"
#define TYPES HF_DEVICE_STATE_TYPES "ttii"

/* The order of the tables is that of the query, also where the planner would choose another one. */
#define FROM_DEVICE                                                                                \
    "SELECT " COLUMNS " FROM device AS d CROSS JOIN device_state AS s "                            \
    "WHERE s.device_id = d.id AND d.account_id = :account "
#define FROM_STATE                                                                                 \
    "SELECT " COLUMNS " FROM device_state AS s CROSS JOIN device AS d "                            \
    "WHERE d.id = s.device_id AND s.account_id = :account "

enum { FIND, ALL, BY_NAME, BY_GROUP, BY_VERSION, BY_RESULT, BY_SEEN, BY_SEEN_AT };

const struct hf_sql hf_device_view_sql[] = {
    [FIND] = {"device_view_find", FROM_DEVICE "AND d.name = :name", TYPES},
    [ALL] = {"device_view_list", FROM_DEVICE "AND d.id > :after ORDER BY d.id LIMIT :look", TYPES},
    [BY_NAME] = {"device_view_list_by_name",
                 FROM_DEVICE "AND d.name >= :from AND d.name < :end ORDER BY d.name LIMIT :look",
                 TYPES},
    [BY_GROUP] = {"device_view_list_by_group",
                  FROM_DEVICE "AND d.group_name = :group AND d.id > :after "
                              "ORDER BY d.id LIMIT :look",
                  TYPES},
    [BY_VERSION] = {"device_view_list_by_version",
                    FROM_STATE "AND s.active_version = :version AND s.device_id > :after "
                               "ORDER BY s.device_id LIMIT :look",
                    TYPES},
    [BY_RESULT] = {"device_view_list_by_result",
                   FROM_STATE "AND s.result = :result AND s.device_id > :after "
                              "ORDER BY s.device_id LIMIT :look",
                   TYPES},
    [BY_SEEN] = {"device_view_list_by_seen",
                 FROM_STATE "AND s.seen_s > :after_s AND s.seen_s < :before "
                            "ORDER BY s.seen_s, s.device_id LIMIT :look",
                 TYPES},
    /* The rest of one second: of all that have never reported, for example. */
    [BY_SEEN_AT] = {"device_view_list_by_seen_at",
                    FROM_STATE "AND s.seen_s = :after_s AND s.device_id > :after "
                               "ORDER BY s.device_id LIMIT :look",
                    TYPES},
    {0},
};

static enum hf_err read_row(const struct hf_rows *rows, void *data, struct hf_why *why)
{
    const unsigned at = HF_DEVICE_STATE_N;
    struct hf_device_view *out = data;
    struct hf_device *device = &out->device;

    HF_TRY(hf_device_state_read(rows, &out->state, why));
    *device = (struct hf_device){.id = out->state.device_id,
                                 .account_id = out->state.account_id,
                                 .created_s = hf_col_int(rows, at + 2),
                                 .version = hf_col_int(rows, at + 3)};
    HF_TRY(hf_col_copy_text(rows, at, device->name, sizeof device->name, why));
    return hf_col_copy_text(rows, at + 1, device->group, sizeof device->group, why);
}

enum hf_err hf_device_view_find(struct hf_db *db, int64_t account_id, const char *name,
                                struct hf_device_view *out, struct hf_why *why)
{
    return hf_db_read_one(db, &hf_device_view_sql[FIND],
                          HF_PARAMS(hf_p_int("account", account_id), hf_p_text("name", name)),
                          read_row, out, "this account has no such device", why);
}

/* ---- where a page begins and ends ------------------------------------------------------------ */

static int order_of(const struct hf_device_filter *filter)
{
    if (filter->prefix != NULL)
        return BY_NAME;
    if (filter->result != NULL)
        return BY_RESULT;
    if (filter->has_version)
        return BY_VERSION;
    if (filter->group != NULL)
        return BY_GROUP;
    return filter->silent_since_s != 0 ? BY_SEEN : ALL;
}

static void write_position(int order, const struct hf_device_view *row,
                           char out[HF_DEVICE_ID_MAX + 1])
{
    if (order == BY_NAME)
        memcpy(out, row->device.name, HF_DEVICE_ID_MAX + 1);
    else if (order == BY_SEEN)
        (void)snprintf(out, HF_DEVICE_ID_MAX + 1, "%" PRId64 ".%" PRId64, row->state.seen_s,
                       row->device.id);
    else
        (void)snprintf(out, HF_DEVICE_ID_MAX + 1, "%" PRId64, row->device.id);
}

/* A number of at most 18 digits; moves behind it. */
static bool take_number(const char **at, int64_t *out)
{
    size_t digits = strspn(*at, "0123456789");

    if (digits == 0 || digits > 18)
        return false;
    *out = strtoll(*at, NULL, 10);
    *at += digits;
    return true;
}

struct position {
    int64_t seen_s, id;
    char name[HF_DEVICE_ID_MAX + 2];
};

static bool read_position(int order, const char *text, struct position *out)
{
    *out = (struct position){.seen_s = -1};
    if (text[0] == '\0')
        return true;
    if (order == BY_NAME) {
        if (!hf_device_id_is_valid(text))
            return false;
        /* The first text behind it: no name has a character so low. */
        (void)snprintf(out->name, sizeof out->name, "%s\001", text);
        return true;
    }
    if (order == BY_SEEN && (!take_number(&text, &out->seen_s) || *text++ != '.'))
        return false;
    return take_number(&text, &out->id) && *text == '\0';
}

/* Names from `prefix` up to this one begin with it. */
static void end_of_prefix(const char *prefix, char out[HF_DEVICE_ID_MAX + 1])
{
    size_t len = strlen(prefix);

    memcpy(out, prefix, len + 1);
    out[len - 1]++;
}

/* `end` is written, and belongs to the statement until it ends. */
static enum hf_err run(struct hf_db *db, int order, int64_t account_id,
                       const struct hf_device_filter *filter, const struct position *from,
                       char end[HF_DEVICE_ID_MAX + 1], struct hf_rows *rows, struct hf_why *why)
{
    const struct hf_sql *sql = &hf_device_view_sql[order];
    const struct hf_param account = hf_p_int("account", account_id);
    const struct hf_param look = hf_p_int("look", HF_FLEET_LOOK_MAX + 1);
    const struct hf_param after = hf_p_int("after", from->id);

    switch (order) {
    case BY_NAME:
        end_of_prefix(filter->prefix, end);
        return hf_db_run(db, sql,
                         HF_PARAMS(account, look, hf_p_text("end", end),
                                   hf_p_text("from",
                                             from->name[0] != '\0' ? from->name : filter->prefix)),
                         rows, why);
    case BY_GROUP:
        return hf_db_run(db, sql,
                         HF_PARAMS(account, look, after, hf_p_text("group", filter->group)), rows,
                         why);
    case BY_VERSION:
        return hf_db_run(db, sql,
                         HF_PARAMS(account, look, after, hf_p_int("version", filter->version)),
                         rows, why);
    case BY_RESULT:
        return hf_db_run(db, sql,
                         HF_PARAMS(account, look, after, hf_p_text("result", filter->result)), rows,
                         why);
    case BY_SEEN:
        return hf_db_run(db, sql,
                         HF_PARAMS(account, look, hf_p_int("after_s", from->seen_s),
                                   hf_p_int("before", filter->silent_since_s)),
                         rows, why);
    case BY_SEEN_AT:
        return hf_db_run(db, sql,
                         HF_PARAMS(account, look, after, hf_p_int("after_s", from->seen_s)), rows,
                         why);
    default:
        return hf_db_run(db, sql, HF_PARAMS(account, look, after), rows, why);
    }
}

/* ---- the list -------------------------------------------------------------------------------- */

static bool matches(const struct hf_device_filter *filter, const struct hf_device_view *row)
{
    const struct hf_device_state *state = &row->state;

    return (filter->group == NULL || strcmp(filter->group, row->device.group) == 0) &&
           (filter->set == NULL || strcmp(filter->set, state->set) == 0) &&
           (filter->result == NULL || strcmp(filter->result, state->result) == 0) &&
           (!filter->has_version || filter->version == state->active_version) &&
           (filter->silent_since_s == 0 || state->seen_s < filter->silent_since_s);
}

/* A page under way. */
struct listing {
    struct hf_db *db;
    int64_t account_id;
    const struct hf_device_filter *filter;
    struct hf_device_page *page;
    hf_db_each *each;
    void *ctx;
    struct position from;
    struct hf_device_view row; /* the last one */
    size_t n_given, n_looked;
};

/* Go through the rows of one statement until the page is full. */
static enum hf_err scan(struct listing *l, int statement, int order, struct hf_why *why)
{
    char end[HF_DEVICE_ID_MAX + 1];
    struct hf_rows rows;
    enum hf_err err;

    HF_TRY(run(l->db, statement, l->account_id, l->filter, &l->from, end, &rows, why));
    while ((err = hf_db_next(&rows, why)) == HF_OK) {
        if (l->n_given == l->page->limit || l->n_looked == HF_FLEET_LOOK_MAX) {
            write_position(order, &l->row, l->page->next);
            break;
        }
        err = read_row(&rows, &l->row, why);
        l->n_looked++;
        if (err == HF_OK && matches(l->filter, &l->row)) {
            err = l->each(l->ctx, &l->row, why);
            l->n_given++;
        }
        if (err != HF_OK)
            break;
    }
    hf_db_end(&rows);
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

enum hf_err hf_device_view_list(struct hf_db *db, int64_t account_id,
                                const struct hf_device_filter *filter, struct hf_device_page *page,
                                hf_db_each *each, void *ctx, struct hf_why *why)
{
    struct listing l = {db, account_id, filter, page, each, ctx};
    const int order = order_of(filter);

    page->next[0] = '\0';
    if (filter->prefix != NULL && !hf_device_id_is_valid(filter->prefix))
        return hf_fail(why, HF_E_ARGUMENT,
                       "prefix: expected the beginning of a device id, 1 to %d of A-Z a-z 0-9 . _ "
                       ": -",
                       HF_DEVICE_ID_MAX);
    if (!read_position(order, page->after, &l.from))
        return hf_fail(why, HF_E_ARGUMENT,
                       "after: expected a value from the link to the next page, of a list with the "
                       "same parameters");
    if (order == BY_SEEN && l.from.seen_s >= 0)
        HF_TRY(scan(&l, BY_SEEN_AT, order, why));
    return page->next[0] == '\0' ? scan(&l, order, order, why) : HF_OK;
}
