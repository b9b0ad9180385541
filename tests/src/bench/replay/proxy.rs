//! Stands between a client and a server and shows each record to a recorder before it passes it on.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};

use super::recorder::Recorder;
use super::trace::Trace;
use crate::bench::servers::Address;

/// The mark of a record's last fragment (RFC 5531, section 11).
const LAST: u32 = 1 << 31;
/// More than any record of NFS.
const RECORD_MAX: usize = 4 << 20;

/// A proxy, which lives as long as the program.
pub struct Proxy {
    /// Where it listens in the server's place.
    pub address: Address,
    recorder: Arc<Mutex<Recorder>>,
}

type Note = fn(&mut Recorder, &[u8]) -> Result<()>;

impl Proxy {
    /// Listens in front of a server whose MOUNT and NFS share a port.
    pub fn start(server: &Address) -> Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the proxy cannot listen")?;
        let port = listener.local_addr()?.port();
        let recorder = Arc::new(Mutex::new(Recorder::default()));
        let address = Address { nfs: port, mount: port, export: server.export.clone() };
        let (shared, server) = (Arc::clone(&recorder), server.nfs);
        thread::spawn(move || {
            for client in listener.incoming() {
                if let Err(error) =
                    client.map_err(Into::into).and_then(|client| join(client, server, &shared))
                {
                    eprintln!("the proxy cannot take a connection: {error:#}");
                }
            }
        });
        Ok(Proxy { address, recorder })
    }

    /// What was recorded since the last time.
    pub fn take(&self) -> Trace {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *recorder).finish()
    }
}

fn join(client: TcpStream, server: u16, recorder: &Arc<Mutex<Recorder>>) -> Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server))?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    carry(client.try_clone()?, server.try_clone()?, Arc::clone(recorder), Recorder::call);
    carry(server, client, Arc::clone(recorder), Recorder::reply);
    Ok(())
}

fn carry(mut from: TcpStream, mut to: TcpStream, recorder: Arc<Mutex<Recorder>>, note: Note) {
    thread::spawn(move || {
        if let Err(error) = carry_records(&mut from, &mut to, &recorder, note) {
            eprintln!("the proxy ends a connection: {error:#}");
        }
        // The other one may have been closed already.
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Until the sender ends.
fn carry_records(
    from: &mut TcpStream,
    to: &mut TcpStream,
    recorder: &Mutex<Recorder>,
    note: Note,
) -> Result<()> {
    let mut record = Vec::new();
    loop {
        let mut mark = [0; 4];
        if from.read_exact(&mut mark).is_err() {
            return Ok(());
        }
        let length = (u32::from_be_bytes(mark) & !LAST) as usize;
        if u32::from_be_bytes(mark) & LAST == 0 || length > RECORD_MAX {
            bail!("a record of several fragments, or too long");
        }
        record.clear();
        record.extend_from_slice(&mark);
        record.resize(4 + length, 0);
        from.read_exact(&mut record[4..])?;
        note(&mut recorder.lock().unwrap_or_else(PoisonError::into_inner), &record[4..])?;
        to.write_all(&record)?;
    }
}
