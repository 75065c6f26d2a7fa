#include "server/serve/metrics.h"

#include "server/http/tls.h"

/* A family with one sample for each listener. */
static void family(struct hf_metrics *m, const struct hf_listener_numbers *listeners, size_t n,
                   size_t offset, const char *name, const char *help)
{
    hf_metrics_family(m, name, "counter", help);
    for (size_t i = 0; i < n; i++) {
        const char *counter = (const char *)&listeners[i].sum + offset;
        hf_metrics_sample(m, (double)hf_counted((const hf_counter *)(const void *)counter),
                          "listener=\"%s\"", listeners[i].name);
    }
}

static void write_handshakes(struct hf_metrics *m, const struct hf_listener_numbers *listeners,
                             size_t n)
{
    hf_metrics_family(m, "holdfast_tls_handshakes_total", "counter",
                      "TLS handshakes, by how they ended.");
    for (size_t i = 0; i < n; i++) {
        const struct hf_http_counters *sum = &listeners[i].sum;
        const char *name = listeners[i].name;
        hf_metrics_sample(m, (double)hf_counted(&sum->full_handshakes),
                          "listener=\"%s\",result=\"full\"", name);
        hf_metrics_sample(m, (double)hf_counted(&sum->resumed_handshakes),
                          "listener=\"%s\",result=\"resumed\"", name);
        hf_metrics_sample(m, (double)hf_counted(&sum->failed_handshakes),
                          "listener=\"%s\",result=\"failed\"", name);
    }
    hf_metrics_family(m, "holdfast_tls_alerts_total", "counter",
                      "Alerts that refused a client: unknown_ca, certificate_revoked, …");
    for (size_t i = 0; i < n; i++)
        for (unsigned alert = 1; alert < HF_HTTP_ALERTS;
             alert++) /* 0, close_notify, refuses nothing */
            if (hf_counted(&listeners[i].sum.alerts[alert]) > 0)
                hf_metrics_sample(m, (double)hf_counted(&listeners[i].sum.alerts[alert]),
                                  "listener=\"%s\",alert=\"%s\",number=\"%u\"", listeners[i].name,
                                  hf_tls_alert_name((int)alert), alert);
}

void hf_metrics_of_listeners(struct hf_metrics *m, const struct hf_listener_numbers *listeners,
                             size_t n)
{
    hf_metrics_family(m, "holdfast_http_connections", "gauge", "Open connections.");
    for (size_t i = 0; i < n; i++) {
        /* In this order: a connection may come and go between the two. */
        uint64_t closed = hf_counted(&listeners[i].sum.closed);
        uint64_t opened = hf_counted(&listeners[i].sum.opened);
        hf_metrics_sample(m, opened > closed ? (double)(opened - closed) : 0, "listener=\"%s\"",
                          listeners[i].name);
    }
    family(m, listeners, n, offsetof(struct hf_http_counters, opened),
           "holdfast_http_connections_opened_total", "Connections that were accepted.");
    family(m, listeners, n, offsetof(struct hf_http_counters, turned_away),
           "holdfast_http_connections_turned_away_total",
           "Connections that were closed at once: their address had as many as it may.");
    hf_metrics_family(m, "holdfast_http_answers_total", "counter", "Answers, by class of status.");
    for (size_t i = 0; i < n; i++)
        for (unsigned digit = 2; digit < 6; digit++)
            hf_metrics_sample(m, (double)hf_counted(&listeners[i].sum.answers[digit]),
                              "listener=\"%s\",code=\"%uxx\"", listeners[i].name, digit);
    family(m, listeners, n, offsetof(struct hf_http_counters, body_bytes),
           "holdfast_http_body_bytes_total", "Bytes of the bodies of answers.");
    write_handshakes(m, listeners, n);
}

void hf_metrics_of_repository(struct hf_metrics *m, const struct hf_repository_status *status)
{
    const struct hf_summary *s = &status->summary;
    const struct {
        const char *role;
        int64_t version;
    } roles[] = {{"root", s->root_version},
                 {"timestamp", s->timestamp_version},
                 {"snapshot", s->snapshot_version},
                 {"targets", s->targets_version}};
    hf_metrics_family(m, "holdfast_repository_served", "gauge",
                      "1: the newest state of the repository is served; 0: an older one, or none.");
    hf_metrics_sample(m, status->is_served && status->problem[0] == '\0', NULL);
    if (!status->is_served)
        return;
    hf_metrics_family(m, "holdfast_repository_version", "gauge",
                      "Versions of the metadata served.");
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        hf_metrics_sample(m, (double)roles[i].version, "role=\"%s\"", roles[i].role);
    hf_metrics_family(m, "holdfast_repository_expires_timestamp_seconds", "gauge",
                      "When the first role of the metadata expires, as Unix time.");
    hf_metrics_sample(m, (double)s->expires_s, NULL);
}
