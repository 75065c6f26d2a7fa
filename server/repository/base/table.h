/* Rows of text in aligned columns. */
#ifndef HF_REPOSITORY_TABLE_H
#define HF_REPOSITORY_TABLE_H

#include <holdfast/bytes.h>

#include <stdio.h>

#define HF_TABLE_COLUMNS_MAX 8

struct hf_table {
    size_t n_columns;
    char **cells; /* owned texts, row by row */
    size_t n_cells;
};

/** The next cell, row by row from the left. HF_E_MEMORY. */
HF_MUST_USE enum hf_err hf_table_add(struct hf_table *table, struct hf_why *why, const char *fmt,
                                     ...) HF_PRINTF(3, 4);

/** Each line begins with `indent` spaces; columns are two spaces apart. */
void hf_table_print(const struct hf_table *table, int indent, FILE *out);
void hf_table_free(struct hf_table *table);

#endif
