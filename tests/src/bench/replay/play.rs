//! Makes recorded calls to a server: in their order, each as soon as as many have been answered as were when the
//! kernel's client made it, and with the handles that this server gives.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nfs3_types::nfs3::{
    CREATE3res, LOOKUP3res, MKDIR3res, NFS_PROGRAM, Nfs3Option, Nfs3Result, READDIRPLUS3args,
    READDIRPLUS3res, SYMLINK3res, cookieverf3, nfs_fh3,
};
use nfs3_types::xdr_codec::Pack;

use super::recorder::made;
use super::trace::{Call, Trace};
use crate::bench::servers::Address;
use crate::bench::wire::calls::{lookup, nfs};
use crate::bench::wire::client::{Client, decode};

/// Names and all of a listing's page, as the Linux client asks for them.
const PAGE: u32 = 32 << 10;

/// A client that plays.
pub struct Player {
    client: Client,
}

/// What is known while a trace is played.
struct State<'t> {
    trace: &'t Trace,
    handles: Vec<Option<nfs_fh3>>,
    /// The numbers of paths, by directory and name.
    numbers: HashMap<(usize, &'t str), usize>,
    /// Calls in flight by their number on the wire.
    flying: HashMap<u32, usize>,
    answered: usize,
    zeros: Vec<u8>,
}

impl Player {
    /// Connects and mounts.
    pub fn connect(address: &Address) -> Result<Player> {
        Ok(Player { client: Client::connect(address)? })
    }

    /// Plays; every call has to end as it did when it was recorded.
    pub fn play(&mut self, trace: &Trace) -> Result<Duration> {
        let start = Instant::now();
        let mut state = State::new(trace, &self.client.root);
        for (number, call) in trace.calls.iter().enumerate() {
            while state.answered < call.answered {
                self.take_reply(&mut state)?;
            }
            let object = self.handle(&mut state, call.object)?;
            let second = match &call.second {
                Some((path, rest)) => Some((self.handle(&mut state, *path)?, rest)),
                None => None,
            };
            let record = state.record(call, &object, second)?;
            let sent = self.client.connection.send(&record)?;
            state.flying.insert(sent, number);
        }
        while !state.flying.is_empty() {
            self.take_reply(&mut state)?;
        }
        Ok(start.elapsed())
    }

    /// The server's handle of a path. It comes with a reply that may still be on its way; a server that gives none
    /// where the recorded one did is asked for it.
    fn handle(&mut self, state: &mut State<'_>, path: usize) -> Result<nfs_fh3> {
        while state.handles[path].is_none() && !state.flying.is_empty() {
            self.take_reply(state)?;
        }
        if let Some(handle) = &state.handles[path] {
            return Ok(handle.clone());
        }
        let named = &state.trace.paths[path];
        let directory = self.handle(state, named.directory)?;
        let handle = lookup(&mut self.client, &directory, &named.name)?;
        state.handles[path] = Some(handle.clone());
        Ok(handle)
    }

    fn take_reply(&mut self, state: &mut State<'_>) -> Result<()> {
        let (xid, reply) = self.client.connection.receive_reply()?;
        let number = state.flying.remove(&xid).context("a reply to a call that was not made")?;
        let call = &state.trace.calls[number];
        let procedure = NFS_PROGRAM::try_from(call.procedure)?;
        let status: u32 = decode(reply)?;
        if (status == 0) != (call.status == 0) {
            let path = state.trace.path(call.object);
            bail!("{procedure} on {path} ends with status {status} and not {}", call.status);
        }
        state.answered += 1;
        if status != 0 {
            return Ok(());
        }
        match state.learn(call, procedure, reply)? {
            Some(page) => self.further_pages(state, call, page),
            None => Ok(()),
        }
    }

    /// Asks for the rest of a listing; how many calls that takes is the server's matter.
    fn further_pages(
        &mut self,
        state: &mut State<'_>,
        call: &Call,
        mut page: READDIRPLUS3args,
    ) -> Result<()> {
        loop {
            let record = nfs(NFS_PROGRAM::NFSPROC3_READDIRPLUS, &page)?;
            let sent = self.client.connection.send(&record)?;
            // Replies to other calls may come first.
            let next = loop {
                let (xid, reply) = self.client.connection.receive_reply()?;
                if xid == sent {
                    break state.listed(call.object, reply, page.dir.clone())?;
                }
                let number = state.flying.remove(&xid).context("a reply to a call that was not made")?;
                let other = &state.trace.calls[number];
                state.answered += 1;
                let procedure = NFS_PROGRAM::try_from(other.procedure)?;
                if decode::<u32>(reply)? == 0 && state.learn(other, procedure, reply)?.is_some() {
                    bail!("two long listings at once");
                }
            };
            match next {
                Some(next) => page = next,
                None => return Ok(()),
            }
        }
    }
}

impl<'t> State<'t> {
    fn new(trace: &'t Trace, root: &nfs_fh3) -> State<'t> {
        let mut handles = vec![None; trace.paths.len()];
        if let Some(first) = handles.first_mut() {
            *first = Some(root.clone());
        }
        let name = |(number, named): (usize, &'t super::trace::Named)| {
            ((named.directory, named.name.as_str()), number)
        };
        let numbers = trace.paths.iter().enumerate().skip(1).map(name).collect();
        let most = trace.calls.iter().map(|call| call.data).max().unwrap_or(0);
        State { trace, handles, numbers, flying: HashMap::new(), answered: 0, zeros: vec![0; most + 3] }
    }

    fn record(&self, call: &Call, object: &nfs_fh3, second: Option<(nfs_fh3, &Vec<u8>)>) -> Result<Vec<u8>> {
        let mut arguments = Vec::with_capacity(call.rest.len() + call.data + 256);
        object.pack(&mut arguments)?;
        arguments.extend_from_slice(&call.rest);
        if let Some((handle, rest)) = second {
            handle.pack(&mut arguments)?;
            arguments.extend_from_slice(rest);
        }
        arguments.extend_from_slice(&self.zeros[..call.data.next_multiple_of(4)]);
        nfs(NFS_PROGRAM::try_from(call.procedure)?, &Encoded(arguments))
    }

    /// Takes the handles from a reply. A listing that goes on is answered with how.
    fn learn(
        &mut self,
        call: &Call,
        procedure: NFS_PROGRAM,
        reply: &[u8],
    ) -> Result<Option<READDIRPLUS3args>> {
        let handle = match procedure {
            NFS_PROGRAM::NFSPROC3_READDIRPLUS => {
                let directory = self.handles[call.object].clone().context("a directory without a handle")?;
                return self.listed(call.object, reply, directory);
            }
            NFS_PROGRAM::NFSPROC3_LOOKUP => match decode::<LOOKUP3res>(reply)? {
                Nfs3Result::Ok(found) => Some(found.object),
                Nfs3Result::Err(_) => None,
            },
            NFS_PROGRAM::NFSPROC3_CREATE => made(decode::<CREATE3res>(reply)?, |done| done.obj),
            NFS_PROGRAM::NFSPROC3_MKDIR => made(decode::<MKDIR3res>(reply)?, |done| done.obj),
            NFS_PROGRAM::NFSPROC3_SYMLINK => made(decode::<SYMLINK3res>(reply)?, |done| done.obj),
            _ => None,
        };
        if let Some(handle) = handle {
            let name: nfs3_types::nfs3::filename3<'_> = decode(&call.rest)?;
            self.named(call.object, name.as_ref(), handle);
        }
        Ok(None)
    }

    fn listed(&mut self, directory: usize, reply: &[u8], dir: nfs_fh3) -> Result<Option<READDIRPLUS3args>> {
        let Nfs3Result::Ok(listing) = decode::<READDIRPLUS3res>(reply)? else {
            bail!("a listing breaks off")
        };
        let (mut last, end) = (None, listing.reply.eof);
        for entry in listing.reply.entries.into_inner() {
            last = Some(entry.cookie);
            if let Nfs3Option::Some(handle) = entry.name_handle {
                self.named(directory, entry.name.as_ref(), handle);
            }
        }
        let more = last.filter(|_| !end).map(|cookie| READDIRPLUS3args {
            dir,
            cookie,
            cookieverf: cookieverf3(listing.cookieverf.0),
            dircount: PAGE,
            maxcount: PAGE,
        });
        Ok(more)
    }

    fn named(&mut self, directory: usize, name: &[u8], handle: nfs_fh3) {
        let number = std::str::from_utf8(name).ok().and_then(|name| self.numbers.get(&(directory, name)));
        if let Some(&number) = number {
            self.handles[number] = Some(handle);
        }
    }
}

/// Arguments that are encoded already.
struct Encoded(Vec<u8>);

impl Pack for Encoded {
    fn packed_size(&self) -> usize {
        self.0.len()
    }

    fn pack(&self, out: &mut impl std::io::Write) -> nfs3_types::xdr_codec::Result<usize> {
        out.write_all(&self.0).map_err(nfs3_types::xdr_codec::Error::Io)?;
        Ok(self.0.len())
    }
}
