//! Mounts, as far as a process notices them: the table of mounts, and what the files say of their file systems.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::stat::lstat;
use nix::sys::statfs::statfs;
use nix::sys::statvfs::statvfs;
use nix::unistd::{PathconfVar, pathconf};

use crate::report::{Report, answer};
use crate::sys;

/// Places whose file systems are looked at.
const PLACES: [&str; 14] = [
    "/",
    "/bin",
    "/build",
    "/dev",
    "/dev/null",
    "/dev/pts",
    "/dev/shm",
    "/etc",
    "/etc/passwd",
    "/nix",
    "/nix/store",
    "/proc",
    "/tmp",
    "/etc/resolv.conf",
];
/// What is asked of each.
const LIMITS: [(&str, PathconfVar); 4] = [
    ("name", PathconfVar::NAME_MAX),
    ("path", PathconfVar::PATH_MAX),
    ("links", PathconfVar::LINK_MAX),
    ("symlinks", PathconfVar::_POSIX_NO_TRUNC),
];

pub fn look(report: &mut Report, shown: &[PathBuf]) {
    let root = lstat("/").map(|stat| stat.st_dev);
    for place in PLACES.iter().map(Path::new).chain(shown.iter().map(PathBuf::as_path)) {
        let mut put = |what: &str, value: String| {
            report.put("mount", format!("{} {what}", place.display()), value);
        };
        let Ok(system) = statfs(place) else { continue };
        put("type", format!("{:#x}", system.filesystem_type().0));
        put("flags", format!("{:?}", statvfs(place).map(|system| system.flags())));
        put("name", system.maximum_name_length().to_string());
        put("block", system.block_size().to_string());
        put("device of the root", (lstat(place).map(|stat| stat.st_dev) == root).to_string());
        put(
            "birth time",
            answer(sys::has_birth_time(place).map(|has| if has { "known" } else { "unknown" })),
        );
        put("root of a mount", answer(sys::is_mount_root(place).map(|is| if is { "yes" } else { "no" })));
        for (name, variable) in LIMITS {
            put(name, answer(pathconf(place, variable).map(|limit| format!("{limit:?}"))));
        }
    }
    if let Ok(memory) = statvfs("/dev/shm") {
        report.put("mount", "/dev/shm size", (memory.blocks() * memory.fragment_size()).to_string());
        report.put("mount", "/dev/shm files", memory.files().to_string());
    }
    table(report);
}

/// The table as /proc has it, by place.
fn table(report: &mut Report) {
    for line in fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
        let (before, after) = line.split_once(" - ").unwrap_or((line, ""));
        let before: Vec<&str> = before.split_whitespace().collect();
        let after: Vec<&str> = after.split_whitespace().collect();
        let (Some(at), Some(options)) = (before.get(4), before.get(5)) else { continue };
        // Optional fields say how mounts propagate.
        let propagation = before.get(6..).unwrap_or_default().join(" ");
        let kind = after.first().copied().unwrap_or_default();
        report.put("mount", format!("{at} in the table"), format!("{kind} {options} {propagation}"));
    }
}
