//! A process that is confined tries what it must not be able to do. It is this test program again: nothing that is given up
//! comes back.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use mounter::jail::{Ids, User};
use nfs_server::view::{Access, Entry, Owner, ViewSpec};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, renameat};
use nix::mount::MsFlags;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{Pid, Uid, UnlinkatFlags, symlinkat, unlinkat};
use rustix::thread::set_thread_res_uid;

use super::confine;
use crate::server::Rights;

/// Says where everything is to the process that tries.
const PLACE: &str = "CONFINED_PLACE";
/// Says that it keeps what root has over files.
const KEEPS: &str = "CONFINED_KEEPS";
const USER: u32 = 30_111;
const ROOT: rustix::process::Uid = rustix::process::Uid::ROOT;

fn view(place: &Path) -> ViewSpec {
    let graft = |name: &str, access| Entry::Graft {
        at: Path::new("/").join(name),
        source: place.join(name),
        access,
        optional: false,
    };
    let owner = Owner { uid: USER, gid: USER };
    ViewSpec {
        entries: vec![
            graft("shown", Access::Ro),
            graft("fixed", Access::Fixed),
            graft("link", Access::Fixed),
            graft("writable", Access::Rw),
            graft("phantom", Access::Phantom),
            Entry::Scratch { at: "/build".into(), source: place.join("scratch"), mode: 0o700, owner },
        ],
    }
}

/// What is tried, and whether it has to be possible.
fn attempts(place: &Path, root_inside: bool) -> Vec<(&'static str, bool, io::Result<()>)> {
    let at = |name: &str| place.join(name);
    let read = |name: &str| File::open(at(name)).map(drop);
    let write = |name: &str| File::create(at(name)).map(drop);
    let open = |path: &str| File::open(path).map(drop);
    let done = |done: nix::Result<()>| done.map_err(io::Error::from);
    let rename = |from: &str, to: &str| done(renameat(AT_FDCWD, &at(from), AT_FDCWD, &at(to)));
    vec![
        ("read what is shown", true, read("shown/file")),
        ("list what is shown", true, fs::read_dir(at("shown")).map(drop)),
        ("read a file that is shown", true, read("fixed")),
        ("read root's file that is shown", root_inside, read("shown/of-root")),
        ("write to what is shown", false, File::options().write(true).open(at("shown/file")).map(drop)),
        ("create in what is shown", false, write("shown/new")),
        (
            "remove what is shown",
            false,
            done(unlinkat(AT_FDCWD, &at("shown/file"), UnlinkatFlags::NoRemoveDir)),
        ),
        ("go through a phantom", true, go_through(&at("phantom"))),
        ("list a phantom", false, fs::read_dir(at("phantom")).map(drop)),
        ("read a file in a phantom", false, read("phantom/file")),
        ("write to what is writable", true, write("writable/new")),
        ("write to a scratch", true, write("scratch/new")),
        (
            "make a directory in a scratch",
            true,
            done(mkdirat(AT_FDCWD, &at("scratch/directory"), Mode::S_IRWXU)),
        ),
        ("move a file to another directory", true, rename("scratch/new", "scratch/directory/new")),
        ("make a link there", true, done(symlinkat("nowhere", AT_FDCWD, &at("scratch/link")))),
        ("move a file out of the view", false, rename("scratch/directory/new", "beside/new")),
        ("follow a link out of the view", false, read("scratch-link")),
        ("read what everybody may read", false, read("beside/file")),
        ("write where everybody may write", false, write("beside/new")),
        ("look at other processes", false, open("/proc/1/status")),
        ("look at itself", false, open("/proc/self/maps")),
        ("execute a program", false, Command::new("/bin/true").status().map(drop)),
        ("connect to a port", false, TcpStream::connect((Ipv4Addr::LOCALHOST, 1)).map(drop)),
        ("listen on a port", false, TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop)),
        ("make a Unix socket", false, UnixStream::pair().map(drop)),
        ("trace a process", false, done(nix::sys::ptrace::attach(Pid::parent()))),
        ("kill a process", false, done(kill(Pid::parent(), Signal::SIGCONT))),
        (
            "mount",
            false,
            done(nix::mount::mount(
                None::<&str>,
                &at("beside"),
                Some("tmpfs"),
                MsFlags::empty(),
                None::<&str>,
            )),
        ),
        ("become root", false, set_thread_res_uid(ROOT, ROOT, ROOT).map_err(io::Error::from)),
        ("make a namespace", false, done(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER))),
        ("start a thread", true, std::thread::Builder::new().spawn(|| ()).map(drop)),
    ]
}

/// As a view does: it reaches a name in the directory, and looks at what is there.
fn go_through(directory: &Path) -> io::Result<()> {
    let directory = nix::fcntl::open(directory, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?;
    fstatat(&directory, "file", AtFlags::AT_SYMLINK_NOFOLLOW).map(drop).map_err(io::Error::from)
}

/// Not a test of its own: the process of the tests below.
#[test]
fn confined() {
    let Some(place) = std::env::var_os(PLACE).map(PathBuf::from) else { return };
    let root_inside = std::env::var_os(KEEPS).is_some();
    let inside = root_inside.then_some(Ids { uid: 0, gid: 0 });
    let uid = if root_inside { 0 } else { USER };
    confine(&Rights::of(&User { inside, ..User::new(uid, uid) }), &view(&place)).unwrap();
    let attempts = attempts(&place, root_inside);
    let wrong: Vec<_> = attempts.iter().filter(|(_, possible, done)| done.is_ok() != *possible).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn assert_confined(root_inside: bool) {
    let landlock = super::files::can_move_files();
    if !Uid::effective().is_root() || !landlock {
        println!("not tried: it takes root, and a kernel with landlock");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["shown", "writable", "phantom", "scratch", "beside"] {
        fs::create_dir(at(name)).unwrap();
    }
    for name in ["shown/file", "shown/of-root", "phantom/file", "fixed", "beside/file"] {
        fs::write(at(name), "contents").unwrap();
    }
    fs::set_permissions(at("shown/of-root"), Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(at("beside"), Permissions::from_mode(0o777)).unwrap();
    symlink("fixed", at("link")).unwrap();
    symlink("beside/file", at("scratch-link")).unwrap();
    if !root_inside {
        for name in ["writable", "scratch"] {
            chown(at(name), Some(USER), Some(USER)).unwrap();
        }
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "server::confine::tests::confined", "--nocapture"]).env(PLACE, place.path());
    if root_inside {
        command.env(KEEPS, "1");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{:?} {text}", output.status);
}

#[test]
fn a_user_can_do_nothing_but_serve_the_view() {
    assert_confined(false);
}

#[test]
fn root_that_is_root_inside_keeps_its_power_over_the_views_files_alone() {
    assert_confined(true);
}
