/* Tells when it was reached: its first act is to read the clock. `stamp` ends then, `stamp wait` at SIGTERM, whose
   arrival it tells too. Nanoseconds of CLOCK_MONOTONIC, a line each. */
#include <signal.h>
#include <stdio.h>
#include <time.h>

static void tell(const char *what)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("%s %lld\n", what, now.tv_sec * 1000000000LL + now.tv_nsec);
    fflush(stdout);
}

int main(int count, char **arguments)
{
    tell("start");
    (void)arguments;
    if (count > 1) {
        sigset_t term;
        int signal;
        sigemptyset(&term);
        sigaddset(&term, SIGTERM);
        sigprocmask(SIG_BLOCK, &term, 0);
        sigwait(&term, &signal);
        tell("term");
    }
    return 0;
}
