//! What loopbox needs of a Linux kernel.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Finding, State};
use crate::arguments::Globals;

/// The NFS client binds a port below this one, which other programs may not (`IPPROTO` reserved ports).
const RESERVED: u32 = 1024;

pub(super) fn findings(_globals: &Globals) -> Vec<Finding> {
    vec![client(), ports(), user_namespaces(), process_filesystem()]
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
