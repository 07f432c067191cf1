/* Tries what a container could try and says what came of it, one line each: `what: outcome`.
 *
 * Built by the journeys with `cc -static` and run inside containers. Calls are made with arguments that the kernel
 * refuses, so that nothing happens where they are allowed: EPERM and ENOSYS are refusals of the filter or of the kernel,
 * any other answer says that the call got through, and they are not told further apart, so that the table is the same
 * on every kernel that has the call. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NONE = -1 };
#define TMPFS_MAGIC 0x01021994

struct call {
    const char *name;
    long native, i386;
    long arguments[4];
};

/* A pointer, descriptor, pid or size that is none. */
#define X ((long)-1)

/* What `socketcall` makes a socket of: where no filter looks. The program lies where a 32-bit pointer reaches. */
static int alg[] = {38, -1, -1}, vsock[] = {40, -1, -1};

#if defined(__x86_64__)
#define IF_I386(number) (number)
#else
#define IF_I386(number) NONE
#endif
#define NR(name, i386, ...) {#name, SYS_##name, IF_I386(i386), {__VA_ARGS__}}

static const struct call calls[] = {
    NR(acct, 51, X), NR(add_key, 286, X, X, X, X), NR(adjtimex, 124, X), NR(bpf, 357, X, X, X),
    NR(chroot, 61, X), NR(clock_settime, 264, X, X), NR(delete_module, 129, X, X), NR(execveat, 358, X, X, X, X),
    NR(fanotify_init, 338, X, X), NR(finit_module, 350, X, X, X), NR(fsconfig, 431, X, X, X, X),
    NR(fsmount, 432, X, X, X), NR(fsopen, 430, X, X), NR(fspick, 433, X, X, X), NR(futex, 240, X, X, X, X),
    NR(get_mempolicy, 275, X, X, X, X), NR(getpid, 20, 0), NR(init_module, 128, X, X, X),
    NR(io_uring_enter, 426, X, X, X, X), NR(io_uring_register, 427, X, X, X, X), NR(io_uring_setup, 425, X, X),
    NR(kcmp, 349, X, X, X, X), NR(kexec_load, 283, X, X, X, X), NR(keyctl, 288, X, X, X, X),
    NR(landlock_create_ruleset, 444, X, X, X), NR(lookup_dcookie, 253, X, X, X), NR(mbind, 274, X, X, X, X),
    NR(memfd_create, 356, X, X), NR(migrate_pages, 294, X, X, X, X), NR(mount, 21, X, X, X, X),
    NR(mount_setattr, 442, X, X, X, X), NR(move_mount, 429, X, X, X, X), NR(move_pages, 317, X, X, X, X),
    NR(name_to_handle_at, 341, X, X, X, X), NR(nfsservctl, 169, X, X, X), NR(open_by_handle_at, 342, X, X, X),
    NR(open_tree, 428, X, X, X), NR(openat2, 437, X, X, X, X), NR(perf_event_open, 336, X, X, X, X),
    NR(pidfd_getfd, 438, X, X, X), NR(pidfd_open, 434, X, X), NR(pivot_root, 217, X, X),
    NR(process_madvise, 440, X, X, X, X), NR(process_vm_readv, 347, X, X, X, X), NR(ptrace, 26, X, X, X, X),
    NR(quotactl, 131, X, X, X, X), NR(reboot, 88, X, X, X, X), NR(request_key, 287, X, X, X, X),
    NR(seccomp, 354, X, X, X), NR(set_mempolicy, 276, X, X, X), NR(setdomainname, 121, X, X),
    NR(sethostname, 74, X, X), NR(setns, 346, X, X), NR(settimeofday, 79, X, X),
    {"socket(AF_ALG)", SYS_socket, IF_I386(359), {38, X, X}},
    {"socket(AF_INET)", SYS_socket, IF_I386(359), {2, X, X}},
    {"socket(AF_VSOCK)", SYS_socket, IF_I386(359), {40, X, X}},
    {"socketcall(bind)", NONE, IF_I386(102), {2, X}},
    {"socketcall(socket(AF_ALG))", NONE, IF_I386(102), {1, (long)alg}},
    {"socketcall(socket(AF_VSOCK))", NONE, IF_I386(102), {1, (long)vsock}},
    NR(swapoff, 115, X), NR(swapon, 87, X, X), NR(syslog, 103, X, X, X), NR(umount2, 52, X, X),
    NR(unshare, 310, 0x10000000 | 1), NR(userfaultfd, 374, X), NR(vhangup, 111, 0),
    NR(statx, 383, X, X, X, X), {"no_such_call", 9999, 9999, {0}},
};

/* The x32 call of a 64-bit number; the filter is to answer as a kernel without x32 does. */
#define X32 0x40000000

static long by_interrupt(long number, const long *a) {
#if defined(__x86_64__)
    int answer;
    __asm__ volatile("int $0x80"
                     : "=a"(answer)
                     : "a"((int)number), "b"((int)a[0]), "c"((int)a[1]), "d"((int)a[2]), "S"((int)a[3])
                     : "memory", "r8", "r9", "r10", "r11");
    return answer;
#else
    (void)number, (void)a;
    return -ENOSYS;
#endif
}

static long natively(long number, const long *a) {
    errno = 0;
    long answer = syscall(number, a[0], a[1], a[2], a[3]);
    return answer < 0 ? -errno : answer;
}

/* Whether the kernel takes 32-bit calls at all: one that every profile allows. */
static int has_i386(void) {
    long none[4] = {0};
    return by_interrupt(224, none) == syscall(SYS_gettid);
}

static const char *word(long answer) {
    switch (answer) {
    case -EPERM: return "EPERM";
    case -ENOSYS: return "ENOSYS";
    default: return "through";
    }
}

/* In a child each: what gets through must not change what comes next. */
static const char *outcome(long (*make)(long, const long *), long number, const long *arguments) {
    int report[2];
    if (pipe(report) != 0) return "no pipe";
    pid_t child = fork();
    if (child == 0) {
        long answer = make(number, arguments);
        if (write(report[1], &answer, sizeof answer) < 0) _exit(1);
        _exit(0);
    }
    close(report[1]);
    long answer = 0;
    int status = 0;
    ssize_t got = read(report[0], &answer, sizeof answer);
    close(report[0]);
    waitpid(child, &status, 0);
    if (got != sizeof answer) return WIFSIGNALED(status) ? "killed" : "ended";
    return word(answer);
}

static void system_calls(void) {
    int i386 = has_i386();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        const struct call *call = &calls[i];
        int native = call->native != NONE;
        printf("call %s: %s", call->name, native ? outcome(natively, call->native, call->arguments) : "none");
        if (call->i386 != NONE && i386) printf(" i386 %s", outcome(by_interrupt, call->i386, call->arguments));
        if (call->i386 != NONE && native) printf(" x32 %s", outcome(natively, call->native | X32, call->arguments));
        printf("\n");
    }
    static const struct { const char *name; long flags; } clones[] = {
        {"mount", CLONE_NEWNS}, {"cgroup", CLONE_NEWCGROUP}, {"uts", CLONE_NEWUTS}, {"ipc", CLONE_NEWIPC},
        {"user", CLONE_NEWUSER}, {"pid", CLONE_NEWPID}, {"net", CLONE_NEWNET},
    };
    for (size_t i = 0; i < sizeof clones / sizeof *clones; i++) {
        /* Shared signal handlers without shared memory are refused behind the filter and before anything is made. */
        long arguments[4] = {clones[i].flags | CLONE_SIGHAND, 0, 0, 0};
        printf("clone with a %s namespace: %s\n", clones[i].name, outcome(natively, SYS_clone, arguments));
    }
    long none[4] = {X, X, X, X};
    printf("clone3: %s\n", outcome(natively, SYS_clone3, none));
    static const long personalities[] = {0, 0x0008, 0x20000, 0x0040000, 0x0100000};
    for (size_t i = 0; i < sizeof personalities / sizeof *personalities; i++) {
        long arguments[4] = {personalities[i], 0, 0, 0};
        printf("personality %#lx: %s\n", personalities[i], outcome(natively, SYS_personality, arguments));
    }
}

static const char *kernel_paths[] = {
    "/proc/acpi", "/proc/asound", "/proc/bus", "/proc/fs", "/proc/interrupts", "/proc/irq", "/proc/kcore",
    "/proc/keys", "/proc/kmsg", "/proc/kpagecount", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
    "/proc/self/oom_score_adj", "/proc/sys", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger", "/proc/timer_list",
    "/proc/timer_stats", "/proc/uptime", "/sys", "/sys/devices/system/cpu/cpu0/thermal_throttle", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/cgroup",
    "/sys/fs/cgroup/cgroup.procs", "/sys/kernel", "/sys/kernel/debug", "/sys/kernel/security",
    "/sys/module", "/sys/power",
};

/* `absent`, or how it is held: masked, read-only, writable. A path of some kernels only is `absent or masked`. */
static const char *held(const char *path) {
    struct stat found;
    struct statvfs system;
    if (lstat(path, &found) != 0) return "absent or masked";
    if (S_ISCHR(found.st_mode) && found.st_rdev == makedev(1, 3)) return "absent or masked";
    if (statvfs(path, &system) != 0) return "unknown";
    int read_only = (system.f_flag & ST_RDONLY) != 0;
    struct statfs kind;
    int fleeting = statfs(path, &kind) == 0 && kind.f_type == TMPFS_MAGIC;
    if (S_ISDIR(found.st_mode) && found.st_nlink == 2 && read_only && fleeting) return "absent or masked";
    if (read_only) return "read-only";
    if (access(path, W_OK) != 0) return "not writable for this user";
    return "writable";
}

static void paths(void) {
    for (size_t i = 0; i < sizeof kernel_paths / sizeof *kernel_paths; i++)
        printf("path %s: %s\n", kernel_paths[i], held(kernel_paths[i]));
    static const char *places[] = {"/", "/tmp", "/dev", "/etc/hosts"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct statvfs system;
        int failed = statvfs(places[i], &system);
        printf("place %s: %s\n", places[i], failed ? "absent" : system.f_flag & ST_RDONLY ? "read-only" : "writable");
    }
}

/* Makes a node and opens it: two permissions, the second of the device list. */
static void device(const char *name, mode_t kind, unsigned major_number, unsigned minor_number) {
    const char *node = "/dev/probe";
    unlink(node);
    if (mknod(node, kind | 0600, makedev(major_number, minor_number)) != 0) {
        printf("device %s: cannot be made\n", name);
        return;
    }
    int opened = open(node, O_RDONLY | O_NONBLOCK);
    /* Refused is refused by the list; a device that is not there was not refused. */
    printf("device %s: %s\n", name, opened < 0 && errno == EPERM ? "refused" : "allowed");
    if (opened >= 0) close(opened);
    unlink(node);
}

static void devices(void) {
    static const char *nodes[] = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console", "mem",
                                  "kmsg", "port", "loop-control", "net/tun", "fuse", "kvm", "sda", "vda"};
    static const char *usual[] = {"null", "zero", "full", "random", "urandom"};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        char path[64];
        snprintf(path, sizeof path, "/dev/%s", usual[i]);
        int opened = open(path, O_RDWR);
        printf("node %s: %s\n", path, opened >= 0 ? "opens" : "does not open");
        if (opened >= 0) close(opened);
    }
    for (size_t i = 5; i < sizeof nodes / sizeof *nodes; i++) {
        char path[64];
        struct stat found;
        snprintf(path, sizeof path, "/dev/%s", nodes[i]);
        int there = stat(path, &found) == 0;
        /* What the host has is the host's affair. */
        if (there || i < 8) printf("node %s: %s\n", path, there ? "there" : "absent");
    }
    device("null", S_IFCHR, 1, 3);
    device("mem", S_IFCHR, 1, 1);
    device("kmsg", S_IFCHR, 1, 11);
    device("loop-control", S_IFCHR, 10, 237);
    device("tun", S_IFCHR, 10, 200);
    device("fuse", S_IFCHR, 10, 229);
    device("loop0", S_IFBLK, 7, 0);
    device("sda", S_IFBLK, 8, 0);
    device("nvme", S_IFBLK, 259, 0);
}

static void line_of_status(const char *field) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    size_t length = strlen(field);
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, field, length) == 0 && line[length] == ':') {
            char *value = line + length + 1;
            value += strspn(value, " \t");
            value[strcspn(value, "\n")] = 0;
            printf("status %s: %s\n", field, value);
        }
    if (status) fclose(status);
}

static void process(void) {
    printf("ids: uid %d gid %d\n", getuid(), getgid());
    gid_t groups[64];
    int count = getgroups(64, groups);
    printf("groups:");
    for (int i = 0; i < count; i++) printf(" %d", groups[i]);
    printf("\n");
    static const char *fields[] = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
                                   "SigIgn", "SigBlk"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) line_of_status(fields[i]);
    printf("descriptors:");
    for (int number = 0; number < 1024; number++)
        if (fcntl(number, F_GETFD) != -1) printf(" %d", number);
    printf("\n");
    struct stat own, null;
    int same = fstat(0, &own) == 0 && stat("/dev/null", &null) == 0 && own.st_dev == null.st_dev && own.st_ino == null.st_ino;
    printf("standard input: %s\n", same ? "the container's own null" : "something else");
    int anew = open("/proc/self/fd/2", O_WRONLY);
    printf("standard error: %s\n", anew >= 0 ? "opens anew" : strerror(errno));
    if (anew >= 0) close(anew);
    printf("mkdir in the root: %s\n", mkdir("/made", 0700) == 0 ? "done" : strerror(errno));
    /* For another probe in this container. */
    rmdir("/made");
    FILE *cgroup = fopen("/proc/self/cgroup", "r");
    char line[4096];
    int below_root = 0;
    while (cgroup && fgets(line, sizeof line, cgroup)) {
        char *path = strrchr(line, ':');
        if (path && strcmp(path, ":/\n") != 0) below_root = 1;
    }
    if (cgroup) fclose(cgroup);
    printf("own cgroup: %s\n", below_root ? "below the root" : "the root");
    FILE *map = fopen("/proc/self/uid_map", "r");
    unsigned long inside = 1, outside = 1, length = 0;
    if (map && fscanf(map, "%lu %lu %lu", &inside, &outside, &length) == 3)
        printf("user namespace: %s\n", inside == 0 && outside == 0 && length == 4294967295UL ? "the host's" : "own");
    if (map) fclose(map);
    /* KEYCTL_DESCRIBE of the session keyring: type;uid;gid;permissions;name. */
    char key[256] = {0};
    long described = syscall(SYS_keyctl, 6, -3, key, sizeof key - 1);
    char *name = described > 0 ? strrchr(key, ';') : NULL;
    printf("session keyring: %s\n", name ? name + 1 : strerror(errno));
}

/* With a word: the one part of the table that it names. */
int main(int count, char **words) {
    const char *part = count > 1 ? words[1] : "all";
    int all = strcmp(part, "all") == 0;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (all || strcmp(part, "process") == 0) process(), fflush(stdout);
    if (all || strcmp(part, "paths") == 0) paths(), fflush(stdout);
    if (all || strcmp(part, "devices") == 0) devices(), fflush(stdout);
    if (all || strcmp(part, "calls") == 0) fflush(stdout), system_calls(), fflush(stdout);
    return 0;
}
