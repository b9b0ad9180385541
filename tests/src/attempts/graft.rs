//! Changing what a read-only graft shows.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::time::UNIX_EPOCH;

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::{mkfifo, truncate};

use super::{Attempt, Gain, Target, errno};

/// Opening for writing fails at once, by ACCESS.
const OPENING: &[Errno] = &[Errno::EACCES];
/// Names and attributes are the procedures' to refuse; the client may ask ACCESS first.
const CHANGING: &[Errno] = &[Errno::EROFS, Errno::EACCES];
/// From one entry of a view to another.
const ACROSS: &[Errno] = &[Errno::EXDEV, Errno::EROFS];

/// The graft holds `file`, `program`, `empty/`, `full/inner` and `link`, all of the one who tries.
pub const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "open for writing",
        run: |target| open(target, OpenOptions::new().write(true)),
        refusals: OPENING,
    },
    Attempt {
        name: "open for both",
        run: |target| open(target, OpenOptions::new().read(true).write(true)),
        refusals: OPENING,
    },
    Attempt {
        name: "open to append",
        run: |target| open(target, OpenOptions::new().append(true)),
        refusals: OPENING,
    },
    Attempt {
        name: "open and truncate",
        run: |target| open(target, OpenOptions::new().write(true).truncate(true)),
        refusals: OPENING,
    },
    Attempt {
        name: "create",
        run: |target| done(fs::File::create_new(target.graft.join("new"))),
        refusals: CHANGING,
    },
    Attempt {
        name: "mkdir",
        run: |target| done(fs::create_dir(target.graft.join("new"))),
        refusals: CHANGING,
    },
    Attempt {
        name: "symlink",
        run: |target| done(symlink("x", target.graft.join("new"))),
        refusals: CHANGING,
    },
    Attempt {
        name: "mkfifo",
        run: |target| mkfifo(&target.graft.join("new"), Mode::S_IRWXU).map(|()| Gain::Host),
        refusals: CHANGING,
    },
    Attempt {
        name: "unlink",
        run: |target| done(fs::remove_file(target.graft.join("file"))),
        refusals: CHANGING,
    },
    Attempt {
        name: "unlink a link",
        run: |target| done(fs::remove_file(target.graft.join("link"))),
        refusals: CHANGING,
    },
    Attempt {
        name: "rmdir",
        run: |target| done(fs::remove_dir(target.graft.join("empty"))),
        refusals: CHANGING,
    },
    Attempt {
        name: "remove the graft",
        run: |target| done(fs::remove_dir(&target.graft)),
        refusals: &[Errno::EROFS, Errno::EACCES, Errno::EBUSY, Errno::ENOTEMPTY],
    },
    Attempt { name: "rename", run: |target| rename(target, "file", "new"), refusals: CHANGING },
    Attempt { name: "rename over", run: |target| rename(target, "program", "file"), refusals: CHANGING },
    Attempt {
        name: "rename a directory",
        run: |target| rename(target, "full", "empty/full"),
        refusals: CHANGING,
    },
    Attempt {
        name: "rename out",
        run: |target| done(fs::rename(target.graft.join("file"), target.scratch.join("taken"))),
        refusals: ACROSS,
    },
    Attempt {
        name: "rename in",
        run: |target| done(fs::rename(own(target)?, target.graft.join("file"))),
        refusals: ACROSS,
    },
    Attempt {
        name: "link",
        run: |target| done(fs::hard_link(target.graft.join("file"), target.graft.join("new"))),
        refusals: CHANGING,
    },
    Attempt {
        name: "link out",
        run: |target| done(fs::hard_link(target.graft.join("file"), target.scratch.join("taken"))),
        refusals: ACROSS,
    },
    Attempt {
        name: "link in",
        run: |target| done(fs::hard_link(own(target)?, target.graft.join("new"))),
        refusals: ACROSS,
    },
    Attempt {
        name: "truncate",
        run: |target| truncate(&target.graft.join("file"), 0).map(|()| Gain::Host),
        refusals: CHANGING,
    },
    Attempt {
        name: "chmod",
        run: |target| done(fs::set_permissions(target.graft.join("file"), Permissions::from_mode(0o777))),
        refusals: CHANGING,
    },
    Attempt {
        name: "fchmod",
        run: |target| {
            let file = errno(fs::File::open(target.graft.join("file")))?;
            done(file.set_permissions(Permissions::from_mode(0o777)))
        },
        refusals: CHANGING,
    },
    Attempt {
        name: "chown",
        run: |target| {
            let own = nix::unistd::getuid().as_raw();
            done(chown(target.graft.join("file"), Some(own), None))
        },
        refusals: CHANGING,
    },
    Attempt {
        name: "utimes",
        run: |target| {
            let file = errno(fs::File::open(target.graft.join("file")))?;
            done(file.set_times(fs::FileTimes::new().set_modified(UNIX_EPOCH)))
        },
        refusals: CHANGING,
    },
];

fn done<T>(result: std::io::Result<T>) -> nix::Result<Gain> {
    errno(result).map(|_| Gain::Host)
}

fn open(target: &Target, options: &OpenOptions) -> nix::Result<Gain> {
    done(options.open(target.graft.join("file")))
}

fn rename(target: &Target, from: &str, to: &str) -> nix::Result<Gain> {
    done(fs::rename(target.graft.join(from), target.graft.join(to)))
}

/// A new file in the scratch.
fn own(target: &Target) -> nix::Result<std::path::PathBuf> {
    let path = target.scratch.join("own");
    errno(fs::write(&path, "own")).map(|()| path)
}
