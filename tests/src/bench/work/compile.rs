//! zlib, unpacked and compiled, and SQLite, the demonstration's largest compile, in a root of their own with the demonstration's
//! toolchain: the compiler, its headers and the sources are in the root's store, and the object files go to its `/build`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use walkdir::WalkDir;

use crate::command::{command, quiet};

/// The root in the directory that every server offers.
pub const ROOT: &str = "root";
/// What of it is only read.
pub const TOOLS: &str = "tools";
/// Where it is written.
pub const BUILD: &str = "build";

/// Done in `/build/$1`; every process is started as `make` would start it.
pub const ZLIB: &str = "
cd /build/$1
/tools/busybox tar xjf /tools/zlib.tar.bz2
cd zlib-*
for file in *.c; do
  /tools/zig/zig clang --target=x86_64-linux-musl -nostdinc -isystem /tools/zig/lib/include -isystem /tools/musl/include \\
    -Wno-everything -O1 -DHAVE_UNISTD_H -c $file
done
/tools/zig/zig ar rcs libz.a *.o
test -s libz.a
";

/// The same of one file of nine megabytes, compiled as in the demonstration's graph.
pub const SQLITE: &str = "
mkdir /build/$1/sqlite
cd /build/$1/sqlite
/tools/zig/zig clang --target=x86_64-linux-musl -nostdinc -isystem /tools/zig/lib/include -isystem /tools/musl/include \\
  -Wno-everything -O0 -DSQLITE_THREADSAFE=0 -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_DEFAULT_MMAP_SIZE=0 \\
  -c /tools/sqlite/sqlite3.c -o sqlite3.o
/tools/zig/zig ar rcs libsqlite3.a sqlite3.o
test -s libsqlite3.a
";

/// Puts the root together from what the demonstration brought.
pub fn make(root: &Path, inputs: &Path) -> Result<()> {
    let tools = root.join(TOOLS);
    for directory in [&tools.join("zig/lib"), &root.join(BUILD), &root.join("dev")] {
        fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    }
    fs::copy(inputs.join("busybox/bin/busybox"), tools.join("busybox"))?;
    fs::copy(inputs.join("zig/zig"), tools.join("zig/zig")).context("cannot copy the compiler")?;
    fs::set_permissions(tools.join("zig/zig"), fs::Permissions::from_mode(0o755))?;
    fs::copy(source(inputs)?, tools.join("zlib.tar.bz2"))?;
    for (from, to) in [("zig/lib/include", "zig/lib"), ("musl", "musl"), ("sqlite", "sqlite")] {
        quiet(command("cp", ["-r"]).arg(inputs.join(from)).arg(tools.join(to)))?;
    }
    Ok(())
}

/// Compiles by a script, which leaves a library.
pub fn run(root: &Path, script: &str, directory: &str) -> Result<()> {
    let dev = root.join("dev");
    mount(Some("/dev"), &dev, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .context("cannot show /dev in the root")?;
    let place = root.join(BUILD).join(directory);
    let compiled = in_root(root, &["sh", "-e", "-c", script, "sh", directory]);
    umount2(&dev, MntFlags::MNT_DETACH).context("cannot take /dev away again")?;
    compiled?;
    if !WalkDir::new(&place)
        .into_iter()
        .flatten()
        .any(|entry| entry.path().extension().is_some_and(|end| end == "a"))
    {
        bail!("the compiler left no library");
    }
    Ok(())
}

/// Removes what `run` left.
pub fn clear(root: &Path, directory: &str) -> Result<()> {
    let place = root.join(BUILD).join(directory);
    for entry in fs::read_dir(&place).with_context(|| format!("cannot list {}", place.display()))? {
        fs::remove_dir_all(entry?.path()).context("cannot remove what was compiled")?;
    }
    Ok(())
}

fn in_root(root: &Path, words: &[&str]) -> Result<()> {
    let mut chroot = command("/usr/sbin/chroot", [root]);
    quiet(chroot.arg("/tools/busybox").args(words).env_clear().env("PATH", "/tools"))
}

fn source(inputs: &Path) -> Result<PathBuf> {
    let sources = inputs.join("sources");
    for entry in fs::read_dir(&sources).with_context(|| format!("cannot list {}", sources.display()))? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("zlib_") && name.ends_with(".tar.bz2") {
            return Ok(path);
        }
    }
    bail!("the demonstration's sources have no zlib")
}
