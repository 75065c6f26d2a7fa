#include "mqtt.h"

#include <string.h>

#define PACKET_MAX 129 /* so that one byte holds the length of what follows the first two */

enum packet_type {
    CONNECT = 0x10,
    CONNACK = 0x20,
    PUBLISH_QOS1 = 0x32,
    PUBACK = 0x40,
    PINGREQ = 0xc0,
    DISCONNECT = 0xe0,
};

static bool send_packet(mbedtls_ssl_context *ssl, enum packet_type type, const void *body,
                        size_t len)
{
    uint8_t packet[PACKET_MAX] = {(uint8_t)type, (uint8_t)len};
    size_t sent = 0;

    memcpy(packet + 2, body, len);
    while (sent < 2 + len) {
        int n = mbedtls_ssl_write(ssl, packet + sent, 2 + len - sent);
        if (n > 0)
            sent += (size_t)n;
        else if (n != MBEDTLS_ERR_SSL_WANT_READ && n != MBEDTLS_ERR_SSL_WANT_WRITE)
            return false;
    }
    return true;
}

/** The length of the packet now in `packet`; 0: silence; -1: the connection is of no use any
 *  more. */
static int receive_packet(mbedtls_ssl_context *ssl, uint8_t packet[PACKET_MAX])
{
    int have = 0, want = 2;

    while (have < want) {
        int n = mbedtls_ssl_read(ssl, packet + have, (size_t)(want - have));
        if (have == 0 && (n == MBEDTLS_ERR_SSL_TIMEOUT || n == MBEDTLS_ERR_SSL_WANT_READ))
            return 0;
        if (n > 0)
            have += n;
        else if (n != MBEDTLS_ERR_SSL_WANT_READ)
            return -1;
        if (have >= 2)
            want = 2 + packet[1];
        if (want > PACKET_MAX)
            return -1;
    }
    return have;
}

/* A text as MQTT has it: two bytes of length, then the characters. */
static size_t put_text(uint8_t *out, const char *text)
{
    size_t len = strlen(text);

    out[0] = 0;
    out[1] = (uint8_t)len;
    memcpy(out + 2, text, len);
    return 2 + len;
}

bool mqtt_connect(mbedtls_ssl_context *ssl, const char *name)
{
    static const uint8_t begin[] = {0,   4, 'M',           'Q', 'T',
                                    'T', 4, 2 /* clean */, 0,   MQTT_KEEP_ALIVE_S};
    uint8_t body[PACKET_MAX - 2], answer[PACKET_MAX];
    int len;

    memcpy(body, begin, sizeof begin);
    if (!send_packet(ssl, CONNECT, body, sizeof begin + put_text(body + sizeof begin, name)))
        return false;
    /* With TLS 1.3 a session ticket may come first, which reads as a moment's silence. */
    for (int silences = 0; (len = receive_packet(ssl, answer)) == 0; silences++) {
        if (silences == MQTT_TICKETS_MAX)
            return false;
    }
    return len == 4 && answer[0] == CONNACK && answer[3] == 0;
}

bool mqtt_publish(mbedtls_ssl_context *ssl, const char *topic, const char *text)
{
    uint8_t body[PACKET_MAX - 2];
    size_t text_len = strlen(text);

    if (2 + strlen(topic) + 2 + text_len > sizeof body)
        return false;
    size_t len = put_text(body, topic);
    body[len++] = 0;
    body[len++] = 1; /* this packet's number: one is under way at most */
    memcpy(body + len, text, text_len);
    return send_packet(ssl, PUBLISH_QOS1, body, len + text_len);
}

bool mqtt_ping(mbedtls_ssl_context *ssl)
{
    return send_packet(ssl, PINGREQ, "", 0);
}

void mqtt_disconnect(mbedtls_ssl_context *ssl)
{
    (void)send_packet(ssl, DISCONNECT, "", 0);
    (void)mbedtls_ssl_close_notify(ssl);
}

enum mqtt_event mqtt_wait(mbedtls_ssl_context *ssl)
{
    uint8_t packet[PACKET_MAX];
    int len = receive_packet(ssl, packet);

    if (len < 0)
        return MQTT_GONE;
    if (len == 0)
        return MQTT_SILENCE;
    return packet[0] == PUBACK ? MQTT_ACKNOWLEDGED : MQTT_OTHER;
}
