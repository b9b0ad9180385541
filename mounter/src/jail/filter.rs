//! The filter of system calls that Nix's builders have, as a program for the kernel (seccomp(2)).
//!
//! A filter sees numbers only, and they differ between the kinds of programs that one kernel runs: each kind has a
//! block of its own. Crates that make filters know one kind, and kill what is of another.

use std::io;

use libc::sock_filter;

/// The offsets of numbers in `seccomp_data` of linux/seccomp.h.
const NUMBER: u32 = 0;
const KIND: u32 = 4;
const ARGUMENTS: u32 = 16;
/// The bits of a mode that make a program run as somebody else.
const SET_ID: u32 = 0o6000;
/// `fchmodat2`, by the same number everywhere.
const FCHMODAT2: u32 = 452;

/// A kind of program: its number for the kernel's audit (linux/audit.h), and its calls.
struct Kind {
    audit: u32,
    /// Bits of a call's number that say nothing of which call it is.
    ignored: u32,
    /// Calls that set a mode, with the place of the mode among their arguments.
    modes: &'static [(u32, u32)],
    /// The first and last of the calls for extended attributes, but for those that remove.
    attributes: (u32, u32),
}

/// Nix lets `removexattr` and its kin be, whose numbers follow.
#[cfg(target_arch = "x86_64")]
const KINDS: &[Kind] = &[
    // And of x32, whose numbers have one more bit.
    Kind {
        audit: 0xc000_003e,
        ignored: 0x4000_0000,
        modes: &[(90, 1), (91, 1), (268, 2), (FCHMODAT2, 2)],
        attributes: (188, 196),
    },
    // i386.
    Kind {
        audit: 0x4000_0003,
        ignored: 0,
        modes: &[(15, 1), (94, 1), (306, 2), (FCHMODAT2, 2)],
        attributes: (226, 234),
    },
];

#[cfg(target_arch = "aarch64")]
const KINDS: &[Kind] = &[
    Kind { audit: 0xc000_00b7, ignored: 0, modes: &[(52, 1), (53, 2), (FCHMODAT2, 2)], attributes: (5, 13) },
    // ARM of 32 bits.
    Kind {
        audit: 0x4000_0028,
        ignored: 0,
        modes: &[(15, 1), (94, 1), (333, 2), (FCHMODAT2, 2)],
        attributes: (226, 234),
    },
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const KINDS: &[Kind] = &[];

/// The filter.
///
/// # Errors
/// When the numbers of this processor's calls are not known.
pub(super) fn program() -> io::Result<Vec<sock_filter>> {
    if KINDS.is_empty() {
        let message = "the numbers of this processor's system calls are not known";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    let mut program = vec![load(KIND)];
    for kind in KINDS {
        let block = block(kind);
        let skipped = u8::try_from(block.len()).map_err(io::Error::other)?;
        program.push(jump(libc::BPF_JEQ, kind.audit, 0, skipped));
        program.extend(block);
    }
    program.push(allow());
    Ok(program)
}

/// What is done with a call of this kind. It always ends with an answer.
fn block(kind: &Kind) -> Vec<sock_filter> {
    let (first, last) = kind.attributes;
    let mut block = vec![load(NUMBER), statement(libc::BPF_ALU | libc::BPF_AND, !kind.ignored)];
    block.extend([jump(libc::BPF_JGE, first, 0, 2), jump(libc::BPF_JGT, last, 1, 0), refuse(libc::ENOTSUP)]);
    for (number, argument) in kind.modes {
        block.extend([
            jump(libc::BPF_JEQ, *number, 0, 4),
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
