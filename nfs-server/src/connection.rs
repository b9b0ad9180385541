//! One TCP connection: calls in, replies out.

mod blocking_pool;
mod payload;
mod send;

use std::io;
use std::net::TcpStream;

use parking_lot::Mutex;

use crate::call::Reply;
use crate::limits::SEND_BUFFER;
use crate::payload::UnreadBytes;
use crate::record::{RecordError, RecordReader};
use crate::rpc::{self, ReplyBuffer, Request};
use crate::service::Service;
use crate::view::{Blocking, prepare_thread};
use crate::xdr::Garbage;
use blocking_pool::BlockingPool;
use payload::SocketPayload;

/// Why a connection ended before its peer closed it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("cannot receive or send")]
    Socket(#[from] io::Error),
    #[error("malformed RPC record stream")]
    Record(#[from] RecordError),
    #[error("a record is not an RPC call")]
    NotACall,
}

impl From<Garbage> for ConnectionError {
    fn from(_: Garbage) -> ConnectionError {
        ConnectionError::NotACall
    }
}

/// The socket, locked while a reply is sent: replies must not interleave.
type Output<'s> = Mutex<&'s TcpStream>;

/// Executes calls until the peer closes the connection: in order, except those that would block, which threads of the
/// blocking pool execute.
///
/// A large WRITE starts when its header was received and takes its payload from the socket itself.
///
/// Replies are batched while more calls are in the receive buffer. A peer that does not receive its replies is not read
/// from, which bounds the calls in flight.
pub(crate) fn serve(service: &Service, stream: &TcpStream) -> Result<(), ConnectionError> {
    prepare_thread();
    let output = Output::new(stream);
    let pool = BlockingPool::new(service, &output);
    std::thread::scope(|scope| {
        let _guard = pool.guard();
        let mut input = stream;
        let payload = SocketPayload::new(stream);
        let mut records = RecordReader::new()?;
        let mut replies = ReplyBuffer::new()?;
        loop {
            while let Some(record) = records.next()? {
                let answered = rpc::answer(service, Request::whole(record, Blocking::Never), &mut replies)?;
                if answered == Reply::WouldBlock && !pool.submit(record, scope) {
                    // The pool is full: block here, and receive nothing meanwhile.
                    send::all(&output, &mut replies)?;
                    rpc::answer(service, Request::whole(record, Blocking::Allowed), &mut replies)?;
                }
                if replies.tail.len() > 0 || replies.out.len() > SEND_BUFFER {
                    send::all(&output, &mut replies)?;
                }
            }
            send::all(&output, &mut replies)?;
            if let Some((record, missing)) = records.partial() {
                payload.begin(missing);
                let unread = Some(UnreadBytes { count: missing, reader: &payload });
                let request = Request { record, unread, blocking: Blocking::Never };
                if rpc::answer(service, request, &mut replies)? != Reply::WouldBlock {
                    payload.check()?;
                    send::all(&output, &mut replies)?;
                    payload.discard_rest()?;
                    records.discard_partial();
                    continue;
                }
            }
            if !records.fill(&mut input)? {
                return Ok(());
            }
        }
    })
}
