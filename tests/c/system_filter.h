/*
 * Simulates other kernels, sandboxes and file systems: a filter lets a system call with a given value of one
 * argument fail. It applies to the process and its children, permanently.
 */
#ifndef TERRACE_TESTS_C_SYSTEM_FILTER_H_
#define TERRACE_TESTS_C_SYSTEM_FILTER_H_

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "check.h"

#define ANY_ARGUMENT (-1)

/* Lets `call` fail with `error` if its argument number `argument` (from 0; or ANY_ARGUMENT) is `value`. */
static inline void let_fail(int call, int argument, unsigned value, unsigned error) {
    struct sock_filter load_call =
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    struct sock_filter fail = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error);
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    /* The low half of the argument, on little-endian machines. */
    struct sock_filter load_argument =
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * (unsigned)argument);
    struct sock_filter with_argument[] = {
        load_call, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 3),
        load_argument, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1),
        fail, allow,
    };
    struct sock_filter without[] = {
        load_call, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1), fail, allow,
    };
    struct sock_fprog program = {sizeof without / sizeof without[0], without};
    if (argument != ANY_ARGUMENT) {
        program.len = sizeof with_argument / sizeof with_argument[0];
        program.filter = with_argument;
    }
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    /* If this fails, the machine has no seccomp filters, and cannot run the test. */
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

#endif
