//! Sources that somebody else exchanges while they are read, and files that the view's user may not read.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::{Outcome, USER, World, attacks};

/// How often a directory is exchanged for a link, at least, while files in it are read.
const EXCHANGES: u64 = 1_000_000;
/// How many names there are of that kind.
const NAMES: usize = 300;
/// What a file contains that is not shown.
const SECRET: &str = "secret";

attacks! {
    exchanged_directory, "a directory that is exchanged for a link a million times", [OpenedFiles], exchange_directory;
    exchanged_file, "a file that is exchanged for a link a million times", [OpenedFiles], exchange_file;
    file_of_roots, "a file of root's in a directory that is shown", [Modes, ServerUser], read_roots;
}

/// A directory is shown in which many names are exchanged for links all the time, and the files that a pattern names are read:
/// a client looks up a name once, and remembers it.
fn exchange(world: &World, make: fn(&World, usize), pattern: &str) -> Outcome {
    let graft = world.place.directory("graft");
    (0..NAMES).for_each(|number| make(world, number));
    let (over, exchanges) = (AtomicBool::new(false), AtomicU64::new(0));
    let shown = format!("{}:/graft", graft.display());
    let line = format!(
        "while [ ! -e /graft/over ]; do \
         if /bin/busybox grep -qs {SECRET} /graft/{pattern}; then echo found; exit; fi; done; echo nothing"
    );
    let user = USER.to_string();
    let words = ["run", "--uid", &user, "--ro", &shown, "--with", "/bin/busybox"];
    let shell = ["--", "/bin/busybox", "sh", "-c", &line];
    let words = words.iter().chain(&shell);
    let pair = |number: usize| (graft.join(format!("shown{number}")), graft.join(format!("link{number}")));
    let pairs: Vec<_> = (0..NAMES).map(pair).collect();
    let ran = thread::scope(|scope| {
        scope.spawn(|| {
            for (one, other) in pairs.iter().cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                let exchange = RenameFlags::RENAME_EXCHANGE;
                renameat2(AT_FDCWD, one, AT_FDCWD, other, exchange).expect("root exchanges them");
                if exchanges.fetch_add(1, Ordering::Relaxed) == EXCHANGES {
                    fs::write(graft.join("over"), "").expect("it can be written");
                }
            }
        });
        let ran = world.loopbox.run(words);
        over.store(true, Ordering::Relaxed);
        ran
    });
    let told = format!("{}{}, {exchanges:?} exchanges", ran.stdout, ran.stderr);
    match ran.stdout.as_str() {
        "found" => Outcome::Succeeded(told),
        "nothing" if exchanges.into_inner() >= EXCHANGES => Outcome::Held(told),
        _ => Outcome::Failed(told),
    }
}

fn exchange_directory(world: &World) -> Outcome {
    let make = |world: &World, number: usize| {
        for (directory, contents) in
            [(format!("graft/shown{number}"), "shown"), (format!("beside{number}"), SECRET)]
        {
            world.place.directory(&directory);
            world.place.file(format!("{directory}/file"), contents);
        }
        world.place.link(format!("graft/link{number}"), world.place.path(format!("beside{number}")));
    };
    exchange(world, make, "shown*/file")
}

fn exchange_file(world: &World) -> Outcome {
    let make = |world: &World, number: usize| {
        world.place.file(format!("graft/shown{number}"), "shown");
        let secret = world.place.file(format!("beside{number}"), SECRET);
        world.place.link(format!("graft/link{number}"), secret);
    };
    exchange(world, make, "shown*")
}

/// The directory is everybody's, the file root's alone.
fn read_roots(world: &World) -> Outcome {
    let file = world.place.directory("graft").join("file");
    fs::write(&file, SECRET).expect("it can be written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("it is root's");
    chown(&file, Some(0), Some(0)).expect("it is root's");
    let shown = format!("{}:/graft", world.place.path("graft").display());
    let user = USER.to_string();
    let words = [
        "run",
        "--uid",
        &user,
        "--ro",
        &shown,
        "--with",
        "/bin/busybox",
        "--",
        "/bin/busybox",
        "cat",
        "/graft/file",
    ];
    let ran = world.loopbox.run(words);
    Outcome::when(ran.stdout.contains(SECRET), ran.told())
}
