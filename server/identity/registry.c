#include "server/identity/registry.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* `state` is 0 in a slot that was never used, and otherwise the entry's status, mode, kind and
 * flags, a byte each, with status 0 for a removed one (its mode is not 0). Readers load it before
 * the rest. */
struct slot {
    uint8_t sha256[HF_SHA256_LEN];
    uint64_t credential;
    uint32_t account;
    _Atomic uint32_t state;
};
_Static_assert(sizeof(struct slot) == 48, "the memory of ten million certificates depends on it");

struct table {
    struct table *older; /* kept for readers that are still in it */
    size_t n_slots;
    size_t n_used; /* removed ones included */
    struct slot slots[];
};

struct hf_registry {
    _Atomic(struct table *) table;
    atomic_uint_fast64_t generation;
    atomic_size_t n_entries; /* read by other threads, too */
    /* Secret, so that an attacker cannot issue certificates whose slots collide. */
    uint8_t key[crypto_shorthash_KEYBYTES];
};

static uint32_t pack(const struct hf_registered *entry)
{
    return (uint32_t)entry->status | (uint32_t)entry->mode << 8 | (uint32_t)entry->kind << 16 |
           (uint32_t)entry->flags << 24;
}

static uint32_t without_flags(uint32_t state)
{
    return state & 0xffffff;
}

static bool is_present(uint32_t state)
{
    return (state & 0xff) != HF_CERT_NONE;
}

static void copy_out(const struct slot *slot, uint32_t state, struct hf_registered *out)
{
    *out = (struct hf_registered){
        .credential = slot->credential,
        .account = slot->account,
        .status = (enum hf_cert_status)(state & 0xff),
        .mode = (enum hf_cert_mode)(state >> 8 & 0xff),
        .kind = (enum hf_cert_kind)(state >> 16 & 0xff),
        .flags = (uint8_t)(state >> 24),
    };
}

/* Where the search for a hash begins: the upper half of a product, so any number of slots will
 * do. */
static size_t first_slot(const struct hf_registry *registry, const struct table *table,
                         const uint8_t sha256[HF_SHA256_LEN])
{
    uint64_t hash = 0;
    (void)crypto_shorthash((unsigned char *)&hash, sha256, HF_SHA256_LEN, registry->key);
    return (size_t)((hash >> 32) * table->n_slots >> 32);
}

static size_t next_slot(const struct table *table, size_t at)
{
    return at + 1 < table->n_slots ? at + 1 : 0;
}

/* ---- readers --------------------------------------------------------------------------------- */

/* `account` 0: the entry in mode DEFAULT. */
static bool find(const struct hf_registry *registry, const uint8_t sha256[HF_SHA256_LEN],
                 uint32_t account, struct hf_registered *out)
{
    const struct table *table = atomic_load_explicit(&registry->table, memory_order_acquire);
    for (size_t at = first_slot(registry, table, sha256);; at = next_slot(table, at)) {
        const struct slot *slot = &table->slots[at];
        uint32_t state = atomic_load_explicit(&slot->state, memory_order_acquire);
        if (state == 0)
            return false; /* a table always has empty slots */
        if (!is_present(state) || memcmp(slot->sha256, sha256, HF_SHA256_LEN) != 0)
            continue;
        if (account != 0 ? slot->account == account : (state >> 8 & 0xff) == HF_CERT_MODE_DEFAULT) {
            copy_out(slot, state, out);
            return true;
        }
    }
}

bool hf_registry_find(const struct hf_registry *registry, const uint8_t sha256[HF_SHA256_LEN],
                      uint32_t account, struct hf_registered *out)
{
    return account != 0 && find(registry, sha256, account, out);
}

bool hf_registry_find_default(const struct hf_registry *registry,
                              const uint8_t sha256[HF_SHA256_LEN], struct hf_registered *out)
{
    return find(registry, sha256, 0, out);
}

void hf_registry_count_status(const struct hf_registry *registry, uint32_t account,
                              enum hf_cert_kind kind, size_t counts[HF_CERT_STATUSES])
{
    const struct table *table = atomic_load_explicit(&registry->table, memory_order_acquire);

    memset(counts, 0, HF_CERT_STATUSES * sizeof counts[0]);
    for (size_t i = 0; i < table->n_slots; i++) {
        const uint32_t state = atomic_load_explicit(&table->slots[i].state, memory_order_acquire);
        if (is_present(state) && table->slots[i].account == account &&
            (state >> 16 & 0xff) == (uint32_t)kind && (state & 0xff) < HF_CERT_STATUSES)
            counts[state & 0xff]++;
    }
}

const atomic_uint_fast64_t *hf_registry_generation(const struct hf_registry *registry)
{
    return &registry->generation;
}

void hf_registry_count_change(struct hf_registry *registry)
{
    (void)atomic_fetch_add_explicit(&registry->generation, 1, memory_order_release);
}

/* ---- the writer ------------------------------------------------------------------------------ */

static struct table *writers_table(const struct hf_registry *registry)
{
    return atomic_load_explicit(&registry->table, memory_order_relaxed);
}

/* A quarter of the slots stays empty: a search for what is not there then looks at eight on
 * average. */
static size_t capacity(const struct table *table)
{
    return table->n_slots - table->n_slots / 4;
}

static struct table *new_table(size_t n_slots)
{
    /* All zero is empty. */
    struct table *table = calloc(1, sizeof *table + n_slots * sizeof table->slots[0]);
    if (table != NULL)
        table->n_slots = n_slots;
    return table;
}

static void fill(struct table *table, const struct hf_registry *registry,
                 const uint8_t sha256[HF_SHA256_LEN], uint64_t credential, uint32_t account,
                 uint32_t state)
{
    size_t at = first_slot(registry, table, sha256);
    while (atomic_load_explicit(&table->slots[at].state, memory_order_relaxed) != 0)
        at = next_slot(table, at);
    struct slot *slot = &table->slots[at];
    memcpy(slot->sha256, sha256, HF_SHA256_LEN);
    slot->credential = credential;
    slot->account = account;
    atomic_store_explicit(&slot->state, state, memory_order_release);
    table->n_used++;
}

/* A larger table with what is present; also where removed entries have filled the old one. */
static enum hf_err grow(struct hf_registry *registry, struct hf_why *why)
{
    struct table *old = writers_table(registry);
    if (old->n_slots > HF_REGISTRY_ENTRIES_MAX / 2)
        return hf_fail(why, HF_E_LIMIT,
                       "registry: it is full (%zu certificates). Raise HF_REGISTRY_ENTRIES_MAX",
                       registry->n_entries);
    struct table *table = new_table(2 * old->n_slots);
    if (table == NULL)
        return hf_fail(why, HF_E_MEMORY, "registry: no memory for %zu slots", 2 * old->n_slots);
    for (size_t i = 0; i < old->n_slots; i++) {
        const struct slot *slot = &old->slots[i];
        uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
        if (is_present(state))
            fill(table, registry, slot->sha256, slot->credential, slot->account, state);
    }
    table->older = old;
    atomic_store_explicit(&registry->table, table, memory_order_release);
    return HF_OK;
}

static struct slot *find_slot(const struct hf_registry *registry,
                              const uint8_t sha256[HF_SHA256_LEN], uint32_t account)
{
    struct table *table = writers_table(registry);
    for (size_t at = first_slot(registry, table, sha256);; at = next_slot(table, at)) {
        struct slot *slot = &table->slots[at];
        uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
        if (state == 0)
            return NULL;
        if (is_present(state) && slot->account == account &&
            memcmp(slot->sha256, sha256, HF_SHA256_LEN) == 0)
            return slot;
    }
}

/* A removed slot keeps a state that is not 0: searches go on past it. */
static void mark_removed(struct hf_registry *registry, struct slot *slot)
{
    uint32_t state = atomic_load_explicit(&slot->state, memory_order_relaxed);
    atomic_store_explicit(&slot->state, state & ~(uint32_t)0xff, memory_order_release);
    registry->n_entries--;
}

enum hf_err hf_registry_new(size_t expected, struct hf_registry **out, struct hf_why *why)
{
    if (expected > HF_REGISTRY_ENTRIES_MAX / 4 * 3)
        return hf_fail(why, HF_E_LIMIT,
                       "registry: %zu certificates are too many. Raise HF_REGISTRY_ENTRIES_MAX",
                       expected);
    size_t n_slots = expected + expected / 3 + 4;
    struct hf_registry *registry = calloc(1, sizeof *registry);
    struct table *table = new_table(n_slots > HF_REGISTRY_SLOTS_MIN ? n_slots
                                                                    : HF_REGISTRY_SLOTS_MIN);
    if (registry == NULL || table == NULL) {
        free(registry);
        free(table);
        return hf_fail(why, HF_E_MEMORY, "registry: no memory for %zu certificates", expected);
    }
    atomic_init(&registry->table, table);
    atomic_init(&registry->generation, 1);
    crypto_shorthash_keygen(registry->key);
    *out = registry;
    return HF_OK;
}

void hf_registry_free(struct hf_registry *registry)
{
    if (registry == NULL)
        return;
    for (struct table *table = writers_table(registry), *older; table != NULL; table = older) {
        older = table->older;
        free(table);
    }
    free(registry);
}

enum hf_err hf_registry_reserve(struct hf_registry *registry, size_t more, struct hf_why *why)
{
    while (writers_table(registry)->n_used + more > capacity(writers_table(registry)))
        HF_TRY(grow(registry, why));
    return HF_OK;
}

enum hf_err hf_registry_set(struct hf_registry *registry, const uint8_t sha256[HF_SHA256_LEN],
                            const struct hf_registered *entry, struct hf_why *why)
{
    if (entry->credential == 0 || entry->account == 0 || entry->status == HF_CERT_NONE ||
        entry->mode == 0 || entry->kind == 0)
        return hf_fail(why, HF_E_ARGUMENT,
                       "registry: an entry needs a credential, account, status, mode and kind");
    struct slot *slot = find_slot(registry, sha256, entry->account);
    /* A new entry takes nothing from a connection that is up, and neither do flags. */
    uint32_t before = slot ? atomic_load_explicit(&slot->state, memory_order_relaxed) : 0;
    bool is_news = slot != NULL && without_flags(before) != without_flags(pack(entry));
    if (slot != NULL && slot->credential == entry->credential) {
        atomic_store_explicit(&slot->state, pack(entry), memory_order_release);
    } else {
        if (writers_table(registry)->n_used >= capacity(writers_table(registry))) {
            HF_TRY(grow(registry, why));
            slot = find_slot(registry, sha256, entry->account);
        }
        fill(writers_table(registry), registry, sha256, entry->credential, entry->account,
             pack(entry));
        registry->n_entries++;
        /* Another number in the database: the new one is there before the old one goes. */
        if (slot != NULL)
            mark_removed(registry, slot);
    }
    if (is_news)
        hf_registry_count_change(registry);
    return HF_OK;
}

bool hf_registry_remove(struct hf_registry *registry, const uint8_t sha256[HF_SHA256_LEN],
                        uint32_t account)
{
    struct slot *slot = find_slot(registry, sha256, account);
    if (slot == NULL)
        return false;
    mark_removed(registry, slot);
    hf_registry_count_change(registry);
    return true;
}

size_t hf_registry_count(const struct hf_registry *registry)
{
    return registry->n_entries;
}

struct hf_registry_size hf_registry_size(const struct hf_registry *registry)
{
    const struct table *newest = writers_table(registry);
    struct hf_registry_size size = {.n_entries = registry->n_entries,
                                    .n_slots = newest->n_slots,
                                    .slot_bytes = sizeof(struct slot)};
    for (const struct table *table = newest; table != NULL; table = table->older)
        size.bytes += sizeof *table + table->n_slots * sizeof table->slots[0];
    return size;
}
