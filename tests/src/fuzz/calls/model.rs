//! The tree that the calls work on, in memory: what POSIX and RFC 1813 say that it is after each of them.

mod change;
mod look;
mod permission;
mod take;

use std::collections::{BTreeMap, HashMap, HashSet};

use nfs3_types::nfs3::{fattr3, ftype3, nfsstat3};

use super::call::{Call, Handle, User};
use super::reply::{Body, Outcome, Reply};

/// The root of the view.
const ROOT: usize = 0;

/// Everything that there is and was in a view since the model was made.
pub struct Model {
    nodes: Vec<Node>,
    handles: HashMap<Handle, usize>,
}

/// A file of any type.
struct Node {
    contents: Contents,
    mode: u32,
    uid: u32,
    gid: u32,
    /// Names that lead to it; of a directory 1.
    links: u32,
    part: Part,
    handle: Option<Handle>,
    /// Of a file that was made by CREATE with EXCLUSIVE.
    verifier: Option<[u8; 8]>,
    /// Its inode number on the host, if it was there when the model was made.
    number: Option<u64>,
}

enum Contents {
    File(Vec<u8>),
    Directory { names: BTreeMap<Vec<u8>, usize>, parent: usize },
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    Device,
}

/// The entry of the view that a file belongs to. Names do not move from one to another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Declared,
    Graft,
    Scratch,
}

/// What a call is to give.
enum Given {
    Nothing,
    /// This object: its handle, if the procedure gives one, and its attributes, if the reply has them.
    Object(usize),
    Access(usize, u32),
    Target(Vec<u8>),
    Data(Vec<u8>, bool),
    Written(usize, u32),
    /// Names of a directory.
    Names(Listing),
}

/// How a directory is listed.
struct Listing {
    directory: usize,
    /// Whether it is listed from the start.
    whole: bool,
    /// Whether the client may be able to take no name at all.
    small: bool,
}

/// Why a call is to fail.
enum Refusal {
    With(nfsstat3),
    /// With one of these: neither RFC 1813 nor POSIX says which reason counts when there are several.
    Either(&'static [nfsstat3]),
    /// Somehow: what lies where the view is read-only is not changed.
    ReadOnly,
}

type Expected = Result<Given, Refusal>;

impl From<nfsstat3> for Refusal {
    fn from(status: nfsstat3) -> Refusal {
        Refusal::With(status)
    }
}

impl Model {
    /// Carries out a call and compares what the server said of it.
    ///
    /// # Errors
    /// How they differ.
    pub fn check(&mut self, call: &Call, user: &User, reply: &Reply) -> Result<(), String> {
        let Reply::Done(outcome) = reply else {
            return Err(format!("{}, by a user who is admitted", reply.summary()));
        };
        let expected = self.carry_out(call, user);
        match (expected, outcome.status) {
            (Ok(given), nfsstat3::NFS3_OK) => self.compare(given, outcome),
            (Ok(Given::Names(Listing { small: true, .. })), nfsstat3::NFS3ERR_TOOSMALL) => Ok(()),
            (Ok(_), status) => Err(format!("{status}, and the model carries it out")),
            (Err(refusal), status) => refusal.compare(status),
        }
    }

    fn compare(&mut self, given: Given, outcome: &Outcome) -> Result<(), String> {
        let object = match (given, &outcome.body) {
            (Given::Nothing, Body::Nothing) => return Ok(()),
            (Given::Object(node), Body::Handle(handle)) => {
                self.learn(handle, node)?;
                node
            }
            (Given::Object(node), Body::Nothing) => node,
            (Given::Access(node, granted), Body::Access(access)) => {
                same("what is granted", granted, *access)?;
                node
            }
            (Given::Target(target), Body::Target(found)) => {
                return same("the target", &target[..], &found[..]);
            }
            (Given::Data(data, end), Body::Data { data: found, eof }) => {
                if data != *found {
                    return Err(differing(&data, found));
                }
                return same("the end of the file", end, *eof);
            }
            (Given::Written(node, count), Body::Written(written)) => {
                same("the count", count, *written)?;
                node
            }
            (Given::Names(Listing { directory, whole, .. }), Body::Names { names, eof }) => {
                let names: Vec<&[u8]> = names.iter().map(|name| &name.name[..]).collect();
                self.compare_names(directory, &names, whole && *eof)?;
                directory
            }
            (_, body) => return Err(format!("a result of another form: {body:?}")),
        };
        outcome.attributes.as_ref().map_or(Ok(()), |attributes| self.compare_attributes(object, attributes))
    }

    /// One file has one handle, by whatever name it is found, and no two have the same.
    fn learn(&mut self, handle: &Handle, node: usize) -> Result<(), String> {
        let known = self.nodes[node].handle.get_or_insert_with(|| handle.clone());
        if known != handle {
            return Err(format!("a file has another handle than before: {}", known.escape_ascii()));
        }
        match self.handles.insert(handle.clone(), node) {
            Some(other) if other != node => Err("two files have the same handle".into()),
            _ => Ok(()),
        }
    }

    fn compare_names(&self, node: usize, found: &[&[u8]], all_of_them: bool) -> Result<(), String> {
        let Contents::Directory { names, .. } = &self.nodes[node].contents else {
            return Err("a directory, and the model has something else".into());
        };
        let all: HashSet<&[u8]> = names.keys().map(|name| &name[..]).chain([&b"."[..], b".."]).collect();
        let listed: HashSet<&[u8]> = found.iter().copied().collect();
        if listed.len() < found.len() {
            return Err("a name is listed twice".into());
        }
        if let Some(name) = listed.difference(&all).next() {
            return Err(format!("{:?} is listed", name.escape_ascii().to_string()));
        }
        match all.difference(&listed).next() {
            Some(name) if all_of_them => Err(format!("{:?} is not listed", name.escape_ascii().to_string())),
            _ => Ok(()),
        }
    }

    fn compare_attributes(&self, number: usize, found: &fattr3) -> Result<(), String> {
        let node = &self.nodes[number];
        same("the type", node.contents.kind(), found.type_)?;
        if node.part == Part::Declared {
            return Ok(());
        }
        same("the owner", (node.uid, node.gid), (found.uid, found.gid))?;
        match &node.contents {
            Contents::Directory { .. } => {}
            Contents::File(bytes) => same("the size", bytes.len() as u64, found.size)?,
            Contents::Symlink(target) => same("the size", target.len() as u64, found.size)?,
            Contents::Fifo | Contents::Socket | Contents::Device => {}
        }
        if !matches!(node.contents, Contents::Symlink(_)) {
            same("the mode", node.mode, found.mode)?;
        }
        if matches!(node.contents, Contents::Directory { .. }) {
            Ok(())
        } else {
            same("links", node.links, found.nlink)
        }
    }
}

impl Refusal {
    fn compare(self, status: nfsstat3) -> Result<(), String> {
        let right = match self {
            Refusal::With(expected) => status == expected,
            Refusal::Either(expected) => expected.contains(&status),
            Refusal::ReadOnly => status != nfsstat3::NFS3_OK,
        };
        if right {
            return Ok(());
        }
        let expected = match self {
            Refusal::With(expected) => expected.to_string(),
            Refusal::Either(expected) => format!("one of {expected:?}"),
            Refusal::ReadOnly => "an error, as it is read-only".into(),
        };
        Err(format!("{status}, and the model has {expected}"))
    }
}

impl Contents {
    fn kind(&self) -> ftype3 {
        match self {
            Contents::File(_) => ftype3::NF3REG,
            Contents::Directory { .. } => ftype3::NF3DIR,
            Contents::Symlink(_) => ftype3::NF3LNK,
            Contents::Fifo => ftype3::NF3FIFO,
            Contents::Socket => ftype3::NF3SOCK,
            Contents::Device => ftype3::NF3CHR,
        }
    }
}

fn same<T: PartialEq + Copy + std::fmt::Debug>(what: &str, expected: T, found: T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: {found:?}, and the model has {expected:?}")) }
}

fn differing(expected: &[u8], found: &[u8]) -> String {
    let at = expected.iter().zip(found).position(|(one, other)| one != other);
    let (there, here) = (found.len(), expected.len());
    format!("{there} bytes, and the model has {here}; the first that differs: {at:?}")
}
