#include "common/chain/general_name.h"

#include "common/bundle/der.h"
#include "common/bundle/distinguished_name.h"

#include <mbedtls/x509_crt.h>

#include <stdatomic.h>
#include <string.h>

bool hf_general_name_take(struct hf_bytes *rest, struct hf_general_name *out)
{
    struct hf_bytes in = *rest;
    struct hf_der value;

    if (!hf_der_take(&in, &value))
        return false;
    unsigned kind = value.tag ^ HF_DER_CONTEXT;
    bool is_constructed = (kind & HF_DER_CONSTRUCTED) != 0;
    kind &= ~(unsigned)HF_DER_CONSTRUCTED;
    bool is_list = kind == HF_NAME_OTHER || kind == HF_NAME_X400 || kind == HF_NAME_DIRECTORY ||
                   kind == HF_NAME_EDI_PARTY;
    if (kind >= HF_NAME_UNKNOWN)
        kind = HF_NAME_UNKNOWN;
    else if (is_constructed != is_list)
        return false;
    if (kind == HF_NAME_DIRECTORY) { /* the tag is around a Name, which is a CHOICE */
        struct hf_bytes name = value.contents;
        struct hf_der whole;
        if (!hf_der_take_tag(&name, HF_DER_SEQUENCE, &whole) || name.len > 0)
            return false;
    }
    *out = (struct hf_general_name){(enum hf_name_kind)kind, value.contents};
    *rest = in;
    return true;
}

bool hf_certificate_has_host_name(const struct hf_certificate *cert)
{
    struct hf_bytes rest = cert->alt_names;
    struct hf_general_name name;

    while (hf_general_name_take(&rest, &name))
        if (name.kind == HF_NAME_DNS || name.kind == HF_NAME_ADDRESS)
            return true;
    return false;
}

bool hf_common_name_take(struct hf_name_walk *walk, struct hf_bytes *out)
{
    static const uint8_t common_name[] = {0x55, 0x04, 0x03};
    struct hf_der oid, value;

    while (hf_name_next(walk, &oid, &value))
        if (hf_bytes_equal(oid.contents, (struct hf_bytes){common_name, sizeof common_name})) {
            *out = value.contents;
            return true;
        }
    return false;
}

static _Atomic bool are_common_names_accepted;

void hf_common_names_accept(bool is_accepted)
{
    atomic_store(&are_common_names_accepted, is_accepted);
}

bool hf_common_names_are_accepted(void)
{
    return atomic_load(&are_common_names_accepted);
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

static bool same_text(struct hf_bytes a, struct hf_bytes b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return false;
    return true;
}

/* What is behind the first label and its dot; empty where there is no dot. */
static struct hf_bytes parent_of(struct hf_bytes name)
{
    const uint8_t *dot = name.len > 0 ? memchr(name.data, '.', name.len) : NULL;
    size_t len = dot == NULL ? 0 : name.len - (size_t)(dot + 1 - name.data);

    return (struct hf_bytes){name.data + (name.len - len), len};
}

static bool is_dns_match(struct hf_bytes presented, struct hf_bytes host)
{
    if (presented.len == 0)
        return false;
    if (presented.len < 2 || memcmp(presented.data, "*.", 2) != 0)
        return same_text(presented, host);
    struct hf_bytes base = {presented.data + 2, presented.len - 2}, parent = parent_of(host);
    /* "*.com" would be for every host of a registry. The label that the "*" stands for is not
     * empty. */
    return parent_of(base).len > 0 && parent.len > 0 && parent.data > host.data + 1 &&
           same_text(base, parent);
}

static bool has_address(const struct hf_certificate *cert, struct hf_bytes address)
{
    struct hf_bytes rest = cert->alt_names;
    struct hf_general_name name;

    while (hf_general_name_take(&rest, &name))
        if (name.kind == HF_NAME_ADDRESS && hf_bytes_equal(name.value, address))
            return true;
    return false;
}

static bool has_common_name(const struct hf_certificate *cert, struct hf_bytes host)
{
    struct hf_name_walk walk = hf_name_walk(cert->form.subject);
    struct hf_bytes name;

    if (cert->alt_names.data != NULL)
        return false;
    while (hf_common_name_take(&walk, &name))
        if (is_dns_match(name, host))
            return true;
    return false;
}

/* A DNS name may be written with the dot of the root. */
static struct hf_bytes without_last_dot(const char *host)
{
    struct hf_bytes text = hf_bytes_of_text(host);

    if (text.len > 1 && text.data[text.len - 1] == '.')
        text.len--;
    return text;
}

/* The length of the address that `host` is; 0: it is a DNS name. */
static size_t address_of(const char *host, uint32_t out[4])
{
    return mbedtls_x509_crt_parse_cn_inet_pton(host, out);
}

bool hf_certificate_is_for(const struct hf_certificate *cert, const char *host,
                           bool has_common_names)
{
    struct hf_bytes rest = cert->alt_names, dns = without_last_dot(host);
    struct hf_general_name name;
    uint32_t address[4];
    size_t len = address_of(host, address);

    if (len > 0)
        return has_address(cert, (struct hf_bytes){(const uint8_t *)address, len});
    while (hf_general_name_take(&rest, &name))
        if (name.kind == HF_NAME_DNS && is_dns_match(name.value, dns))
            return true;
    return has_common_names && has_common_name(cert, dns);
}

/* Would `host` match if the first "*" stood for any text? */
static bool is_like(struct hf_bytes presented, const uint8_t *star, struct hf_bytes host)
{
    size_t n_front = (size_t)(star - presented.data), n_end = presented.len - n_front - 1;

    return host.len >= presented.len - 1 &&
           same_text((struct hf_bytes){presented.data, n_front},
                     (struct hf_bytes){host.data, n_front}) &&
           same_text((struct hf_bytes){star + 1, n_end},
                     (struct hf_bytes){host.data + host.len - n_end, n_end});
}

const char *hf_certificate_wildcard_fault(const struct hf_certificate *cert, const char *host)
{
    struct hf_bytes rest = cert->alt_names, dns = without_last_dot(host);
    struct hf_general_name name;

    while (hf_general_name_take(&rest, &name)) {
        struct hf_bytes value = name.value;
        const uint8_t *star = name.kind == HF_NAME_DNS && value.len > 0
                                  ? memchr(value.data, '*', value.len)
                                  : NULL;
        if (star == NULL || !is_like(value, star, dns))
            continue;
        if (star != value.data || value.len < 2 || value.data[1] != '.')
            return "a wildcard must be the whole leftmost label";
        if (parent_of((struct hf_bytes){star + 2, value.len - 2}).len == 0)
            return "a wildcard needs at least two labels behind it";
        return "a wildcard stands for exactly one label";
    }
    return NULL;
}

bool hf_certificate_lacks_only_alt_name(const struct hf_certificate *cert, const char *host)
{
    uint32_t address[4];

    return address_of(host, address) == 0 && has_common_name(cert, without_last_dot(host));
}
