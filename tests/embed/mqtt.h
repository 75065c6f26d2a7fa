/*
 * As much of MQTT 3.1.1 as a device needs that publishes and never subscribes. Knows of TLS, not of
 * Holdfast. Nothing that is sent may be longer than 127 bytes. False and MQTT_GONE: the connection
 * is of no use any more.
 */
#ifndef MQTT_H
#define MQTT_H

#include <mbedtls/ssl.h>

#include <stdbool.h>

#define MQTT_KEEP_ALIVE_S 20 /* promised to the broker, and asked of it */
#define MQTT_NAME_LEN_MAX 23 /* what every broker takes */
#define MQTT_TICKETS_MAX 8   /* of TLS, before the broker's first answer */

/** The session is up: the broker has said yes. */
bool mqtt_connect(mbedtls_ssl_context *ssl, const char *name);

/** Quality of service 1: MQTT_ACKNOWLEDGED follows. One at a time. */
bool mqtt_publish(mbedtls_ssl_context *ssl, const char *topic, const char *text);
bool mqtt_ping(mbedtls_ssl_context *ssl);
void mqtt_disconnect(mbedtls_ssl_context *ssl);

enum mqtt_event {
    MQTT_SILENCE, /* for the configuration's read timeout, or a signal came */
    MQTT_ACKNOWLEDGED,
    MQTT_OTHER,
    MQTT_GONE,
};
enum mqtt_event mqtt_wait(mbedtls_ssl_context *ssl);

#endif
