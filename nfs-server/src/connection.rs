//! One connection: requests in, replies out.

mod blocking_pool;
mod payload;
mod send;

use std::io;
use std::net::TcpStream;

use parking_lot::Mutex;

use crate::call::Behind;
use crate::limits::SEND_BUFFER;
use crate::record::{RecordError, RecordReader};
use crate::rpc::{self, Answered, ReplyBuffer, Request};
use crate::service::Service;
use crate::view::{Blocking, prepare_thread};
use crate::xdr::Garbage;
use blocking_pool::BlockingPool;
use payload::Incoming;

/// Why a connection ended before its peer closed it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error("the connection broke")]
    Socket(#[from] io::Error),
    #[error("the peer sent what is no stream of RPC records")]
    Record(#[from] RecordError),
    #[error("the peer sent what is no RPC call")]
    NotACall,
}

impl From<Garbage> for ConnectionError {
    fn from(_: Garbage) -> ConnectionError {
        ConnectionError::NotACall
    }
}

/// Where replies go; held while one is sent, so that none gets into the middle of another.
type Output<'s> = Mutex<&'s TcpStream>;

/// Answers calls until the peer closes the connection: in order, but for those that wait for a disk, which are
/// answered by threads of their own when they are done.
///
/// A large WRITE is answered as soon as its head is here, which takes its data from the socket by itself.
///
/// Replies wait while further calls are already here, and go out together before the next wait for the peer. A peer
/// that does not take its replies is not read from: that is what bounds the calls in flight.
pub(crate) fn serve(service: &Service, stream: &TcpStream) -> Result<(), ConnectionError> {
    prepare_thread();
    let output = Output::new(stream);
    let pool = BlockingPool::new(service, &output);
    std::thread::scope(|scope| {
        let _end = pool.guard();
        let mut input = stream;
        let incoming = Incoming::new(stream);
        let mut records = RecordReader::new()?;
        let mut replies = ReplyBuffer::new()?;
        loop {
            while let Some(record) = records.next()? {
                let answered = rpc::answer(service, Request::whole(record, Blocking::Never), &mut replies)?;
                if answered == Answered::Later && !pool.submit(record, scope) {
                    // So many wait already that this one is waited for here, and nothing more is read meanwhile.
                    send::all(&output, &mut replies)?;
                    rpc::answer(service, Request::whole(record, Blocking::Allowed), &mut replies)?;
                }
                if replies.tail.len() > 0 || replies.out.len() > SEND_BUFFER {
                    send::all(&output, &mut replies)?;
                }
            }
            send::all(&output, &mut replies)?;
            if let Some((head, missing)) = records.partial() {
                incoming.begin(missing);
                let behind: (usize, &dyn Behind) = (missing, &incoming);
                let request = Request { record: head, behind: Some(behind), blocking: Blocking::Never };
                if rpc::answer(service, request, &mut replies)? == Answered::Now {
                    incoming.is_sound()?;
                    send::all(&output, &mut replies)?;
                    incoming.drop_rest()?;
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
