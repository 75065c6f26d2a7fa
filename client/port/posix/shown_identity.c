#include "client/port/posix/shown_identity.h"

#include "client/port/identity/request.h"
#include "client/port/identity/slots.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where a certificate and its key may be. */
struct place {
    struct hf_path cert_file;
    struct hf_path key_file;
};

/* Two files that have been read, by what changes when they are replaced. */
struct stamp {
    int place; /* its index; -1: there is none */
    struct stat files[2];
};

struct hf_shown_identity {
    struct place places[2]; /* the device's own first */
    int n_places;
    const struct hf_device_key *const *key;
    struct hf_log_port log;
    bool has_looked;
    struct stamp stamp;
    bool has_auth;
    struct hf_client_auth auth;
    int64_t not_after_s;
};

enum hf_err hf_shown_identity_new(const char *state_dir, const struct hf_posix_config *config,
                                  const struct hf_device_key *const *key, struct hf_log_port log,
                                  struct hf_shown_identity **out, struct hf_why *why)
{
    struct hf_slots slots = {0};
    struct hf_shown_identity *id = calloc(1, sizeof *id);

    if (id == NULL)
        return hf_fail(why, HF_E_MEMORY, "out of memory for the client certificate");
    id->key = key;
    id->log = log;
    enum hf_err err = hf_path_set(&slots.dir, why, "%s/identity", state_dir);
    if (err == HF_OK)
        err = hf_slots_path(&slots, 0, HF_SLOT_CERTIFICATE, &id->places[0].cert_file, why);
    if (err == HF_OK)
        err = hf_slots_path(&slots, 0, HF_SLOT_KEY, &id->places[0].key_file, why);
    id->n_places = 1;
    if (err == HF_OK && config->client_cert_file != NULL && config->client_key_file != NULL) {
        err = hf_path_set(&id->places[1].cert_file, why, "%s", config->client_cert_file);
        if (err == HF_OK)
            err = hf_path_set(&id->places[1].key_file, why, "%s", config->client_key_file);
        id->n_places = 2;
    }
    if (err == HF_OK)
        *out = id;
    else
        hf_shown_identity_free(id);
    return err;
}

static void unload(struct hf_shown_identity *id)
{
    if (id->has_auth)
        hf_client_auth_free(&id->auth);
    id->has_auth = false;
}

void hf_shown_identity_free(struct hf_shown_identity *identity)
{
    if (identity == NULL)
        return;
    unload(identity);
    free(identity);
}

/* The first place with a certificate, and what its files are now. */
static struct stamp look(const struct hf_shown_identity *id)
{
    struct stamp stamp = {.place = -1};

    for (int i = 0; i < id->n_places && stamp.place < 0; i++) {
        if (stat(id->places[i].cert_file.text, &stamp.files[0]) == 0)
            stamp.place = i;
    }
    if (stamp.place >= 0 && stat(id->places[stamp.place].key_file.text, &stamp.files[1]) != 0)
        stamp.files[1] = (struct stat){0};
    return stamp;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool hf_shown_identity_is_stale(const struct hf_shown_identity *id)
{
    const struct stamp now = look(id);

    if (!id->has_looked || now.place != id->stamp.place)
        return true;
    return now.place >= 0 && (!is_same_file(&now.files[0], &id->stamp.files[0]) ||
                              !is_same_file(&now.files[1], &id->stamp.files[1]));
}

void hf_shown_identity_forget(struct hf_shown_identity *identity)
{
    identity->has_looked = false;
}

static enum hf_err load(struct hf_shown_identity *id, struct hf_why *why)
{
    const struct place *place = &id->places[id->stamp.place];
    const struct hf_client_auth_source source = {place->cert_file.text, place->key_file.text,
                                                 *id->key};
    struct hf_credential credential;

    HF_TRY(hf_client_auth_load(&source, &id->auth, why));
    enum hf_err err = hf_client_auth_try(&id->auth, why);
    if (err == HF_OK)
        err = hf_identity_describe(&id->auth.chain, &credential, why);
    if (err == HF_OK) {
        id->not_after_s = credential.not_after_s;
        id->has_auth = true;
    } else {
        hf_client_auth_free(&id->auth);
    }
    return err;
}

void hf_shown_identity_load(struct hf_shown_identity *id)
{
    struct hf_why why = {0};

    unload(id);
    id->stamp = look(id);
    id->has_looked = true;
    if (id->stamp.place < 0)
        return;
    if (load(id, &why) != HF_OK && id->log.write != NULL) {
        (void)hf_fail_context(&why, "update servers are shown no client certificate");
        id->log.write(id->log.ctx, HF_LEVEL_WARNING, why.text);
    }
}

struct hf_client_auth *hf_shown_identity_get(struct hf_shown_identity *id)
{
    return id->has_auth ? &id->auth : NULL;
}

bool hf_shown_identity_has_expired(const struct hf_shown_identity *id, int64_t now_s)
{
    return id->has_auth && id->not_after_s <= now_s;
}
