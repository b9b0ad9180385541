//! The process itself: environment, ids, limits, scheduling, and what /proc says of it.

use std::fs;
use std::path::Path;

use nix::sys::personality;
use nix::unistd::{
    getegid, geteuid, getgid, getgroups, getpgrp, getpid, getppid, getresgid, getresuid, getsid, getuid,
};

use crate::report::{Report, answer, errno};
use crate::sys;

/// Lines of /proc/self/status that differ from run to run, by how their names start.
const VOLATILE: [&str; 11] = [
    "Vm",
    "Rss",
    "Hugetlb",
    "voluntary",
    "nonvoluntary",
    "FDSize",
    "SigQ",
    "Speculation",
    "State",
    "x86",
    "untag",
];
/// Files of /proc/self that are short and say something that is set.
const FILES: [&str; 17] = [
    "attr/current",
    "autogroup",
    "cgroup",
    "comm",
    "coredump_filter",
    "cpuset",
    "gid_map",
    "loginuid",
    "oom_adj",
    "oom_score_adj",
    "personality",
    "projid_map",
    "sessionid",
    "setgroups",
    "timens_offsets",
    "timerslack_ns",
    "uid_map",
];

pub fn look(report: &mut Report) {
    for (name, value) in std::env::vars_os() {
        report.put("env", name, value);
    }
    for (number, word) in std::env::args_os().enumerate() {
        report.put("process", format!("argument {number}"), word);
    }
    ids(report);
    status(report);
    limits(report);
    for file in FILES {
        let text = errno(fs::read_to_string(Path::new("/proc/self").join(file)));
        report.put("proc", file, answer(text.map(|text| words(&text))));
    }
    let link = |name: &str| fs::read_link(Path::new("/proc/self").join(name)).unwrap_or_default();
    for name in ["cwd", "root", "exe"] {
        report.put("proc", name, link(name));
    }
    report.put("process", "personality", answer(personality::get().map(|now| format!("{:#x}", now.bits()))));
    for (key, value) in sys::scheduling() {
        report.put("process", key, value);
    }
    for (key, value) in sys::auxiliary() {
        report.put("process", format!("auxiliary {key}"), value);
    }
    report.put("process", "signal stack", sys::signal_stack());
    report.put("process", "time zone", sys::time_zone());
}

fn ids(report: &mut Report) {
    let (user, group) = (getresuid(), getresgid());
    let all = |real: String, effective: String, saved: String| format!("{real} {effective} {saved}");
    report.put("id", "user", format!("{} {}", getuid(), geteuid()));
    report.put("id", "group", format!("{} {}", getgid(), getegid()));
    let users = user.map(|ids| all(ids.real.to_string(), ids.effective.to_string(), ids.saved.to_string()));
    let groups = group.map(|ids| all(ids.real.to_string(), ids.effective.to_string(), ids.saved.to_string()));
    report.put("id", "all users", answer(users));
    report.put("id", "all groups", answer(groups));
    let further = getgroups().map(|list| list.iter().map(|group| format!("{group} ")).collect::<String>());
    report.put("id", "further groups", answer(further));
    report.put("id", "process", getpid().to_string());
    report.put("id", "parent", getppid().to_string());
    report.put("id", "process group", getpgrp().to_string());
    report.put("id", "session", answer(getsid(None).map(|session| session.to_string())));
}

fn status(report: &mut Report) {
    for line in fs::read_to_string("/proc/self/status").unwrap_or_default().lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name == "SigIgn" {
            report.put("status", name, ignored(value));
        } else if !VOLATILE.iter().any(|start| name.starts_with(start)) {
            report.put("status", name, words(value));
        }
    }
}

/// Signals that are ignored, but for two of the C library's own: whoever starts programs by posix_spawn(3) leaves them
/// ignored.
fn ignored(mask: &str) -> String {
    const OWN: u64 = 0b11 << 31;
    u64::from_str_radix(mask.trim(), 16).map_or_else(|_| mask.into(), |mask| format!("{:x}", mask & !OWN))
}

fn limits(report: &mut Report) {
    /// The column that the values start at, in the kernel's table.
    const COLUMN: usize = 26;
    for line in fs::read_to_string("/proc/self/limits").unwrap_or_default().lines().skip(1) {
        let (name, values) = line.split_at_checked(COLUMN).unwrap_or((line, ""));
        report.put("limit", name.trim(), words(values));
    }
}

/// A text with one space between its words.
pub fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
