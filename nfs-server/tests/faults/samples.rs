//! A valid call of every procedure of NFS and MOUNT, to be spoiled.

use nfs3_types::nfs3::*;
use nfs3_types::xdr_codec::{Opaque, Void};

use crate::calls::{at, mode, size};
use crate::client::encode;
use crate::world::World;

/// A program, a version, a procedure and its arguments.
pub struct Sample {
    pub program: u32,
    pub version: u32,
    pub procedure: u32,
    pub arguments: Vec<u8>,
}

/// One call of each procedure; each would be carried out in a new [`World`].
pub fn samples(world: &World) -> Vec<Sample> {
    let mut all: Vec<Sample> = nfs(world)
        .into_iter()
        .zip(0..)
        .map(|(arguments, procedure)| Sample { program: PROGRAM, version: VERSION, procedure, arguments })
        .collect();
    assert_eq!(all.len(), 22);
    let path = encode(&Opaque::borrowed(world.server.export().as_bytes()));
    for (procedure, arguments) in
        [(0, vec![]), (1, path.clone()), (2, vec![]), (3, path), (4, vec![]), (5, vec![])]
    {
        all.push(Sample { program: nfs3_types::mount::PROGRAM, version: 3, procedure, arguments });
    }
    all
}

/// The arguments of the 22 procedures, in their order.
fn nfs(world: &World) -> Vec<Vec<u8>> {
    let build = world.at("build");
    let file = world.builders_file("build/file", b"contents", 0o666);
    let note = world.builders_file("build/note", b"", 0o666);
    world.root().mkdir(&build, b"dir", mode(0o777)).unwrap();
    let guard = Nfs3Option::Some(world.root().getattr(&note).unwrap().ctime);
    let verifier = createverf3([9; 8]);
    let listing = READDIR3args { dir: build.clone(), cookie: 0, cookieverf: Default::default(), count: 4096 };
    let listing_plus = READDIRPLUS3args {
        dir: build.clone(),
        cookie: 0,
        cookieverf: Default::default(),
        dircount: 4096,
        maxcount: 4096,
    };
    let data = Opaque::borrowed(b"seven b");
    let write = WRITE3args { file: file.clone(), offset: 0, count: 7, stable: stable_how::UNSTABLE, data };
    let link = symlinkdata3 { symlink_attributes: mode(0o777), symlink_data: (&b"target"[..]).into() };
    vec![
        encode(&Void),
        encode(&GETATTR3args { object: file.clone() }),
        encode(&SETATTR3args { object: note.clone(), new_attributes: size(3), guard }),
        encode(&LOOKUP3args { what: at(&build, b"file") }),
        encode(&ACCESS3args { object: file.clone(), access: 0x3f }),
        encode(&READLINK3args { symlink: world.at("bin/sh") }),
        encode(&READ3args { file: file.clone(), offset: 0, count: 100 }),
        encode(&write),
        encode(&CREATE3args { where_: at(&build, b"exclusive"), how: createhow3::EXCLUSIVE(verifier) }),
        encode(&MKDIR3args { where_: at(&build, b"new-dir"), attributes: mode(0o755) }),
        encode(&SYMLINK3args { where_: at(&build, b"link"), symlink: link }),
        encode(&MKNOD3args { where_: at(&build, b"pipe"), what: mknoddata3::NF3FIFO(mode(0o600)) }),
        encode(&REMOVE3args { object: at(&build, b"file") }),
        encode(&RMDIR3args { object: at(&build, b"dir") }),
        encode(&RENAME3args { from: at(&build, b"note"), to: at(&build, b"renamed") }),
        encode(&LINK3args { file: note, link: at(&build, b"linked") }),
        encode(&listing),
        encode(&listing_plus),
        encode(&FSSTAT3args { fsroot: build.clone() }),
        encode(&FSINFO3args { fsroot: build.clone() }),
        encode(&PATHCONF3args { object: build }),
        encode(&COMMIT3args { file, offset: 0, count: 0 }),
    ]
}
