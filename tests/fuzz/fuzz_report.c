/*
 * common/report/report: the body of a request, then the answer to one. A report that is read is
 * written within its limit. What is written is read as the same again.
 */
#include "tests/fuzz/fuzz.h"

#include "common/base/plaintext.h"
#include "common/report/report.h"

#include <inttypes.h>

static void check_printable(const char *text)
{
    for (; *text != '\0'; text += hf_plain_char_len(text))
        FUZZ_CHECK(hf_plain_char_len(text) > 0);
}

static void check_report(const struct hf_report *report)
{
    struct hf_buf text = {0}, again = {0};
    struct hf_report *back = NULL;
    struct hf_why why = {0};
    size_t n = 0;

    FUZZ_CHECK(report->seq >= 1 && report->from >= -1 && report->to >= -1);
    FUZZ_CHECK(report->n_groups <= HF_DEVICE_GROUPS_MAX);
    FUZZ_CHECK(report->kind == HF_REPORT_OTHER ||
               strcmp(report->kind_name, hf_report_kind_name(report->kind)) == 0);
    check_printable(report->text);
    check_printable(report->endpoint);
    check_printable(report->root_name);
    check_printable(report->agent);
    FUZZ_OK(hf_report_write(report, &text, &why), &why);
    FUZZ_CHECK(text.len <= HF_REPORT_BYTES_MAX);
    FUZZ_OK(hf_report_list_read(hf_buf_bytes(&text), &back, &n, &why), &why);
    FUZZ_CHECK(n == 1);
    FUZZ_OK(hf_report_write(&back[0], &again, &why), &why);
    FUZZ_CHECK(hf_bytes_equal(hf_buf_bytes(&text), hf_buf_bytes(&again)));
    free(back);
    hf_buf_free(&again);
    hf_buf_free(&text);
}

static void check_answer(struct hf_bytes body)
{
    struct hf_report_answer answer, back;
    char text[128];
    struct hf_why why = {0};

    enum hf_err err = hf_report_answer_read(body, &answer, &why);
    if (err != HF_OK) {
        fuzz_check_refusal(err, &why);
        return;
    }
    int len = snprintf(text, sizeof text,
                       "{\"accepted\":%" PRId64 ",\"duplicates\":%" PRId64 ",\"nonce\":\"%s\"}",
                       answer.accepted, answer.duplicates, answer.nonce);
    FUZZ_CHECK(len > 0 && (size_t)len < sizeof text);
    FUZZ_OK(hf_report_answer_read(hf_bytes_of_text(text), &back, &why), &why);
    FUZZ_CHECK(back.accepted == answer.accepted && back.duplicates == answer.duplicates);
    FUZZ_CHECK(strcmp(back.nonce, answer.nonce) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct hf_bytes body = {data, size};
    struct hf_report *list = NULL;
    struct hf_why why = {0};
    size_t n = 0;

    check_answer(body);
    enum hf_err err = hf_report_list_read(body, &list, &n, &why);
    if (err != HF_OK) {
        FUZZ_CHECK(list == NULL && n == 0);
        fuzz_check_refusal(err, &why);
        return 0;
    }
    FUZZ_CHECK(n >= 1 && n <= HF_REPORT_LIST_MAX);
    for (size_t i = 0; i < n; i++)
        check_report(&list[i]);
    free(list);
    return 0;
}
