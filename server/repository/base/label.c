#include "server/repository/base/label.h"

#include <string.h>

bool hf_label_is_plain(const char *text)
{
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        if (text[i] < ' ' || text[i] > '~')
            return false;
    }
    return len >= 1 && len <= HF_LABEL_MAX;
}
