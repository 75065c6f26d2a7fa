#include "tests/fuzz/edit.h"

#define SLOTS_MAX 1024
#define EDITS_MAX 16

/* Where a value stands: in an object under a key, or in a list at a place. */
struct slot {
    json_t *parent;
    const char *key; /* NULL in a list */
    size_t index;
};

struct slots {
    struct slot at[SLOTS_MAX];
    size_t n;
};

/* ---- where ----------------------------------------------------------------------------------- */

static void find_slots(json_t *parent, struct slots *slots)
{
    size_t index;
    const char *key;
    json_t *member;

    json_object_foreach(parent, key, member)
    {
        if (slots->n < SLOTS_MAX)
            slots->at[slots->n++] = (struct slot){parent, key, 0};
        find_slots(member, slots);
    }
    json_array_foreach(parent, index, member)
    {
        if (slots->n < SLOTS_MAX)
            slots->at[slots->n++] = (struct slot){parent, NULL, index};
        find_slots(member, slots);
    }
}

static json_t *value_at(const struct slot *slot)
{
    return slot->key != NULL ? json_object_get(slot->parent, slot->key)
                             : json_array_get(slot->parent, slot->index);
}

/* Steals `value`; a NULL one, of text that is not UTF-8, changes nothing. */
static void put(const struct slot *slot, json_t *value)
{
    if (value == NULL)
        return;
    if (slot->key != NULL)
        (void)json_object_set_new(slot->parent, slot->key, value);
    else
        (void)json_array_set_new(slot->parent, slot->index, value);
}

/* ---- what ------------------------------------------------------------------------------------ */

static json_t *some_integer(struct fuzz_input *in)
{
    static const json_int_t numbers[] = {0,
                                         1,
                                         2,
                                         3,
                                         10,
                                         64,
                                         65,
                                         1024,
                                         1025,
                                         -1,
                                         INT64_C(9007199254740991),
                                         INT64_C(9007199254740992),
                                         INT64_MAX,
                                         INT64_MIN};
    return json_integer(numbers[fuzz_below(in, sizeof numbers / sizeof numbers[0])]);
}

static json_t *some_word(struct fuzz_input *in)
{
    static const char *const words[] = {
        "",
        "root",
        "timestamp",
        "snapshot",
        "targets",
        "1.0.0",
        "1.0.34",
        "2.0",
        "1970-01-01T00:00:00Z",
        "2030-02-30T00:00:00Z",
        "2040-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "ed25519",
        "ecdsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "rsa",
        "rsassa-pss-sha256",
        "rsa-pkcs1v15-sha256",
        "../../etc/passwd",
        "/etc/passwd",
        "a/../b",
        "amazon-iot/full/3.pem",
        "*",
        "a*a*a*a*a*a*a*b",
        "[!a]/?",
        "\x1b[2Jx\ny",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "-----BEGIN PUBLIC KEY-----\n",
    };
    return json_string(words[fuzz_below(in, sizeof words / sizeof words[0])]);
}

static json_t *own_text(struct fuzz_input *in)
{
    size_t len = fuzz_below(in, 40);
    len = len < in->len ? len : in->len;
    json_t *text = json_stringn((const char *)in->data, len);
    in->len -= len;
    in->data += len;
    return text;
}

static json_t *long_text(struct fuzz_input *in)
{
    char text[2100];
    size_t len = (fuzz_below(in, 256) + 1) * 8;
    memset(text, 'a' + (int)fuzz_below(in, 26), len);
    return json_stringn(text, len);
}

static json_t *empty_thing(struct fuzz_input *in)
{
    switch (fuzz_below(in, 5)) {
    case 0:
        return json_null();
    case 1:
        return json_true();
    case 2:
        return json_false();
    case 3:
        return json_object();
    default:
        return json_array();
    }
}

static json_t *one_letter_changed(const json_t *value, struct fuzz_input *in)
{
    /* Up to a NUL, which a string of JSON may hold. */
    size_t len = json_is_string(value) ? strlen(json_string_value(value)) : 0;
    if (len == 0)
        return NULL;
    char *text = fuzz_text((struct hf_bytes){(const uint8_t *)json_string_value(value), len});
    text[fuzz_below(in, 65536) % len] = (char)fuzz_byte(in);
    json_t *changed = json_string(text);
    free(text);
    return changed;
}

static json_t *one_more_or_less(const json_t *value, struct fuzz_input *in)
{
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number >= INT64_MAX - 1 || number <= INT64_MIN + 1)
        return NULL;
    return json_integer(fuzz_below(in, 2) == 0 ? number + 1 : number - 1);
}

/* ---- how ------------------------------------------------------------------------------------- */

static void remove_value(const struct slot *slot)
{
    if (slot->key != NULL)
        (void)json_object_del(slot->parent, slot->key);
    else
        (void)json_array_remove(slot->parent, slot->index);
}

/* Once more, under another name where there are names. */
static void add_copies(const struct slot *slot, json_t *copy, struct fuzz_input *in, size_t n)
{
    char name[32];
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%c%zu", 'a' + (int)fuzz_below(in, 26), i);
        if (json_is_object(slot->parent))
            (void)json_object_set_new(slot->parent, name, json_deep_copy(copy));
        else
            (void)json_array_append_new(slot->parent, json_deep_copy(copy));
    }
}

static void wrap(const struct slot *slot, struct fuzz_input *in)
{
    json_t *inner = json_deep_copy(value_at(slot));
    for (size_t i = fuzz_below(in, 40) + 1; i > 0; i--)
        inner = json_pack("[o]", inner);
    put(slot, inner);
}

static void rename_key(const struct slot *slot, struct fuzz_input *in)
{
    json_t *name = fuzz_below(in, 2) == 0 ? some_word(in) : own_text(in);
    json_t *value = json_incref(value_at(slot));
    if (slot->key != NULL && name != NULL) {
        (void)json_object_del(slot->parent, slot->key);
        (void)json_object_set(slot->parent, json_string_value(name), value);
    }
    json_decref(value);
    json_decref(name);
}

void fuzz_edit(json_t *root, struct fuzz_input *in)
{
    static struct slots slots;
    slots.n = 0;
    find_slots(root, &slots);
    if (slots.n == 0)
        return;
    const struct slot *slot = &slots.at[fuzz_below(in, 65536) % slots.n];
    const struct slot *other = &slots.at[fuzz_below(in, 65536) % slots.n];
    size_t kind = fuzz_below(in, 14);
    json_t *copy = json_deep_copy(value_at(kind < 12 ? other : slot));
    switch (kind) {
    case 0:
        put(slot, some_integer(in));
        break;
    case 1:
        put(slot, some_word(in));
        break;
    case 2:
        put(slot, own_text(in));
        break;
    case 3:
        put(slot, long_text(in));
        break;
    case 4:
        put(slot, empty_thing(in));
        break;
    case 5:
        put(slot, one_letter_changed(value_at(slot), in));
        break;
    case 6:
        put(slot, one_more_or_less(value_at(slot), in));
        break;
    case 7:
        remove_value(slot);
        break;
    case 8:
        wrap(slot, in);
        break;
    case 9:
        rename_key(slot, in);
        break;
    case 10:
        put(slot, json_incref(copy));
        break;
    case 11:
    case 12:
        add_copies(slot, copy, in, 1);
        break;
    default:
        add_copies(slot, copy, in, fuzz_below(in, 2) == 0 ? 70 : 7);
        break;
    }
    json_decref(copy);
}

void fuzz_edit_by(json_t *root, struct hf_bytes script)
{
    struct fuzz_input in = {script.data, script.len};
    for (int i = 0; i < EDITS_MAX && in.len > 0; i++)
        fuzz_edit(root, &in);
}
