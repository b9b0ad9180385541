//! `cargo xtask vm -- CMD`: a command as root in the virtual machine, on the host's files.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::setup;
use crate::lab::Lab;
use crate::vm::{Disk, Output, Platform, Vm};

/// What the machine is like.
#[derive(Debug, Args)]
pub struct Options {
    /// What the machine's kernel runs on.
    #[arg(long = "ground", value_enum, default_value_t, value_name = "GROUND")]
    platform: Platform,
    /// Have the machine's clock count instructions, a nanosecond each, where its processor is emulated.
    #[arg(long)]
    count_instructions: bool,
    /// An ext4 image to mount at /nix; what is written to it is forgotten.
    #[arg(long, value_name = "IMAGE")]
    disk: Option<PathBuf>,
    /// Keep what is written to the image.
    #[arg(long, requires = "disk")]
    keep: bool,
    /// Memory in MiB.
    #[arg(long, default_value_t = 4096)]
    mem: u32,
    /// Seconds until the machine is killed.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// The command and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Runs it; its exit status is ours.
pub fn run(options: &Options) -> Result<ExitCode> {
    if options.count_instructions && options.platform != Platform::Emulator {
        bail!("only the emulator counts instructions: --ground emulator");
    }
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let mut vm = Vm {
        platform: options.platform,
        counts_instructions: options.count_instructions,
        memory: options.mem,
        timeout: Duration::from_secs(options.timeout),
        ..Vm::default()
    };
    if let Some(image) = &options.disk {
        let image = image.canonicalize().with_context(|| format!("no image {}", image.display()))?;
        vm.disks.push(Disk { image, at: "/nix".into(), keep: options.keep });
    }
    let finished = vm.run(&lab, &options.command, Output::Show)?;
    Ok(ExitCode::from(u8::try_from(finished.status).unwrap_or(u8::MAX)))
}
