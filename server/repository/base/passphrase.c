#include "server/repository/base/passphrase.h"

#include "common/os/secret_file.h"
#include "server/repository/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_C 3

/* What is asked for, and what to do where no person can be asked. */
struct words {
    const char *prompt;
    const char *noun;
    const char *instead;
};

static const struct words existing = {"Passphrase", "passphrase", "give --passphrase-file"};
static const struct words chosen = {"New passphrase", "passphrase", "give --passphrase-file"};
static const struct words repeated = {"The same again", "passphrase", "give --passphrase-file"};
static const struct words token_pin = {"PIN", "PIN",
                                       "name a file with it in the URI: ?pin-source=file:/PATH"};

void hf_passphrase_free(struct hf_passphrase *p)
{
    sodium_free(p->text);
    *p = (struct hf_passphrase){0};
}

/* ---- a line ------------------------------------------------------------------------------------- */

/* A signal that ends the program, and came while the terminal was silent: as Ctrl-C, so that it ends in
 * order, and with the terminal as it was. */
static volatile sig_atomic_t ended_by;

static void note_signal(int signal_number)
{
    ended_by = signal_number;
}

static enum hf_err fail_cancelled(struct hf_why *why)
{
    return hf_fail(why, HF_E_KEY, "cancelled; nothing was changed");
}

static const int ending[] = {SIGTERM, SIGHUP};
#define N_ENDING (sizeof ending / sizeof ending[0])

/* They may come in here only (catch_ending): between a look at `ended_by` and a read that waits, one
 * would be overlooked. */
static ssize_t read_char(int fd, char *c)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    sigset_t allowed;
    (void)sigprocmask(SIG_BLOCK, NULL, &allowed);
    for (size_t i = 0; i < N_ENDING; i++)
        (void)sigdelset(&allowed, ending[i]);
    return ppoll(&ready, 1, NULL, &allowed) < 0 ? -1 : read(fd, c, 1);
}

static bool begins_with(const struct hf_passphrase *p, const char *bytes)
{
    return p->len >= strlen(bytes) && memcmp(p->text, bytes, strlen(bytes)) == 0;
}

/* Read one line straight into `text`, so that no buffer of stdio or of ours keeps a copy. */
static enum hf_err read_line(int fd, const struct words *words, const char *from,
                             struct hf_passphrase *p, struct hf_why *why)
{
    for (;;) {
        char c;
        ssize_t n = read_char(fd, &c);
        if (ended_by != 0)
            return fail_cancelled(why);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_fail(why, HF_E_KEY, "cannot read the %s from %s: %s", words->noun, from,
                           strerror(errno));
        if (n == 0 || c == '\n')
            break;
        if (c == CTRL_C)
            return fail_cancelled(why);
        if (p->len == HF_PASSPHRASE_MAX)
            return hf_fail(why, HF_E_KEY, "the %s from %s is longer than %d bytes", words->noun,
                           from, HF_PASSPHRASE_MAX);
        p->text[p->len++] = c;
    }
    if (p->len > 0 && p->text[p->len - 1] == '\r')
        p->len--;
    if (p->len == 0)
        return hf_fail(why, HF_E_KEY, "the %s from %s is empty, which protects nothing",
                       words->noun, from);
    /* Taken as part of the secret, or left out, it would be another secret in another editor. */
    const char *encoding = begins_with(p, "\xEF\xBB\xBF")                             ? "UTF-8"
                           : begins_with(p, "\xFF\xFE") || begins_with(p, "\xFE\xFF") ? "UTF-16"
                                                                                      : NULL;
    if (encoding != NULL)
        return hf_fail(why, HF_E_KEY,
                       "the %s from %s begins with a byte order mark (%s), which an editor puts "
                       "there. Save the file as UTF-8 without the mark",
                       words->noun, from, encoding);
    return HF_OK;
}

static enum hf_err read_line_new(int fd, const struct words *words, const char *from,
                                 struct hf_passphrase *out, struct hf_why *why)
{
    struct hf_passphrase p = {.text = sodium_malloc(HF_PASSPHRASE_MAX)};
    if (p.text == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a %s: %s", words->noun,
                       strerror(errno));
    enum hf_err err = read_line(fd, words, from, &p, why);
    if (err != HF_OK) {
        hf_passphrase_free(&p);
        return err;
    }
    *out = p;
    return HF_OK;
}

static enum hf_err copy(const struct hf_passphrase *from, struct hf_passphrase *out,
                        struct hf_why *why)
{
    char *text = sodium_malloc(HF_PASSPHRASE_MAX);
    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a passphrase: %s", strerror(errno));
    memcpy(text, from->text, from->len);
    *out = (struct hf_passphrase){text, from->len};
    return HF_OK;
}

/* Both halves of a key folder may name it, and it can be read once only. */
static enum hf_err read_standard_input(const struct words *words, struct hf_passphrase *out,
                                       struct hf_why *why)
{
    static struct hf_passphrase line; /* locked memory, until the program ends */
    if (line.text == NULL)
        HF_TRY(read_line_new(STDIN_FILENO, words, "standard input", &line, why));
    return copy(&line, out, why);
}

static enum hf_err read_file(const struct words *words, const char *file, struct hf_passphrase *out,
                             struct hf_why *why)
{
    int fd = -1;
    if (strcmp(file, "-") == 0)
        return read_standard_input(words, out, why);
    hf_verbose("reading the %s from %s", words->noun, file);
    HF_TRY(hf_secret_file_open(file, &fd, why));
    enum hf_err err = read_line_new(fd, words, file, out, why);
    close(fd);
    return err;
}

/* ---- a terminal --------------------------------------------------------------------------------- */

/* As it was before. */
struct signals {
    struct sigaction actions[N_ENDING];
    sigset_t mask;
};

static void catch_ending(struct signals *before)
{
    const struct sigaction noted = {.sa_handler = note_signal}; /* ppoll is not begun again */
    sigset_t closed;
    (void)sigemptyset(&closed);
    for (size_t i = 0; i < N_ENDING; i++) {
        (void)sigaddset(&closed, ending[i]);
        (void)sigaction(ending[i], &noted, &before->actions[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &closed, &before->mask);
}

static void release_ending(const struct signals *before)
{
    (void)sigprocmask(SIG_SETMASK, &before->mask, NULL);
    for (size_t i = 0; i < N_ENDING; i++)
        (void)sigaction(ending[i], &before->actions[i], NULL);
}

static enum hf_err ask(const struct words *words, const char *what, struct hf_passphrase *out,
                       struct hf_why *why)
{
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return hf_fail(why, HF_E_KEY,
                       "a %s for %s is needed and there is no terminal to ask on; %s", words->noun,
                       what, words->instead);
    struct termios silent = before;
    struct signals signals;
    catch_ending(&signals);
    /* Signals of keys off and Ctrl-C as an end of line: it is read as a character, so that no way out
     * of here leaves the terminal silent. */
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    silent.c_cc[VEOL] = CTRL_C;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fprintf(stderr, "%s for %s: ", words->prompt, what);
    enum hf_err err = read_line_new(STDIN_FILENO, words, "the terminal", out, why);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    release_ending(&signals);
    if (err == HF_OK && ended_by != 0) { /* after the last character */
        hf_passphrase_free(out);
        err = fail_cancelled(why);
    }
    return err;
}

static enum hf_err read_or_ask(const struct words *words, const char *file, const char *what,
                               struct hf_passphrase *out, struct hf_why *why)
{
    return hf_passphrase_is_typed(file) ? ask(words, what, out, why)
                                        : read_file(words, file, out, why);
}

bool hf_passphrase_is_typed(const char *file)
{
    return file == NULL || (strcmp(file, "-") == 0 && isatty(STDIN_FILENO));
}

enum hf_err hf_passphrase_read(const char *file, const char *what, struct hf_passphrase *out,
                               struct hf_why *why)
{
    return read_or_ask(&existing, file, what, out, why);
}

enum hf_err hf_passphrase_read_pin(const char *file, const char *what, struct hf_passphrase *out,
                                   struct hf_why *why)
{
    return read_or_ask(&token_pin, file, what, out, why);
}

enum hf_err hf_passphrase_choose(const char *file, const char *what, struct hf_passphrase *out,
                                 struct hf_why *why)
{
    if (!hf_passphrase_is_typed(file))
        return read_file(&chosen, file, out, why);
    struct hf_passphrase first = {0}, second = {0};
    HF_TRY(ask(&chosen, what, &first, why));
    enum hf_err err = ask(&repeated, what, &second, why);
    if (err == HF_OK &&
        (first.len != second.len || sodium_memcmp(first.text, second.text, first.len) != 0))
        err = hf_fail(why, HF_E_KEY, "the two passphrases differ; nothing was made");
    hf_passphrase_free(&second);
    if (err != HF_OK) {
        hf_passphrase_free(&first);
        return err;
    }
    *out = first;
    return HF_OK;
}

/* ---- key derivation -------------------------------------------------------------------------- */

#define PASSES_MAX 16
#define MEMORY_BYTES_MAX (INT64_C(1) << 30) /* 1 GiB: libsodium's "sensitive" */

_Static_assert(HF_KDF_SALT_LEN == crypto_pwhash_SALTBYTES, "Argon2id salt");

static struct hf_kdf draw(int64_t passes, int64_t memory_bytes)
{
    struct hf_kdf kdf = {HF_KDF_ARGON2ID, passes, memory_bytes, {0}};
    randombytes_buf(kdf.salt, sizeof kdf.salt);
    return kdf;
}

struct hf_kdf hf_kdf_for_offline(void)
{
    return draw(crypto_pwhash_OPSLIMIT_MODERATE, crypto_pwhash_MEMLIMIT_MODERATE);
}

struct hf_kdf hf_kdf_for_online(void)
{
    return draw(crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE);
}

enum hf_err hf_kdf_check(const struct hf_kdf *kdf, struct hf_why *why)
{
    if (kdf->kind == HF_KDF_NONE)
        return HF_OK;
    if (kdf->passes < 1 || kdf->passes > PASSES_MAX)
        return hf_fail(why, HF_E_LIMIT, "%lld passes of Argon2id, 1 to %d are allowed",
                       (long long)kdf->passes, PASSES_MAX);
    if (kdf->memory_bytes < (int64_t)crypto_pwhash_MEMLIMIT_MIN ||
        kdf->memory_bytes > MEMORY_BYTES_MAX)
        return hf_fail(why, HF_E_LIMIT,
                       "%lld bytes of memory for Argon2id, %lld to %lld are allowed",
                       (long long)kdf->memory_bytes, (long long)crypto_pwhash_MEMLIMIT_MIN,
                       (long long)MEMORY_BYTES_MAX);
    return HF_OK;
}

enum hf_err hf_kdf_derive(const struct hf_kdf *kdf, const struct hf_passphrase *p, uint8_t **out,
                          struct hf_why *why)
{
    uint8_t *key = sodium_malloc(HF_WRAP_KEY_LEN);
    if (key == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a key");
    if (crypto_pwhash(key, HF_WRAP_KEY_LEN, p->text, p->len, kdf->salt,
                      (unsigned long long)kdf->passes, (size_t)kdf->memory_bytes,
                      crypto_pwhash_ALG_ARGON2ID13) != 0) {
        sodium_free(key);
        return hf_fail(why, HF_E_MEMORY,
                       "unlocking keys takes %lld MiB of memory, which there is not",
                       (long long)(kdf->memory_bytes >> 20));
    }
    *out = key;
    return HF_OK;
}

bool hf_kdf_same(const struct hf_kdf *a, const struct hf_kdf *b)
{
    return a->kind == b->kind && a->passes == b->passes && a->memory_bytes == b->memory_bytes &&
           memcmp(a->salt, b->salt, sizeof a->salt) == 0;
}
