//! What compiles and links on Debian for the systems that loopbox is made for: a compiler with its library's source, and Zig's C
//! compiler and linker, which bring what each system's C library offers.

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
/// No registry has that library compiled for other systems.
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
/// The archiver of what is compiled from C.
const ARCHIVER: &str = "ar";
/// The compiler, which is told to name no place of this machine.
const NAMELESS: &str = "nameless-rustc";

/// A compiler, its lints, and a linker for each target.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Where the packages with the compiler and its library's source are.
    root: PathBuf,
    bin: PathBuf,
    build: PathBuf,
}

/// A system and a processor that programs are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// As rustc calls it.
    pub triple: &'static str,
    /// As Zig calls it. With [`OLDEST`] for a Mac: Zig heeds that rather than what rustc tells it.
    zig: &'static str,
}

/// The oldest macOS that programs are linked for, as major and minor version.
pub const OLDEST: (u32, u32) = (12, 0);

/// Both kinds of Mac.
pub const MACS: [Target; 2] = [
    Target { triple: "aarch64-apple-darwin", zig: "aarch64-macos.12.0" },
    Target { triple: "x86_64-apple-darwin", zig: "x86_64-macos.12.0" },
];

/// Linux, with a C library that is linked into the program: it runs wherever the kernel does.
pub const LINUX: [Target; 2] = [
    Target { triple: "x86_64-unknown-linux-musl", zig: "x86_64-linux-musl" },
    Target { triple: "aarch64-unknown-linux-musl", zig: "aarch64-linux-musl" },
];

/// All that loopbox is made for.
pub fn all() -> impl Iterator<Item = Target> {
    LINUX.into_iter().chain(MACS)
}

impl Target {
    /// Whether it is a Mac.
    pub fn is_mac(&self) -> bool {
        self.triple.ends_with("-apple-darwin")
    }

    /// Its processor, as rustc calls it.
    pub fn processor(&self) -> &'static str {
        self.triple.split_once('-').map_or(self.triple, |(processor, _)| processor)
    }

    /// How the variables begin that tell cargo about it.
    fn variable(&self) -> String {
        format!("CARGO_TARGET_{}", self.triple.to_uppercase().replace('-', "_"))
    }
}

impl Toolchain {
    /// Brings it, once.
    pub fn bring(lab: &Lab) -> Result<Toolchain> {
        let root = lab.once("cross/rust", "bringing a compiler for other systems", |at| {
            Suite::open(lab, SUITE)?.unpack(&PACKAGES, false, at)
        })?;
        let libraries = lab.once("cross/libraries", "bringing libraries for it", |at| {
            Suite::open(lab, &codename()?)?.unpack(&LIBRARIES, false, at)
        })?;
        let zig = inputs::zig(lab)?;
        let bin = lab.directory("cross/bin")?;
        for program in PROGRAMS {
            let (root, libraries) = (root.display(), libraries.display());
            let start = format!(
                "export LD_LIBRARY_PATH={root}/usr/lib/x86_64-linux-gnu:{libraries}/usr/lib/x86_64-linux-gnu\n\
                 exec {root}/usr/bin/{program} \"$@\""
            );
            script(&bin.join(program), &start)?;
        }
        let cache = lab.directory("cross/zig-cache")?;
        for target in all() {
            script(&bin.join(target.triple), &compiler(&zig, &cache, target))?;
        }
        script(&bin.join(ARCHIVER), &format!("exec {}/zig ar \"$@\"", zig.display()))?;
        Ok(Toolchain { root, bin, build: lab.directory("cross/target")? })
    }

    /// A cargo that compiles this checkout and the standard library for some targets.
    pub fn cargo(&self, lab: &Lab, targets: &[Target], arguments: &[&str]) -> Command {
        let mut cargo = command("cargo", arguments);
        cargo
            .arg("-Zbuild-std")
            .current_dir(lab.checkout())
            .env("RUSTC", self.bin.join("rustc"))
            .env("RUSTC_BOOTSTRAP", "1")
            // Compiled from nothing, as in CI, it costs more than it saves later.
            .env("CARGO_INCREMENTAL", "0")
            // It wants to be told of Apple's kit, and the linker brings its own.
            .env("SDKROOT", &self.bin)
            .env("CARGO_TARGET_DIR", &self.build);
        for target in targets {
            cargo
                .args(["--target", target.triple])
                .env(format!("{}_LINKER", target.variable()), self.bin.join(target.triple));
        }
        cargo
    }

    /// Has clippy be the compiler of loopbox's own crates: it warns of more, and no warning passes.
    pub fn lint<'a>(&self, cargo: &'a mut Command) -> &'a mut Command {
        cargo
            .env("RUSTC_WORKSPACE_WRAPPER", self.bin.join("clippy-driver"))
            .env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__")
    }

    /// Has a cargo make what others are given: nothing in it says where it was made, and a C library is in it where there can be
    /// one.
    pub fn release<'a>(&self, lab: &Lab, cargo: &'a mut Command, target: Target) -> Result<&'a mut Command> {
        let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
        let home = home.context("neither CARGO_HOME nor HOME is set")?;
        let places = [(lab.checkout(), "/loopbox"), (&home, "/cargo"), (&self.root, "/rust")];
        let words = places.map(|(place, name)| format!("--remap-path-prefix={}={name}", place.display()));
        let wrapper = self.bin.join(NAMELESS);
        script(&wrapper, &format!("exec \"$@\" {}", words.join(" ")))?;
        // Where a panic came from, which without symbols is numbers, takes a twentieth of the program.
        cargo.arg("-Zbuild-std-features=panic-unwind").env("RUSTC_WRAPPER", wrapper);
        if target.is_mac() {
            // The linker removes symbols, and then signs; rustc would remove them from what is signed already.
            cargo.env(format!("{}_RUSTFLAGS", target.variable()), "-C strip=none -C link-arg=-s");
        } else {
            let name = target.triple.replace('-', "_");
            cargo
                .env(format!("CC_{name}"), self.bin.join(target.triple))
                .env(format!("AR_{name}"), self.bin.join(ARCHIVER))
                .env(
                    format!("{}_RUSTFLAGS", target.variable()),
                    "-C link-self-contained=no -C link-arg=-pie -C target-feature=+crt-static",
                );
        }
        Ok(cargo)
    }

    /// Where what was compiled for a target is put.
    pub fn build(&self, target: Target) -> PathBuf {
        self.build.join(target.triple)
    }
}

/// A script that compiles C and links for a target. Zig has Apple's list of what libSystem offers, so that a name that it does not
/// offer is found out. It has no libiconv, which the standard library names and nothing uses, and names targets in its own way.
fn compiler(zig: &Path, cache: &Path, target: Target) -> String {
    format!(
        "unset SDKROOT\nfor word; do\n  shift\n  case $word in\n    -liconv | --target=*) ;;\n    *) set -- \"$@\" \"$word\" ;;\n  esac\n\
         done\n\
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
