//! `cargo xtask check-macos`: type-checks, lints and links loopbox for macOS. Nothing can be run.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::command::run as run_command;
use crate::lab::macos::{TARGETS, Toolchain};
use crate::lab::{Lab, packages, say};

/// What a program of 64 bits starts with (`MH_MAGIC_64` of `mach-o/loader.h`), as it is stored.
const MAGIC: [u8; 4] = 0xfeed_facf_u32.to_le_bytes();

/// Brings the tools, then makes the program for both kinds of Mac.
pub fn run() -> Result<ExitCode> {
    let lab = Lab::open()?;
    let start = Instant::now();
    packages::install()?;
    let tools = Toolchain::bring(&lab)?;
    for target in TARGETS {
        say(&format!("type-checking, linting and linking for {}", target.triple));
        run_command(&mut tools.cargo(&lab, target, &["build", "--quiet", "--package", "cli"]))?;
        let program = tools.program(target);
        check(&program)?;
        println!("{}: linked {}", target.triple, program.display());
    }
    println!("loopbox compiles, lints and links for macOS, {} s in all", start.elapsed().as_secs());
    Ok(ExitCode::SUCCESS)
}

fn check(program: &Path) -> Result<()> {
    let mut magic = [0; 4];
    let read = File::open(program).and_then(|mut file| file.read_exact(&mut magic));
    read.with_context(|| format!("cannot read {}", program.display()))?;
    if magic != MAGIC {
        bail!("{} is no program for macOS", program.display());
    }
    Ok(())
}
