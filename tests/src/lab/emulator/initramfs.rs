//! The first file system of an emulated machine: the modules by which the host's files can be mounted, and what does so.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use walkdir::WalkDir;

use crate::command::command;
use crate::vm::emulator::{MOUNT_OPTIONS, ROOT_TAG};

/// Modules that are needed before the host's files can be had, and that by which the machine talks to the host.
const MODULES: [&str; 5] = ["virtio_pci", "virtio_blk", "virtio_console", "9pnet_virtio", "9p"];
/// What they may need of others: far fewer.
const MODULES_MAX: usize = 64;
/// Debian's, without libraries (the package busybox-static).
const BUSYBOX: &str = "/bin/busybox";

/// Makes it from a kernel's modules.
pub fn make(modules: &Path, into: &Path) -> Result<()> {
    let read = |name: &str| {
        let list = modules.join(name);
        fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))
    };
    let files = in_order(&read("modules.dep")?, &read("modules.builtin")?, &MODULES)?;
    let tree = tempfile::tempdir().context("cannot make a directory")?;
    let root = tree.path();
    for directory in ["bin", "dev", "modules", "root"] {
        fs::create_dir(root.join(directory))?;
    }
    fs::copy(BUSYBOX, root.join("bin/busybox")).with_context(|| format!("cannot copy {BUSYBOX}"))?;
    fs::write(root.join("init"), init())?;
    fs::set_permissions(root.join("init"), Permissions::from_mode(0o755))?;
    for (number, file) in files.iter().enumerate() {
        // The shell gives them in the order of their names.
        plain(&modules.join(file), &root.join(format!("modules/{number:02}.ko")))?;
    }
    pack(root, into)
}

/// Process 1 until the host's files are there; its words are those of the process 1 that follows.
fn init() -> String {
    format!(
        "#!/bin/busybox sh\n\
         export PATH=/bin\n\
         busybox mount -t devtmpfs dev /dev\n\
         exec < /dev/console > /dev/console 2>&1\n\
         for module in /modules/*; do busybox insmod $module; done\n\
         busybox mount -t 9p -o ro,{MOUNT_OPTIONS},cache=loose {ROOT_TAG} /root &&\n\
         busybox mount --move /dev /root/dev &&\n\
         exec busybox switch_root /root \"$@\"\n\
         echo 'the host has no files for this machine'\n\
         busybox poweroff -f\n"
    )
}

/// The files of these modules and of those that they need, each behind what it needs itself. Nothing for those that are
/// a part of the kernel.
fn in_order(dependencies: &str, builtin: &str, wanted: &[&str]) -> Result<Vec<String>> {
    let table: BTreeMap<&str, Vec<&str>> = dependencies
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(file, needs)| (file, needs.split_whitespace().collect()))
        .collect();
    let mut files: Vec<String> = Vec::new();
    let mut taken = BTreeSet::new();
    for name in wanted {
        let Some((file, needs)) = table.iter().find(|(file, _)| module_name(file) == *name) else {
            ensure!(
                builtin.lines().any(|file| module_name(file) == *name),
                "this kernel has no module {name}"
            );
            continue;
        };
        // What is needed first is named last (modules.dep(5)).
        for file in needs.iter().rev().chain([file]) {
            if taken.insert(*file) {
                files.push((*file).to_owned());
            }
        }
        ensure!(files.len() <= MODULES_MAX, "the modules {wanted:?} need {} others", files.len());
    }
    Ok(files)
}

/// A module's name, by its file: names of files may have dashes, names of modules have underscores.
fn module_name(file: &str) -> String {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.split('.').next().unwrap_or(name).replace('-', "_")
}

/// Copies a module, decompressed: busybox loads no others.
fn plain(from: &Path, to: &Path) -> Result<()> {
    match from.extension().and_then(|extension| extension.to_str()) {
        Some("ko") => fs::copy(from, to).map(drop).with_context(|| format!("cannot copy {}", from.display())),
        Some("xz") => {
            let file = File::create(to).with_context(|| format!("cannot create {}", to.display()))?;
            let mut xz = command("xz", ["--decompress", "--stdout"]);
            let status = xz.arg(from).stdout(file).status().context("cannot start xz")?;
            ensure!(status.success(), "{} cannot be decompressed", from.display());
            Ok(())
        }
        _ => bail!("{} is compressed in a way that is not known here", from.display()),
    }
}

/// Packs a tree as the kernel unpacks it (initramfs, "newc").
fn pack(root: &Path, into: &Path) -> Result<()> {
    let archive = File::create(into).with_context(|| format!("cannot create {}", into.display()))?;
    let mut cpio = command(BUSYBOX, ["cpio", "-o", "-H", "newc"]);
    let mut cpio = cpio
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(archive)
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start busybox")?;
    {
        let mut names = cpio.stdin.take().context("cpio has no input")?;
        for entry in WalkDir::new(root).min_depth(1).sort_by_file_name() {
            writeln!(names, "{}", entry?.path().strip_prefix(root)?.display())?;
        }
    }
    ensure!(cpio.wait()?.success(), "{} cannot be packed", root.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::text;

    const DEPENDENCIES: &str = "\
kernel/fs/netfs/netfs.ko.xz:
kernel/net/9p/9pnet.ko.xz: kernel/fs/netfs/netfs.ko.xz
kernel/fs/9p/9p.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/net/9p/9pnet_virtio.ko.xz: kernel/net/9p/9pnet.ko.xz kernel/fs/netfs/netfs.ko.xz
kernel/drivers/char/virtio-console.ko.xz:
";
    const BUILTIN: &str = "kernel/drivers/virtio/virtio_pci.ko\n";

    #[test]
    fn each_module_comes_behind_what_it_needs_and_once() {
        let files = in_order(DEPENDENCIES, BUILTIN, &["9p", "9pnet_virtio"]).unwrap();
        let names: Vec<String> = files.iter().map(|file| module_name(file)).collect();
        assert_eq!(names, ["netfs", "9pnet", "9p", "9pnet_virtio"]);
    }

    #[test]
    fn a_part_of_the_kernel_needs_no_file_and_dashes_stand_for_underscores() {
        let files = in_order(DEPENDENCIES, BUILTIN, &["virtio_pci", "virtio_console"]).unwrap();
        assert_eq!(files, ["kernel/drivers/char/virtio-console.ko.xz"]);
    }

    #[test]
    fn a_kernel_without_a_module_is_refused() {
        let error = in_order(DEPENDENCIES, BUILTIN, &["virtio_blk"]).unwrap_err();
        assert_eq!(error.to_string(), "this kernel has no module virtio_blk");
    }

    #[test]
    fn an_archive_holds_what_was_in_the_tree() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("modules")).unwrap();
        fs::write(tree.join("init"), init()).unwrap();
        fs::write(tree.join("modules/00.ko"), "module").unwrap();
        let archive = place.path().join("initramfs");
        pack(&tree, &archive).unwrap();
        let mut list = command(BUSYBOX, ["cpio", "-t", "-F"]);
        assert_eq!(text(list.arg(&archive)).unwrap(), "init\nmodules\nmodules/00.ko");
    }
}
