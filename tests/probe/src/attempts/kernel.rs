//! Calls that reach for the machine, and newer ones that a sandbox may not know.

use std::fs::{self, OpenOptions};
use std::os::fd::AsRawFd;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{Answer, Attempt, ok};
use crate::report::errno;
use crate::sys::{Word, call, opened};

pub const ATTEMPTS: &[Attempt] = &[
    // LINUX_REBOOT_CMD_CAD_OFF, which changes nothing but what a key does.
    ("reboot", |_| numbers(libc::SYS_reboot, [0xfee1_dead, 672_274_793, 0, 0])),
    ("swapon", |_| call(libc::SYS_swapon, [Word::Text(c"/nowhere"), Word::Number(0)]).map(ok)),
    ("swapoff", |_| call(libc::SYS_swapoff, [Word::Text(c"/nowhere")]).map(ok)),
    ("loading a module", |_| {
        let mut image = [0; 8];
        call(libc::SYS_init_module, [Word::Memory(&mut image), Word::Number(8), Word::Text(c"")]).map(ok)
    }),
    ("another kernel", |_| numbers(libc::SYS_kexec_load, [0, 0, 0, 0])),
    ("setting the clock", |_| {
        let mut time = [0; 16];
        call(libc::SYS_settimeofday, [Word::Memory(&mut time), Word::Number(0)]).map(ok)
    }),
    ("the session's keyring", |_| {
        // KEYCTL_GET_KEYRING_ID of KEY_SPEC_SESSION_KEYRING.
        numbers(libc::SYS_keyctl, [0, -3, 0, 0, 0])
    }),
    ("a new key", |_| {
        let mut secret = *b"text";
        let words = [
            Word::Text(c"user"),
            Word::Text(c"probe"),
            Word::Memory(&mut secret),
            Word::Number(4),
            Word::Number(-2),
        ];
        call(libc::SYS_add_key, words).map(ok)
    }),
    ("a program for the kernel", |_| {
        let mut attributes = [0; 128];
        call(libc::SYS_bpf, [Word::Number(5), Word::Memory(&mut attributes), Word::Number(128)]).map(ok)
    }),
    ("counting events", |_| {
        // The size of the first version of `perf_event_attr` in its second word.
        let mut attributes = [0; 64];
        attributes[4] = 64;
        let rest = [0, -1, -1, 0].map(Word::Number);
        let [process, processor, group, flags] = rest;
        call(libc::SYS_perf_event_open, [Word::Memory(&mut attributes), process, processor, group, flags])
            .map(ok)
    }),
    ("a ring of requests", |_| {
        let mut parameters = [0; 120];
        call(libc::SYS_io_uring_setup, [Word::Number(1), Word::Memory(&mut parameters)]).map(ok)
    }),
    ("faults in user space", |_| numbers(libc::SYS_userfaultfd, [0])),
    ("faults of user space alone", |_| numbers(libc::SYS_userfaultfd, [1])),
    ("a rule set of its own", |_| {
        // LANDLOCK_CREATE_RULESET_VERSION.
        let version = call(libc::SYS_landlock_create_ruleset, [0, 0, 1].map(Word::Number))?;
        Ok(format!("version {version}"))
    }),
    ("a filter of its own", |_| {
        // SECCOMP_GET_ACTION_AVAIL of SECCOMP_RET_ALLOW.
        let mut action = 0x7fff_0000_u32.to_ne_bytes();
        call(libc::SYS_seccomp, [Word::Number(2), Word::Number(0), Word::Memory(&mut action)]).map(ok)
    }),
    ("a program in memory", |_| {
        let program = memfd_create(c"probe", MFdFlags::empty())?;
        let bytes = errno(fs::read("/proc/self/exe"))?;
        let path = format!("/proc/self/fd/{}", program.as_raw_fd());
        errno(fs::write(&path, bytes))?;
        Ok(format!("{:?}", errno(std::process::Command::new(path).env_clear().status())?.code()))
    }),
    ("a set-id program in memory", |_| {
        let program = memfd_create(c"probe", MFdFlags::empty())?;
        nix::sys::stat::fchmod(&program, nix::sys::stat::Mode::from_bits_retain(0o4755)).map(ok)
    }),
    ("secret memory", |_| {
        let secret = call(libc::SYS_memfd_secret, [Word::Number(0)])?;
        Ok(ok(opened(secret)))
    }),
    ("a handle of a process", |_| numbers(libc::SYS_pidfd_open, [1, 0])),
    ("watching files", |_| numbers(libc::SYS_inotify_init1, [0])),
    ("watching all files", |_| numbers(libc::SYS_fanotify_init, [0, 0])),
    ("the kernel's messages", |_| {
        let mut text = [0; 16];
        call(libc::SYS_syslog, [Word::Number(3), Word::Memory(&mut text), Word::Number(16)]).map(ok)
    }),
    ("accounting", |_| call(libc::SYS_acct, [Word::Number(0)]).map(ok)),
    ("quotas", |_| numbers(libc::SYS_quotactl, [0, 0, 0, 0])),
    ("ports of the processor", |_| ports()),
    ("a message queue", |_| {
        let queue = call(
            libc::SYS_mq_open,
            [Word::Text(c"probe"), Word::Number(0o102), Word::Number(0o600), Word::Number(0)],
        )?;
        Ok(ok(opened(queue)))
    }),
    ("a System V message queue", |_| numbers(libc::SYS_msgget, [0, 0o600])),
    ("System V memory", |_| numbers(libc::SYS_shmget, [0, 4096, 0o600])),
    ("the machine's request key", |_| {
        errno(OpenOptions::new().write(true).open("/proc/sysrq-trigger")).map(ok)
    }),
    ("the machine's memory", |_| errno(fs::File::open("/proc/kcore")).map(ok)),
    ("the kernel's symbols", |_| {
        let symbols = errno(fs::read_to_string("/proc/kallsyms"))?;
        let hidden = symbols.lines().take(100).all(|line| line.starts_with("0000000000000000"));
        Ok(if hidden { "without addresses" } else { "with addresses" }.into())
    }),
];

fn numbers<const COUNT: usize>(number: libc::c_long, words: [i64; COUNT]) -> Answer {
    call(number, words.map(Word::Number)).map(ok)
}

#[cfg(target_arch = "x86_64")]
fn ports() -> Answer {
    numbers(libc::SYS_iopl, [3])
}

#[cfg(not(target_arch = "x86_64"))]
fn ports() -> Answer {
    Err(nix::errno::Errno::ENOSYS)
}
