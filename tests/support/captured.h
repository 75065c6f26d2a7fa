/* Certificates of real servers and CAs. They are other people's data, and lie beside the checkout
 * where they are there at all; $HF_TEST_DATA may name their folder. */
#ifndef HF_TESTS_SUPPORT_CAPTURED_H
#define HF_TESTS_SUPPORT_CAPTURED_H

#include <holdfast/bytes.h>

/** Append a file, "chains/server-ca-1b.pem". Skips the running test, saying so, where it is
 *  missing. */
void captured_read(const char *name, struct hf_buf *out);

/** The same for the one certificate of a PEM file, as DER. */
void captured_read_der(const char *name, struct hf_buf *out);

#endif
