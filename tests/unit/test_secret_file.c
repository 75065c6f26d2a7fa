/* common/os/secret_file: who else may read a secret. With real files, owners and ACLs. */
#include "tests/support/check.h"
#include "tests/support/temp_dir.h"

#include "common/os/secret_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SERVICE 61001 /* users that no system has */
#define STRANGER 61002

static const char *secret(void **state, const char *name, mode_t mode)
{
    const char *path = temp_path(*state, name);
    temp_write(path, "correct horse\n");
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void check_accepted(const char *path)
{
    struct hf_why why = {0};
    char first = 0;
    int fd = -1;
    if (hf_secret_file_open(path, &fd, &why) != HF_OK)
        fail_msg("refused: %s", why.text);
    assert_int_equal(read(fd, &first, 1), 1);
    assert_int_equal(first, 'c');
    close(fd);
}

/* The sentence names the file, who else has access, and what to do. */
static void check_refused(const char *path, const char *who, const char *remedy)
{
    struct hf_why why = {0};
    int fd = -1;
    CHECK_REFUSED(hf_secret_file_open(path, &fd, &why), HF_E_KEY, &why, who);
    assert_int_equal(fd, -1);
    if (strstr(why.text, path) == NULL || strstr(why.text, remedy) == NULL)
        fail_msg("the sentence lacks the file or \"%s\": %s", remedy, why.text);
}

/* ---- modes ----------------------------------------------------------------------------------- */

static void a_file_of_its_owner_alone_is_read(void **state)
{
    check_accepted(secret(state, "a", 0600));
    check_accepted(secret(state, "b", 0400));
}

static void a_file_that_others_may_read_or_change_is_refused(void **state)
{
    char group[64];
    snprintf(group, sizeof group, "the members of group %u may read", (unsigned)getegid());
    check_refused(secret(state, "a", 0640), group, "chmod 600");
    check_refused(secret(state, "b", 0604), "every user may read", "chmod 600");
    check_refused(secret(state, "c", 0644), "every user may read", "(mode 0644)");
    check_refused(secret(state, "d", 0620), "may change", "chmod 600");
    check_refused(secret(state, "e", 0602), "every user may change", "chmod 600");
}

static void a_file_that_is_not_there_is_named(void **state)
{
    struct hf_why why = {0};
    int fd = -1;
    CHECK_REFUSED(hf_secret_file_open(temp_path(*state, "none"), &fd, &why), HF_E_NOT_FOUND, &why,
                  "there is no ");
}

static void a_pipe_is_not_judged(void **state)
{
    const char *path = temp_path(*state, "pipe");
    assert_int_equal(mkfifo(path, 0644), 0);
    int writer = open(path, O_RDWR);
    assert_int_equal(write(writer, "c", 1), 1);
    check_accepted(path);
    close(writer);
}

/* ---- ACLs ------------------------------------------------------------------------------------ */

struct entry {
    uint16_t tag, rights;
    uint32_t id;
};

#define NO_ID UINT32_MAX
#define USER_OBJ(rights)                                                                           \
    {                                                                                              \
        0x01, rights, NO_ID                                                                        \
    }
#define USER(id, rights)                                                                           \
    {                                                                                              \
        0x02, rights, id                                                                           \
    }
#define GROUP_OBJ(rights)                                                                          \
    {                                                                                              \
        0x04, rights, NO_ID                                                                        \
    }
#define GROUP(id, rights)                                                                          \
    {                                                                                              \
        0x08, rights, id                                                                           \
    }
#define MASK(rights)                                                                               \
    {                                                                                              \
        0x10, rights, NO_ID                                                                        \
    }
#define OTHER(rights)                                                                              \
    {                                                                                              \
        0x20, rights, NO_ID                                                                        \
    }

/* Test machines are little-endian, as the attribute is. Skips where the file system has no ACLs. */
static void set_acl(const char *path, const struct entry *entries, size_t n)
{
    struct {
        uint32_t version;
        struct entry entries[8];
    } acl = {.version = 2};
    memcpy(acl.entries, entries, n * sizeof *entries);
    if (setxattr(path, "system.posix_acl_access", &acl, sizeof acl.version + n * sizeof *entries,
                 0) == 0)
        return;
    assert_int_equal(errno, ENOTSUP);
    print_message("no ACLs on the file system of %s\n", path);
    skip();
}

#define SET_ACL(path, ...)                                                                         \
    set_acl(path, (const struct entry[]){__VA_ARGS__},                                             \
            sizeof((const struct entry[]){__VA_ARGS__}) / sizeof(struct entry))

static void an_acl_counts_as_far_as_its_mask_lets_it_through(void **state)
{
    const char *path = secret(state, "a", 0600);
    SET_ACL(path, USER_OBJ(6), USER(STRANGER, 4), GROUP_OBJ(0), MASK(4), OTHER(0));
    check_refused(path, "user 61002 may read", "chmod 600");
    SET_ACL(path, USER_OBJ(6), USER(STRANGER, 4), GROUP_OBJ(0), MASK(0), OTHER(0));
    check_accepted(path);
    SET_ACL(path, USER_OBJ(6), GROUP_OBJ(0), GROUP(STRANGER, 4), MASK(4), OTHER(0));
    check_refused(path, "the members of group 61002 may read", "chmod 600");
    SET_ACL(path, USER_OBJ(6), USER(0, 4), GROUP_OBJ(4), MASK(4), OTHER(0));
    check_refused(path, "the members of group", "chmod 600");
    SET_ACL(path, USER_OBJ(6), USER(STRANGER, 2), GROUP_OBJ(0), MASK(6), OTHER(0));
    check_refused(path, "user 61002 may change", "chmod 600");
}

static void an_acl_for_root_or_the_same_user_lets_nobody_else_in(void **state)
{
    const char *path = secret(state, "a", 0600);
    SET_ACL(path, USER_OBJ(6), USER(0, 4), USER((uint32_t)geteuid() + (geteuid() == 0), 0),
            GROUP_OBJ(0), MASK(4), OTHER(0));
    check_accepted(path);
}

/* chmod is the remedy that is named, so it must be one: it takes the rights out of the mask. */
static void chmod_600_ends_what_an_acl_grants(void **state)
{
    const char *path = secret(state, "a", 0600);
    SET_ACL(path, USER_OBJ(6), USER(STRANGER, 4), GROUP_OBJ(4), MASK(4), OTHER(0));
    check_refused(path, "user 61002 may read", "chmod 600");
    assert_int_equal(chmod(path, 0600), 0);
    check_accepted(path);
}

/* ---- as a service's user --------------------------------------------------------------------- */

static void only_root_can_become_another_user(void)
{
    if (geteuid() == 0)
        return;
    print_message("only root can act as a second user\n");
    skip();
}

/* 0: accepted; 1: refused with `who` in the sentence; 2: something else. */
static int judge_as(uid_t user, const char *path, const char *who)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct hf_why why = {0};
        int fd = -1;
        if (setresgid(user, user, user) != 0 || setresuid(user, user, user) != 0)
            _exit(2);
        enum hf_err err = hf_secret_file_open(path, &fd, &why);
        _exit(err == HF_OK ? 0 : err == HF_E_KEY && strstr(why.text, who) != NULL ? 1 : 2);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

/* systemd before 254: the file is the service's. */
static void a_credential_that_belongs_to_the_service_is_read(void **state)
{
    only_root_can_become_another_user();
    const char *path = secret(state, "a", 0400);
    assert_int_equal(chown(path, SERVICE, 0), 0);
    assert_int_equal(chmod(temp_path(*state, "."), 0711), 0);
    assert_int_equal(judge_as(SERVICE, path, ""), 0);
    check_accepted(path); /* as root */
}

/* systemd 254 and later: root's, mode 0440, the service's user in the ACL. */
static void a_credential_of_root_with_an_acl_for_the_service_is_read(void **state)
{
    only_root_can_become_another_user();
    const char *path = secret(state, "a", 0440);
    assert_int_equal(chmod(temp_path(*state, "."), 0711), 0);
    SET_ACL(path, USER_OBJ(4), USER(SERVICE, 4), GROUP_OBJ(0), MASK(4), OTHER(0));
    assert_int_equal(judge_as(SERVICE, path, ""), 0);
    SET_ACL(path, USER_OBJ(4), USER(SERVICE, 4), USER(STRANGER, 4), GROUP_OBJ(0), MASK(4),
            OTHER(0));
    assert_int_equal(judge_as(SERVICE, path, "user 61002 may read"), 1);
}

static void a_file_of_another_user_is_refused(void **state)
{
    only_root_can_become_another_user();
    const char *path = secret(state, "a", 0400);
    assert_int_equal(chown(path, STRANGER, 0), 0);
    assert_int_equal(chmod(temp_path(*state, "."), 0711), 0);
    SET_ACL(path, USER_OBJ(4), USER(SERVICE, 4), GROUP_OBJ(0), MASK(4), OTHER(0));
    assert_int_equal(judge_as(SERVICE, path, "its owner, user 61002, may read"), 1);
}

/* Mode 600 alone would lock the service out. */
static void a_secret_of_root_for_the_group_of_the_service_is_given_to_the_service(void **state)
{
    only_root_can_become_another_user();
    const char *path = secret(state, "a", 0640);
    assert_int_equal(chown(path, 0, SERVICE), 0);
    assert_int_equal(chmod(temp_path(*state, "."), 0711), 0);
    assert_int_equal(judge_as(SERVICE, path, "as root, run: chown 61001 /"), 1);
    assert_int_equal(chown(path, SERVICE, SERVICE), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(judge_as(SERVICE, path, ""), 0);
}

/* ---- places for secrets ---------------------------------------------------------------------- */

static void in_the_credentials_folder_a_group_may_read(void **state)
{
    const char *folder = temp_path(*state, "credentials");
    assert_int_equal(mkdir(folder, 0755), 0);
    const char *inside = secret(state, "credentials/pass", 0440);
    const char *outside = secret(state, "pass", 0440);
    const char *link = temp_path(*state, "credentials/link");
    assert_int_equal(symlink(outside, link), 0);

    check_refused(inside, "the members of group", "chmod 600");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", folder, 1), 0);
    check_accepted(inside);
    check_refused(outside, "the members of group", "chmod 600");
    check_refused(link, "the members of group", "chmod 600"); /* the file lies elsewhere */

    assert_int_equal(chmod(inside, 0460), 0);
    check_refused(inside, "the members of group", "chmod 600"); /* may change it */
    assert_int_equal(chmod(inside, 0444), 0);
    check_refused(inside, "every user may read", "chmod 600");
    assert_int_equal(chmod(folder, 0750), 0);
    check_accepted(inside); /* not every user can enter the folder */
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

/* In a mount namespace of its own. 0: as expected; 3: this process may not make one. */
static int try_container_secrets(void)
{
    static const char file[] = "/run/secrets/pass";
    struct hf_why why = {0};
    int fd = -1;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) != 0)
        return 3;
    if (mkdir("/run/secrets", 0755) != 0 || mkdir("/run/else", 0755) != 0)
        return 2;
    temp_write(file, "correct horse\n");
    if (chmod(file, 0444) != 0 || hf_secret_file_open(file, &fd, &why) != HF_E_KEY)
        return 1; /* a plain folder of a host */
    if (mount("none", "/run/secrets", "tmpfs", 0, NULL) != 0)
        return 3;
    temp_write(file, "correct horse\n");
    temp_write("/run/else/pass", "correct horse\n");
    if (chmod(file, 0444) != 0 || chmod("/run/else/pass", 0444) != 0 ||
        hf_secret_file_open(file, &fd, &why) != HF_OK)
        return 1;
    if (chmod(file, 0664) != 0 || hf_secret_file_open(file, &fd, &why) != HF_E_KEY)
        return 1; /* a group may change it */
    if (mount("none", "/run", NULL, MS_REMOUNT | MS_RDONLY, NULL) != 0 ||
        hf_secret_file_open("/run/else/pass", &fd, &why) != HF_E_KEY)
        return 1;
    return strstr(why.text, "its file system is read-only. Copy it") != NULL ? 0 : 1;
}

static void in_a_container_secrets_may_be_open_to_all(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(try_container_secrets());
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 3) {
        print_message("this process may not make a mount namespace\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_of_its_owner_alone_is_read, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_file_that_others_may_read_or_change_is_refused,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_there_is_named, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_pipe_is_not_judged, temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(an_acl_counts_as_far_as_its_mask_lets_it_through,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(an_acl_for_root_or_the_same_user_lets_nobody_else_in,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(chmod_600_ends_what_an_acl_grants, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_credential_that_belongs_to_the_service_is_read,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_credential_of_root_with_an_acl_for_the_service_is_read,
                                        temp_dir_setup, temp_dir_teardown),
        cmocka_unit_test_setup_teardown(
            a_secret_of_root_for_the_group_of_the_service_is_given_to_the_service, temp_dir_setup,
            temp_dir_teardown),
        cmocka_unit_test_setup_teardown(a_file_of_another_user_is_refused, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test_setup_teardown(in_the_credentials_folder_a_group_may_read, temp_dir_setup,
                                        temp_dir_teardown),
        cmocka_unit_test(in_a_container_secrets_may_be_open_to_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
