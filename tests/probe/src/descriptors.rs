//! Open files and the terminal.

use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::stat::fstat;
use nix::sys::termios::{Termios, tcgetattr};

use crate::files::describe;
use crate::report::{Report, answer, errno};
use crate::sys;

pub fn look(report: &mut Report) {
    // Read whole before anything is looked at: reading opens one more, which is gone by then.
    let listed = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> = listed.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers {
        let Some(fd) = sys::borrowed(number) else { continue };
        one(report, number, fd);
    }
    let same = answer(sys::same_file(1, 2).map(|same| if same { "the same" } else { "different" }));
    report.put("descriptor", "1 and 2 are open as", same);
    let terminal = errno(fs::File::options().read(true).write(true).open("/dev/tty")).map(|_| "opened");
    report.put("descriptor", "controlling terminal", answer(terminal));
}

fn one(report: &mut Report, number: i32, fd: BorrowedFd<'_>) {
    let mut put = |what: &str, value: String| report.put("descriptor", format!("{number} {what}"), value);
    let link = fs::read_link(format!("/proc/self/fd/{number}")).unwrap_or_default().display().to_string();
    put("is", if link.starts_with("/dev/pts/") { "/dev/pts/N".into() } else { link });
    put("file", answer(fstat(fd).map(|stat| describe(&stat))));
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
    for line in info.lines().filter(|line| line.starts_with("flags:")) {
        put("flags", line.split_whitespace().last().unwrap_or_default().into());
    }
    // Whether the name leads to the same file, or is of another tree.
    put("opened again", answer(errno(fs::File::open(format!("/proc/self/fd/{number}"))).map(|_| "opened")));
    match tcgetattr(fd) {
        Ok(terminal) => put("terminal", modes(&terminal)),
        Err(errno) => put("terminal", format!("{errno:?}")),
    }
    put("name", answer(nix::unistd::ttyname(fd).map(|_| "named")));
    put("window", sys::window(fd.as_fd().as_raw_fd()));
    put("foreground", answer(nix::unistd::tcgetpgrp(fd).map(|group| group.to_string())));
}

fn modes(terminal: &Termios) -> String {
    let characters: String = terminal.control_chars.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "input {:o} output {:o} control {:o} local {:o} characters {characters}",
        terminal.input_flags.bits(),
        terminal.output_flags.bits(),
        terminal.control_flags.bits(),
        terminal.local_flags.bits(),
    )
}
