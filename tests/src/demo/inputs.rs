//! What the graph starts from, brought from the package registries and added to the store.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{command, quiet, text};
use crate::lab::apt::{Suite, codename};
use crate::lab::pypi;
use crate::lab::store::Store;
use crate::lab::{Lab, say};

/// The compiler's package on PyPI.
pub const ZIG: &str = "ziglang==0.17.1";
/// The crate that carries SQLite's one-file source.
const SQLITE: &str = "libsqlite3-sys = { version = \"=0.35.0\", features = [\"bundled\"] }";
/// The name in the graph, and Debian's source package.
const SOURCES: [(&str, &str); 8] = [
    ("make_source", "make-dfsg"),
    ("zlib_source", "zlib"),
    ("bzip2_source", "bzip2"),
    ("zstd_source", "libzstd"),
    ("libpng_source", "libpng1.6"),
    ("lua_source", "lua5.4"),
    ("oniguruma_source", "libonig"),
    ("jq_source", "jq"),
];

/// Adds every input; the answer names their store paths.
pub fn add(lab: &Lab, store: &Store) -> Result<BTreeMap<String, String>> {
    let mut inputs = BTreeMap::new();
    for (name, path) in [
        ("busybox", busybox(lab)?),
        ("zig", zig(lab)?),
        ("musl", musl(lab)?),
        ("sqlite_source", sqlite(lab)?),
    ] {
        inputs.insert(name.to_owned(), store.add(&path)?);
    }
    for (name, path) in tarballs(lab)? {
        inputs.insert(name, store.add(&path)?);
    }
    Ok(inputs)
}

/// Debian's static busybox, with a link for each of its commands.
fn busybox(lab: &Lab) -> Result<PathBuf> {
    lab.once("inputs/busybox", "taking busybox", |at| {
        let bin = at.join("bin");
        fs::create_dir_all(&bin)?;
        fs::copy("/bin/busybox", bin.join("busybox")).context("cannot copy /bin/busybox")?;
        for name in text(&mut command("/bin/busybox", ["--list"]))?.lines().filter(|&name| name != "busybox")
        {
            symlink("busybox", bin.join(name))?;
        }
        Ok(())
    })
}

/// The Zig toolchain, for its clang and its linker.
pub fn zig(lab: &Lab) -> Result<PathBuf> {
    lab.once("inputs/zig", "bringing the Zig toolchain", |at| {
        let unpacked = at.with_extension("unpacked");
        pypi::unpack(lab, ZIG, &unpacked)?;
        fs::rename(unpacked.join("ziglang"), at)?;
        fs::remove_dir_all(&unpacked)?;
        fs::set_permissions(at.join("zig"), fs::Permissions::from_mode(0o755))
            .context("the wheel has no program zig")
    })
}

/// musl's headers and archive, with the few routines of libgcc's that it needs.
fn musl(lab: &Lab) -> Result<PathBuf> {
    lab.once("inputs/musl", "bringing musl", |at| {
        let unpacked = at.with_extension("unpacked");
        Suite::open(lab, &codename()?)?.unpack(&["musl-dev", "libgcc-12-dev"], false, &unpacked)?;
        fs::create_dir_all(at)?;
        fs::rename(unpacked.join("usr/include/x86_64-linux-musl"), at.join("include"))?;
        fs::rename(unpacked.join("usr/lib/x86_64-linux-musl"), at.join("lib"))?;
        let routines = unpacked.join("usr/lib/gcc/x86_64-linux-gnu/12/libgcc.a");
        fs::copy(routines, at.join("lib/libgcc.a")).context("libgcc-12-dev has no libgcc.a")?;
        // A link to the dynamic library, which is in another package.
        let _ = fs::remove_file(at.join("lib/libc.so"));
        fs::remove_dir_all(&unpacked)?;
        Ok(())
    })
}

/// SQLite's one file, from the crate that carries it.
fn sqlite(lab: &Lab) -> Result<PathBuf> {
    lab.once("inputs/sqlite", "bringing SQLite's source", |at| {
        let vendor = at.with_extension("crate");
        fs::create_dir_all(vendor.join("src"))?;
        fs::write(vendor.join("src/lib.rs"), "")?;
        // The empty table keeps cargo from looking for a workspace further up.
        let manifest = format!(
            "[package]\nname = \"vendor\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\n{SQLITE}\n"
        );
        fs::write(vendor.join("Cargo.toml"), manifest)?;
        quiet(command("cargo", ["vendor", "-q", "crates"]).current_dir(&vendor))?;
        fs::create_dir_all(at)?;
        for name in ["sqlite3.c", "sqlite3.h"] {
            fs::copy(vendor.join("crates/libsqlite3-sys/sqlite3").join(name), at.join(name))?;
        }
        fs::remove_dir_all(&vendor)?;
        Ok(())
    })
}

/// Debian's source archives, one file each, with names that say what they are.
fn tarballs(lab: &Lab) -> Result<Vec<(String, PathBuf)>> {
    let directory = lab.once("inputs/sources", "bringing the sources", |at| {
        Suite::open(lab, &codename()?)?.sources(&SOURCES.map(|(_, package)| package), at)
    })?;
    let find = |(name, package): (&str, &str)| {
        let archive = find(&directory, |file| {
            file.starts_with(&format!("{package}_")) && file.contains(".orig.tar.") && !file.ends_with(".asc")
        })?;
        Ok((name.to_owned(), archive))
    };
    SOURCES.into_iter().map(find).collect()
}

/// The one file in a directory whose name fits.
fn find(directory: &Path, fits: impl Fn(&str) -> bool) -> Result<PathBuf> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&fits) {
            return Ok(entry.path());
        }
    }
    say(&format!("{} lacks a file", directory.display()));
    bail!("a file that was just brought is not in {}", directory.display())
}
