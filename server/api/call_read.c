/* What a request of the API brings, before its first step: who asks, for which version, with which
 * body. */
#include "server/api/call.h"

#include "server/fleet/names.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool hf_api_header(const struct hf_api_call *call, enum hf_header name, char *out, size_t size)
{
    struct hf_bytes value;
    if (!hf_request_header(call->request, name, &value))
        return false;
    size_t len = value.len < size ? value.len : size - 1;
    memcpy(out, value.data, len);
    out[len] = '\0';
    return true;
}

/* An operator: a process of this machine, or the holder of a token. */
static unsigned read_operator(struct hf_api_call *call, struct hf_why *why)
{
    static const char scheme[] = "Bearer ";
    char value[sizeof scheme + HF_API_BEARER_MAX];
    const union hf_peer *address = hf_request_peer(call->request).address;
    if (address->any.sa_family == AF_UNIX) {
        call->asker.is_local = true;
        call->asker.role = HF_ADMIN_ADMIN;
        (void)snprintf(call->asker.actor, sizeof call->asker.actor, "uid:%lu",
                       (unsigned long)address->local.uid);
        return 0;
    }
    if (call->match.route->role == HF_ADMIN_NONE)
        return 0;
    if (!hf_api_header(call, HF_HEADER_AUTHORIZATION, value, sizeof value) ||
        strncasecmp(value, scheme, sizeof scheme - 1) != 0 || value[sizeof scheme - 1] == '\0') {
        (void)hf_fail(
            why, HF_E_KEY,
            "this needs a token (expected the header \"Authorization: Bearer TOKEN\"). Make "
            "one with `holdfast-admin token create`");
        return 401;
    }
    (void)snprintf(call->asker.bearer, sizeof call->asker.bearer, "%s", value + sizeof scheme - 1);
    sodium_memzero(value, sizeof value);
    if (call->match.route->is_local) {
        (void)hf_fail(why, HF_E_POLICY,
                      "this works over the Unix socket only. Run holdfast-admin on this machine");
        return 403;
    }
    return 0;
}

static enum hf_gate_use use_of(const struct hf_api_route *route)
{
    if (strcmp(route->pattern, "/v1/enroll") == 0)
        return HF_GATE_ENROLL;
    return strcmp(route->pattern, "/v1/whoami") == 0 ? HF_GATE_WHOAMI : HF_GATE_DEVICE;
}

unsigned hf_api_read_device(struct hf_api_call *call, enum hf_gate_use use, struct hf_why *why)
{
    struct hf_api_asker *asker = &call->asker;
    char hex[HF_SHA256_HEX_LEN] = "";
    const struct hf_tls_peer *peer = hf_request_peer(call->request).tls;
    unsigned status = hf_gate_check(call->gate, call->request, use, &asker->identity);
    if (status != 0) {
        (void)hf_fail(why, HF_E_POLICY, "%s", asker->identity.sentence);
        return status;
    }
    if (call->match.route->lets_in && hf_fleet_is_behind(call->api->config.fleet)) {
        (void)hf_fail(why, HF_E_POSTPONED,
                      "the service does not issue certificates at the moment; try again later");
        return 503;
    }
    asker->identity.ca = NULL;
    if (asker->identity.has_certificate) {
        memcpy(asker->sha256, peer->sha256, sizeof asker->sha256);
        hf_hex_encode(asker->sha256, sizeof asker->sha256, hex);
        call->asks_rotation = (asker->identity.registered.flags & HF_CREDENTIAL_ROTATE) != 0;
    }
    (void)snprintf(asker->actor, sizeof asker->actor, "device:%s",
                   hex[0] != '\0' ? hex : "unknown");
    return 0;
}

/* A version in quotes, or `*` for any (RFC 9110, 13.1.1). */
static unsigned read_if_match(struct hf_api_call *call, struct hf_why *why)
{
    char value[32];
    if (!call->match.route->must_match)
        return 0;
    if (!hf_api_header(call, HF_HEADER_IF_MATCH, value, sizeof value)) {
        (void)hf_fail(
            why, HF_E_ARGUMENT,
            "If-Match is missing. Read the object first and send its ETag, so that the change "
            "of another operator is not lost");
        return 428;
    }
    if (strcmp(value, "*") == 0)
        return 0;
    size_t digits = value[0] == '"' ? strspn(value + 1, "0123456789") : 0;
    /* Versions begin at 1; 0 would mean any. */
    if (digits == 0 || digits > 18 || value[1] == '0' || strcmp(value + 1 + digits, "\"") != 0) {
        (void)hf_fail(why, HF_E_STALE,
                      "If-Match: this is not the ETag of this object. Read it again");
        return 412;
    }
    call->if_version = strtoll(value + 1, NULL, 10);
    return 0;
}

static unsigned read_idempotency_key(struct hf_api_call *call, struct hf_why *why)
{
    char value[HF_FLEET_IDEMPOTENCY_KEY_MAX + 2];
    struct hf_buf text = {0};
    if (call->match.route->method != HTTP_POST || call->match.route->role == HF_ADMIN_NONE ||
        !hf_api_header(call, HF_HEADER_IDEMPOTENCY_KEY, value, sizeof value))
        return 0;
    if (hf_name_check_idempotency_key(value, why) != HF_OK)
        return 400;
    memcpy(call->idempotency_key, value, strlen(value) + 1);
    enum hf_err err = hf_buf_append_text(&text, call->path);
    if (err == HF_OK)
        err = hf_buf_append(&text, "", 1);
    if (err == HF_OK && call->request->body.len > 0)
        err = hf_buf_append(&text, call->request->body.data, call->request->body.len);
    hf_sha256(hf_buf_bytes(&text), call->request_sha256);
    hf_buf_free(&text);
    if (err == HF_OK)
        return 0;
    (void)hf_fail(why, HF_E_MEMORY, "no memory for a request");
    return 503;
}

unsigned hf_api_check_body(const struct hf_api_call *call, size_t max, struct hf_why *why)
{
    static const char json[] = "application/json";
    const size_t len = call->request->body.len;
    char type[64] = "";
    (void)hf_api_header(call, HF_HEADER_CONTENT_TYPE, type, sizeof type);
    bool is_json = strncasecmp(type, json, sizeof json - 1) == 0 &&
                   strchr("; \t", type[sizeof json - 1]) != NULL;
    if (len > max) {
        (void)hf_fail(why, HF_E_LIMIT, "body: it is too long (expected at most %zu bytes)", max);
        return 413;
    }
    if (len > 0 && !is_json) {
        (void)hf_fail(why, HF_E_ARGUMENT, "Content-Type: expected application/json");
        return 415;
    }
    return 0;
}

static unsigned read_body(struct hf_api_call *call, struct hf_why *why)
{
    struct hf_bytes text = hf_buf_bytes(&call->request->body);
    size_t max = call->match.route->role == HF_ADMIN_NONE ? HF_API_DEVICE_BODY_MAX
                                                          : HF_API_ADMIN_BODY_MAX;
    unsigned status = hf_api_check_body(call, max, why);
    if (status != 0)
        return status;
    enum hf_err err = hf_body_read(text, call->match.route->body, &call->body, why);
    if (err == HF_OK)
        return 0;
    return err == HF_E_MEMORY ? 503 : 400;
}

/* The path and query of the target, also of one in absolute form (RFC 9112, 3.2.2). */
static const char *path_of(const struct hf_request *request, size_t *len)
{
    const char *target = request->target.text, *end = target + request->target.len;
    const char *authority = memmem(target, request->target.len, "://", 3);
    if (target < end && target[0] != '/' && authority != NULL) {
        target = memchr(authority + 3, '/', (size_t)(end - authority - 3));
        if (target == NULL)
            target = end;
    }
    *len = (size_t)(end - target);
    return target;
}

unsigned hf_api_call_read(struct hf_api_call *call, const struct hf_api_route *const *tables,
                          struct hf_why *why)
{
    const struct hf_request *request = call->request;
    llhttp_method_t method = request->method == HTTP_HEAD ? HTTP_GET
                                                          : (llhttp_method_t)request->method;
    size_t len = 0, path_len = 0;
    const char *target = path_of(request, &len);
    while (path_len < len && target[path_len] != '?')
        path_len++;
    _Static_assert(sizeof call->path > sizeof request->target.text, "room for the NUL");
    memcpy(call->path, target, path_len);
    call->path[path_len] = '\0';

    unsigned status = hf_api_route_find(tables, method, target, len, &call->match, why);
    if (status != 0 && call->match.route == NULL)
        return status;
    if (status == 0 && call->match.route->read != NULL)
        return call->match.route->read(call, why);
    unsigned refused = call->gate != NULL ? hf_api_read_device(call, use_of(call->match.route), why)
                                          : read_operator(call, why);
    if (refused != 0)
        return refused;
    if (status == 0)
        status = read_if_match(call, why);
    if (status == 0)
        status = read_body(call, why);
    if (status == 0)
        status = read_idempotency_key(call, why);
    return status;
}
