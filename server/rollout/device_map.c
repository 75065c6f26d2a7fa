#include "server/rollout/device_map.h"

#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 1024
#define WORD_BITS 64
#define PAGE_WORDS (PAGE_ROWS / WORD_BITS)
#define ROOM_STEP 32 /* values: a page grows by so many, so 64 bytes of it are unused on average */

struct hf_device_page {
    int64_t number; /* of the row / PAGE_ROWS */
    uint16_t n, room;
    uint64_t is_there[PAGE_WORDS];
    uint32_t values[]; /* of the rows that are there, in their order */
};

/* Where a row stands. */
struct place {
    size_t page; /* or where the page belongs */
    bool has_page, is_there;
    size_t word;
    uint64_t bit;
    size_t rank; /* of its value */
};

static size_t bytes_of(size_t room)
{
    return sizeof(struct hf_device_page) + room * sizeof(uint32_t);
}

/* The first page with that number or a higher one. */
static size_t find_page(const struct hf_device_map *map, int64_t number)
{
    size_t low = 0, high = map->n_pages;

    if (high > 0 && map->pages[high - 1]->number < number)
        return high; /* a scan puts the devices in their order */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (map->pages[middle]->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct place locate(const struct hf_device_map *map, int64_t id)
{
    const size_t row = (size_t)(id % PAGE_ROWS);
    struct place at = {.page = find_page(map, id / PAGE_ROWS),
                       .word = row / WORD_BITS,
                       .bit = UINT64_C(1) << row % WORD_BITS};

    at.has_page = at.page < map->n_pages && map->pages[at.page]->number == id / PAGE_ROWS;
    if (!at.has_page)
        return at;
    const uint64_t *is_there = map->pages[at.page]->is_there;
    at.is_there = (is_there[at.word] & at.bit) != 0;
    for (size_t i = 0; i < at.word; i++)
        at.rank += (size_t)__builtin_popcountll(is_there[i]);
    at.rank += (size_t)__builtin_popcountll(is_there[at.word] & (at.bit - 1));
    return at;
}

void hf_device_map_free(struct hf_device_map *map)
{
    for (size_t i = 0; i < map->n_pages; i++)
        free(map->pages[i]);
    free(map->pages);
    *map = (struct hf_device_map){0};
}

uint32_t *hf_device_map_find(const struct hf_device_map *map, int64_t id)
{
    const struct place at = locate(map, id);

    return at.is_there ? &map->pages[at.page]->values[at.rank] : NULL;
}

/* ---- changes --------------------------------------------------------------------------------- */

static enum hf_err add_page(struct hf_device_map *map, size_t at, int64_t number)
{
    if (map->n_pages == map->cap_pages) {
        size_t cap = map->cap_pages == 0 ? 16 : map->cap_pages * 2;
        struct hf_device_page **pages = realloc(map->pages, cap * sizeof(*pages));
        if (pages == NULL)
            return HF_E_MEMORY;
        map->bytes += (cap - map->cap_pages) * sizeof(*pages);
        map->pages = pages;
        map->cap_pages = cap;
    }
    struct hf_device_page *page = calloc(1, bytes_of(ROOM_STEP));
    if (page == NULL)
        return HF_E_MEMORY;
    page->number = number;
    page->room = ROOM_STEP;
    map->bytes += bytes_of(ROOM_STEP);
    memmove(&map->pages[at + 1], &map->pages[at], (map->n_pages - at) * sizeof(*map->pages));
    map->pages[at] = page;
    map->n_pages++;
    return HF_OK;
}

static enum hf_err grow_page(struct hf_device_map *map, size_t at)
{
    const size_t room = map->pages[at]->room + (size_t)ROOM_STEP;
    struct hf_device_page *page = realloc(map->pages[at], bytes_of(room));

    if (page == NULL)
        return HF_E_MEMORY;
    page->room = (uint16_t)room;
    map->pages[at] = page;
    map->bytes += ROOM_STEP * sizeof(uint32_t);
    return HF_OK;
}

enum hf_err hf_device_map_put(struct hf_device_map *map, int64_t id, uint32_t value)
{
    const struct place at = locate(map, id);

    if (at.is_there) {
        map->pages[at.page]->values[at.rank] = value;
        return HF_OK;
    }
    if (!at.has_page)
        HF_TRY(add_page(map, at.page, id / PAGE_ROWS));
    if (map->pages[at.page]->n == map->pages[at.page]->room)
        HF_TRY(grow_page(map, at.page));
    struct hf_device_page *page = map->pages[at.page];
    memmove(&page->values[at.rank + 1], &page->values[at.rank],
            (page->n - at.rank) * sizeof(page->values[0]));
    page->values[at.rank] = value;
    page->is_there[at.word] |= at.bit;
    page->n++;
    return HF_OK;
}

void hf_device_map_remove(struct hf_device_map *map, int64_t id)
{
    const struct place at = locate(map, id);

    if (!at.is_there)
        return;
    struct hf_device_page *page = map->pages[at.page];
    page->n--;
    page->is_there[at.word] &= ~at.bit;
    memmove(&page->values[at.rank], &page->values[at.rank + 1],
            (page->n - at.rank) * sizeof(page->values[0]));
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void filter_page(struct hf_device_page *page, bool (*keep)(void *ctx, uint32_t *value),
                        void *ctx)
{
    size_t from = 0, n = 0;

    for (size_t word = 0; word < PAGE_WORDS; word++) {
        for (uint64_t left = page->is_there[word]; left != 0; left &= left - 1) {
            uint32_t value = page->values[from++];
            if (keep(ctx, &value))
                page->values[n++] = value;
            else
                page->is_there[word] &= ~(left & -left);
        }
    }
    page->n = (uint16_t)n;
}

void hf_device_map_filter(struct hf_device_map *map, bool (*keep)(void *ctx, uint32_t *value),
                          void *ctx)
{
    size_t n = 0;

    for (size_t i = 0; i < map->n_pages; i++) {
        struct hf_device_page *page = map->pages[i];
        filter_page(page, keep, ctx);
        if (page->n > 0) {
            map->pages[n++] = page;
            continue;
        }
        map->bytes -= bytes_of(page->room);
        free(page);
    }
    map->n_pages = n;
}

void hf_device_map_each(const struct hf_device_map *map, int64_t after,
                        bool (*visit)(void *ctx, int64_t id, uint32_t value), void *ctx)
{
    for (size_t i = find_page(map, after / PAGE_ROWS); i < map->n_pages; i++) {
        const struct hf_device_page *page = map->pages[i];
        size_t rank = 0;
        for (int64_t word = 0; word < PAGE_WORDS; word++) {
            for (uint64_t left = page->is_there[word]; left != 0; left &= left - 1, rank++) {
                int64_t id = page->number * PAGE_ROWS + word * WORD_BITS + __builtin_ctzll(left);
                if (id > after && !visit(ctx, id, page->values[rank]))
                    return;
            }
        }
    }
}
