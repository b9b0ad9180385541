//! A wire between the kernel's client and a server that breaks, swallows replies, and carries some twice, late or in another
//! order.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::connect_unspec;

use crate::random::Random;

/// How often it has to have broken; half of the times after a call was carried out, whose reply is lost then.
const BREAKS: u64 = 1000;
/// Replies that have to have been carried twice, late, or in another order, and calls that have to have come twice.
const DISTURBED: u64 = 10_000;
/// The mark of a record's last fragment (RFC 5531, section 11).
const LAST: u32 = 1 << 31;
/// How long a reply is kept back at most for another one to come before it.
const KEPT_BACK: Duration = Duration::from_millis(2);

/// What has been done to the wire.
#[derive(Debug, Default)]
pub struct Done {
    /// Connections that broke before a call was passed on.
    calls_lost: AtomicU64,
    /// Those that broke before a reply was passed on, of a call that had been carried out.
    replies_lost: AtomicU64,
    calls_twice: AtomicU64,
    replies_twice: AtomicU64,
    replies_late: AtomicU64,
    replies_out_of_order: AtomicU64,
    /// Nothing more is done to it.
    pub quiet: AtomicBool,
}

/// What happens to a record.
#[derive(Clone, Copy)]
enum Fate {
    Passed,
    Twice,
    Late,
    KeptBack,
    Broken,
}

/// A connection of the client's, and the one to the server that goes with it.
struct Wire {
    client: TcpStream,
    server: TcpStream,
    done: Arc<Done>,
}

impl Done {
    fn broken(&self) -> u64 {
        self.calls_lost.load(Ordering::Relaxed) + self.replies_lost.load(Ordering::Relaxed)
    }

    fn disturbed(&self) -> u64 {
        [&self.calls_twice, &self.replies_twice, &self.replies_late, &self.replies_out_of_order]
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    /// Whether it has broken, and been disturbed, as often as it has to.
    pub fn is_enough(&self) -> bool {
        self.broken() >= BREAKS && self.disturbed() >= DISTURBED
    }
}

/// Listens in the server's place.
pub fn listen(server: SocketAddr, done: &Arc<Done>) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let done = Arc::clone(done);
    thread::spawn(move || {
        for (number, client) in listener.incoming().enumerate() {
            let client = client.expect("a connection");
            let server = TcpStream::connect(server).expect("the server listens");
            for stream in [&client, &server] {
                stream.set_nodelay(true).expect("it is a TCP socket");
            }
            let wire = Arc::new(Wire { client, server, done: Arc::clone(&done) });
            let seed = 2 * number as u64 + 1;
            let calls = Arc::clone(&wire);
            thread::spawn(move || calls.carry_calls(Random::new(seed)));
            thread::spawn(move || wire.carry_replies(Random::new(seed + 1)));
        }
    });
    address
}

impl Wire {
    fn carry_calls(&self, mut random: Random) {
        while let Some(record) = receive(&self.client) {
            let sent = match self.fate(&mut random) {
                Fate::Broken => {
                    self.done.calls_lost.fetch_add(1, Ordering::Relaxed);
                    self.break_off();
                    return;
                }
                Fate::Twice => {
                    self.done.calls_twice.fetch_add(1, Ordering::Relaxed);
                    (&self.server).write_all(&record).and_then(|()| (&self.server).write_all(&record))
                }
                _ => (&self.server).write_all(&record),
            };
            if sent.is_err() {
                break;
            }
        }
        // The client has gone, or the other direction has broken off.
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn carry_replies(&self, mut random: Random) {
        let mut kept_back = VecDeque::new();
        loop {
            if !kept_back.is_empty() && !self.answers_within(KEPT_BACK) {
                if self.pass_on(&mut kept_back).is_err() {
                    break;
                }
                continue;
            }
            let Some(record) = receive(&self.server) else { break };
            let overtaken = kept_back.len() as u64;
            match self.fate(&mut random) {
                Fate::Broken => {
                    self.done.replies_lost.fetch_add(1, Ordering::Relaxed);
                    self.break_off();
                    return;
                }
                Fate::KeptBack => {
                    kept_back.push_back(record);
                    continue;
                }
                Fate::Twice => {
                    self.done.replies_twice.fetch_add(1, Ordering::Relaxed);
                    kept_back.push_front(record.clone());
                }
                Fate::Late => {
                    self.done.replies_late.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(KEPT_BACK / 4);
                }
                Fate::Passed => {}
            }
            self.done.replies_out_of_order.fetch_add(overtaken, Ordering::Relaxed);
            kept_back.push_front(record);
            if self.pass_on(&mut kept_back).is_err() {
                break;
            }
        }
        self.break_off();
    }

    fn pass_on(&self, records: &mut VecDeque<Vec<u8>>) -> std::io::Result<()> {
        records.drain(..).try_for_each(|record| (&self.client).write_all(&record))
    }

    fn answers_within(&self, time: Duration) -> bool {
        self.server.set_read_timeout(Some(time)).expect("a time that is not zero");
        let peeked = self.server.peek(&mut [0]);
        self.server.set_read_timeout(None).expect("it is a socket");
        !peeked.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
    }

    /// By a reset: after an orderly end the kernel's client waits for three seconds before it connects again.
    fn break_off(&self) {
        // One of them may have ended already.
        let _ = connect_unspec(&self.client);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    fn fate(&self, random: &mut Random) -> Fate {
        if self.done.quiet.load(Ordering::Relaxed) {
            return Fate::Passed;
        }
        match random.below(200) {
            0..4 => Fate::Broken,
            4..24 => Fate::Twice,
            24..30 => Fate::Late,
            30..40 => Fate::KeptBack,
            _ => Fate::Passed,
        }
    }
}

/// A record with its mark; none at the end of the connection, whatever ended it.
fn receive(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut record = vec![0; 4];
    from.read_exact(&mut record).ok()?;
    let mark = u32::from_be_bytes(record.as_slice().try_into().ok()?);
    assert!(mark & LAST != 0, "a record of several fragments");
    record.resize(4 + (mark & !LAST) as usize, 0);
    from.read_exact(&mut record[4..]).ok()?;
    Some(record)
}
