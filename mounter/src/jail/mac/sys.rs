//! The unsafe code of jails and their processes on macOS: system calls and functions of libSystem that no safe wrapper covers.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use nix::unistd::Pid;

use crate::jail::Architecture;
use crate::jail::become_program::ExecArgs;
use crate::sys::check;

/// What libsystem_sandbox loads to compile profiles.
const SANDBOX_LIBRARY: &CStr = c"/usr/lib/libsandbox.1.dylib";

/// `CPU_TYPE_ARM64` and `CPU_TYPE_X86_64` of `mach/machine.h`.
const CPU_ARM64: libc::cpu_type_t = 0x0100_000c;
const CPU_X86_64: libc::cpu_type_t = 0x0100_0007;

/// `SYS_kill` of `sys/syscall.h`.
const SYS_KILL: libc::c_int = 37;

/// How often all processes of a user are killed: what is forked while the kernel goes through its list is found the
/// next time.
const KILLS: usize = 10;

unsafe extern "C" {
    /// Documented nowhere; every browser and Nix call it.
    fn sandbox_init_with_parameters(
        profile: *const libc::c_char,
        flags: u64,
        parameters: *const *const libc::c_char,
        error: *mut *mut libc::c_char,
    ) -> libc::c_int;
    /// `spawn.h`: a descriptor that stays open under `POSIX_SPAWN_CLOEXEC_DEFAULT`.
    fn posix_spawn_file_actions_addinherit_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        fd: libc::c_int,
    ) -> libc::c_int;
}

/// Loads the library that compiles profiles, for good.
pub(super) fn load_sandbox() -> io::Result<()> {
    // SAFETY: a path that ends with a NUL; the library is the system's own and is never unloaded.
    let library = unsafe { libc::dlopen(SANDBOX_LIBRARY.as_ptr(), libc::RTLD_LAZY) };
    if library.is_null() { Err(io::Error::other("it cannot be loaded")) } else { Ok(()) }
}

/// Puts this process and all that come of it under a profile.
///
/// # Errors
/// What the sandbox says.
pub(in crate::jail) fn enter_sandbox(profile: &str) -> Result<(), String> {
    let profile = CString::new(profile).map_err(|error| error.to_string())?;
    let (no_parameters, mut said) = ([ptr::null()], ptr::null_mut());
    // SAFETY: a text and a list of none, each with its end; the function writes one pointer to `said`.
    let done =
        unsafe { sandbox_init_with_parameters(profile.as_ptr(), 0, no_parameters.as_ptr(), &mut said) };
    if done == 0 {
        return Ok(());
    }
    if said.is_null() {
        return Err(io::Error::last_os_error().to_string());
    }
    // SAFETY: when it is not null, it is a text that ends with a NUL. It is not freed: this process ends.
    Err(unsafe { CStr::from_ptr(said) }.to_string_lossy().into_owned())
}

/// Mounts the machine's devices (`bsd/miscfs/devfs`).
pub(super) fn mount_devices(at: &Path) -> io::Result<()> {
    let at = CString::new(at.as_os_str().as_bytes())?;
    let flags = libc::MNT_NOSUID | libc::MNT_DONTBROWSE;
    // SAFETY: two texts that end with a NUL; devfs takes no further data.
    check(unsafe { libc::mount(c"devfs".as_ptr(), at.as_ptr(), flags, ptr::null_mut()) })
}

/// setgroups(2). The process's user no longer decides about its groups.
pub(super) fn set_groups(groups: &[libc::gid_t]) -> io::Result<()> {
    let count = libc::c_int::try_from(groups.len()).map_err(io::Error::other)?;
    // SAFETY: the kernel reads `count` numbers.
    check(unsafe { libc::setgroups(count, groups.as_ptr()) })
}

/// Becomes the program, with signals as they were in the beginning, three descriptors and no more; it returns only to
/// say why not. posix_spawn(2) with `POSIX_SPAWN_SETEXEC` is an execve(2) that takes wishes.
pub(super) fn exec(image: &ExecArgs, architecture: Option<Architecture>) -> io::Error {
    match try_exec(image, architecture) {
        Ok(()) => io::Error::other("posix_spawn came back"),
        Err(error) => error,
    }
}

fn try_exec(image: &ExecArgs, architecture: Option<Architecture>) -> io::Result<()> {
    let flags = libc::POSIX_SPAWN_SETEXEC
        | libc::POSIX_SPAWN_CLOEXEC_DEFAULT
        | libc::POSIX_SPAWN_SETSIGDEF
        | libc::POSIX_SPAWN_SETSIGMASK;
    let flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
    let (mut wishes, mut actions) = (ptr::null_mut(), ptr::null_mut());
    let (mut all, mut none): (libc::sigset_t, libc::sigset_t) = (0, 0);
    // SAFETY: each call gets what the one before made, and numbers. What was made is not taken apart: either this
    // process becomes another, or it ends soon.
    unsafe {
        check(libc::sigfillset(&mut all))?;
        check(libc::sigemptyset(&mut none))?;
        number(libc::posix_spawnattr_init(&mut wishes))?;
        number(libc::posix_spawnattr_setflags(&mut wishes, flags))?;
        number(libc::posix_spawnattr_setsigdefault(&mut wishes, &all))?;
        number(libc::posix_spawnattr_setsigmask(&mut wishes, &none))?;
        number(libc::posix_spawn_file_actions_init(&mut actions))?;
        for fd in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
            number(posix_spawn_file_actions_addinherit_np(&mut actions, fd))?;
        }
    }
    if let Some(architecture) = architecture {
        prefer(&mut wishes, architecture)?;
    }
    let (argv, env) = (pointers(&image.argv), pointers(&image.env));
    // SAFETY: texts that end with a NUL, and two lists of such that end with a null pointer.
    number(unsafe {
        libc::posix_spawn(
            ptr::null_mut(),
            image.program.as_ptr(),
            &actions,
            &wishes,
            argv.as_ptr().cast(),
            env.as_ptr().cast(),
        )
    })
}

/// Of a program for several processors, this one's is taken. A process that Rosetta runs would stay with it unless its
/// own preference is cleared.
fn prefer(wishes: &mut libc::posix_spawnattr_t, architecture: Architecture) -> io::Result<()> {
    let mut cpu = match architecture {
        Architecture::Arm64 => CPU_ARM64,
        Architecture::X86_64 => CPU_X86_64,
    };
    if architecture == Architecture::Arm64 {
        let mut none: libc::c_int = 0;
        // SAFETY: the kernel reads one number. Where there is no Rosetta there is no such setting, and no need.
        unsafe {
            libc::sysctlbyname(
                c"kern.curproc_arch_affinity".as_ptr(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::from_mut(&mut none).cast(),
                size_of::<libc::c_int>(),
            )
        };
    }
    // SAFETY: one number is read; how many were taken is written nowhere.
    number(unsafe { libc::posix_spawnattr_setbinpref_np(wishes, 1, &mut cpu, ptr::null_mut()) })
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

/// Starts a child process that becomes the user and sends SIGKILL to all that this user may signal. It ends with the
/// number of its error.
pub(crate) fn fork_killer(uid: libc::uid_t) -> io::Result<Pid> {
    // SAFETY: the child makes system calls only and leaves with _exit(2), as a fork of a process with threads has to.
    unsafe {
        let child = libc::fork();
        check(child)?;
        if child == 0 {
            if libc::setuid(uid) != 0 {
                libc::_exit(*libc::__error());
            }
            for _ in 0..KILLS {
                // The third argument spares the caller, whom kill(2) as POSIX has it would not (`bsd/kern/kern_sig.c`).
                if libc::syscall(SYS_KILL, -1, libc::SIGKILL, 0) != 0 {
                    libc::_exit(*libc::__error());
                }
            }
            libc::_exit(0);
        }
        Ok(Pid::from_raw(child))
    }
}

/// When a process started, in microseconds; none when there is no such process, or it has ended.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    const SIZE: libc::c_int = size_of::<libc::proc_bsdinfo>() as libc::c_int;
    let pid = libc::c_int::try_from(pid).ok()?;
    let mut info = std::mem::MaybeUninit::<libc::proc_bsdinfo>::uninit();
    // SAFETY: the buffer has room for as many bytes as the kernel is told.
    let filled =
        unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDTBSDINFO, 0, info.as_mut_ptr().cast(), SIZE) };
    if filled != SIZE {
        return None;
    }
    // SAFETY: all of it was filled, and it holds numbers only.
    let info = unsafe { info.assume_init() };
    let started = info.pbi_start_tvsec.checked_mul(1_000_000)?.checked_add(info.pbi_start_tvusec)?;
    (info.pbi_status != libc::SZOMB).then_some(started)
}

/// The spawn functions return the number of their error.
fn number(error: libc::c_int) -> io::Result<()> {
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}
