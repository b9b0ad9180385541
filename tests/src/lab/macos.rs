//! What compiles and links for macOS on Debian: a compiler with its library's source, and Zig's linker.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Lab;
use super::apt::{Suite, codename};
use crate::command::command;
use crate::demo::inputs;

/// Debian keeps a recent compiler here, for browsers, and the source of exactly its standard library beside it.
/// No registry has that library compiled for macOS.
const SUITE: &str = "bookworm-security";
const PACKAGES: [&str; 6] = [
    "rustc-web",
    "libstd-rust-web-1.96",
    "libstd-rust-web-dev",
    "rust-web-src",
    "rust-web-clippy",
    "libllvm22",
];
/// Libraries that LLVM needs and that the smallest Debian does not have.
const LIBRARIES: [&str; 2] = ["libedit2", "libz3-4"];
/// Each runs in the unpacked packages, with the libraries there.
const PROGRAMS: [&str; 2] = ["rustc", "clippy-driver"];

/// A compiler for macOS, its lints, and a linker for each target.
#[derive(Clone, Debug)]
pub struct Toolchain {
    bin: PathBuf,
    build: PathBuf,
}

/// A kind of Mac.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As rustc calls it.
    pub triple: &'static str,
    /// As a program's first bytes call it (`CPU_TYPE_ARM64` and `CPU_TYPE_X86_64` of `mach/machine.h`).
    pub processor: u32,
    /// As Zig calls it, with [`OLDEST`], which it heeds rather than what rustc tells it.
    zig: &'static str,
}

/// The oldest system that programs are linked for, as major and minor version.
pub const OLDEST: (u32, u32) = (12, 0);

/// Both kinds.
pub const TARGETS: [Target; 2] = [
    Target { triple: "aarch64-apple-darwin", processor: 0x0100_000c, zig: "aarch64-macos.12.0" },
    Target { triple: "x86_64-apple-darwin", processor: 0x0100_0007, zig: "x86_64-macos.12.0" },
];

impl Toolchain {
    /// Brings it, once.
    pub fn bring(lab: &Lab) -> Result<Toolchain> {
        let root = lab.once("macos/rust", "bringing a compiler for macOS", |at| {
            Suite::open(lab, SUITE)?.unpack(&PACKAGES, false, at)
        })?;
        let libraries = lab.once("macos/libraries", "bringing libraries for it", |at| {
            Suite::open(lab, &codename()?)?.unpack(&LIBRARIES, false, at)
        })?;
        let zig = inputs::zig(lab)?;
        let bin = lab.directory("macos/bin")?;
        for program in PROGRAMS {
            let (root, libraries) = (root.display(), libraries.display());
            let start = format!(
                "export LD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu:{libraries}/usr/lib/x86_64-linux-gnu\n\
                 exec {root}/usr/bin/{program} \"$@\""
            );
            script(&bin.join(program), &start)?;
        }
        let cache = lab.directory("macos/zig-cache")?;
        for target in TARGETS {
            script(&bin.join(target.triple), &linker(&zig, &cache, target))?;
        }
        Ok(Toolchain { bin, build: lab.directory("macos/target")? })
    }

    /// A cargo that compiles for some kinds of Mac, with clippy as the compiler of loopbox's own crates: it warns of
    /// more, and no warning passes.
    pub fn cargo(&self, lab: &Lab, targets: &[Target], arguments: &[&str]) -> Command {
        let mut cargo = command("cargo", arguments);
        cargo
            .arg("-Zbuild-std")
            // What is not to be run need not be fast.
            .args(["--config", "profile.dev.package.\"*\".opt-level=0"])
            .args(["--config", "profile.dev.package.loopbox-nfs-server.opt-level=0"])
            // Without any in loopbox's own crates either, cargo would have it stripped, which takes a program that
            // Debian does not have for this.
            .args(["--config", "profile.dev.package.\"*\".debug=false"])
            .current_dir(lab.checkout())
            .env("RUSTC", self.bin.join("rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            // Compiled from nothing, as in CI, it costs more than it saves later.
            .env("CARGO_INCREMENTAL", "0")
            .env("RUSTC_WORKSPACE_WRAPPER", self.bin.join("clippy-driver"))
            .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
            // It wants to be told of Apple's kit, and the linker brings its own.
            .env("SDKROOT", &self.bin)
            .env("CARGO_TARGET_DIR", &self.build);
        for target in targets {
            let variable = target.triple.to_uppercase().replace('-', "_");
            cargo
                .args(["--target", target.triple])
                .env(format!("CARGO_TARGET_{variable}_LINKER"), self.bin.join(target.triple));
        }
        cargo
    }

    /// Where what was compiled for one kind of Mac is put.
    pub fn build(&self, target: Target) -> PathBuf {
        self.build.join(target.triple)
    }
}

/// Zig has Apple's list of what libSystem offers, so that a name that it does not offer is found out. It has no
/// libiconv, which the standard library names and nothing uses.
fn linker(zig: &Path, cache: &Path, target: Target) -> String {
    format!(
        "unset SDKROOT\nfor word; do\n  shift\n  [ \"$word\" = -liconv ] || set -- \"$@\" \"$word\"\ndone\n\
         export ZIG_GLOBAL_CACHE_DIR={cache} ZIG_LOCAL_CACHE_DIR={cache}\n\
         exec {zig}/zig cc -target {name} \"$@\"",
        cache = cache.display(),
        zig = zig.display(),
        name = target.zig,
    )
}

fn script(path: &Path, text: &str) -> Result<()> {
    let text = format!("#!/bin/sh\n{text}\n");
    if fs::read_to_string(path).ok().as_deref() != Some(&text) {
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", path.display()))
}
