/* Waits that libfaketime leaves alone. Load it before libfaketime, which answers for the date only then.

libfaketime takes the deadlines of pthread_cond_timedwait and clock_nanosleep for dates, also those of the monotonic clock, and also with
FAKETIME_DONT_FAKE_MONOTONIC (https://github.com/wolfcw/libfaketime/pull/503). Python waits for its GIL by the one and sleeps by the
other. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>

static void *of_libc(const char *name)
{
    static void *libc;
    if (!libc) libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    void *found = libc ? dlsym(libc, name) : NULL;
    if (!found) abort();
    return found;
}

#define REAL(type, name, parameters, arguments)                              \
    type name parameters                                                     \
    {                                                                        \
        static type(*real) parameters;                                       \
        if (!real) real = (type(*) parameters)of_libc(#name);                \
        return real arguments;                                               \
    }

REAL(int, pthread_cond_timedwait, (pthread_cond_t * c, pthread_mutex_t *m, const struct timespec *t), (c, m, t))
REAL(int, pthread_cond_clockwait, (pthread_cond_t * c, pthread_mutex_t *m, clockid_t k, const struct timespec *t), (c, m, k, t))
REAL(int, sem_timedwait, (sem_t * s, const struct timespec *t), (s, t))
REAL(int, sem_clockwait, (sem_t * s, clockid_t k, const struct timespec *t), (s, k, t))
REAL(int, clock_nanosleep, (clockid_t k, int f, const struct timespec *t, struct timespec *l), (k, f, t, l))
REAL(int, nanosleep, (const struct timespec *t, struct timespec *l), (t, l))
REAL(int, poll, (struct pollfd * p, nfds_t n, int t), (p, n, t))
REAL(int, epoll_wait, (int e, struct epoll_event *v, int n, int t), (e, v, n, t))
REAL(int, select, (int n, fd_set *r, fd_set *w, fd_set *x, struct timeval *t), (n, r, w, x, t))
