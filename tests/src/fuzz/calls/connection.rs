//! A connection with several calls in flight, whose replies may come in any order.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail, ensure};

use super::call::{Call, Handle, Head, User, has_given_handles};
use super::reply::Reply;
use crate::fuzz::world::World;

/// The mark of a record's last fragment.
const LAST: u32 = 1 << 31;
/// The longest reply: data of 1 MiB and what is around it.
const REPLY_MAX: u32 = (1 << 20) + 4096;

/// Program and procedure of READ.
const READ: (u32, u32) = (100_003, 6);

/// Calls have numbers of their own on every connection, unless one is repeated on purpose.
static XIDS: AtomicU32 = AtomicU32::new(1);

/// What was learnt from all connections.
#[derive(Default)]
pub struct Learnt {
    /// Every handle that the server gave.
    pub given: HashSet<Handle>,
    /// The first replies to calls that may be repeated, by their number.
    replies: HashMap<u32, Vec<u8>>,
    /// What was sent and received, as text.
    pub transcript: Vec<String>,
}

/// A call that waits for its reply.
#[derive(Clone)]
pub struct Sent {
    pub record: Vec<u8>,
    /// Whether it may stay without a reply.
    pub mutated: bool,
}

impl Sent {
    fn is_read(&self) -> bool {
        Head::of(&self.record).is_some_and(|head| (head.program, head.procedure) == READ)
    }
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    in_flight: Vec<Sent>,
}

/// What came.
pub enum Received {
    Reply(Reply),
    /// The server ended the connection, as it may after a mutated record or in a READ.
    End,
}

/// A number that no call has had.
pub fn next_xid() -> u32 {
    XIDS.fetch_add(1, Ordering::Relaxed)
}

/// A record as one fragment.
pub fn fragment(record: &[u8]) -> Vec<u8> {
    [&(record.len() as u32 | LAST).to_be_bytes(), record].concat()
}

/// A record as two fragments.
pub fn fragments(record: &[u8], at: usize) -> Vec<u8> {
    let (head, tail) = record.split_at(at);
    [&(head.len() as u32).to_be_bytes(), head, &fragment(tail)].concat()
}

impl Connection {
    /// A new one.
    pub fn new(world: &World) -> Result<Connection> {
        Ok(Connection { stream: world.connect()?, in_flight: Vec::new() })
    }

    /// A call alone, and its reply.
    pub fn ask(&mut self, call: &Call, user: &User) -> Result<Reply> {
        let record = call.record(next_xid(), Some(user));
        let head = Head::of(&record).context("a call has a head")?;
        self.write(&fragment(&record))?;
        let reply = self.read()?.context("the server ended the connection")?;
        Reply::decode(head, &reply).map_err(anyhow::Error::msg)
    }

    /// Sends bytes; `calls` are those that they hold.
    pub fn send(&mut self, bytes: &[u8], calls: Vec<Sent>) -> Result<()> {
        self.in_flight.extend(calls);
        match self.write(bytes) {
            // It may end the connection at the first record that is none; what comes is read all the same.
            Err(_) if self.may_end() => Ok(()),
            result => result,
        }
    }

    /// Bytes that are not noted: no reply to them is read.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("the server takes no more")
    }

    /// Whether calls in flight have to be answered.
    pub fn waits(&self) -> bool {
        self.in_flight.iter().any(|sent| !sent.mutated)
    }

    /// The server ends a connection at a record that is no call, and in the reply to a READ whose file gets shorter after the
    /// reply's length was sent.
    fn may_end(&self) -> bool {
        self.in_flight.iter().any(|sent| sent.mutated || sent.is_read())
    }

    /// The next reply, checked for all that holds of every reply.
    pub fn receive(&mut self, learnt: &mut Learnt) -> Result<Received> {
        let reply = match self.read() {
            Ok(Some(reply)) => reply,
            Ok(None) if self.may_end() => return Ok(Received::End),
            Ok(None) => bail!("the server ended the connection, and every record was a call"),
            Err(error) => return Err(error),
        };
        let xid =
            Head::of(&[&reply[..4.min(reply.len())], &[0; 20]].concat()).context("it has no number")?.xid;
        let place =
            self.in_flight.iter().position(|sent| Head::of(&sent.record).is_some_and(|head| head.xid == xid));
        let sent = self.in_flight.remove(place.with_context(|| format!("a reply to no call, {xid}"))?);
        let head = Head::of(&sent.record).context("it was found by its head")?;
        let decoded = Reply::decode(head, &reply).map_err(anyhow::Error::msg)?;
        learnt.transcript.push(format!("    {xid}: {}", decoded.summary()));
        if decoded.is_ok() {
            ensure!(
                has_given_handles(&sent.record, &learnt.given),
                "{xid}: a handle works that nobody was given"
            );
        }
        if head.is_cached() && !sent.mutated {
            let first = learnt.replies.entry(xid).or_insert_with(|| reply.clone());
            ensure!(*first == reply, "{xid}: a repeated call has another reply");
        }
        learnt.given.extend(decoded.handles().into_iter().cloned());
        Ok(Received::Reply(decoded))
    }

    /// Says that nothing more comes, and waits until the server has ended the connection; what it sends is not looked at.
    pub fn finish(mut self) -> Result<()> {
        // It may have done so already.
        let _ = self.stream.shutdown(Shutdown::Write);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(error).context("the server does not end the connection"),
            }
        }
    }

    /// The next record; nothing at the end of the connection.
    fn read(&mut self) -> Result<Option<Vec<u8>>> {
        let mut header = [0; 4];
        match self.stream.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                return Ok(None);
            }
            Err(error) => return Err(error).context("no reply"),
        }
        let header = u32::from_be_bytes(header);
        let length = header & !LAST;
        ensure!(header & LAST != 0, "a reply in several fragments");
        ensure!(length <= REPLY_MAX, "a reply of {length} bytes");
        let mut reply = vec![0; length as usize];
        match self.stream.read_exact(&mut reply) {
            Ok(()) => Ok(Some(reply)),
            // A connection that is reset loses what was on its way.
            Err(_) if self.may_end() => Ok(None),
            Err(error) => Err(error).context("the end of a reply does not come"),
        }
    }
}
