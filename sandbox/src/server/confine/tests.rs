//! A process that is confined tries what it must not be able to do. It is this test program again: nothing that is given up
//! comes back.

use std::fs::{self, File, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use defences::Defence;
use mounter::jail::{Ids, User};
use nfs_server::view::{Access, Entry, Owner, ViewSpec};
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, renameat};
use nix::mount::MsFlags;
use nix::sys::ptrace::Options;
use nix::sys::signal::kill;
use nix::sys::stat::{Mode, fstatat, mkdirat};
use nix::unistd::{Pid, Uid, UnlinkatFlags, symlinkat, unlinkat};
use rustix::thread::set_thread_res_uid;

use super::confine;
use crate::server::Rights;

/// Says where everything is to the process that tries.
const PLACE: &str = "CONFINED_PLACE";
/// Says that it keeps what root has over files.
const KEEPS: &str = "CONFINED_KEEPS";
/// Names the one attempt that it makes.
const ONE: &str = "CONFINED_ONE";
/// Where somebody listens.
const LISTENER: &str = "CONFINED_LISTENER";
/// What it says of an attempt that succeeded.
const SUCCEEDED: &str = "succeeded";
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

/// What comes of something that is tried.
#[derive(Clone, Copy)]
enum Expected {
    Possible,
    /// It is refused, by each of these defences alone.
    RefusedBy(&'static [Defence]),
    /// It is refused, and would be for another reason if it were not.
    Refused,
}

/// What is tried, what has to come of it, and how.
type Attempt = (&'static str, Expected, Box<dyn Fn() -> io::Result<()>>);

fn attempts(place: &Path, root_inside: bool) -> Vec<Attempt> {
    use Defence::{ServerCalls, ServerFiles, ServerUser};
    use Expected::{Possible, Refused, RefusedBy};
    let open =
        |path: PathBuf| -> Box<dyn Fn() -> io::Result<()>> { Box::new(move || File::open(&path).map(drop)) };
    let read = |name: &str| open(place.join(name));
    let write = |name: &str| -> Box<dyn Fn() -> io::Result<()>> {
        let path = place.join(name);
        Box::new(move || File::create(&path).map(drop))
    };
    let at = |name: &str, act: fn(&Path) -> io::Result<()>| -> Box<dyn Fn() -> io::Result<()>> {
        let path = place.join(name);
        Box::new(move || act(&path))
    };
    let rename = |from: &str, to: &str| -> Box<dyn Fn() -> io::Result<()>> {
        let (from, to) = (place.join(from), place.join(to));
        Box::new(move || Ok(renameat(AT_FDCWD, &from, AT_FDCWD, &to)?))
    };
    let all = RefusedBy(&[ServerUser, ServerFiles, ServerCalls]);
    vec![
        ("read what is shown", Possible, read("shown/file")),
        ("list what is shown", Possible, at("shown", |path| fs::read_dir(path).map(drop))),
        ("read a file that is shown", Possible, read("fixed")),
        (
            "read root's file that is shown",
            if root_inside { Possible } else { RefusedBy(&[ServerUser]) },
            read("shown/of-root"),
        ),
        (
            "write to what is shown",
            RefusedBy(&[ServerUser, ServerFiles]),
            at("shown/file", |path| File::options().write(true).open(path).map(drop)),
        ),
        ("create in what is shown", RefusedBy(&[ServerUser, ServerFiles]), write("shown/new")),
        (
            "remove what is shown",
            RefusedBy(&[ServerUser, ServerFiles]),
            at("shown/file", |path| Ok(unlinkat(AT_FDCWD, path, UnlinkatFlags::NoRemoveDir)?)),
        ),
        ("go through a phantom", Possible, at("phantom", go_through)),
        ("list a phantom", RefusedBy(&[ServerFiles]), at("phantom", |path| fs::read_dir(path).map(drop))),
        ("read a file in a phantom", RefusedBy(&[ServerFiles]), read("phantom/file")),
        ("write to what is writable", Possible, write("writable/new")),
        ("write to a scratch", Possible, write("scratch/new")),
        (
            "make a directory in a scratch",
            Possible,
            at("scratch/directory", |path| Ok(mkdirat(AT_FDCWD, path, Mode::S_IRWXU)?)),
        ),
        ("move a file to another directory", Possible, rename("scratch/new", "scratch/directory/new")),
        ("make a link there", Possible, at("scratch/link", |path| Ok(symlinkat("nowhere", AT_FDCWD, path)?))),
        ("move a file out of the view", RefusedBy(&[ServerFiles]), rename("scratch/kept", "beside/moved")),
        ("follow a link out of the view", RefusedBy(&[ServerFiles]), read("scratch-link")),
        ("read what everybody may read", RefusedBy(&[ServerFiles]), read("beside/file")),
        ("write where everybody may write", RefusedBy(&[ServerFiles]), write("beside/new")),
        ("look at other processes", RefusedBy(&[ServerFiles]), open("/proc/1/status".into())),
        ("look at itself", RefusedBy(&[ServerFiles]), open("/proc/self/maps".into())),
        (
            "execute a program",
            RefusedBy(&[ServerFiles, ServerCalls]),
            Box::new(|| Command::new("/bin/true").status().map(drop)),
        ),
        (
            "connect to a port",
            RefusedBy(&[ServerFiles, ServerCalls]),
            Box::new(|| TcpStream::connect(listener()).map(drop)),
        ),
        (
            "listen on a port",
            RefusedBy(&[ServerFiles, ServerCalls]),
            Box::new(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop)),
        ),
        ("make a Unix socket", RefusedBy(&[ServerCalls]), Box::new(|| UnixStream::pair().map(drop))),
        ("trace a process", all, Box::new(|| Ok(nix::sys::ptrace::seize(Pid::parent(), Options::empty())?))),
        ("kill a process", all, Box::new(|| Ok(kill(Pid::parent(), None)?))),
        (
            "mount",
            all,
            at("beside", |path| {
                Ok(nix::mount::mount(None::<&str>, path, Some("tmpfs"), MsFlags::empty(), None::<&str>)?)
            }),
        ),
        (
            "become root",
            RefusedBy(&[ServerUser, ServerCalls]),
            Box::new(|| Ok(set_thread_res_uid(ROOT, ROOT, ROOT)?)),
        ),
        // A process with more than one thread, as the test is, makes none.
        (
            "make a namespace",
            Refused,
            Box::new(|| Ok(nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER)?)),
        ),
        ("start a thread", Possible, Box::new(|| std::thread::Builder::new().spawn(|| ()).map(drop))),
    ]
}

/// Where the process that started this one listens.
fn listener() -> (Ipv4Addr, u16) {
    let port = std::env::var(LISTENER).ok().and_then(|port| port.parse().ok());
    (Ipv4Addr::LOCALHOST, port.expect("it says where it listens"))
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
    let attempts = attempts(&place, root_inside);
    let one = std::env::var(ONE).ok();
    confine(&Rights::of(&User { inside, ..User::new(uid, uid) }), &view(&place)).unwrap();
    if let Some(one) = one {
        let (_, _, act) = attempts.iter().find(|(name, _, _)| *name == one).unwrap();
        println!("{one}: {}", if act().is_ok() { SUCCEEDED } else { "held" });
        return;
    }
    let done =
        attempts.iter().map(|(name, expected, act)| (name, matches!(expected, Expected::Possible), act()));
    let wrong: Vec<_> = done.filter(|(_, possible, done)| done.is_ok() != *possible).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether it can be tried here.
fn can_be_tried() -> bool {
    let can = Uid::effective().is_root() && super::files::can_move_files();
    if !can {
        println!("not tried: it takes root, and a kernel with landlock");
    }
    can
}

/// Everything that the view names, and what is beside it.
fn world(root_inside: bool) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["shown", "writable", "phantom", "scratch", "beside"] {
        fs::create_dir(at(name)).unwrap();
    }
    for name in ["shown/file", "shown/of-root", "phantom/file", "fixed", "beside/file", "scratch/kept"] {
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
    place
}

/// Has a confined process try everything, or one thing without some defences; what it says.
fn confined_process(root_inside: bool, one: Option<(&str, &[Defence])>) -> String {
    let place = world(root_inside);
    let listens = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "server::confine::tests::confined", "--nocapture"]).env(PLACE, place.path());
    command.env(LISTENER, listens.local_addr().unwrap().port().to_string());
    if root_inside {
        command.env(KEEPS, "1");
    }
    if let Some((one, without)) = one {
        let names: Vec<&str> = without.iter().map(|defence| defence.name()).collect();
        command.env(ONE, one).env(defences::VARIABLE, names.join(","));
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{:?} {text}", output.status);
    text.into_owned()
}

#[test]
fn a_user_can_do_nothing_but_serve_the_view() {
    if can_be_tried() {
        confined_process(false, None);
    }
}

#[test]
fn root_that_is_root_inside_keeps_its_power_over_the_views_files_alone() {
    if can_be_tried() {
        confined_process(true, None);
    }
}

/// Without its defences a server that was taken over would succeed; each of them alone is enough.
#[test]
fn what_is_refused_is_refused_by_each_of_its_defences() {
    if !can_be_tried() {
        return;
    }
    let succeeds = |name: &str, without: &[Defence]| {
        confined_process(false, Some((name, without))).contains(&format!("{name}: {SUCCEEDED}"))
    };
    let mut tried = 0;
    for (name, expected, _) in attempts(Path::new("/nowhere"), false) {
        let Expected::RefusedBy(defences) = expected else { continue };
        tried += 1;
        assert!(succeeds(name, defences), "{name} without {defences:?}");
        for defence in defences.iter().filter(|_| defences.len() > 1) {
            let others: Vec<Defence> = defences.iter().copied().filter(|other| other != defence).collect();
            assert!(!succeeds(name, &others), "{name} without {others:?}");
        }
    }
    let told = format!("| a server that was taken over | {tried} |");
    let documentation = include_str!("../../../../docs/security.md");
    assert!(documentation.contains(&told), "docs/security.md should have {told}");
}
