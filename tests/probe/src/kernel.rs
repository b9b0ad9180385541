//! What the kernel says of itself: names, settings, namespaces, the process information that is there.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use nix::sys::stat::lstat;
use nix::sys::utsname::uname;

use crate::report::{Report, answer, errno, printable};
use crate::sys::{self, Owner};

/// Settings whose values a build may come to depend on.
const SETTINGS: [&str; 14] = [
    "fs/protected_hardlinks",
    "fs/protected_symlinks",
    "kernel/core_pattern",
    "kernel/domainname",
    "kernel/hostname",
    "kernel/msgmax",
    "kernel/ns_last_pid",
    "kernel/overflowuid",
    "kernel/shmmax",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_unprivileged_port_start",
    "net/ipv4/ping_group_range",
    "net/ipv6/conf/lo/disable_ipv6",
    "user/max_user_namespaces",
];
/// Namespaces by the names of their files.
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

pub fn look(report: &mut Report) {
    if let Ok(name) = uname() {
        for (key, value) in [
            ("system", name.sysname()),
            ("node", name.nodename()),
            ("release", name.release()),
            ("version", name.version()),
            ("machine", name.machine()),
            ("domain", name.domainname()),
        ] {
            report.put("kernel", key, value);
        }
    }
    processes(report);
    settings(report, Path::new("/proc/sys"));
    for setting in SETTINGS {
        let value = errno(fs::read_to_string(Path::new("/proc/sys").join(setting)));
        report.put("setting", format!("{setting} is"), answer(value.map(|text| text.trim().to_owned())));
    }
    namespaces(report);
    for table in ["msg", "sem", "shm"] {
        let lines = errno(fs::read_to_string(format!("/proc/sysvipc/{table}")));
        report.put(
            "kernel",
            format!("System V {table}"),
            answer(lines.map(|text| format!("{} lines", text.lines().count()))),
        );
    }
}

/// Which processes can be seen, and what else /proc lists.
fn processes(report: &mut Report) {
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        if process {
            let called = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            report.put("kernel", format!("process {}", printable(&name)), called.trim());
        } else {
            report.put("kernel", format!("/proc/{}", printable(&name)), described(&entry.path()));
        }
    }
}

/// Every setting's name, mode and owner, and whether it could be written.
fn settings(report: &mut Report, directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.strip_prefix("/proc/sys").unwrap_or(&path).display().to_string();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            settings(report, &path);
        } else {
            let open = errno(OpenOptions::new().write(true).open(&path)).map(|_| "open");
            report.put("setting", name, format!("{}, to write: {}", described(&path), answer(open)));
        }
    }
}

fn described(path: &Path) -> String {
    answer(lstat(path).map(|stat| crate::files::describe(&stat)))
}

/// Whose the namespaces are: of this process's own user namespace, or of one that it cannot see.
fn namespaces(report: &mut Report) {
    for name in NAMESPACES {
        let path = PathBuf::from("/proc/self/ns").join(name);
        let owner =
            errno(File::open(&path)).and_then(|file| sys::owner_of_namespace(&file)).map(
                |owner| match owner {
                    Owner::This => "this user namespace",
                    Owner::Other => "another user namespace",
                },
            );
        report.put("namespace", format!("{name} belongs to"), answer(owner));
    }
    let same =
        fs::read_link("/proc/self/ns/pid").ok() == fs::read_link("/proc/self/ns/pid_for_children").ok();
    report.put("namespace", "children are born in the same", same.to_string());
}
