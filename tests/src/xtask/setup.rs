//! `cargo xtask setup`: what the other commands need. Quick when it is all there.

use anyhow::Result;

use crate::demo::Workload;
use crate::lab::cargo_deb::CargoDeb;
use crate::lab::checkers;
use crate::lab::cross::Toolchain;
use crate::lab::emulator::Emulator;
use crate::lab::foreign::Foreign;
use crate::lab::kernel::Kernel;
use crate::lab::llvm::Llvm;
use crate::lab::new_nix::NewNix;
use crate::lab::ssh::Ssh;
use crate::lab::suites::Tools;
use crate::lab::{Lab, packages, say};

/// How many users Nix may build as at once.
const BUILD_USERS: u32 = 4;

/// Does everything.
pub fn run() -> Result<()> {
    let lab = Lab::open()?;
    machine(&lab)?;
    packages::browser()?;
    Workload::prepare(&lab)?;
    NewNix::bring(&lab)?;
    Emulator::bring(&lab)?;
    Ssh::bring(&lab)?;
    Tools::bring(&lab)?;
    checkers::ALL.iter().try_for_each(|checker| checker.bring(&lab).map(drop))?;
    Llvm::bring(&lab)?;
    packages::rubocop()?;
    Toolchain::bring(&lab)?;
    CargoDeb::bring(&lab)?;
    Foreign::bring(&lab)?;
    say("everything is set up");
    Ok(())
}

/// What the virtual machine needs.
pub fn machine(lab: &Lab) -> Result<()> {
    packages::install()?;
    packages::build_users(BUILD_USERS)?;
    Kernel::bring(lab)?;
    Ok(())
}
