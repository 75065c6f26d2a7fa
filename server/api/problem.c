#include "server/api/problem.h"

#include "common/json/json.h"
#include "server/fleet/tx.h"
#include "server/http/response.h"

unsigned hf_problem_status(enum hf_err err)
{
    switch (err) {
    case HF_OK:
        return 200;
    case HF_E_ARGUMENT:
        return 400;
    case HF_E_KEY:
        return 401;
    case HF_E_POLICY:
    case HF_E_SIGNATURE:
        return 403;
    case HF_E_NOT_FOUND:
        return 404;
    case HF_E_STATE:
    case HF_E_LIMIT:
    case HF_E_EXPIRED:
        return 409;
    case HF_E_STALE:
        return 412;
    case HF_E_BUSY:
    case HF_E_NETWORK:
    case HF_E_MEMORY:
    case HF_E_POSTPONED:
        return 503;
    case HF_E_FORMAT:
    case HF_E_ROLLBACK:
    case HF_E_SAME_VERSION:
    case HF_E_TLS:
    case HF_E_STORAGE:
    case HF_E_SCHEMA:
    case HF_E_UNTRUSTED:
        return 500;
    }
    return 500;
}

enum hf_err hf_problem_error(unsigned status)
{
    switch (status) {
    case 403:
    case 421:
        return HF_E_POLICY;
    case 404:
        return HF_E_NOT_FOUND;
    case 413:
    case 414:
    case 431:
        return HF_E_LIMIT;
    case 503:
        return HF_E_BUSY;
    default:
        return HF_E_ARGUMENT;
    }
}

enum hf_err hf_problem_write(unsigned status, const struct hf_why *why, struct hf_buf *out)
{
    const char *detail = why->text;
    if (status == 500)
        detail = "the service could not do this; its log says why. Nothing has changed";
    json_t *problem = json_pack("{s:s, s:s, s:i, s:o, s:s}", "type", "about:blank", "title",
                                hf_status_phrase(status), "status", (int)status, "detail",
                                hf_json_plain(detail), "code", hf_err_name(why->code));
    if (problem == NULL)
        return HF_E_MEMORY;
    enum hf_err err = hf_json_write(problem, out, NULL);
    json_decref(problem);
    return err;
}
