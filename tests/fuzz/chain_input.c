#include "tests/fuzz/chain_input.h"

#define HEAD_LEN 11

void chain_input_read(struct hf_bytes bytes, struct chain_input *out)
{
    struct fuzz_input in = {bytes.data, bytes.len};

    *out = (struct chain_input){.n_anchors = fuzz_byte(&in)};
    out->distrust_days = (int8_t)fuzz_byte(&in);
    size_t host_len = fuzz_byte(&in);
    for (int i = 0; i < 8; i++)
        out->at_s = (int64_t)((uint64_t)out->at_s << 8 | fuzz_byte(&in));
    out->at_s = (out->at_s & INT64_MAX) % INT64_C(250000000000); /* before the year 9900 */
    for (size_t i = 0; i < host_len; i++)
        out->host[i] = (char)fuzz_byte(&in);
    while (in.len > 2 && out->n_certs < CHAIN_CERTS_MAX) {
        size_t len = fuzz_byte(&in);
        len = len << 8 | fuzz_byte(&in);
        len = len < in.len ? len : in.len;
        FUZZ_CHECK(hf_buf_append(&out->certs[out->n_certs++], in.data, len) == HF_OK);
        in.data += len;
        in.len -= len;
    }
    if (out->n_anchors > out->n_certs)
        out->n_anchors = out->n_certs;
}

void chain_input_write(const struct chain_input *input, struct hf_buf *out)
{
    uint8_t head[HEAD_LEN] = {(uint8_t)input->n_anchors, (uint8_t)input->distrust_days,
                              (uint8_t)strlen(input->host)};
    for (int i = 0; i < 8; i++)
        head[3 + i] = (uint8_t)((uint64_t)input->at_s >> (56 - 8 * i));
    FUZZ_CHECK(hf_buf_append(out, head, sizeof head) == HF_OK);
    FUZZ_CHECK(hf_buf_append_text(out, input->host) == HF_OK);
    for (size_t i = 0; i < input->n_certs; i++) {
        const struct hf_buf *cert = &input->certs[i];
        const uint8_t len[] = {(uint8_t)(cert->len >> 8), (uint8_t)cert->len};
        FUZZ_CHECK(hf_buf_append(out, len, sizeof len) == HF_OK);
        FUZZ_CHECK(hf_buf_append(out, cert->data, cert->len) == HF_OK);
    }
}

void chain_input_free(struct chain_input *input)
{
    for (size_t i = 0; i < input->n_certs; i++)
        hf_buf_free(&input->certs[i]);
}
