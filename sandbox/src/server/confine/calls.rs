//! The system calls of a server, by seccomp(2): what reads and writes files and sockets that are open, opens and changes files,
//! and what threads and memory take. Others do not exist for it: ENOSYS, which every C library expects of one that it tries.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// Calls with whatever arguments.
const FREE: &[c_long] = &[
    // Data of files and sockets.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_sendfile,
    libc::SYS_splice,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    // Connections to the listening socket.
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_shutdown,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_ppoll,
    // Descriptors.
    libc::SYS_openat,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_fcntl,
    libc::SYS_pipe2,
    libc::SYS_io_uring_enter,
    // Names and attributes.
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_symlinkat,
    libc::SYS_linkat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_utimensat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getxattr,
    libc::SYS_lgetxattr,
    libc::SYS_umask,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads, and the process's end.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_membarrier,
    // Who it is.
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getppid,
    libc::SYS_capget,
];

/// Those that only some processors have, for which some C libraries use them still; others have a later one for the same.
#[cfg(target_arch = "x86_64")]
const FREE_HERE: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_poll,
    libc::SYS_accept,
    libc::SYS_readlink,
    libc::SYS_getrlimit,
];
#[cfg(not(target_arch = "x86_64"))]
const FREE_HERE: &[c_long] = &[libc::SYS_accept];

/// Restricts the system calls of this thread, and of those that it starts, for good.
pub(super) fn restrict() -> io::Result<()> {
    let program = program(std::process::id()).map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)
}

fn program(process: u32) -> Result<BpfProgram, seccompiler::Error> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> =
        FREE.iter().chain(FREE_HERE).map(|call| (*call, Vec::new())).collect();
    for (call, argument, comparison, value) in bound(process) {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, comparison, value)?;
        rules.entry(call).or_default().push(SeccompRule::new(vec![condition])?);
    }
    let architecture = std::env::consts::ARCH.try_into()?;
    let missing = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    Ok(SeccompFilter::new(rules, missing, SeccompAction::Allow, architecture)?.try_into()?)
}

/// `FIONBIO` of asm-generic/ioctls.h: C libraries differ in its type.
const FIONBIO: u64 = 0x5421;

/// Calls with the argument that makes them harmless.
fn bound(process: u32) -> [(c_long, u8, SeccompCmpOp, u64); 9] {
    let number = |number: i32| u64::from(number.unsigned_abs());
    let none_of = |bits: i32| SeccompCmpOp::MaskedEq(number(bits));
    let equal = SeccompCmpOp::Eq;
    [
        // A thread, not a process; clone3(2), whose arguments no filter sees, is the C library's second choice.
        (libc::SYS_clone, 0, SeccompCmpOp::MaskedEq(number(libc::CLONE_THREAD)), number(libc::CLONE_THREAD)),
        // A umask of the thread's own.
        (libc::SYS_unshare, 0, equal.clone(), number(libc::CLONE_FS)),
        // Memory for data alone.
        (libc::SYS_mmap, 2, none_of(libc::PROT_EXEC), 0),
        (libc::SYS_mprotect, 2, none_of(libc::PROT_EXEC), 0),
        // Sockets that do not block.
        (libc::SYS_ioctl, 1, equal.clone(), FIONBIO),
        (libc::SYS_prctl, 0, equal.clone(), number(libc::PR_SET_NAME)),
        // The names of memory that some C libraries give.
        (libc::SYS_prctl, 0, equal.clone(), number(libc::PR_SET_VMA)),
        // Its own limits.
        (libc::SYS_prlimit64, 0, equal.clone(), 0),
        // abort(3).
        (libc::SYS_tgkill, 0, equal, process.into()),
    ]
}
