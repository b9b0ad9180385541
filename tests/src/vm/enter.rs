//! The machine's outside: pid 1 of its pid namespace on the host, which starts the kernel.
//!
//! The host's files are read-only for it, by the host's own mounts, but for the few places that the machine is there to
//! write to: root in the machine can change no others, whatever it does.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Boot, Job, emulator, uml};
use crate::sys::set_read_only;

/// Runs the kernel to its end.
pub fn main(spec: &Path) -> Result<ExitCode> {
    let job: Job = serde_json::from_slice(&fs::read(spec)?).context("the job cannot be read")?;
    more_descriptors();
    let good = match &job.boot {
        Boot::Uml(kernel) => uml::run(&job, kernel, spec)?,
        Boot::Emulator(emulator) => emulator::run(&job, emulator, spec)?,
    };
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes everything read-only but what the machine is there to write to; the host's root is at `host` in this namespace.
pub(super) fn protect(job: &Job, host: &Path) -> Result<()> {
    set_read_only(Path::new("/"), true, true)
        .context("cannot make the host's files read-only for the machine (it takes Linux 5.12)")?;
    let disks = job.disks.iter().filter(|disk| disk.keep).map(|disk| &disk.image);
    for place in [&job.directory, &job.kept].into_iter().chain(disks) {
        let at = below(host, place);
        mount(Some(&at), &at, None::<&str>, MsFlags::MS_BIND, None::<&str>)
            .map_err(std::io::Error::from)
            .and_then(|()| set_read_only(&at, false, false))
            .with_context(|| format!("cannot make {} writable for the machine", place.display()))?;
    }
    Ok(())
}

/// Where a path is when its root is another directory.
pub(super) fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A machine keeps a descriptor of the host's for every file of the host that is open inside.
fn more_descriptors() {
    const WANTED: u64 = 1_000_000;
    if setrlimit(Resource::RLIMIT_NOFILE, WANTED, WANTED).is_err()
        && let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
    {
        // Without CAP_SYS_RESOURCE the hard limit is all there is; small jobs do with it.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
