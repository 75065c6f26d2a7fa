/*
 * A number of 32 bits for each device: a sparse array by the number of its row. Rows are numbered
 * one after the other, and a rollout counts a part of them, so pages of 1,024 rows hold only the
 * numbers that are there, beside a bit for each row: 4 bytes a device that is there, and one bit a
 * row. One thread.
 */
#ifndef HF_ROLLOUT_DEVICE_MAP_H
#define HF_ROLLOUT_DEVICE_MAP_H

#include <holdfast/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hf_device_page;

/* All zero: empty. */
struct hf_device_map {
    struct hf_device_page **pages; /* by their numbers */
    size_t n_pages, cap_pages;
    size_t bytes; /* allocated */
};

void hf_device_map_free(struct hf_device_map *map);

/** NULL: there is none. Valid until the next change. Ids are 1 or more. */
uint32_t *hf_device_map_find(const struct hf_device_map *map, int64_t id);
/** HF_E_MEMORY, with the map as it was. */
HF_MUST_USE enum hf_err hf_device_map_put(struct hf_device_map *map, int64_t id, uint32_t value);
void hf_device_map_remove(struct hf_device_map *map, int64_t id);

/** Keep those for which `keep` is true; it may change the value. */
void hf_device_map_filter(struct hf_device_map *map, bool (*keep)(void *ctx, uint32_t *value),
                          void *ctx);
/** Those above `after`, by id, until `visit` is false. */
void hf_device_map_each(const struct hf_device_map *map, int64_t after,
                        bool (*visit)(void *ctx, int64_t id, uint32_t value), void *ctx);

#endif
