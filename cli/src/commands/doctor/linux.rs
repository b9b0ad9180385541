//! What loopbox needs of a Linux kernel.

use std::fs;
use std::path::{Path, PathBuf};

use builder::store::{Store, is_read_only};

use super::{Finding, State};
use crate::globals::Globals;

/// The NFS client binds a port below this one, which other programs may not (`IPPROTO` reserved ports).
const RESERVED: u32 = 1024;

pub(super) fn findings(_globals: &Globals) -> Vec<Finding> {
    let mut findings = vec![
        client(),
        ports(),
        user_namespaces(),
        process_filesystem(),
        abstract_sockets(),
        files_of_the_server(),
    ];
    findings.extend(store(Store::from_environment().directory()));
    findings
}

/// Whether mount(2) would find file system type `nfs` and its version 3.
fn client() -> Finding {
    const SUBJECT: &str = "NFS client";
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let modules = Path::new("/lib/modules").join(release.trim());
    let has = |list: &str| {
        fs::read_to_string(modules.join(list))
            .is_ok_and(|text| text.lines().any(|line| line.contains("/nfsv3.ko")))
    };
    let loaded = Path::new("/sys/module/nfsv3").exists();
    if loaded || has("modules.builtin") {
        return Finding::good(SUBJECT, "the kernel has it");
    }
    if has("modules.dep") {
        let loader = fs::read_to_string("/proc/sys/kernel/modprobe").unwrap_or_default();
        return if PathBuf::from(loader.trim()).exists() {
            Finding::good(SUBJECT, "the kernel loads it as a module when it is needed")
        } else {
            Finding::other(
                SUBJECT,
                State::Bad,
                "the kernel has it as a module and no program to load modules with",
                "install kmod (apt-get install kmod), then modprobe nfsv3",
            )
        };
    }
    if known.split_whitespace().any(|word| word == "nfs") {
        // Built in, from before kernels listed what they have built in.
        return Finding::good(SUBJECT, "the kernel has it");
    }
    Finding::other(
        SUBJECT,
        State::Bad,
        format!(
            "kernel {} has neither file system type 'nfs' nor a module nfsv3 below {}",
            release.trim(),
            modules.display()
        ),
        "use a kernel with CONFIG_NFS_V3, as all distributions' own have; a small virtual machine will do",
    )
}

/// The server tells the kernel from other programs by the port that a connection comes from.
fn ports() -> Finding {
    const SUBJECT: &str = "ports";
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first: u32 = first.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(RESERVED);
    if first >= RESERVED {
        return Finding::good(SUBJECT, format!("only root may use those below {first}"));
    }
    Finding::other(
        SUBJECT,
        State::Bad,
        format!("every program may use those from {first} on, so that none tells the kernel from a program"),
        format!("sysctl net.ipv4.ip_unprivileged_port_start={RESERVED}"),
    )
}

fn user_namespaces() -> Finding {
    const SUBJECT: &str = "user namespaces";
    let limit = fs::read_to_string("/proc/sys/user/max_user_namespaces");
    match limit.ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(1..) => Finding::good(SUBJECT, "the kernel has them"),
        Some(0) => Finding::other(
            SUBJECT,
            State::Bad,
            "the kernel has them switched off",
            "sysctl user.max_user_namespaces=15000",
        ),
        None => Finding::other(
            SUBJECT,
            State::Bad,
            "the kernel has none",
            "use a kernel with CONFIG_USER_NS, as all distributions' own have",
        ),
    }
}

fn process_filesystem() -> Finding {
    if Path::new("/proc/self/ns/pid").exists() && Path::new("/proc/self/mountinfo").exists() {
        return Finding::good("process file system", "it is mounted at /proc");
    }
    Finding::other("process file system", State::Bad, "it is not mounted", "mount -t proc proc /proc")
}

/// Builds that use the machine's network reach these by name, with no file in between.
fn abstract_sockets() -> Finding {
    const SUBJECT: &str = "abstract sockets";
    if sandbox::jail::can_scope_abstract_sockets() {
        return Finding::good(SUBJECT, "the kernel keeps builds from those of others");
    }
    Finding::other(
        SUBJECT,
        State::Missing,
        "the kernel cannot keep builds that use the machine's network from those of others",
        "use Linux 6.12 or later with landlock among its security modules (CONFIG_LSM, lsm=)",
    )
}

/// What serves a view can be kept from all other files.
fn files_of_the_server() -> Finding {
    const SUBJECT: &str = "files of the server";
    if sandbox::can_restrict_files() {
        return Finding::good(
            SUBJECT,
            "the kernel keeps what serves a view from all files but those of the view",
        );
    }
    Finding::other(
        SUBJECT,
        State::Missing,
        "the kernel keeps what serves a view from the files that its user may not open, and not from others",
        "use Linux 5.19 or later with landlock among its security modules (CONFIG_LSM, lsm=)",
    )
}

/// Nothing is said of a store that is not there.
fn store(directory: &Path) -> Option<Finding> {
    const SUBJECT: &str = "Nix store";
    let seen = match is_read_only(directory).ok()? {
        false => format!("{} is writable", directory.display()),
        true => format!("{} is mounted read-only; loopbox makes it writable for itself", directory.display()),
    };
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if is_read_only_file_system(&table, directory) {
        let seen = format!("the file system of {} is read-only", directory.display());
        let advice = "mount it writable: nothing can be built otherwise; 'loopbox run' needs no store";
        return Some(Finding::other(SUBJECT, State::Missing, seen, advice));
    }
    Some(Finding::good(SUBJECT, seen))
}

/// Whether not only the mount is read-only but the file system itself, as the last field of the table says
/// (proc_pid_mountinfo(5)). A path with characters that the table escapes is not found in it.
fn is_read_only_file_system(table: &str, directory: &Path) -> bool {
    let mount = |line: &str| {
        let at = PathBuf::from(line.split(' ').nth(4)?);
        let options = line.rsplit(' ').next()?;
        let read_only = options.split(',').any(|option| option == "ro");
        directory.starts_with(&at).then_some((at.components().count(), read_only))
    };
    // Of several mounts at one place the last is the one that is seen.
    table.lines().filter_map(mount).max_by_key(|(depth, _)| *depth).is_some_and(|(_, read_only)| read_only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_only_mount_is_told_from_a_read_only_file_system() {
        let table = "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
            2 1 8:1 /nix/store /nix/store ro shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n\
            3 1 8:2 / /mnt/nix ro - erofs /dev/sdb ro\n";
        assert!(!is_read_only_file_system(table, Path::new("/nix/store")));
        assert!(is_read_only_file_system(table, Path::new("/mnt/nix/store")));
    }
}
