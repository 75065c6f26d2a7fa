#include "server/repository/base/terminal.h"

#include "common/os/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define CTRL_C 3

static const struct words {
    const char *prompt;
    const char *noun;
    const char *instead; /* what to do where there is no terminal to ask on */
} secrets[] = {
    [HF_SECRET_PASSPHRASE] = {"Passphrase", "passphrase", "give --passphrase-file"},
    [HF_SECRET_NEW_PASSPHRASE] = {"New passphrase", "passphrase", "give --passphrase-file"},
    [HF_SECRET_PIN] = {"PIN", "PIN", "name a file with it in the URI: ?pin-source=file:/PATH"},
};

static const int ending[] = {SIGTERM, SIGHUP};
#define N_ENDING (sizeof ending / sizeof ending[0])

/* The signal that came while the terminal was silent. It ends the program in order, as Ctrl-C does,
 * and leaves the terminal as it was. */
static volatile sig_atomic_t ended_by;

static void note_signal(int signal_number)
{
    ended_by = signal_number;
}

void hf_passphrase_free(struct hf_passphrase *p)
{
    sodium_free(p->text);
    *p = (struct hf_passphrase){0};
}

static enum hf_err fail_cancelled(struct hf_why *why)
{
    return hf_fail(why, HF_E_KEY, "cancelled; nothing was changed");
}

/* The signals may come in here only (they are blocked by ask): one that came between a test of
 * `ended_by` and a read that waits would be overlooked. */
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

/* One line straight into `p`, which has room, so that no buffer of stdio or of ours keeps a
 * copy. */
static enum hf_err fill_line(int fd, const char *noun, const char *from, struct hf_passphrase *p,
                             struct hf_why *why)
{
    for (;;) {
        char c;
        ssize_t n = read_char(fd, &c);
        if (ended_by != 0)
            return fail_cancelled(why);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return hf_fail(why, HF_E_KEY, "cannot read the %s from %s: %s", noun, from,
                           strerror(errno));
        if (n == 0 || c == '\n')
            break;
        if (c == CTRL_C)
            return fail_cancelled(why);
        if (p->len == HF_PASSPHRASE_MAX)
            return hf_fail(why, HF_E_KEY, "the %s from %s is longer than %d bytes", noun, from,
                           HF_PASSPHRASE_MAX);
        p->text[p->len++] = c;
    }
    if (p->len > 0 && p->text[p->len - 1] == '\r')
        p->len--;
    if (p->len == 0)
        return hf_fail(why, HF_E_KEY, "the %s from %s is empty, which protects nothing", noun,
                       from);
    /* Taken as part of the secret, or left out, it would be another secret in another editor. */
    bool is_utf8 = begins_with(p, "\xEF\xBB\xBF");
    if (is_utf8 || begins_with(p, "\xFF\xFE") || begins_with(p, "\xFE\xFF"))
        return hf_fail(why, HF_E_KEY,
                       "the %s from %s begins with a byte order mark (%s), which an editor puts "
                       "there. Save the file as UTF-8 without the mark",
                       noun, from, is_utf8 ? "UTF-8" : "UTF-16");
    return HF_OK;
}

static enum hf_err read_line(int fd, const char *noun, const char *from, struct hf_passphrase *out,
                             struct hf_why *why)
{
    struct hf_passphrase p = {.text = sodium_malloc(HF_PASSPHRASE_MAX)};
    if (p.text == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a %s: %s", noun, strerror(errno));
    enum hf_err err = fill_line(fd, noun, from, &p, why);
    if (err != HF_OK) {
        hf_passphrase_free(&p);
        return err;
    }
    *out = p;
    return HF_OK;
}

/* The offline and the online keys may both name it, and it can be read once only. */
static enum hf_err read_standard_input(const char *noun, struct hf_passphrase *out,
                                       struct hf_why *why)
{
    static struct hf_passphrase line; /* locked memory, until the program ends */
    if (line.text == NULL)
        HF_TRY(read_line(STDIN_FILENO, noun, "standard input", &line, why));
    char *text = sodium_malloc(HF_PASSPHRASE_MAX);
    if (text == NULL)
        return hf_fail(why, HF_E_MEMORY, "no locked memory for a passphrase: %s", strerror(errno));
    memcpy(text, line.text, line.len);
    *out = (struct hf_passphrase){text, line.len};
    return HF_OK;
}

static enum hf_err ask(const struct words *words, const char *prompt, const char *what,
                       struct hf_passphrase *out, struct hf_why *why)
{
    struct termios before;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return hf_fail(why, HF_E_KEY,
                       "a %s for %s is needed and there is no terminal to ask on; %s", words->noun,
                       what, words->instead);

    const struct sigaction noted = {.sa_handler = note_signal}; /* ppoll is not begun again */
    struct sigaction actions[N_ENDING];
    sigset_t blocked, mask;
    (void)sigemptyset(&blocked);
    for (size_t i = 0; i < N_ENDING; i++) {
        (void)sigaddset(&blocked, ending[i]);
        (void)sigaction(ending[i], &noted, &actions[i]);
    }
    (void)sigprocmask(SIG_BLOCK, &blocked, &mask);
    /* Signals of keys off and Ctrl-C as an end of line: it is read as a character, so that no way
     * out of here leaves the terminal silent. */
    struct termios silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ISIG);
    silent.c_cc[VEOL] = CTRL_C;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);

    fprintf(stderr, "%s for %s: ", prompt, what);
    enum hf_err err = read_line(STDIN_FILENO, words->noun, "the terminal", out, why);

    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    for (size_t i = 0; i < N_ENDING; i++)
        (void)sigaction(ending[i], &actions[i], NULL);
    if (err == HF_OK && ended_by != 0) { /* after the last character */
        hf_passphrase_free(out);
        err = fail_cancelled(why);
    }
    return err;
}

bool hf_passphrase_is_typed(const char *file)
{
    return file == NULL || (strcmp(file, "-") == 0 && isatty(STDIN_FILENO));
}

enum hf_err hf_passphrase_read(enum hf_secret secret, const char *file, const char *what,
                               struct hf_passphrase *out, struct hf_why *why)
{
    const struct words *words = &secrets[secret];
    if (!hf_passphrase_is_typed(file)) {
        int fd = -1;
        if (strcmp(file, "-") == 0)
            return read_standard_input(words->noun, out, why);
        hf_verbose("reading the %s from %s", words->noun, file);
        HF_TRY(hf_secret_file_open(file, &fd, why));
        enum hf_err err = read_line(fd, words->noun, file, out, why);
        close(fd);
        return err;
    }

    struct hf_passphrase first = {0}, second = {0};
    enum hf_err err = ask(words, words->prompt, what, &first, why);
    if (err == HF_OK && secret == HF_SECRET_NEW_PASSPHRASE) {
        err = ask(words, "The same again", what, &second, why);
        if (err == HF_OK &&
            (first.len != second.len || sodium_memcmp(first.text, second.text, first.len) != 0))
            err = hf_fail(why, HF_E_KEY, "the two passphrases differ; nothing was made");
        hf_passphrase_free(&second);
    }
    if (err != HF_OK) {
        hf_passphrase_free(&first);
        return err;
    }
    *out = first;
    return HF_OK;
}

void hf_terminal_tell(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}

static bool is_verbose;

void hf_verbose_on(void)
{
    is_verbose = true;
}

void hf_verbose(const char *fmt, ...)
{
    va_list args;
    if (!is_verbose)
        return;
    va_start(args, fmt);
    fputs("holdfastctl: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
}
