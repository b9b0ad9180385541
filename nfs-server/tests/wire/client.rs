//! A small blocking RPC client. What it sends and takes is encoded and decoded by `nfs3_types`, so that the server's
//! own codec is never asked about itself.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nfs3_types::nfs3::{self, Nfs3Result, nfs_fh3, nfsstat3};
use nfs3_types::rpc::{
    accept_stat_data, auth_unix, call_body, msg_body, opaque_auth, rejected_reply, reply_body, rpc_msg,
};
use nfs3_types::xdr_codec::{Opaque, Pack, Unpack};

/// How long a test waits for a reply before it says that there is none.
const PATIENCE: Duration = Duration::from_secs(20);

/// Connections made so far.
static CLIENTS: AtomicU32 = AtomicU32::new(1);

/// The mark of a record's last fragment.
pub const LAST: u32 = 1 << 31;

/// One connection to a server, and who speaks over it.
pub struct Client {
    pub stream: TcpStream,
    pub user: auth_unix,
    pub xid: u32,
}

/// How the server took a call.
#[derive(Debug)]
pub enum Answer {
    /// It was carried out; this is the encoded result.
    Done(Vec<u8>),
    /// It was understood and not carried out.
    Accepted(accept_stat_data),
    /// It was not even looked at.
    Denied(rejected_reply),
}

/// What a procedure gave: its result, or its status with what was sent along.
pub type Given<T, E> = Result<T, (nfsstat3, E)>;

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::over(TcpStream::connect(address).expect("the server listens"))
    }

    pub fn over(stream: TcpStream) -> Client {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        // Numbers of its own: the server takes a call with another's number for a repeated one.
        let xid = CLIENTS.fetch_add(1, Ordering::Relaxed) << 18;
        Client { stream, user: user(0, 0, &[]), xid }
    }

    /// The same connection, on behalf of another user.
    pub fn become_user(&mut self, uid: u32, gid: u32, groups: &[u32]) {
        self.user = user(uid, gid, groups);
    }

    /// Calls an NFS procedure that has to be carried out, and decodes all of its result.
    pub fn nfs<R: Unpack>(&mut self, procedure: nfs3::NFS_PROGRAM, arguments: &impl Pack) -> R {
        let record = self.next_call(nfs3::PROGRAM, nfs3::VERSION, procedure as u32, arguments);
        match self.ask(&record) {
            Answer::Done(result) => decode(&result),
            other => panic!("{procedure} was not carried out: {other:?}"),
        }
    }

    /// The record of a call by this client's user, with a number of its own.
    pub fn next_call(
        &mut self,
        program: u32,
        version: u32,
        procedure: u32,
        arguments: &impl Pack,
    ) -> Vec<u8> {
        self.xid += 1;
        call(self.xid, (program, version, procedure), opaque_auth::auth_unix(&self.user), arguments)
    }

    /// Sends a record and waits for its answer.
    pub fn ask(&mut self, record: &[u8]) -> Answer {
        self.send(record).expect("the server takes the call");
        let reply = self.receive().expect("the server answers");
        answer(record, &reply)
    }

    /// Sends a record as one fragment.
    pub fn send(&mut self, record: &[u8]) -> io::Result<()> {
        self.stream.write_all(&fragment(record, true))
    }

    /// Receives the next record.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut header = [0; 4];
        self.stream.read_exact(&mut header)?;
        let header = u32::from_be_bytes(header);
        assert_ne!(header & LAST, 0, "replies come in one fragment");
        let mut reply = vec![0; (header & !LAST) as usize];
        self.stream.read_exact(&mut reply)?;
        Ok(reply)
    }

    /// Whether the server has ended the connection, or does so soon, without sending anything more.
    pub fn is_ended(&mut self) -> bool {
        match self.stream.read(&mut [0; 1]) {
            Ok(0) => true,
            Ok(_) => panic!("the server sent something instead"),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}

/// The record of a call.
pub fn call(
    xid: u32,
    (prog, vers, proc): (u32, u32, u32),
    cred: opaque_auth<'_>,
    arguments: &impl Pack,
) -> Vec<u8> {
    let body = call_body { rpcvers: 2, prog, vers, proc, cred, verf: opaque_auth::default() };
    let mut record = encode(&rpc_msg { xid, body: msg_body::CALL(body) });
    record.extend(encode(arguments));
    record
}

/// A fragment of a record with its header.
pub fn fragment(data: &[u8], last: bool) -> Vec<u8> {
    let header = data.len() as u32 | if last { LAST } else { 0 };
    [&header.to_be_bytes(), data].concat()
}

/// What a reply says about the call in `record`.
pub fn answer(record: &[u8], reply: &[u8]) -> Answer {
    let mut left = reply;
    let (message, _) = rpc_msg::unpack(&mut left).expect("a reply");
    assert_eq!(message.xid.to_be_bytes(), record[..4], "the reply is to another call");
    match message.body {
        msg_body::REPLY(reply_body::MSG_ACCEPTED(accepted)) => match accepted.reply_data {
            accept_stat_data::SUCCESS => Answer::Done(left.to_vec()),
            why => {
                assert!(left.is_empty());
                Answer::Accepted(why)
            }
        },
        msg_body::REPLY(reply_body::MSG_DENIED(why)) => {
            assert!(left.is_empty());
            Answer::Denied(why)
        }
        msg_body::CALL(_) => panic!("the server calls back"),
    }
}

pub fn user(uid: u32, gid: u32, groups: &[u32]) -> auth_unix {
    auth_unix { stamp: 7, machinename: Opaque::borrowed(b"here"), uid, gid, gids: groups.to_vec() }
}

pub fn encode(value: &impl Pack) -> Vec<u8> {
    let mut out = Vec::new();
    value.pack(&mut out).expect("memory takes it");
    out
}

/// Decodes a value that has to fill the bytes.
pub fn decode<T: Unpack>(mut bytes: &[u8]) -> T {
    let (value, _) = T::unpack(&mut bytes).expect("a well-formed result");
    assert!(bytes.is_empty(), "{} bytes follow the result", bytes.len());
    value
}

pub fn given<T, E>(result: Nfs3Result<T, E>) -> Given<T, E> {
    match result {
        Nfs3Result::Ok(done) => Ok(done),
        Nfs3Result::Err(failed) => Err(failed),
    }
}

/// The status of a call that has to fail.
#[track_caller]
pub fn refused<T: std::fmt::Debug, E>(given: Given<T, E>) -> nfsstat3 {
    match given {
        Ok(done) => panic!("it was carried out: {done:?}"),
        Err((status, _)) => status,
    }
}

/// A handle with these bytes.
pub fn handle(bytes: &[u8]) -> nfs_fh3 {
    nfs_fh3 { data: Opaque::owned(bytes.to_vec()) }
}
