#include "client/port/posix/system.h"

#include "common/base/digest.h"
#include "common/os/clock.h"
#include "common/os/file_util.h"

#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t now_s(void *ctx)
{
    struct timespec now = {0};

    (void)ctx;
    /* Cannot fail for CLOCK_REALTIME; 1970 would be raised to the clock floor anyway. */
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec;
}

static int64_t uptime_ms(void *ctx)
{
    (void)ctx;
    return hf_monotonic_ms();
}

struct hf_clock_port hf_system_clock_port(void)
{
    return (struct hf_clock_port){.now_s = now_s, .uptime_ms = uptime_ms};
}

static void fill(void *ctx, void *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
}

struct hf_random_port hf_system_random_port(void)
{
    return (struct hf_random_port){.fill = fill};
}

enum hf_err hf_lock_take(const char *state_dir, unsigned wait_ms, int *out, struct hf_why *why)
{
    struct hf_path path;

    HF_TRY(hf_path_set(&path, why, "%s/lock", state_dir));
    enum hf_err err = hf_file_lock(path.text, wait_ms, out, why);
    if (err == HF_E_BUSY)
        return hf_fail(why, err, "another process is updating %s; wait for it to end and try again",
                       state_dir);
    return err;
}

#define MACHINE_ID_LEN 32
#define ID_FILE_BYTES_MAX 4096 /* the id and whatever stands on the lines below it */

/* Keeps our ids apart from everything else that hashes the machine-id. Never change it: every
 * device would have a new id. */
static const char derivation[] = "holdfast device id, from machine-id: ";

enum hf_err hf_device_id_check(const char *id, struct hf_why *why)
{
    if (hf_device_id_is_valid(id))
        return HF_OK;
    return hf_fail(
        why, HF_E_ARGUMENT,
        "\"%.140s\" cannot be a device id: 1 to %d letters, digits, \".\", \"_\", \":\" or \"-\" "
        "are expected",
        id, HF_DEVICE_ID_MAX);
}

/* Up to the last visible character of the line. */
static enum hf_err read_first_line(const char *file, struct hf_buf *out, struct hf_why *why)
{
    HF_TRY(hf_file_read(file, ID_FILE_BYTES_MAX, out, why));
    if (hf_buf_append(out, "", 1) != HF_OK)
        return hf_fail(why, HF_E_MEMORY, "out of memory reading %s", file);
    char *text = (char *)out->data;
    size_t len = strcspn(text, "\r\n");
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    text[len] = '\0';
    return HF_OK;
}

enum hf_err hf_device_id_from_file(const char *file, char out[HF_DEVICE_ID_MAX + 1],
                                   struct hf_why *why)
{
    struct hf_buf line = {0};

    enum hf_err err = read_first_line(file, &line, why);
    const char *id = (const char *)line.data;
    if (err != HF_OK)
        err = hf_fail_context(why, "the device id is to be read from a file");
    else if (hf_device_id_is_valid(id))
        memcpy(out, id, strlen(id) + 1);
    else
        err = hf_fail(why, HF_E_FORMAT,
                      "the first line of %s cannot be a device id: 1 to %d letters, digits, "
                      "\".\", \"_\", \":\" or \"-\" are expected, found \"%.140s\"",
                      file, HF_DEVICE_ID_MAX, id);
    hf_buf_free(&line);
    return err;
}

enum hf_err hf_device_id_derive(const char *machine_id_file, char out[HF_DEVICE_ID_MAX + 1],
                                struct hf_why *why)
{
    struct hf_buf line = {0};
    char input[sizeof derivation + MACHINE_ID_LEN];
    char hex[HF_SHA256_HEX_LEN];

    enum hf_err err = read_first_line(machine_id_file, &line, why);
    if (err == HF_E_NOT_FOUND)
        err = hf_fail(why, HF_E_NOT_FOUND,
                      "no device id can be derived: this machine has no %s; run "
                      "systemd-machine-id-setup, or give holdfast a --device-id",
                      machine_id_file);
    if (err == HF_OK) {
        const char *id = (const char *)line.data;
        size_t len = strspn(id, "0123456789abcdef");
        if (len != MACHINE_ID_LEN || id[len] != '\0' || strspn(id, "0") == MACHINE_ID_LEN)
            err =
                hf_fail(why, HF_E_FORMAT,
                        "no device id can be derived from %s: 32 hexadecimal digits are expected, "
                        "found \"%.40s\"; the machine gets its id at its first boot, or give "
                        "holdfast a --device-id",
                        machine_id_file, id);
    }
    if (err == HF_OK) {
        (void)snprintf(input, sizeof input, "%s%.32s", derivation, (const char *)line.data);
        hf_sha256_hex(hf_bytes_of_text(input), hex);
        /* 128 bits: no two devices of any fleet have the same. */
        (void)snprintf(out, HF_DEVICE_ID_MAX + 1, "hf-%.32s", hex);
    }
    hf_buf_free(&line);
    return err;
}

static void add_first_line(const char *file, char *out, size_t *len)
{
    struct hf_buf line = {0};

    if (read_first_line(file, &line, NULL) == HF_OK)
        *len += (size_t)snprintf(out + *len, HF_INSTANCE_MAX - *len, "%.64s ", (char *)line.data);
    hf_buf_free(&line);
}

void hf_device_instance(const char *state_dir, const char *device_id, char out[HF_INSTANCE_MAX])
{
    char host[HOST_NAME_MAX + 1] = "";
    struct stat folder = {0};
    size_t len = 0;

    add_first_line(HF_MACHINE_ID_FILE, out, &len);
    add_first_line("/proc/sys/kernel/random/boot_id", out, &len);
    (void)gethostname(host, sizeof host - 1);
    (void)stat(state_dir, &folder);
    /* A copy at the same path, in another container, has another number. */
    (void)snprintf(out + len, HF_INSTANCE_MAX - len, "%s %.128s %llu %llu %.512s", host,
                   device_id != NULL ? device_id : "", (unsigned long long)folder.st_dev,
                   (unsigned long long)folder.st_ino, state_dir);
}
