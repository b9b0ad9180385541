//! A host to look at, a view of it with every kind of entry, and a server of that view.

use std::fs::{self, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nfs_server::view::{Access, Entry, HostCapabilities, Owner, View, ViewOptions, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, SillyNames, Users};
use nfs3_types::mount::mountres3;
use nfs3_types::nfs3::{
    CREATE3resok, Nfs3Option, createhow3, fattr3, ftype3, nfs_fh3, nfsstat3, nfstime3, sattr3, wcc_data,
};
use nfs3_types::xdr_codec::Opaque;
use tempfile::TempDir;

use super::calls::{mode, owner, size};
use super::client::{Answer, Client, Given, decode};

/// A user of the view who is not root.
pub const BUILDER: u32 = 1000;

/// A served view and the host directories behind it.
///
/// ```text
/// /bin/sh        symbolic link          /package       host/package, read-only
/// /dev/null      device                 /file          host/package/hello, read-only
/// /etc/passwd    inline file            /writable      host/writable, a writable graft
/// /empty         directory, mode 555    /build         host/build, scratch, mode 777
/// /store/package host/package again     /store         host/store, scratch, mode 1775, of root
/// ```
pub struct World {
    pub server: Server,
    pub host: TempDir,
}

impl World {
    pub fn new() -> World {
        World::with(Users::Any)
    }

    pub fn with(users: Users) -> World {
        World::start(users, ViewOptions::default(), SillyNames::default())
    }

    /// One on a host of which this is known.
    #[allow(dead_code, reason = "the tests of faults do not use it")]
    pub fn on(capabilities: HostCapabilities) -> World {
        World::opened(ViewOptions { capabilities, ..ViewOptions::default() })
    }

    /// One whose client is a BSD's.
    #[allow(dead_code, reason = "the tests of faults do not use it")]
    pub fn of_bsd(capabilities: HostCapabilities) -> World {
        let options = ViewOptions { capabilities, ..ViewOptions::default() };
        World::start(Users::Any, options, SillyNames::Bsd)
    }

    /// One whose view is opened with these options.
    #[allow(dead_code, reason = "the tests of faults do not use it")]
    pub fn opened(options: ViewOptions) -> World {
        World::start(Users::Any, options, SillyNames::default())
    }

    /// One whose calls have these faults.
    #[allow(dead_code, reason = "the tests of faults do not use it")]
    pub fn faulty(faults: &[&str]) -> World {
        let faults = faults.iter().map(|text| text.parse().unwrap()).collect();
        let options = ServerOptions { faults, ..ServerOptions::new(Users::Any, Peers::Anyone) };
        World::serve(ViewOptions::default(), options)
    }

    fn start(users: Users, options: ViewOptions, silly_names: SillyNames) -> World {
        World::serve(options, ServerOptions { silly_names, ..ServerOptions::new(users, Peers::Anyone) })
    }

    fn serve(options: ViewOptions, server: ServerOptions) -> World {
        let host = tempfile::Builder::new().prefix("wire").tempdir().unwrap();
        furnish(host.path());
        let view = Arc::new(View::open_with(&spec(host.path()), options).unwrap());
        let server = ServerOptions { times_calls: true, ..server };
        World { server: Server::start(view, server).unwrap(), host }
    }

    /// A path of the host.
    pub fn host(&self, path: &str) -> PathBuf {
        self.host.path().join(path)
    }

    pub fn metadata(&self, path: &str) -> Metadata {
        fs::symlink_metadata(self.host(path)).unwrap()
    }

    /// A connection of root.
    pub fn root(&self) -> Client {
        Client::connect(self.server.addr())
    }

    /// A connection of [`BUILDER`].
    pub fn builder(&self) -> Client {
        let mut client = self.root();
        client.become_user(BUILDER, BUILDER, &[]);
        client
    }

    /// The handle of the view's root, from MNT.
    pub fn mount(&self) -> nfs_fh3 {
        let mut client = self.root();
        let path = Opaque::borrowed(self.server.export().as_bytes());
        let record = client.next_call(nfs3_types::mount::PROGRAM, 3, 1, &path);
        let Answer::Done(result) = client.ask(&record) else { panic!("MNT was not carried out") };
        match decode(&result) {
            mountres3::Ok(done) => nfs_fh3 { data: Opaque::owned(done.fhandle.0.to_vec()) },
            mountres3::Err(status) => panic!("{status}"),
        }
    }

    /// The handle of a path in the view.
    #[track_caller]
    pub fn at(&self, path: &str) -> nfs_fh3 {
        let mut client = self.root();
        let mut handle = self.mount();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            handle = client.lookup(&handle, name.as_bytes()).unwrap_or_else(|_| panic!("{path}")).object;
        }
        handle
    }

    /// Makes a call about a symbolic link again and again while another connection removes it, until it fails. That is because the link is
    /// gone, whenever the other call came in between.
    pub fn assert_stale_once_removed<Done, Failed>(
        &self,
        call: impl Fn(&mut Client, &nfs_fh3) -> Given<Done, Failed>,
    ) {
        const ROUNDS: usize = 500;
        let build = self.at("build");
        let (mut calling, mut removing) = (self.builder(), self.builder());
        for _ in 0..ROUNDS {
            calling.symlink(&build, b"link", b"target").unwrap();
            let link = self.at("build/link");
            std::thread::scope(|scope| {
                scope.spawn(|| removing.remove(&build, b"link").unwrap());
                let status = loop {
                    if let Err((status, _)) = call(&mut calling, &link) {
                        break status;
                    }
                };
                assert_eq!(status, nfsstat3::NFS3ERR_STALE);
            });
        }
    }

    /// Makes a file that the builder owns, and gives its handle. `path` is the same in the view and on the host.
    ///
    /// It is made through the view: what lies in a scratch is changed by nobody else.
    pub fn builders_file(&self, path: &str, contents: &[u8], bits: u32) -> nfs_fh3 {
        let (directory, name) = path.rsplit_once('/').unwrap();
        let directory = self.at(directory);
        let mut root = self.root();
        let file = made(root.create(&directory, name.as_bytes(), unchecked(size(0))).unwrap());
        root.write(&file, 0, contents).unwrap();
        let owner = owner(Some(BUILDER), Some(BUILDER));
        root.setattr(&file, sattr3 { mode: Nfs3Option::Some(bits), ..owner }).unwrap();
        file
    }
}

fn spec(host: &Path) -> ViewSpec {
    let graft = |at: &str, source: &str, access| Entry::Graft {
        at: at.into(),
        source: host.join(source),
        access,
        optional: false,
    };
    let scratch = |at: &str, source: &str, mode| Entry::Scratch {
        at: at.into(),
        source: host.join(source),
        mode,
        owner: Owner { uid: 0, gid: 0 },
    };
    ViewSpec {
        entries: vec![
            Entry::Symlink { at: "/bin/sh".into(), target: "/package/run".into() },
            Entry::Device {
                at: "/dev/null".into(),
                major: 1,
                minor: 3,
                mode: 0o666,
                owner: Owner::default(),
            },
            Entry::Inline { at: "/etc/passwd".into(), contents: "root:x:0:0\n".into(), mode: 0o444 },
            Entry::Directory { at: "/empty".into(), mode: 0o555, owner: Owner::default() },
            Entry::Directory { at: "/owned".into(), mode: 0o750, owner: Owner { uid: 7, gid: 8 } },
            Entry::Device {
                at: "/owned/device".into(),
                major: 1,
                minor: 3,
                mode: 0o660,
                owner: Owner { uid: 7, gid: 8 },
            },
            graft("/package", "package", Access::Ro),
            graft("/file", "package/hello", Access::Ro),
            graft("/writable", "writable", Access::Rw),
            graft("/store/package", "package", Access::Fixed),
            scratch("/build", "build", 0o777),
            scratch("/store", "store", 0o1775),
        ],
    }
}

fn furnish(host: &Path) {
    for directory in ["package", "package/deep", "writable", "build", "store"] {
        fs::create_dir(host.join(directory)).unwrap();
    }
    let files = [
        ("package/hello", 0o644, "hello\n"),
        ("package/run", 0o755, "#!/bin/sh\n"),
        ("package/only-run", 0o711, "secret code\n"),
        ("package/private", 0o600, "root's\n"),
        ("package/suid", 0o6755, ""),
        ("package/deep/down", 0o444, "below\n"),
        ("writable/note", 0o666, "note\n"),
    ];
    for (path, mode, contents) in files {
        fs::write(host.join(path), contents).unwrap();
        fs::set_permissions(host.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    symlink("hello", host.join("package/link")).unwrap();
    symlink("/etc/passwd", host.join("package/absolute")).unwrap();
    // Hidden by the entry of this name.
    fs::create_dir(host.join("store/package")).unwrap();
    fs::write(host.join("store/package/hidden"), "").unwrap();
}

/// Asserts that attributes are what the host says of a file.
#[track_caller]
pub fn assert_is(attributes: &fattr3, host: &Metadata) {
    let kind = match host.mode() & 0o170_000 {
        0o040_000 => ftype3::NF3DIR,
        0o120_000 => ftype3::NF3LNK,
        0o140_000 => ftype3::NF3SOCK,
        0o010_000 => ftype3::NF3FIFO,
        _ => ftype3::NF3REG,
    };
    let time = |seconds: i64, nseconds: i64| nfstime3 { seconds: seconds as u32, nseconds: nseconds as u32 };
    assert_eq!(attributes.type_, kind);
    assert_eq!(attributes.mode, host.mode() & 0o1777);
    // Some file systems count no links to directories; the view always counts two.
    let links = if host.is_dir() { host.nlink().max(2) } else { host.nlink() };
    assert_eq!(u64::from(attributes.nlink), links);
    assert_eq!((attributes.uid, attributes.gid), (host.uid(), host.gid()));
    assert_eq!((attributes.size, attributes.used), (host.size(), host.blocks() * 512));
    assert_eq!(attributes.fileid, host.ino());
    assert_eq!(attributes.atime, time(host.atime(), host.atime_nsec()));
    assert_eq!(attributes.mtime, time(host.mtime(), host.mtime_nsec()));
    assert_eq!(attributes.ctime, time(host.ctime(), host.ctime_nsec()));
}

/// Asserts that a change's record says how things were and how the host has them now.
#[track_caller]
pub fn assert_changed(wcc: &wcc_data, before: &fattr3, host: &Metadata) {
    let Nfs3Option::Some(was) = &wcc.before else { panic!("what was before is missing") };
    assert_eq!((was.size, was.mtime, was.ctime), (before.size, before.mtime, before.ctime));
    let Nfs3Option::Some(after) = &wcc.after else { panic!("what is now is missing") };
    assert_is(after, host);
}

/// The handle in the reply of CREATE.
pub fn made(reply: CREATE3resok) -> nfs_fh3 {
    reply.obj.unwrap()
}

/// How to make a file that must not exist, with this mode.
pub fn guarded(bits: u32) -> createhow3 {
    createhow3::GUARDED(mode(bits))
}

/// How to make or open a file.
pub fn unchecked(set: sattr3) -> createhow3 {
    createhow3::UNCHECKED(set)
}
