#include "server/repository/base/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum hf_err hf_table_add(struct hf_table *table, struct hf_why *why, const char *fmt, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, fmt);
    int len = vasprintf(&text, fmt, args);
    va_end(args);
    char **more = realloc(table->cells, (table->n_cells + 1) * sizeof *table->cells);
    if (more != NULL)
        table->cells = more;
    if (len < 0 || more == NULL) {
        if (len >= 0)
            free(text);
        return hf_fail(why, HF_E_MEMORY, "out of memory for a table");
    }
    table->cells[table->n_cells++] = text;
    return HF_OK;
}

static void measure(const struct hf_table *table, size_t widths[HF_TABLE_COLUMNS_MAX])
{
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t len = strlen(table->cells[i]);
        if (len > widths[i % table->n_columns])
            widths[i % table->n_columns] = len;
    }
}

void hf_table_print(const struct hf_table *table, int indent, FILE *out)
{
    size_t widths[HF_TABLE_COLUMNS_MAX] = {0};
    measure(table, widths);
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t column = i % table->n_columns;
        if (column == 0)
            fprintf(out, "%*s", indent, "");
        if (column + 1 < table->n_columns)
            fprintf(out, "%-*s  ", (int)widths[column], table->cells[i]);
        else
            fprintf(out, "%s\n", table->cells[i]);
    }
}

void hf_table_free(struct hf_table *table)
{
    for (size_t i = 0; i < table->n_cells; i++)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct hf_table){0};
}
