/* What an open state folder is asked for: its parts, its journal, its device id. */
#include "client/port/posix/posix_internal.h"

struct hf_client *hf_posix_client(struct hf_posix *posix)
{
    return posix->client;
}

struct hf_trust_store *hf_posix_trust_store(struct hf_posix *posix)
{
    return posix->trust_store;
}

const struct hf_posix_config *hf_posix_config(const struct hf_posix *posix)
{
    return &posix->config.view;
}

enum hf_err hf_posix_is_writable(const struct hf_posix *posix, struct hf_why *why)
{
    return hf_sqlite_store_is_writable(posix->store, why);
}

static enum hf_err find_device_id(struct hf_posix *posix, struct hf_why *why)
{
    const struct hf_posix_config *config = &posix->config.view;

    if (config->device_id_file != NULL)
        return hf_device_id_from_file(config->device_id_file, posix->device_id, why);
    return hf_device_id_derive(HF_MACHINE_ID_FILE, posix->device_id, why);
}

enum hf_err hf_posix_device_id(struct hf_posix *posix, const char **out, struct hf_why *why)
{
    if (posix->config.view.device_id != NULL) {
        *out = posix->config.view.device_id;
        return HF_OK;
    }
    if (posix->device_id[0] == '\0')
        HF_TRY(find_device_id(posix, why));
    *out = posix->device_id;
    return HF_OK;
}

static void write_log(const struct hf_posix *posix, enum hf_level level, const char *text)
{
    if (posix->log.write != NULL)
        posix->log.write(posix->log.ctx, level, text);
}

void hf_posix_journal(struct hf_posix *posix, enum hf_level level, const char *kind,
                      const char *text)
{
    struct hf_clock_port clock = hf_system_clock_port();
    struct hf_store_port store = hf_sqlite_store_port(posix->store);
    struct hf_event event = {clock.now_s(clock.ctx), level, kind, text};
    struct hf_why why = {0};

    write_log(posix, level, text);
    if (store.append_event(store.ctx, &event, &why) != HF_OK)
        write_log(posix, HF_LEVEL_WARNING, why.text);
}

/* Versions that were verified must not be forgotten: later ones are compared with them. */
void hf_posix_secure(struct hf_posix *posix)
{
    struct hf_why why = {0};

    if (hf_sqlite_store_sync(posix->store, &why) != HF_OK)
        write_log(posix, HF_LEVEL_WARNING, why.text);
}

enum hf_err hf_posix_journal_read(struct hf_posix *posix, size_t max,
                                  void (*each)(void *ctx, const struct hf_event *event), void *ctx,
                                  struct hf_why *why)
{
    return hf_sqlite_store_events(posix->store, max, each, ctx, why);
}
