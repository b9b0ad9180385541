//! Other processes, users and limits.

use nix::sched::CpuSet;
use nix::sys::personality::{self, Persona};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, getpid, getppid, setgid, setgroups, setsid, setuid};

use super::{Answer, Attempt, ok};
use crate::report::errno;
use crate::sys::{Word, call};

/// `PER_LINUX32` of linux/personality.h.
const LINUX32: i32 = 8;

pub const ATTEMPTS: &[Attempt] = &[
    ("ptrace of the first process", |_| trace(1)),
    ("ptrace of the parent", |_| trace(getppid().as_raw())),
    ("being traced", |_| nix::sys::ptrace::traceme().map(ok)),
    ("reading another's memory", |_| errno(std::fs::read("/proc/1/maps")).map(ok)),
    ("a signal to the first process", |_| kill(Pid::from_raw(1), None).map(ok)),
    ("a signal to all", |_| kill(Pid::from_raw(-1), None).map(ok)),
    ("a signal to a process outside", |_| kill(Pid::from_raw(2_000_000), Some(Signal::SIGTERM)).map(ok)),
    ("setuid 0", |_| setuid(Uid::from_raw(0)).map(ok)),
    ("setuid to oneself", |_| setuid(nix::unistd::getuid()).map(ok)),
    ("setgid 0", |_| setgid(Gid::from_raw(0)).map(ok)),
    ("setgroups", |_| setgroups(&[Gid::from_raw(0)]).map(ok)),
    ("setgroups to none", |_| setgroups(&[]).map(ok)),
    ("a new session", |_| setsid().map(ok)),
    ("nice -5", |_| call(libc::SYS_setpriority, [0, 0, -5].map(Word::Number)).map(ok)),
    ("nice 5", |_| call(libc::SYS_setpriority, [0, 0, 5].map(Word::Number)).map(ok)),
    ("a real-time schedule", |_| {
        let mut priority = 1_i32.to_ne_bytes();
        let words = [Word::Number(0), Word::Number(libc::SCHED_FIFO.into()), Word::Memory(&mut priority)];
        call(libc::SYS_sched_setscheduler, words).map(ok)
    }),
    ("one processor alone", |_| {
        let mut set = CpuSet::new();
        set.set(0)?;
        nix::sched::sched_setaffinity(getpid(), &set).map(ok)
    }),
    ("a 32-bit personality", |_| personality::set(Persona::from_bits_retain(LINUX32)).map(ok)),
    ("a core file", |_| setrlimit(Resource::RLIMIT_CORE, u64::MAX, u64::MAX).map(ok)),
    ("more open files", |_| setrlimit(Resource::RLIMIT_NOFILE, 1 << 20, 1 << 20).map(ok)),
    ("many open files", |_| setrlimit(Resource::RLIMIT_NOFILE, 1 << 30, 1 << 30).map(ok)),
    ("locked memory", |_| {
        let mut memory = [0; 4096];
        call(libc::SYS_mlock, [Word::Memory(&mut memory), Word::Number(4096)]).map(ok)
    }),
    ("all memory locked", |_| call(libc::SYS_mlockall, [Word::Number(2)]).map(ok)),
    ("a lower score for the killer", |_| errno(std::fs::write("/proc/self/oom_score_adj", "-100")).map(ok)),
    ("a higher score for the killer", |_| errno(std::fs::write("/proc/self/oom_score_adj", "100")).map(ok)),
    ("another's name", |_| errno(std::fs::write("/proc/self/comm", "other")).map(ok)),
    ("capabilities", |_| {
        // PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN.
        call(libc::SYS_prctl, [47, 2, 21, 0, 0].map(Word::Number)).map(ok)
    }),
    ("reading the bounding set", |_| {
        let has = |capability: i64| call(libc::SYS_prctl, [23, capability].map(Word::Number));
        Ok((0..=41)
            .map(|capability| has(capability).map_or('?', |has| if has == 1 { '1' } else { '0' }))
            .collect())
    }),
];

fn trace(process: i32) -> Answer {
    // It does not stop the other.
    nix::sys::ptrace::seize(Pid::from_raw(process), nix::sys::ptrace::Options::empty()).map(ok)
}
