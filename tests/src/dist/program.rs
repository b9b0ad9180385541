//! The programs that people download: small, and the same bytes wherever they are made.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use goblin::elf::Elf;
use goblin::elf::header::{EM_AARCH64, EM_X86_64, ET_DYN};

use crate::lab::Lab;
use crate::lab::cross::{OLDEST, Target, Toolchain};
use crate::mach;

/// The profile that they are compiled with.
const PROFILE: &str = "dist";
/// The package, and its program.
const NAME: &str = "loopbox";
/// The most that one may have, in bytes.
const SIZE_MAX: u64 = 8_000_000;

/// Compiles the program for a target, and looks at it.
pub fn make(lab: &Lab, tools: &Toolchain, target: Target) -> Result<PathBuf> {
    let words = ["build", "--locked", "--profile", PROFILE, "--package", NAME, "--bin", NAME];
    let mut cargo = tools.cargo(lab, &[target], &words);
    let made = tools.release(lab, &mut cargo, target)?.stdin(Stdio::null()).status();
    ensure!(made.context("cannot start cargo")?.success(), "{NAME} for {} was not compiled", target.triple);
    let program = tools.build(target).join(PROFILE).join(NAME);
    check(&program, target, lab.checkout()).with_context(|| program.display().to_string())?;
    Ok(program)
}

/// What keeps a program from starting, or from being what it is to be.
fn check(path: &Path, target: Target, made_in: &Path) -> Result<()> {
    let program = fs::read(path)?;
    let size = program.len() as u64;
    ensure!(size < SIZE_MAX, "it has {size} bytes, and may have {SIZE_MAX}");
    let place = memchr::memmem::find(&program, made_in.as_os_str().as_bytes());
    ensure!(place.is_none(), "it says where it was made");
    if target.is_mac() { for_mac(path, &program, target) } else { for_linux(&program, target) }
}

/// It starts on the oldest system that it is meant for, and where every program has to be signed.
fn for_mac(path: &Path, program: &[u8], target: Target) -> Result<()> {
    let found = mach::Program::open(path)?;
    ensure!(target.triple.starts_with(found.processor), "it is for {}", found.processor);
    ensure!(found.oldest == Some(OLDEST), "it is for macOS {:?} and later", found.oldest);
    // Elsewhere than on Apple's own processor it need not be.
    if found.processor == mach::SIGNED { mach::check_signature(program) } else { Ok(()) }
}

/// It needs no library, and is at another address each time that it starts.
fn for_linux(program: &[u8], target: Target) -> Result<()> {
    let elf = Elf::parse(program).context("no program for Linux")?;
    let processor = match elf.header.e_machine {
        EM_X86_64 => "x86_64",
        EM_AARCH64 => "aarch64",
        other => bail!("it is for a processor that ELF has the number {other} for"),
    };
    ensure!(target.triple.starts_with(processor), "it is for {processor}");
    ensure!(elf.interpreter.is_none() && elf.libraries.is_empty(), "it needs {:?}", elf.libraries);
    ensure!(elf.header.e_type == ET_DYN, "its address is always the same");
    Ok(())
}
