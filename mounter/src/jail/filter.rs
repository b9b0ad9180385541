//! The filter of system calls that Nix's builders have, as a program for the kernel (seccomp(2)).
//!
//! A filter sees numbers only, and they differ between the architectures whose programs one kernel runs: each has a block
//! of its own. Crates that make filters know one architecture, and kill programs of another.

use std::io;
use std::mem::offset_of;

use libc::{c_long, seccomp_data, sock_filter};

/// Where the kernel puts what a filter looks at.
const NUMBER: u32 = offset_of!(seccomp_data, nr) as u32;
const ARCHITECTURE: u32 = offset_of!(seccomp_data, arch) as u32;
const ARGUMENTS: u32 = offset_of!(seccomp_data, args) as u32;
/// The bits of a mode that make a program run as somebody else.
const SET_ID: u32 = 0o6000;
/// By the same number everywhere; `libc` does not have it for every architecture.
const FCHMODAT2: c_long = 452;

/// The system calls of an architecture; `libc` has the numbers of the one that is compiled for only.
struct SyscallNumbers {
    /// `AUDIT_ARCH_…` of linux/audit.h.
    audit: u32,
    /// Bits of a call's number that say nothing of which call it is.
    ignored: u32,
    /// Calls that set a mode, with the place of the mode among their arguments.
    modes: &'static [(c_long, u32)],
    /// The first and last of the calls for extended attributes, but for those that remove.
    attributes: (c_long, c_long),
}

/// Nix lets `removexattr` and its kin be, whose numbers follow.
#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: &[SyscallNumbers] = &[
    SyscallNumbers {
        audit: 0xc000_003e,
        // x32 has the same numbers with this bit (`__X32_SYSCALL_BIT` of asm/unistd.h).
        ignored: 0x4000_0000,
        modes: &[(libc::SYS_chmod, 1), (libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (FCHMODAT2, 2)],
        attributes: (libc::SYS_setxattr, libc::SYS_flistxattr),
    },
    // i386 (asm/unistd_32.h): chmod, fchmod, fchmodat; setxattr to flistxattr.
    SyscallNumbers {
        audit: 0x4000_0003,
        ignored: 0,
        modes: &[(15, 1), (94, 1), (306, 2), (FCHMODAT2, 2)],
        attributes: (226, 234),
    },
];

#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: &[SyscallNumbers] = &[
    SyscallNumbers {
        audit: 0xc000_00b7,
        ignored: 0,
        modes: &[(libc::SYS_fchmod, 1), (libc::SYS_fchmodat, 2), (FCHMODAT2, 2)],
        attributes: (libc::SYS_setxattr, libc::SYS_flistxattr),
    },
    // ARM of 32 bits: chmod, fchmod, fchmodat; setxattr to flistxattr.
    SyscallNumbers {
        audit: 0x4000_0028,
        ignored: 0,
        modes: &[(15, 1), (94, 1), (333, 2), (FCHMODAT2, 2)],
        attributes: (226, 234),
    },
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURES: &[SyscallNumbers] = &[];

/// The filter.
///
/// # Errors
/// When the numbers of this processor's calls are not known.
pub(super) fn program() -> io::Result<Vec<sock_filter>> {
    if ARCHITECTURES.is_empty() {
        let message = "the numbers of this processor's system calls are not known";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    let mut program = vec![load(ARCHITECTURE)];
    for architecture in ARCHITECTURES {
        let block = block(architecture);
        let skipped = u8::try_from(block.len()).map_err(io::Error::other)?;
        program.push(jump(libc::BPF_JEQ, architecture.audit, 0, skipped));
        program.extend(block);
    }
    program.push(allow());
    Ok(program)
}

/// What is done with a call of this architecture. It always returns.
fn block(architecture: &SyscallNumbers) -> Vec<sock_filter> {
    let (first, last) = architecture.attributes;
    let mut block = vec![load(NUMBER), statement(libc::BPF_ALU | libc::BPF_AND, !architecture.ignored)];
    block.extend([
        jump(libc::BPF_JGE, first as u32, 0, 2),
        jump(libc::BPF_JGT, last as u32, 1, 0),
        refuse(libc::ENOTSUP),
    ]);
    for (number, argument) in architecture.modes {
        block.extend([
            jump(libc::BPF_JEQ, *number as u32, 0, 4),
            load(ARGUMENTS + 8 * argument + LOW_HALF),
            jump(libc::BPF_JSET, SET_ID, 0, 1),
            refuse(libc::EPERM),
            allow(),
        ]);
    }
    block.push(allow());
    block
}

/// Where the lower half of an argument's 64 bits is.
const LOW_HALF: u32 = if cfg!(target_endian = "little") { 0 } else { 4 };

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn allow() -> sock_filter {
    statement(libc::BPF_RET, libc::SECCOMP_RET_ALLOW)
}

fn refuse(errno: i32) -> sock_filter {
    statement(libc::BPF_RET, libc::SECCOMP_RET_ERRNO | errno.unsigned_abs())
}

fn statement(code: u32, operand: u32) -> sock_filter {
    instruction(code | libc::BPF_K, operand, 0, 0)
}

fn jump(code: u32, operand: u32, when: u8, otherwise: u8) -> sock_filter {
    instruction(libc::BPF_JMP | code | libc::BPF_K, operand, when, otherwise)
}

/// The kernel's codes have 16 bits; the C library's constants for them have 32.
fn instruction(code: u32, operand: u32, when: u8, otherwise: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: when, jf: otherwise, k: operand }
}
