//! The probe's store: the probe itself, something that it depends on, and something that the settings show it.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::command::{command, quiet};
use crate::lab::Lab;
use crate::lab::store::Store;

/// What the probe is built for: a target of its own, so that the flags below are not those of build scripts.
const TARGET: &str =
    if cfg!(target_arch = "aarch64") { "aarch64-unknown-linux-gnu" } else { "x86_64-unknown-linux-gnu" };
/// In MiB; the file is sparse.
const IMAGE_SIZE: u32 = 300;
/// Changed when what is made from the same files changes.
const RECIPE: &str = "2";

/// The store, ready to be mounted.
pub struct Prepared {
    /// An ext4 image of /nix.
    pub image: PathBuf,
    /// The probe, a tree, a file, a link, and a program that the settings show.
    pub paths: Vec<String>,
}

/// Builds the probe and makes the store, once for each state of the probe.
pub fn prepare(lab: &Lab) -> Result<Prepared> {
    let probe = probe(lab)?;
    let mut hash = Sha256::new();
    hash.update(RECIPE);
    hash.update(fs::read(&probe)?);
    let key: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let made =
        lab.once(&format!("probe/{key}"), "preparing the probe's store", |at| make(lab, &probe, at))?;
    let paths = fs::read_to_string(made.join("paths"))?;
    Ok(Prepared { image: made.join("nix.ext4"), paths: paths.lines().map(str::to_owned).collect() })
}

/// The probe as a static program: a sandbox has no libraries.
fn probe(lab: &Lab) -> Result<PathBuf> {
    let directory = lab.directory("probe-target")?;
    let words = ["build", "--quiet", "--release", "--package", "probe", "--target", TARGET, "--target-dir"];
    let mut build = command("cargo", words);
    build.arg(&directory).current_dir(lab.checkout()).env("RUSTFLAGS", "-Ctarget-feature=+crt-static");
    quiet(&mut build)?;
    Ok(directory.join(TARGET).join("release/probe"))
}

fn make(lab: &Lab, probe: &Path, at: &Path) -> Result<()> {
    let inputs = at.join("inputs");
    let (program, tree) = (inputs.join("probe/bin"), inputs.join("tree"));
    fs::create_dir_all(&program)?;
    fs::copy(probe, program.join("probe"))?;
    fs::create_dir_all(tree.join("below/empty"))?;
    fs::write(tree.join("file"), "contents\n")?;
    fs::write(tree.join("program"), "#!/bin/sh\n")?;
    fs::set_permissions(tree.join("program"), Permissions::from_mode(0o755))?;
    symlink("file", tree.join("link"))?;
    symlink("/nowhere", tree.join("dangling"))?;
    fs::hard_link(tree.join("file"), tree.join("below/linked"))?;
    fs::write(inputs.join("file"), "a file\n")?;
    symlink("tree", inputs.join("link"))?;
    fs::create_dir(inputs.join("shell"))?;
    fs::write(inputs.join("shell/shell"), "no program\n")?;

    let store = Store::open(lab, &at.join("nix"))?;
    let mut paths = String::new();
    for name in ["probe", "tree", "file", "link", "shell"] {
        paths += &(store.add(&inputs.join(name))? + "\n");
    }
    fs::write(at.join("paths"), paths)?;
    let image = at.join("nix.ext4");
    let words = ["-q", "-m", "0", "-b", "4096", "-O", "^has_journal", "-d"].map(OsString::from);
    quiet(command("mkfs.ext4", words).arg(at.join("nix")).arg(&image).arg(format!("{IMAGE_SIZE}M")))
}
