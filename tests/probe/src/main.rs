//! A builder that prints all that a process can see of its sandbox: one fact a line, topic, key and value between
//! tabs, sorted. `probe OUT [PATH…]` looks at everything below each PATH too, and leaves OUT as its output.
#![cfg_attr(target_os = "linux", no_main)]

#[cfg(target_os = "linux")]
mod attempts;
#[cfg(target_os = "linux")]
mod descriptors;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod sys;

/// What the output holds, so that a derivation can say its hash beforehand.
#[cfg(target_os = "linux")]
const OUTPUT: &str = "probe\n";

/// The word with which it does nothing, for a run of it that is itself looked at.
#[cfg(target_os = "linux")]
const NOTHING: &str = "nothing";

/// Where a build is in every sandbox that is looked at. Elsewhere it would change the machine: what it attempts is meant
/// to fail.
#[cfg(target_os = "linux")]
const BUILD: &str = "/build";

/// Looks at everything; the answer is the exit status. The C library calls it by way of `sys`.
#[cfg(target_os = "linux")]
fn probe() -> i32 {
    let paths: Vec<std::path::PathBuf> = std::env::args_os().skip(1).map(Into::into).collect();
    let [output, shown @ ..] = paths.as_slice() else { return 2 };
    if output == std::path::Path::new(NOTHING) {
        return 3;
    }
    if std::env::var_os("NIX_BUILD_TOP").is_none_or(|top| top != BUILD) {
        eprintln!("probe: this is no build in a sandbox");
        return 4;
    }
    let mut report = report::Report::default();
    process::look(&mut report);
    descriptors::look(&mut report);
    kernel::look(&mut report);
    network::look(&mut report);
    mounts::look(&mut report, shown);
    files::look(&mut report, shown);
    // Last, as they may change what there is to see.
    attempts::look(&mut report, output, shown);
    let written = std::fs::write(output, OUTPUT).and_then(|()| report.print());
    i32::from(written.is_err())
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("probe looks at a Linux sandbox");
}
