/* One run of one check: hf_audit_run of auditor.h. */
#include "server/findings/auditor.h"
#include "server/findings/keys.h"
#include "server/fleet/bundle_since.h"

#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNTS };

const struct hf_sql hf_audit_sql[] = {
    [ACCOUNTS] = {"audit_accounts", "SELECT id FROM account WHERE id > :after ORDER BY id LIMIT 1",
                  "i"},
    {0},
};

struct audit {
    const struct hf_audit_port *port;
    const struct hf_check *check;
    struct hf_check_ctx *ctx;
    struct hf_check_run run;
    struct hf_check_step step;
    bool has_failed;

    /* What the job under way writes. */
    int64_t account_id;
    int64_t room, room_after; /* for new findings of this account; after the job */
    size_t from, to;
    struct hf_key_step keys;
    int64_t mark;
    struct hf_census census;
};

static enum hf_err give_up(const struct audit *audit, struct hf_why *why)
{
    return audit->port->is_ending(audit->port->ctx)
               ? hf_fail(why, HF_E_BUSY, "the service ends; the audit is given up")
               : HF_OK;
}

/* Give rows 0 to `n` to `act`, in jobs that others do not wait long for. */
static enum hf_err write_each(struct audit *audit, size_t n, hf_fleet_act *act, struct hf_why *why)
{
    for (audit->from = 0; audit->from < n; audit->from = audit->to) {
        size_t left = n - audit->from;
        audit->to = audit->from + (left < HF_CHECK_JOB_ROWS ? left : HF_CHECK_JOB_ROWS);
        audit->room_after = audit->room;
        HF_TRY(audit->port->write(audit->port->ctx, act, audit, why));
        audit->room = audit->room_after;
    }
    return HF_OK;
}

/* ---- keys ------------------------------------------------------------------------------------ */

static enum hf_err save_keys(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct audit *audit = what;
    for (size_t i = audit->from; i < audit->to; i++)
        HF_TRY(hf_key_save(tx, &audit->keys.rows[i], audit->mark, why));
    return HF_OK;
}

static enum hf_err update_keys(struct audit *audit, struct hf_why *why)
{
    const struct hf_audit_port *port = audit->port;
    enum hf_err err = HF_OK;
    audit->keys = (struct hf_key_step){
        .rows = calloc(HF_CHECK_STEP_ROWS, sizeof *audit->keys.rows)};
    if (audit->keys.rows == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an audit");
    audit->mark = hf_keys_mark(&audit->ctx->weak_keys);
    while (err == HF_OK && !audit->keys.is_end) {
        err = give_up(audit, why);
        if (err == HF_OK)
            err = hf_keys_step(port->db, &audit->ctx->weak_keys, audit->mark, &audit->keys, why);
        if (err == HF_OK)
            err = write_each(audit, audit->keys.n_rows, save_keys, why);
    }
    free(audit->keys.rows);
    return err;
}

/* ---- what is published ----------------------------------------------------------------------- */

static enum hf_err note_since(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct hf_check_ctx *ctx = ((const struct audit *)what)->ctx;
    return hf_bundle_since_note(tx, ctx->published, ctx->since_s, why);
}

static enum hf_err read_since(struct audit *audit, struct hf_why *why)
{
    struct hf_check_ctx *ctx = audit->ctx;
    bool are_known = true;
    ctx->since_s = calloc(ctx->published->n + 1, sizeof *ctx->since_s);
    if (ctx->since_s == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an audit");
    HF_TRY(hf_bundle_since_read(audit->port->db, ctx->published, ctx->since_s, why));
    for (size_t i = 0; i < ctx->published->n; i++)
        are_known &= ctx->since_s[i] != 0;
    return are_known ? HF_OK : audit->port->write(audit->port->ctx, note_since, audit, why);
}

/* ---- findings -------------------------------------------------------------------------------- */

static enum hf_err note(void *what, struct hf_tx *tx, struct hf_why *why)
{
    struct audit *audit = what;
    bool was_opened = false;
    audit->room_after = audit->room;
    for (size_t i = audit->from; i < audit->to; i++) {
        HF_TRY(hf_finding_note(tx, &audit->run, audit->account_id, &audit->step.found[i],
                               audit->room_after > 0, &was_opened, why));
        audit->room_after -= was_opened;
    }
    return HF_OK;
}

/* With no room for new ones, the writer is asked only to see again what is open: a check that finds
 * all of a million devices holds it no longer than one that finds a thousand. */
static enum hf_err drop_unlisted(struct audit *audit, struct hf_why *why)
{
    struct hf_check_step *step = &audit->step;
    size_t kept = 0;
    for (size_t i = 0; i < step->n_found; i++) {
        bool is_open = false;
        HF_TRY(hf_finding_is_open(audit->port->db, audit->check->name, audit->account_id,
                                  step->found[i].subject, &is_open, why));
        if (is_open)
            step->found[kept++] = step->found[i];
    }
    step->n_found = kept;
    return HF_OK;
}

static enum hf_err note_all(struct audit *audit, struct hf_why *why)
{
    audit->run.found += (int64_t)audit->step.n_found;
    if (audit->room <= 0)
        HF_TRY(drop_unlisted(audit, why));
    return write_each(audit, audit->step.n_found, note, why);
}

static enum hf_err save_census(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct audit *audit = what;
    return hf_census_put(tx, audit->account_id, &audit->census, why);
}

static enum hf_err conclude(struct audit *audit, struct hf_why *why)
{
    const struct hf_audit_port *port = audit->port;
    audit->census.counted_s = audit->ctx->now_s;
    HF_TRY(port->write(port->ctx, save_census, audit, why));
    HF_TRY(audit->check->conclude(audit->ctx, port->db, audit->account_id, &audit->step, why));
    return note_all(audit, why);
}

/* All rows of one account; 0: of the service itself. What does not fit is counted, and what is open
 * stays open. */
static enum hf_err walk(struct audit *audit, int64_t account_id, struct hf_why *why)
{
    const struct hf_audit_port *port = audit->port;
    int64_t n_open = 0;
    hf_census_free(&audit->census);
    HF_TRY(hf_finding_count_open(port->db, audit->check->name, account_id, &n_open, why));
    audit->room = (int64_t)HF_FINDINGS_LISTED_MAX - n_open;
    audit->account_id = account_id;
    audit->step.after = 0;
    do {
        HF_TRY(give_up(audit, why));
        HF_TRY(hf_check_step(audit->check, audit->ctx, port->db, account_id, &audit->step, why));
        HF_TRY(note_all(audit, why));
    } while (!audit->step.is_end);
    return audit->check->conclude != NULL ? conclude(audit, why) : HF_OK;
}

static enum hf_err walk_accounts(struct audit *audit, struct hf_why *why)
{
    int64_t account_id = 0;
    enum hf_err err = HF_OK;
    while (err == HF_OK) {
        err = hf_db_get_int(audit->port->db, &hf_audit_sql[ACCOUNTS],
                            HF_PARAMS(hf_p_int("after", account_id)), &account_id, why);
        if (err == HF_OK)
            err = walk(audit, account_id, why);
    }
    return err == HF_E_NOT_FOUND ? HF_OK : err;
}

/* ---- a run ----------------------------------------------------------------------------------- */

static enum hf_err prepare(struct audit *audit, struct hf_why *why)
{
    struct hf_check_ctx *ctx = audit->ctx;
    const struct hf_check_settings *s = ctx->settings;
    HF_TRY(hf_weak_keys_read(s->weak_keys, s->n_weak_keys, &ctx->weak_keys, why));
    if (audit->check->needs_crls)
        HF_TRY(hf_crls_read(s->crls, s->n_crls, &ctx->crls, why));
    if (ctx->published != NULL)
        HF_TRY(read_since(audit, why));
    return audit->check->needs_keys ? update_keys(audit, why) : HF_OK;
}

static enum hf_err look(struct audit *audit, struct hf_why *why)
{
    audit->ctx->census = &audit->census;
    audit->step.found = calloc(HF_CHECK_STEP_ROWS, sizeof *audit->step.found);
    if (audit->step.found == NULL)
        return hf_fail(why, HF_E_MEMORY, "no memory for an audit");
    enum hf_err err = prepare(audit, why);
    if (err == HF_OK)
        err = audit->check->rows == NULL || audit->check->is_of_service ? walk(audit, 0, why)
                                                                        : walk_accounts(audit, why);
    free(audit->step.found);
    free(audit->ctx->since_s);
    audit->ctx->since_s = NULL;
    hf_census_free(&audit->census);
    hf_weak_keys_free(&audit->ctx->weak_keys);
    hf_crls_free(&audit->ctx->crls);
    return err;
}

static enum hf_err end(void *what, struct hf_tx *tx, struct hf_why *why)
{
    const struct audit *audit = what;
    return hf_check_run_end(tx, &audit->run, audit->has_failed, why);
}

enum hf_err hf_audit_run(const struct hf_audit_port *port, const struct hf_check *check,
                         struct hf_check_ctx *ctx, struct hf_why *why)
{
    struct audit audit = {.port = port, .check = check, .ctx = ctx};
    struct hf_why problem = {0};
    const char *why_not = check->why_not != NULL ? check->why_not(ctx) : NULL;
    HF_TRY(hf_check_run_get(port->db, check->name, &audit.run, why));
    audit.run = (struct hf_check_run){.check = check->name,
                                      .run = audit.run.run + 1,
                                      .started_s = ctx->now_s};
    enum hf_err err = why_not == NULL ? look(&audit, &problem) : HF_OK;
    audit.has_failed = err != HF_OK;
    if (why_not != NULL)
        (void)snprintf(audit.run.problem, sizeof audit.run.problem, "not run: %s", why_not);
    else if (audit.has_failed)
        (void)snprintf(audit.run.problem, sizeof audit.run.problem, "failed: %.480s", problem.text);
    HF_TRY(give_up(&audit, why));
    return port->write(port->ctx, end, &audit, why);
}
