//! The benchmarks' tools: the servers on a view answer, and what a proxy recorded can be played to another server.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use nfs_server::view::{Access, Entry, Owner, View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};
use nfs3_types::nfs3::{
    CREATE3args, CREATE3res, NFS_PROGRAM, Nfs3Result, READ3args, READ3res, WRITE3args, createhow3,
    diropargs3, filename3, nfs_fh3, sattr3, stable_how,
};
use nfs3_types::xdr_codec::Opaque;
use tests::bench::replay::play::Player;
use tests::bench::replay::proxy::Proxy;
use tests::bench::servers::{Address, nfs3_server, nfsserve};
use tests::bench::wire::calls::{lookup, nfs};
use tests::bench::wire::client::{Client, decode};

const TEXT: &[u8] = b"as it was written";

/// A view of a directory: `shown` with a file in it, and `scratch`.
fn view(directory: &Path) -> Arc<View> {
    fs::create_dir_all(directory.join("shown")).expect("a directory can be made");
    fs::create_dir_all(directory.join("scratch")).expect("a directory can be made");
    fs::write(directory.join("shown/file"), TEXT).expect("a file can be written");
    let shown = Entry::Graft {
        at: "/shown".into(),
        source: directory.join("shown"),
        access: Access::Fixed,
        optional: false,
    };
    let scratch = Entry::Scratch {
        at: "/scratch".into(),
        source: directory.join("scratch"),
        mode: 0o755,
        owner: Owner { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() },
    };
    Arc::new(View::open(&ViewSpec { entries: vec![shown, scratch] }, None).expect("the view is good"))
}

fn loopbox(directory: &Path) -> (Server, Address) {
    let options = ServerOptions::new(Users::Any, Peers::Anyone);
    let server = Server::start(view(directory), options).expect("a server can be started");
    let port = server.addr().port();
    let address = Address { nfs: port, mount: port, export: server.export().to_owned() };
    (server, address)
}

/// Reads the file that is shown and writes one to the scratch.
fn work(address: &Address) -> Result<()> {
    let mut client = Client::connect(address)?;
    let root = client.root.clone();
    let shown = lookup(&mut client, &root, "shown")?;
    let file = lookup(&mut client, &shown, "file")?;
    let read = nfs(NFS_PROGRAM::NFSPROC3_READ, &READ3args { file, offset: 0, count: 100 })?;
    match decode::<READ3res<'_>>(&client.connection.ask(&read)?)? {
        Nfs3Result::Ok(read) => assert_eq!((read.data.as_ref(), read.eof), (TEXT, true)),
        Nfs3Result::Err((status, _)) => panic!("the file cannot be read: {status}"),
    }
    let scratch = lookup(&mut client, &root, "scratch")?;
    let file = create(&mut client, &scratch, "new")?;
    let data = Opaque::borrowed(TEXT);
    let count = u32::try_from(TEXT.len())?;
    let write = WRITE3args { file, offset: 0, count, stable: stable_how::FILE_SYNC, data };
    let reply = client.connection.ask(&nfs(NFS_PROGRAM::NFSPROC3_WRITE, &write)?)?;
    assert_eq!(decode::<u32>(&reply)?, 0);
    Ok(())
}

fn create(client: &mut Client, directory: &nfs_fh3, name: &str) -> Result<nfs_fh3> {
    let where_ = diropargs3 { dir: directory.clone(), name: filename3::from(name.as_bytes()) };
    let create = CREATE3args { where_, how: createhow3::UNCHECKED(sattr3::default()) };
    match decode::<CREATE3res>(&client.connection.ask(&nfs(NFS_PROGRAM::NFSPROC3_CREATE, &create)?)?)? {
        Nfs3Result::Ok(made) => Ok(made.obj.unwrap()),
        Nfs3Result::Err((status, _)) => panic!("a file cannot be made: {status}"),
    }
}

#[test]
fn nfs3_server_serves_a_view() {
    let directory = tempfile::tempdir().unwrap();
    nfs3_server::serve(view(directory.path()), work).unwrap();
    assert_eq!(fs::read(directory.path().join("scratch/new")).unwrap(), TEXT);
}

#[test]
fn nfsserve_serves_a_view() {
    let directory = tempfile::tempdir().unwrap();
    nfsserve::serve(view(directory.path()), work).unwrap();
    assert_eq!(fs::read(directory.path().join("scratch/new")).unwrap(), TEXT);
}

#[test]
fn recorded_calls_can_be_played_to_another_server() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_recorded, address) = loopbox(first.path());
    let proxy = Proxy::start(&address).unwrap();
    work(&proxy.address).unwrap();
    let trace = proxy.take();
    let procedures: Vec<u32> = trace.calls.iter().map(|call| call.procedure).collect();
    // LOOKUP, LOOKUP, READ, LOOKUP, CREATE, WRITE.
    assert_eq!(procedures, [3, 3, 6, 3, 8, 7]);
    assert_eq!(trace.path(trace.calls[2].object), "/shown/file");

    let (_played, address) = loopbox(second.path());
    Player::connect(&address).unwrap().play(&trace).unwrap();
    // The data itself is not recorded.
    assert_eq!(fs::read(second.path().join("scratch/new")).unwrap(), vec![0; TEXT.len()]);
}

#[test]
fn a_call_that_ends_otherwise_than_it_did_is_noticed() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_recorded, address) = loopbox(first.path());
    let proxy = Proxy::start(&address).unwrap();
    work(&proxy.address).unwrap();
    let trace = proxy.take();

    let (_played, address) = loopbox(second.path());
    fs::remove_file(second.path().join("shown/file")).unwrap();
    let error = Player::connect(&address).unwrap().play(&trace).unwrap_err();
    assert_eq!(error.to_string(), "NFSPROC3_LOOKUP on /shown ends with status 2 and not 0");
}
