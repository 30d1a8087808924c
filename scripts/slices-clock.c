// The clock of a program that runs in slices: it stands while the program is stopped. scripts/compare-speed.py compiles
// this and has programs load it first (LD_PRELOAD). SLICES_CLOCK names a file of 8 bytes: for how many nanoseconds the
// program was stopped so far. Linux, 64 bits.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t SECOND = 1000000000;
static int64_t never = 0;
static volatile int64_t *stopped = &never;
static int (*read_clock)(clockid_t, struct timespec *);
static long (*call)(long, ...);

__attribute__((constructor)) static void begin(void) {
    read_clock = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    call = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    const char *name = getenv("SLICES_CLOCK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof never, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) stopped = page;
}

static void move(struct timespec *time, int64_t by) {
    int64_t whole = time->tv_sec * SECOND + time->tv_nsec + by;
    time->tv_sec = whole / SECOND;
    time->tv_nsec = whole % SECOND;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (!read_clock) begin();
    for (;;) {
        int64_t before = *stopped;
        int result = read_clock(clock, time);
        // These count what was computed, and stand anyway.
        if (result != 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID) return result;
        // It was stopped in between.
        if (before != *stopped) continue;
        move(time, -before);
        return 0;
    }
}

// Rust waits until a moment of this clock, which has long passed on the kernel's.
long syscall(long number, ...) {
    long arguments[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++) arguments[i] = va_arg(list, long);
    va_end(list);
    if (!call) begin();
    struct timespec until;
    if (number == SYS_futex && (arguments[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && arguments[3]) {
        until = *(struct timespec *)arguments[3];
        move(&until, *stopped);
        arguments[3] = (long)&until;
    }
    return call(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}
