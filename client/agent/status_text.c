/* The status for people: a head about the device, then one block a root. */
#include "client/agent/status.h"
#include "common/base/timetext.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SOON_DAYS 90 /* a root that ends within a quarter needs attention */

enum hf_colour { HF_COLOUR_NONE, HF_COLOUR_BOLD, HF_COLOUR_GREEN, HF_COLOUR_YELLOW, HF_COLOUR_RED };

struct printer {
    FILE *out;
    bool has_colours;
    const struct hf_status_view *view;
};

/* On a terminal only, and not with NO_COLOR set (no-color.org) or TERM=dumb. */
static bool has_colours(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");

    if (no_colour != NULL && no_colour[0] != '\0')
        return false;
    if (term == NULL || strcmp(term, "dumb") == 0)
        return false;
    return isatty(fileno(out)) == 1;
}

static const char *on(const struct printer *p, enum hf_colour colour)
{
    static const char *const codes[] = {
        [HF_COLOUR_NONE] = "\x1b[0m",   [HF_COLOUR_BOLD] = "\x1b[1m",
        [HF_COLOUR_GREEN] = "\x1b[32m", [HF_COLOUR_YELLOW] = "\x1b[33m",
        [HF_COLOUR_RED] = "\x1b[31m",
    };

    return p->has_colours ? codes[colour] : "";
}

static const char *off(const struct printer *p)
{
    return on(p, HF_COLOUR_NONE);
}

static void print_row(const struct printer *p, const char *name, const char *value)
{
    fprintf(p->out, "%-12s %s\n", name, value);
}

static void print_mirrors(const struct printer *p)
{
    const struct hf_client_config *client = &p->view->config->client;

    if (client->n_urls == 0)
        print_row(p, "mirror", "unknown");
    for (size_t i = 0; i < client->n_urls; i++)
        print_row(p, i == 0 ? "mirror" : "", client->urls[i]);
}

static void print_last_check(const struct printer *p)
{
    const struct hf_status *s = &p->view->status;
    char when[HF_TIME_TEXT_MAX];

    if (s->last_check_s == HF_TIME_NONE) {
        print_row(p, "last check", "never");
        return;
    }
    bool was_ok = strcmp(s->last_outcome, hf_err_name(HF_OK)) == 0;
    const char *word = was_ok ? "ok" : "failed";
    if (strcmp(s->last_outcome, hf_err_name(HF_E_POSTPONED)) == 0)
        word = "postponed";
    hf_time_format(s->last_check_s, when);
    fprintf(p->out, "%-12s %s, %s%s%s: %s\n", "last check", when,
            on(p, was_ok ? HF_COLOUR_GREEN : HF_COLOUR_RED), word, off(p), s->last_text);
}

/* ---- looking ahead --------------------------------------------------------------------------------- */

static void print_next_check(const struct printer *p)
{
    const struct hf_next_check *next = &p->view->status.next_check;
    char when[HF_TIME_TEXT_MAX], in[HF_AGENT_DURATION_MAX];

    hf_time_format(next->at_s, when);
    hf_agent_format_duration(next->wait_s, in);
    fprintf(p->out, "%-12s %s, in %s: %s\n", "next check", when, in, next->reason);
}

static void print_trial(const struct printer *p)
{
    const struct hf_trial_status *trial = &p->view->status.trial;
    char up[HF_AGENT_DURATION_MAX];

    if (!trial->is_on)
        return;
    hf_agent_format_duration(trial->up_s, up);
    fprintf(p->out, "%-12s %sversion %" PRId64 "%s, for %s of uptime; it waits for %s\n",
            "on trial", on(p, HF_COLOUR_YELLOW), trial->version, off(p), up, trial->waits_for);
}

static void print_recovery(const struct printer *p)
{
    const struct hf_status *s = &p->view->status;
    char when[HF_TIME_TEXT_MAX];

    if (s->failed_validations > 0)
        fprintf(p->out, "%-12s no server's chain has validated in the last %" PRId64 " checks\n",
                "servers", s->failed_validations);
    if (s->last_recovery_s == HF_TIME_NONE)
        return;
    hf_time_format(s->last_recovery_s, when);
    fprintf(p->out, "%-12s %s, %s: that check did not validate the servers' chains\n", "recovery",
            when, s->has_recovered ? "successful" : "without success");
}

/* By its subject, where it is one of the active bundle. */
static void print_chain_root(const struct printer *p, const char *spki_sha256)
{
    const struct hf_bundle_status *active = &p->view->status.active;

    for (size_t i = 0; i < active->n_anchors; i++) {
        if (strcmp(active->anchors[i].spki_sha256, spki_sha256) == 0) {
            fprintf(p->out, "%-12s   %s\n", "", active->anchors[i].subject);
            return;
        }
    }
    fprintf(p->out, "%-12s   SPKI %s, which is not in the active bundle\n", "", spki_sha256);
}

static void print_chain(const struct printer *p, const struct hf_chain_status *chain)
{
    char when[HF_TIME_TEXT_MAX], until[HF_TIME_TEXT_MAX];

    hf_time_format(chain->seen_s, when);
    hf_time_format_day(chain->leaf_not_after_s, until);
    fprintf(p->out, "%-12s %s key seen %s, its certificate lasts until %s; %s\n", "",
            chain->key_type, when, until,
            chain->lost_since_s != HF_TIME_NONE ? "it is lost"
            : chain->n_anchors > 0              ? "any one of these roots serves:"
                                                : "no root serves");
    if (chain->lost_since_s != HF_TIME_NONE) {
        hf_time_format(chain->lost_since_s, when);
        fprintf(p->out,
                "%-12s %slost since %s%s: no root of its chain is trusted any more, the "
                "last one was \"%s\"\n",
                "", on(p, HF_COLOUR_RED), when, off(p), chain->lost_root);
        return;
    }
    for (size_t i = 0; i < chain->n_anchors; i++)
        print_chain_root(p, chain->anchors[i]);
}

static void print_endpoint(const struct printer *p, const struct hf_endpoint_status *endpoint)
{
    const size_t n = sizeof endpoint->chains / sizeof endpoint->chains[0];
    bool was_seen = false;

    for (size_t i = 0; i < n; i++)
        was_seen = was_seen || endpoint->chains[i].seen_s != HF_TIME_NONE;
    fprintf(p->out, "%-12s %s%s\n", "endpoint", endpoint->name,
            was_seen ? "" : ", not seen yet: it was not reached, or no check has looked");
    for (size_t i = 0; i < n; i++) {
        if (endpoint->chains[i].seen_s != HF_TIME_NONE)
            print_chain(p, &endpoint->chains[i]);
    }
}

static void print_warning(const struct printer *p, const struct hf_warning *w)
{
    fprintf(p->out, "%s%-12s%s ", on(p, w->is_note ? HF_COLOUR_NONE : HF_COLOUR_YELLOW),
            w->is_note ? "note" : "warning", off(p));
    if (w->threshold_days > 0)
        fprintf(p->out, "(%d days) ", w->threshold_days);
    fprintf(p->out, "%s\n", w->text);
}

static void print_outlook(const struct printer *p)
{
    const struct hf_status *s = &p->view->status;

    print_next_check(p);
    print_trial(p);
    print_recovery(p);
    for (size_t i = 0; i < s->n_endpoints; i++)
        print_endpoint(p, &s->endpoints[i]);
    for (size_t i = 0; i < s->n_warnings; i++)
        print_warning(p, &s->warnings[i]);
}

/* ---- the device ---------------------------------------------------------------------------------- */

static void print_role(const struct printer *p, const char *name, int64_t version,
                       int64_t expires_s)
{
    char until[HF_TIME_TEXT_MAX];

    if (version == 0) {
        print_row(p, name, "-");
        return;
    }
    bool is_expired = expires_s <= p->view->status.now_s;
    hf_time_format(expires_s, until);
    fprintf(p->out, "%-12s version %" PRId64 ", %s%s %s%s\n", name, version,
            on(p, is_expired ? HF_COLOUR_RED : HF_COLOUR_NONE), is_expired ? "expired" : "expires",
            until, off(p));
}

static void print_time(const struct printer *p)
{
    const struct hf_status *s = &p->view->status;
    char now[HF_TIME_TEXT_MAX];
    char floor[HF_TIME_TEXT_MAX];

    hf_time_format(s->now_s, now);
    hf_time_format_day(s->clock_floor_s, floor);
    fprintf(p->out, "%-12s %s (it is %s at least)\n", "time", now, floor);
}

static void print_device(const struct printer *p)
{
    const struct hf_status_view *v = p->view;

    fprintf(p->out, "%-12s %s%s/%s%s\n", "bundle", on(p, HF_COLOUR_BOLD), v->config->client.set,
            v->config->client.profile, off(p));
    print_row(p, "device", v->device_id != NULL ? v->device_id : v->no_device_id.text);
    print_row(p, "state", v->state_dir);
    if (v->not_writable.code != HF_OK)
        fprintf(p->out, "%-12s %sread-only: %s%s\n", "", on(p, HF_COLOUR_YELLOW),
                v->not_writable.text, off(p));
    print_mirrors(p);
    if (v->config->export_file != NULL)
        print_row(p, "export", v->config->export_file);
    if (v->config->on_swap != NULL)
        print_row(p, "on swap", v->config->on_swap);
    print_time(p);
    print_last_check(p);
    print_outlook(p);
    print_role(p, "root", v->status.root.version, v->status.root.expires_s);
    print_role(p, "timestamp", v->status.timestamp.version, v->status.timestamp.expires_s);
    print_role(p, "snapshot", v->status.snapshot.version, v->status.snapshot.expires_s);
    print_role(p, "targets", v->status.targets.version, v->status.targets.expires_s);
}

/* ---- bundles ------------------------------------------------------------------------------------- */

static enum hf_colour colour_of(const struct hf_anchor_status *root, int64_t days_left)
{
    if (strcmp(root->state, "usable") != 0)
        return HF_COLOUR_RED;
    return days_left < SOON_DAYS ? HF_COLOUR_YELLOW : HF_COLOUR_NONE;
}

static void print_date(const struct printer *p, const char *name, int64_t time_s)
{
    char day[HF_TIME_TEXT_MAX];

    if (time_s == HF_TIME_NONE)
        return;
    hf_time_format_last(time_s, day);
    fprintf(p->out, "     %-15s %s (%" PRId64 " days left)\n", name, day,
            hf_days_between(p->view->status.now_s, time_s));
}

static void print_anchor(const struct printer *p, size_t number,
                         const struct hf_anchor_status *root)
{
    int64_t days_left = hf_days_between(p->view->status.now_s, root->not_after_s);
    const char *colour = on(p, colour_of(root, days_left));
    char day[HF_TIME_TEXT_MAX];

    hf_time_format_day(root->not_after_s, day);
    fprintf(p->out, "  %zu. %s%s%s\n", number, on(p, HF_COLOUR_BOLD), root->subject, off(p));
    fprintf(p->out, "     %-15s %s\n", "SHA-256", root->sha256);
    fprintf(p->out, "     %-15s %s\n", "SPKI SHA-256", root->spki_sha256);
    fprintf(p->out, "     %-15s %s%s (%" PRId64 " days left), %s%s\n", "expires", colour, day,
            days_left, root->state, off(p));
    if (root->distrust_after_s == HF_TIME_NONE)
        fprintf(p->out, "     %-15s -\n", "distrust after");
    print_date(p, "distrust after", root->distrust_after_s);
    print_date(p, "remove after", root->remove_after_s);
}

static void print_bundle(const struct printer *p, const char *name,
                         const struct hf_bundle_status *bundle, const char *if_absent)
{
    if (!bundle->is_present) {
        fprintf(p->out, "\n%s%s%s: none%s\n", on(p, HF_COLOUR_BOLD), name, off(p), if_absent);
        return;
    }
    fprintf(p->out, "\n%s%s%s: version %" PRId64 "%s, %zu %s, SHA-256 %s\n", on(p, HF_COLOUR_BOLD),
            name, off(p), bundle->version, bundle->version == 0 ? " (from the factory)" : "",
            bundle->n_anchors, bundle->n_anchors == 1 ? "root" : "roots", bundle->sha256);
    for (size_t i = 0; i < bundle->n_anchors; i++)
        print_anchor(p, i + 1, &bundle->anchors[i]);
    for (size_t i = 0; i < bundle->n_skipped; i++)
        fprintf(p->out, "   skipped %s\n           %s is not supported by this device\n",
                bundle->skipped[i].subject, bundle->skipped[i].unsupported);
}

void hf_status_print_text(FILE *out, const struct hf_status_view *view)
{
    const struct printer p = {out, has_colours(out), view};

    print_device(&p);
    print_bundle(&p, "active", &view->status.active, "; run holdfast update");
    print_bundle(&p, "previous", &view->status.previous, "");
}
