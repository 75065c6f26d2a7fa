#include "common/bundle/file_kind.h"

#include <string.h>

#define SEQUENCE 0x30

static bool starts_with(struct hf_bytes content, const char *bytes, size_t len)
{
    return content.len >= len && memcmp(content.data, bytes, len) == 0;
}
#define STARTS_WITH(content, literal) starts_with((content), (literal), sizeof(literal) - 1)

/* The contents of a value with this tag, as far as they are there; empty if it is another one. */
static struct hf_bytes open_value(struct hf_bytes in, uint8_t tag)
{
    if (in.len < 2 || in.data[0] != tag)
        return (struct hf_bytes){0};
    size_t header = in.data[1] < 0x80 ? 2 : 2u + (in.data[1] & 0x7Fu);
    if (header > in.len)
        return (struct hf_bytes){0};
    return (struct hf_bytes){in.data + header, in.len - header};
}

/* An ASCII character and a zero, in either order: UTF-16 without its mark. */
static bool is_utf16(struct hf_bytes content)
{
    if (STARTS_WITH(content, "\xFF\xFE") || STARTS_WITH(content, "\xFE\xFF"))
        return true;
    return content.len >= 4 && (content.data[0] == 0) != (content.data[1] == 0) &&
           (content.data[0] == 0) == (content.data[2] == 0) &&
           (content.data[1] == 0) == (content.data[3] == 0);
}

static bool is_pkcs7(struct hf_bytes content)
{
    /* ContentInfo begins with an OBJECT IDENTIFIER below 1.2.840.113549.1.7 (RFC 2315). */
    return STARTS_WITH(open_value(content, SEQUENCE), "\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07");
}

static bool is_pkcs12(struct hf_bytes content)
{
    /* PFX begins with version 3 (RFC 7292, 4). */
    return STARTS_WITH(open_value(content, SEQUENCE), "\x02\x01\x03");
}

const char *hf_file_kind(struct hf_bytes content)
{
    if (is_utf16(content))
        return "text in UTF-16; convert it: `iconv -f UTF-16 -t UTF-8 FILE > FILE.pem`";
    if (is_pkcs7(content))
        return "PKCS#7; convert it: `openssl pkcs7 -inform DER -in FILE -print_certs -out "
               "FILE.pem`";
    if (is_pkcs12(content))
        return "PKCS#12; convert it: `openssl pkcs12 -in FILE -nokeys -out FILE.pem`";
    if (STARTS_WITH(content, "\xFE\xED\xFE\xED") || STARTS_WITH(content, "\xCE\xCE\xCE\xCE"))
        return "a Java keystore (JKS); convert it: `keytool -exportcert -rfc -keystore FILE -alias "
               "NAME -file FILE.pem`";
    if (content.len > 0 && content.data[0] == SEQUENCE)
        return "DER; convert it: `openssl x509 -inform DER -in FILE -out FILE.pem`";
    return NULL;
}

bool hf_file_is_der(struct hf_bytes content)
{
    /* No PEM file begins with the tag of a SEQUENCE, which is the digit 0. */
    return content.len > 0 && content.data[0] == SEQUENCE && !is_utf16(content) &&
           !is_pkcs7(content) && !is_pkcs12(content);
}
