/* common/os/net: a resolver that does not answer delays no caller beyond its deadline. */
#include "tests/support/check.h"

#include "common/os/net.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

/* ---- the resolver ---------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool is_open;
static atomic_uint n_asked, n_answered, n_freed;
static atomic_bool takes_signals;
static struct addrinfo wanted = {.ai_family = AF_INET};

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints,
                       struct addrinfo **out)
{
    sigset_t blocked;
    int code = strcmp(host, "nowhere.test") == 0 ? EAI_NONAME : 0;

    atomic_fetch_add(&n_asked, 1);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    atomic_store(&takes_signals, sigismember(&blocked, SIGTERM) == 0);
    (void)pthread_mutex_lock(&mutex);
    while (!is_open)
        (void)pthread_cond_wait(&opened, &mutex);
    (void)pthread_mutex_unlock(&mutex);
    if (code == 0 && strcmp(port, "8883") == 0 && (hints->ai_flags & AI_NUMERICSERV) != 0)
        *out = &wanted;
    atomic_fetch_add(&n_answered, 1);
    return code;
}

void __wrap_freeaddrinfo(struct addrinfo *addresses);
void __wrap_freeaddrinfo(struct addrinfo *addresses)
{
    if (addresses == &wanted)
        atomic_fetch_add(&n_freed, 1);
}

static void set_open(bool is)
{
    (void)pthread_mutex_lock(&mutex);
    is_open = is;
    (void)pthread_cond_broadcast(&opened);
    (void)pthread_mutex_unlock(&mutex);
}

static void wait_until_is(atomic_uint *n, unsigned wanted_n)
{
    const struct timespec ms = {.tv_nsec = 1000000};
    for (int i = 0; atomic_load(n) != wanted_n; i++) {
        assert_true(i < 60000);
        (void)nanosleep(&ms, NULL);
    }
}

static int reset(void **state)
{
    (void)state;
    set_open(true);
    wait_until_is(&n_answered, atomic_load(&n_asked));
    n_asked = n_answered = n_freed = 0;
    return 0;
}

/* ---- helpers --------------------------------------------------------------------------------- */

static enum hf_err look_up(const char *host, int limit_ms, struct addrinfo **out,
                           struct hf_why *why)
{
    struct hf_endpoint peer = {.port = 8883};
    struct hf_deadline deadline = hf_deadline_start(limit_ms, limit_ms);
    struct hf_route route = {0};
    memcpy(peer.host, host, strlen(host) + 1);
    HF_TRY(hf_route_find(&peer, &deadline, &route, why));
    *out = route.addresses;
    return HF_OK;
}

static void assert_not_answered(int limit_ms)
{
    struct addrinfo *out = NULL;
    struct hf_why why = {0};

    CHECK_REFUSED(look_up("broker.test", limit_ms, &out, &why), HF_E_NETWORK, &why,
                  "the address of \"broker.test\" could not be found: the resolver did not answer "
                  "within 0.05 seconds");
    assert_null(out);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void an_answer_in_time_is_the_callers(void **state)
{
    struct addrinfo *out = NULL;
    struct hf_why why = {0};
    (void)state;
    CHECK_OK(look_up("broker.test", 20000, &out, &why));
    assert_ptr_equal(out, &wanted);
    assert_int_equal(n_freed, 0);
}

static void no_such_host_is_said_in_words(void **state)
{
    struct addrinfo *out = NULL;
    struct hf_why why = {0};
    (void)state;
    CHECK_REFUSED(look_up("nowhere.test", 20000, &out, &why), HF_E_NETWORK, &why,
                  "the address of \"nowhere.test\" could not be found: Name or service not known");
    assert_null(out);
}

static void no_answer_ends_with_the_time_and_what_comes_late_is_freed(void **state)
{
    (void)state;
    set_open(false);
    assert_not_answered(50);
    assert_int_equal(n_freed, 0);
    set_open(true);
    wait_until_is(&n_freed, 1);
}

static void the_thread_takes_no_signals_and_the_caller_still_does(void **state)
{
    struct addrinfo *out = NULL;
    struct hf_why why = {0};
    sigset_t blocked;
    (void)state;
    CHECK_OK(look_up("broker.test", 20000, &out, &why));
    assert_false(takes_signals);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &blocked), 0);
    assert_int_equal(sigismember(&blocked, SIGTERM), 0);
}

static void a_resolver_that_never_answers_does_not_collect_threads(void **state)
{
    struct addrinfo *out = NULL;
    struct hf_why why = {0};

    (void)state;
    set_open(false);
    for (int i = 0; i < HF_LOOK_UPS_MAX; i++)
        assert_not_answered(50);
    CHECK_REFUSED(look_up("broker.test", 20000, &out, &why), HF_E_NETWORK, &why,
                  "the resolver has not answered 8 earlier look-ups yet");
    set_open(true);
    wait_until_is(&n_freed, HF_LOOK_UPS_MAX);
    assert_int_equal(n_asked, HF_LOOK_UPS_MAX);
    CHECK_OK(look_up("broker.test", 20000, &out, &why));
}

static void an_address_is_not_looked_up_in_a_thread(void **state)
{
    struct addrinfo *out = NULL;
    struct hf_why why = {0};
    (void)state;
    CHECK_OK(look_up("192.0.2.1", 0, &out, &why));
    assert_ptr_equal(out, &wanted);
}

int main(void)
{
#define WITH_RESOLVER(test) cmocka_unit_test_setup_teardown(test, reset, reset)
    const struct CMUnitTest tests[] = {
        WITH_RESOLVER(an_answer_in_time_is_the_callers),
        WITH_RESOLVER(no_such_host_is_said_in_words),
        WITH_RESOLVER(no_answer_ends_with_the_time_and_what_comes_late_is_freed),
        WITH_RESOLVER(the_thread_takes_no_signals_and_the_caller_still_does),
        WITH_RESOLVER(a_resolver_that_never_answers_does_not_collect_threads),
        WITH_RESOLVER(an_address_is_not_looked_up_in_a_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
