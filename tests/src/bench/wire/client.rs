//! A client of NFS version 3 that keeps many calls in flight. The calls are encoded beforehand; of the replies it looks
//! at the heads alone.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nfs3_types::mount::{dirpath, mountres3};
use nfs3_types::nfs3::nfs_fh3;
use nfs3_types::rpc::{auth_unix, call_body, msg_body, opaque_auth, rpc_msg};
use nfs3_types::xdr_codec::{Opaque, Pack, Unpack};

use crate::bench::servers::Address;

/// A server that says nothing for so long has hung.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is received at a time.
const BUFFER: usize = 4 << 20;
/// The mark of a record's last fragment (RFC 5531, section 11).
const LAST: u32 = 1 << 31;
/// Bytes of a record's mark.
const MARK: usize = 4;
/// A reply up to and including the procedure's status, without a verifier: mark, xid, REPLY, accepted, verifier's
/// flavour and length, how it was accepted, status.
const HEAD: usize = 32;
/// Where in a record with its mark the xid is.
const XID: usize = 4;
/// MOUNT's procedure MNT.
const MNT: u32 = 1;
/// Where the next connection's numbers start: one that a server has seen before means a call that is repeated.
static START: AtomicU32 = AtomicU32::new(1 << 16);

/// A connection to a server's NFS program, with the root of its export.
pub struct Client {
    /// The connection.
    pub connection: Connection,
    /// The root's handle.
    pub root: nfs_fh3,
}

/// A connection to a server.
pub struct Connection {
    stream: TcpStream,
    xid: u32,
    out: Vec<u8>,
    received: Vec<u8>,
    /// What of `received` has not been looked at.
    unread: std::ops::Range<usize>,
}

/// The server has no such procedure.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the server does not know the procedure")]
pub struct Unknown;

/// What a run of calls came to.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Calls answered.
    pub calls: u64,
    /// From the first to the last.
    pub time: Duration,
}

impl Client {
    /// Asks MOUNT for the root and connects to NFS.
    pub fn connect(address: &Address) -> Result<Client> {
        let path = dirpath(Opaque::borrowed(address.export.as_bytes()));
        let record = call(nfs3_types::mount::PROGRAM, nfs3_types::mount::VERSION, MNT, &path)?;
        let reply = Connection::open(address.mount)?.ask(&record)?;
        let root = match decode(&reply)? {
            mountres3::Ok(mounted) => nfs_fh3 { data: Opaque::owned(mounted.fhandle.0.into_owned()) },
            mountres3::Err(status) => bail!("the server does not let the client mount: {status}"),
        };
        Ok(Client { connection: Connection::open(address.nfs)?, root })
    }
}

impl Connection {
    /// Connects to a port of this machine.
    pub fn open(port: u16) -> Result<Connection> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("the server does not listen")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection {
            stream,
            xid: START.fetch_add(1 << 22, Ordering::Relaxed),
            out: Vec::new(),
            received: vec![0; BUFFER],
            unread: 0..0,
        })
    }

    /// Sends a call, and says its number.
    pub fn send(&mut self, record: &[u8]) -> Result<u32> {
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        self.number(record, &mut out);
        let sent = self.stream.write_all(&out).context("the server takes no more calls");
        self.out = out;
        sent.map(|()| self.xid)
    }

    /// Waits for the next reply: its number, and what the procedure answered.
    pub fn receive_reply(&mut self) -> Result<(u32, &[u8])> {
        while self.unread.len() < MARK || self.unread.len() < self.next_length() {
            self.receive()?;
        }
        let length = self.next_length();
        let start = self.unread.start;
        self.unread.start += length;
        let record = &self.received[start + MARK..start + length];
        let xid = word(record, 0);
        check_accepted(record, xid)?;
        Ok((xid, &record[HEAD - MARK - 4..]))
    }

    /// Sends a call and waits for what the procedure answers.
    pub fn ask(&mut self, record: &[u8]) -> Result<Vec<u8>> {
        let sent = self.send(record)?;
        let (xid, reply) = self.receive_reply()?;
        if xid != sent {
            bail!("the server answers another call");
        }
        Ok(reply.to_vec())
    }

    /// Sends the records over and over, `window` at once, and receives all replies, each of which has to be a good one.
    /// `more` is asked from time to time with the number of calls made so far.
    pub fn pipeline(
        &mut self,
        records: &[Vec<u8>],
        window: usize,
        more: impl Fn(usize) -> bool,
    ) -> Result<Done> {
        let start = Instant::now();
        let first = self.xid.wrapping_add(1);
        let (mut sent, mut answered) = (0, 0);
        let mut out = Vec::new();
        loop {
            out.clear();
            let go_on = more(sent);
            while go_on && sent - answered < window {
                self.number(&records[sent % records.len()], &mut out);
                sent += 1;
            }
            if sent == answered {
                return Ok(Done { calls: answered as u64, time: start.elapsed() });
            }
            self.stream.write_all(&out).context("the server takes no more calls")?;
            answered += self.take_replies(first, sent)?;
        }
    }

    /// Receives whatever comes for a time.
    pub fn receive_for(&mut self, length: Duration) -> Result<(u64, Duration)> {
        let start = Instant::now();
        let mut bytes = 0;
        while start.elapsed() < length {
            match self.stream.read(&mut self.received)? {
                0 => bail!("the server ended the connection"),
                read => bytes += read as u64,
            }
        }
        Ok((bytes, start.elapsed()))
    }

    /// Adds a record with the next number.
    fn number(&mut self, record: &[u8], out: &mut Vec<u8>) {
        self.xid = self.xid.wrapping_add(1);
        let start = out.len();
        out.extend_from_slice(record);
        out[start + XID..start + XID + 4].copy_from_slice(&self.xid.to_be_bytes());
    }

    /// Waits for at least one reply and takes all that have come. Those expected are numbered from `first` on.
    fn take_replies(&mut self, first: u32, sent: usize) -> Result<usize> {
        let mut count = 0;
        loop {
            while self.unread.len() >= MARK && self.unread.len() >= HEAD.min(self.next_length()) {
                let head = &self.received[self.unread.clone()];
                check_good(&head[MARK..HEAD.min(self.next_length())], first, sent)?;
                count += 1;
                self.skip(self.next_length())?;
            }
            if count > 0 {
                return Ok(count);
            }
            self.receive()?;
        }
    }

    /// Drops the rest of a reply, which may not be there yet.
    fn skip(&mut self, length: usize) -> Result<()> {
        let here = length.min(self.unread.len());
        self.unread.start += here;
        let mut left = length - here;
        while left > 0 {
            let room = left.min(self.received.len());
            match self.stream.read(&mut self.received[..room])? {
                0 => bail!("the server ended the connection"),
                read => left -= read,
            }
        }
        Ok(())
    }

    /// Bytes of the next reply with its mark, once its mark is there.
    fn next_length(&self) -> usize {
        let mark = word(&self.received[self.unread.clone()], 0) & !LAST;
        MARK + mark as usize
    }

    fn receive(&mut self) -> Result<()> {
        if self.unread.start > 0 {
            self.received.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
        }
        if self.unread.end == self.received.len() {
            bail!("the server sends a reply that is too long");
        }
        match self.stream.read(&mut self.received[self.unread.end..]) {
            Ok(0) => bail!("the server ended the connection"),
            Ok(read) => self.unread.end += read,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("the server did not answer for {} s", PATIENCE.as_secs())
            }
            Err(error) => return Err(error).context("the server's replies cannot be read"),
        }
        Ok(())
    }
}

/// A call by root as a record with its mark; the number is filled in when it is sent.
pub fn call(program: u32, version: u32, procedure: u32, arguments: &impl Pack) -> Result<Vec<u8>> {
    call_as(0, (program, version, procedure), arguments)
}

/// The same by some user.
pub fn call_as(user: u32, (prog, vers, proc): (u32, u32, u32), arguments: &impl Pack) -> Result<Vec<u8>> {
    let machinename = Opaque::borrowed(b"bench");
    let user = auth_unix { machinename, uid: user, gid: user, ..auth_unix::default() };
    let (cred, verf) = (opaque_auth::auth_unix(&user), opaque_auth::default());
    let body = call_body { rpcvers: 2, prog, vers, proc, cred, verf };
    let mut record = vec![0; 4];
    rpc_msg { xid: 0, body: msg_body::CALL(body) }.pack(&mut record)?;
    arguments.pack(&mut record)?;
    let mark = u32::try_from(record.len() - 4)? | LAST;
    record[..4].copy_from_slice(&mark.to_be_bytes());
    Ok(record)
}

/// What a procedure answered.
pub fn decode<T: Unpack>(mut reply: &[u8]) -> Result<T> {
    let (value, _) = T::unpack(&mut reply).context("the server's answer cannot be decoded")?;
    Ok(value)
}

/// That a reply without its mark is to a call of ours and that the procedure did what it was asked for.
fn check_good(reply: &[u8], first: u32, sent: usize) -> Result<()> {
    let xid = word(reply, 0);
    if xid.wrapping_sub(first) as usize >= sent {
        bail!("the server answers a call that was not made");
    }
    check_accepted(reply, xid)?;
    match word(reply, 24) {
        _ if reply.len() < HEAD - MARK => bail!("the server's reply is too short"),
        0 => Ok(()),
        status => bail!("the server answers with status {status}"),
    }
}

fn check_accepted(reply: &[u8], xid: u32) -> Result<()> {
    let head: Vec<u32> = reply.chunks_exact(4).take(6).map(|bytes| word(bytes, 0)).collect();
    match head.as_slice() {
        [found, 1, 0, _, 0, 0] if *found == xid => Ok(()),
        [_, 1, 0, _, 0, 1..=3] => Err(Unknown.into()),
        _ => bail!("the server does not carry the call out: {head:?}"),
    }
}

/// A number of four bytes; 0 where a reply is shorter than that, which no caller takes for a good one.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_be_bytes(*word))
}
