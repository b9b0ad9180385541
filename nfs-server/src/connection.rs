//! One connection: requests in, replies out, in order.

mod send;

use std::io;
use std::net::TcpStream;

use crate::limits::SEND_BUFFER;
use crate::record::{RecordError, Records};
use crate::rpc::{self, Replies};
use crate::service::Service;
use crate::xdr::Garbage;

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

/// Answers calls until the peer closes the connection.
///
/// Replies wait while further calls are already here, and go out together before the next wait for the peer. A peer
/// that does not take its replies is not read from: that is what bounds the calls in flight.
pub(crate) fn serve(service: &Service, mut stream: TcpStream) -> Result<(), ConnectionError> {
    let mut records = Records::new();
    let mut replies = Replies::new();
    loop {
        while let Some(record) = records.next()? {
            rpc::answer(service, record, &mut replies)?;
            if replies.attached.len() > 0 || replies.out.len() > SEND_BUFFER {
                send::all(&mut stream, &mut replies)?;
            }
        }
        send::all(&mut stream, &mut replies)?;
        if !records.fill(&mut stream)? {
            return Ok(());
        }
    }
}
