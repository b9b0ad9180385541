//! Replies, decoded whole: what is not well-formed is a finding, whatever was asked.

use nfs3_types::nfs3::*;
use nfs3_types::rpc::{accept_stat_data, msg_body, reply_body, rpc_msg};
use nfs3_types::xdr_codec::{Unpack, Void};
use nfs3_types::{mount, nfs3};

use super::call::{Handle, Head};
use super::status;

/// How the server took a call.
#[derive(Debug)]
pub enum Reply {
    /// It was not carried out: the reason.
    Refused(String),
    /// A procedure of NFS ended with this.
    Done(Outcome),
    /// A procedure of MOUNT did, or NULL; MNT gives a handle.
    Other(Option<Handle>),
}

/// The result of a procedure of NFS.
#[derive(Debug)]
pub struct Outcome {
    pub status: nfsstat3,
    /// Of the object that the call is about, as far as the reply has them.
    pub attributes: Option<fattr3>,
    pub body: Body,
}

/// What a procedure gives besides attributes.
#[derive(Debug, Default)]
pub enum Body {
    #[default]
    Nothing,
    Handle(Handle),
    Access(u32),
    Target(Vec<u8>),
    Data {
        data: Vec<u8>,
        eof: bool,
    },
    Written(u32),
    Names {
        names: Vec<Name>,
        eof: bool,
    },
}

/// An entry of a directory.
#[derive(Debug)]
pub struct Name {
    pub name: Vec<u8>,
    pub cookie: u64,
    pub handle: Option<Handle>,
}

impl Reply {
    /// The reply to the call with this head.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(head: Head, reply: &[u8]) -> Result<Reply, String> {
        let mut rest = reply;
        let (message, _) = rpc_msg::unpack(&mut rest).map_err(|error| format!("no RPC reply: {error}"))?;
        let accepted = match message.body {
            msg_body::REPLY(reply_body::MSG_ACCEPTED(accepted)) => accepted,
            msg_body::REPLY(reply_body::MSG_DENIED(why)) => return refused(format!("{why:?}"), rest),
            msg_body::CALL(_) => return Err("the server calls back".into()),
        };
        if !accepted.verf.body.is_empty() {
            return Err("the verifier is not empty".into());
        }
        match accepted.reply_data {
            accept_stat_data::SUCCESS if head.program == nfs3::PROGRAM && head.procedure > 0 => {
                Outcome::decode(head.procedure, rest).map(Reply::Done)
            }
            accept_stat_data::SUCCESS if head.program == mount::PROGRAM && head.procedure == 1 => {
                mounted(rest)
            }
            // NULL, and of MOUNT an empty list at most.
            accept_stat_data::SUCCESS if matches!(rest, [] | [0, 0, 0, 0]) => Ok(Reply::Other(None)),
            accept_stat_data::SUCCESS => Err(format!("{} bytes where there is no result", rest.len())),
            why => refused(format!("{why:?}"), rest),
        }
    }

    /// The handles that it gives.
    pub fn handles(&self) -> Vec<&Handle> {
        match self {
            Reply::Refused(_) => Vec::new(),
            Reply::Other(handle) => handle.iter().collect(),
            Reply::Done(Outcome { body: Body::Handle(handle), .. }) => vec![handle],
            Reply::Done(Outcome { body: Body::Names { names, .. }, .. }) => {
                names.iter().filter_map(|name| name.handle.as_ref()).collect()
            }
            Reply::Done(_) => Vec::new(),
        }
    }

    /// Whether a procedure of NFS that takes a handle was carried out.
    pub fn is_ok(&self) -> bool {
        matches!(self, Reply::Done(outcome) if outcome.status == nfsstat3::NFS3_OK)
    }

    /// In a word.
    pub fn summary(&self) -> String {
        match self {
            Reply::Refused(why) => why.clone(),
            Reply::Done(outcome) => outcome.status.to_string(),
            Reply::Other(_) => "done".into(),
        }
    }
}

fn refused(why: String, rest: &[u8]) -> Result<Reply, String> {
    if rest.is_empty() { Ok(Reply::Refused(why)) } else { Err(format!("{} bytes after {why}", rest.len())) }
}

fn mounted(rest: &[u8]) -> Result<Reply, String> {
    // MOUNT version 1 gives the status alone.
    if matches!(rest, [0, 0, 0, 2]) {
        return Ok(Reply::Other(None));
    }
    match whole(rest)? {
        mount::mountres3::Ok(done) => Ok(Reply::Other(Some(done.fhandle.0.to_vec()))),
        mount::mountres3::Err(_) => Ok(Reply::Other(None)),
    }
}

/// A value that has to fill the bytes.
fn whole<T: Unpack>(mut bytes: &[u8]) -> Result<T, String> {
    let (value, _) = T::unpack(&mut bytes).map_err(|error| format!("the result: {error}"))?;
    if bytes.is_empty() { Ok(value) } else { Err(format!("{} bytes follow the result", bytes.len())) }
}

fn option<T: nfs3_types::xdr_codec::Pack + Unpack>(value: Nfs3Option<T>) -> Option<T> {
    match value {
        Nfs3Option::Some(value) => Some(value),
        Nfs3Option::None => None,
    }
}

fn made(handle: post_op_fh3, attributes: post_op_attr) -> (Option<fattr3>, Body) {
    let body = option(handle).map_or(Body::Nothing, |handle| Body::Handle(handle.data.to_vec()));
    (option(attributes), body)
}

impl Outcome {
    fn decode(procedure: u32, result: &[u8]) -> Result<Outcome, String> {
        let outcome = match procedure {
            1 => Outcome::of(
                result,
                |done: GETATTR3resok| (Some(done.obj_attributes), Body::Nothing),
                |_: Void| None,
            ),
            2 => Outcome::of(
                result,
                |done: SETATTR3resok| (option(done.obj_wcc.after), Body::Nothing),
                |failed: SETATTR3resfail| option(failed.obj_wcc.after),
            ),
            3 => Outcome::of(
                result,
                |done: LOOKUP3resok| made(Nfs3Option::Some(done.object), done.obj_attributes),
                |_: LOOKUP3resfail| None,
            ),
            4 => Outcome::of(
                result,
                |done: ACCESS3resok| (option(done.obj_attributes), Body::Access(done.access)),
                |failed: ACCESS3resfail| option(failed.obj_attributes),
            ),
            5 => Outcome::of(
                result,
                |done: READLINK3resok| {
                    (option(done.symlink_attributes), Body::Target(done.data.as_ref().to_vec()))
                },
                |failed: READLINK3resfail| option(failed.symlink_attributes),
            ),
            6 => return Outcome::read(result),
            7 => Outcome::of(
                result,
                |done: WRITE3resok| (option(done.file_wcc.after), Body::Written(done.count)),
                |failed: WRITE3resfail| option(failed.file_wcc.after),
            ),
            8 => Outcome::of(
                result,
                |done: CREATE3resok| made(done.obj, done.obj_attributes),
                |_: CREATE3resfail| None,
            ),
            9 => Outcome::of(
                result,
                |done: MKDIR3resok| made(done.obj, done.obj_attributes),
                |_: MKDIR3resfail| None,
            ),
            10 => Outcome::of(
                result,
                |done: SYMLINK3resok| made(done.obj, done.obj_attributes),
                |_: SYMLINK3resfail| None,
            ),
            11 => Outcome::of(
                result,
                |done: MKNOD3resok| made(done.obj, done.obj_attributes),
                |_: MKNOD3resfail| None,
            ),
            12 => Outcome::of(result, |_: REMOVE3resok| (None, Body::Nothing), |_: REMOVE3resfail| None),
            13 => Outcome::of(result, |_: RMDIR3resok| (None, Body::Nothing), |_: RMDIR3resfail| None),
            14 => Outcome::of(result, |_: RENAME3resok| (None, Body::Nothing), |_: RENAME3resfail| None),
            15 => Outcome::of(
                result,
                |done: LINK3resok| (option(done.file_attributes), Body::Nothing),
                |failed: LINK3resfail| option(failed.file_attributes),
            ),
            16 => Outcome::of(result, listed, |failed: READDIR3resfail| option(failed.dir_attributes)),
            17 => {
                Outcome::of(result, listed_plus, |failed: READDIRPLUS3resfail| option(failed.dir_attributes))
            }
            18 => Outcome::of(
                result,
                |done: FSSTAT3resok| (option(done.obj_attributes), Body::Nothing),
                |failed: FSSTAT3resfail| option(failed.obj_attributes),
            ),
            19 => Outcome::of(
                result,
                |done: FSINFO3resok| (option(done.obj_attributes), Body::Nothing),
                |failed: FSINFO3resfail| option(failed.obj_attributes),
            ),
            20 => Outcome::of(
                result,
                |done: PATHCONF3resok| (option(done.obj_attributes), Body::Nothing),
                |failed: PATHCONF3resfail| option(failed.obj_attributes),
            ),
            21 => Outcome::of(
                result,
                |done: COMMIT3resok| (option(done.file_wcc.after), Body::Nothing),
                |failed: COMMIT3resfail| option(failed.file_wcc.after),
            ),
            _ => Err(format!("there is no procedure {procedure}")),
        }?;
        outcome.check(procedure).map(|()| outcome)
    }

    fn of<T: Unpack, E: Unpack>(
        result: &[u8],
        done: impl FnOnce(T) -> (Option<fattr3>, Body),
        failed: impl FnOnce(E) -> Option<fattr3>,
    ) -> Result<Outcome, String> {
        Ok(match whole::<Nfs3Result<T, E>>(result)? {
            Nfs3Result::Ok(value) => {
                let (attributes, body) = done(value);
                Outcome { status: nfsstat3::NFS3_OK, attributes, body }
            }
            Nfs3Result::Err((status, value)) => {
                Outcome { status, attributes: failed(value), body: Body::Nothing }
            }
        })
    }

    fn read(result: &[u8]) -> Result<Outcome, String> {
        let mut count = 0;
        let outcome = Outcome::of(
            result,
            |done: READ3resok<'static>| {
                count = done.count as usize;
                (option(done.file_attributes), Body::Data { data: done.data.to_vec(), eof: done.eof })
            },
            |failed: READ3resfail| option(failed.file_attributes),
        )?;
        match &outcome.body {
            Body::Data { data, .. } if data.len() != count => {
                Err(format!("READ says {count} bytes and gives {}", data.len()))
            }
            _ => outcome.check(6).map(|()| outcome),
        }
    }

    fn check(&self, procedure: u32) -> Result<(), String> {
        if !status::is_listed(procedure, self.status) {
            return Err(format!("procedure {procedure} does not end with {}", self.status));
        }
        match &self.attributes {
            // Set-id bits are not shown, and every file has a link while it has attributes, but one that is only open.
            Some(attributes) if attributes.mode & !0o1777 != 0 => {
                Err(format!("the mode {:o}", attributes.mode))
            }
            _ => Ok(()),
        }
    }
}

fn listed(done: READDIR3resok<'static>) -> (Option<fattr3>, Body) {
    let name = |entry: entry3<'static>| Name {
        name: entry.name.as_ref().to_vec(),
        cookie: entry.cookie,
        handle: None,
    };
    let names = done.reply.entries.0.into_iter().map(name).collect();
    (option(done.dir_attributes), Body::Names { names, eof: done.reply.eof })
}

fn listed_plus(done: READDIRPLUS3resok<'static>) -> (Option<fattr3>, Body) {
    let name = |entry: entryplus3<'static>| Name {
        name: entry.name.as_ref().to_vec(),
        cookie: entry.cookie,
        handle: option(entry.name_handle).map(|handle| handle.data.to_vec()),
    };
    let names = done.reply.entries.0.into_iter().map(name).collect();
    (option(done.dir_attributes), Body::Names { names, eof: done.reply.eof })
}
