/* Looks at every process of its namespace for as long as it runs, as whoever has CAP_SYS_PTRACE may, and says ESCAPED where
 * one has what the container has not. `tracer OUTSIDE [hold]`: OUTSIDE is a directory of the host with a file `secret`;
 * `hold` stops each process by ptrace, and looks again while it is held. Says `caught` for each process that it saw before
 * that had become its program. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

/* The default ones, which others in the namespace may have. */
static const unsigned long long usual_capabilities = 0x800405fb;

static const char *outside;
static unsigned long long own_bounding;
static int own_filter, caught;

static unsigned long long field(const char *status, const char *name, int base) {
    const char *at = strstr(status, name);
    return at ? strtoull(at + strlen(name), NULL, base) : 0;
}

static int read_status(int pid, char *status, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    int file = open(path, O_RDONLY);
    if (file < 0) return -1;
    ssize_t count = read(file, status, size - 1);
    close(file);
    if (count <= 0) return -1;
    status[count] = 0;
    return 0;
}

static void look_below(int pid, const char *what) {
    char path[64], secret[400];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, what);
    int directory = open(path, O_PATH | O_DIRECTORY);
    if (directory < 0) return;
    /* Through the root of a stranger an absolute path has to be made a relative one; from a directory it is climbed to. */
    snprintf(secret, sizeof secret, "%s%s/secret", strcmp(what, "root") ? "../../../../../../../../.." : ".", outside);
    if (!faccessat(directory, secret, F_OK, 0)) printf("ESCAPED by %s of %d\n", what, pid);
    close(directory);
}

static void look_at_descriptors(int pid) {
    char path[64], link[400];
    for (int number = 0; number < 64; number++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
        ssize_t length = readlink(path, link, sizeof link - 1);
        if (length < 0) continue;
        link[length] = 0;
        int usual = !strncmp(link, "pipe:", 5) || !strncmp(link, "/dev/", 5);
        if (!usual) printf("ESCAPED by descriptor %d of %d: %s\n", number, pid, link);
    }
}

static void look(int pid) {
    char path[64], status[4096], link[400];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    ssize_t length = readlink(path, link, sizeof link - 1);
    link[length < 0 ? 0 : length] = 0;
    int ours = strstr(link, "droppod") != NULL;
    look_below(pid, "root");
    look_below(pid, "cwd");
    if (!ours) return;
    look_at_descriptors(pid);
    /* What has become its program meanwhile proves nothing. */
    if (read_status(pid, status, sizeof status)) return;
    length = readlink(path, link, sizeof link - 1);
    link[length < 0 ? 0 : length] = 0;
    if (!strstr(link, "droppod")) return;
    printf("caught %d\n", ++caught);
    if (field(status, "CapPrm:", 16) & ~(own_bounding | usual_capabilities)) printf("ESCAPED by capabilities of %d: %s\n", pid, strstr(status, "CapPrm:"));
    if ((int)field(status, "Seccomp:", 10) < own_filter) printf("ESCAPED by a missing filter of %d\n", pid);
}

static void hold(int pid) {
    if (ptrace(PTRACE_SEIZE, pid, 0, 0)) return;
    if (!ptrace(PTRACE_INTERRUPT, pid, 0, 0)) {
        int how;
        if (waitpid(pid, &how, __WALL) == pid && WIFSTOPPED(how)) look(pid);
    }
    ptrace(PTRACE_DETACH, pid, 0, 0);
}

int main(int argc, char **argv) {
    char status[4096];
    int holds = argc > 2, highest = 1, own = getpid();
    outside = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (read_status(own, status, sizeof status)) return 1;
    own_bounding = field(status, "CapBnd:", 16);
    own_filter = field(status, "Seccomp:", 10);
    printf("looking\n");
    for (unsigned long round = 0;; round++) {
        /* The next numbers are where the next process will be; now and then all of them. */
        int first = round % 64 ? highest - 4 : 2;
        for (int pid = first < 2 ? 2 : first; pid < highest + 16; pid++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/%d", pid);
            if (pid == own || access(path, F_OK)) continue;
            if (pid > highest) highest = pid;
            if (holds) hold(pid); else look(pid);
        }
    }
}
