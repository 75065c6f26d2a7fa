#include "tests/support/softhsm.h"

#include "tests/support/check.h"

#include <fcntl.h>
#include <glob.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

extern char **environ;

/* Where Debian has it changes from release to release. */
static const char *const places[] = {"/usr/lib/softhsm/libsofthsm2.so",
                                     "/usr/lib/*/softhsm/libsofthsm2.so"};

/* As in softhsm.supp, which says why; LeakSanitizer asks for it by this name. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libcrypto.so\n";
}

const char *softhsm_module(void)
{
    static char path[256];
    for (size_t i = 0; i < sizeof places / sizeof places[0] && path[0] == '\0'; i++) {
        glob_t found = {0};
        if (glob(places[i], 0, NULL, &found) == 0)
            (void)snprintf(path, sizeof path, "%s", found.gl_pathv[0]);
        globfree(&found);
    }
    return path[0] != '\0' ? path : NULL;
}

void softhsm_use(const struct temp_dir *dir)
{
    char conf[512];
    if (softhsm_module() == NULL) {
        print_message("SoftHSM2 is not installed (deploy/install-deps.sh --for test)\n");
        skip();
    }
    const char *folder = temp_path(dir, "tokens");
    const char *file = temp_path(dir, "softhsm2.conf");
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)snprintf(conf, sizeof conf,
                   "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n",
                   folder);
    temp_write(file, conf);
    assert_int_equal(setenv("SOFTHSM2_CONF", file, 1), 0);
}

void softhsm_add_token(const char *label)
{
    char *const args[] = {"softhsm2-util", "--init-token", "--free",   "--label",    (char *)label,
                          "--pin",         SOFTHSM_PIN,    "--so-pin", "8765432100", NULL};
    posix_spawn_file_actions_t quiet;
    pid_t pid;
    int status;
    assert_int_equal(posix_spawn_file_actions_init(&quiet), 0);
    assert_int_equal(posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0), 0);
    assert_int_equal(posix_spawnp(&pid, args[0], &quiet, NULL, args, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    posix_spawn_file_actions_destroy(&quiet);
}

const char *softhsm_pin_file(const struct temp_dir *dir)
{
    const char *path = temp_path(dir, "pin");
    temp_write(path, SOFTHSM_PIN "\n");
    assert_int_equal(chmod(path, 0600), 0);
    return path;
}
