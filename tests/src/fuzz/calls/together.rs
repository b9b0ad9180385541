//! Several connections at once, with several calls in flight on each; some records are mutated or repeated, and some
//! connections are cut.

use anyhow::Result;

use super::call::{Call, Head};
use super::connection::{Connection, Learnt, Received, Sent, fragment, fragments, next_xid};
use super::grammar::{Grammar, Pool, Scope};
use crate::fuzz::EDGES;
use crate::fuzz::world::World;
use crate::random::Random;

/// Connections at once; a mount has one to sixteen.
const CONNECTIONS: usize = 4;
/// The most calls in one batch of a connection.
const BATCH_MAX: usize = 8;
/// Batches on each connection.
const BATCHES: usize = 6;
/// One in so many records is mutated, is repeated, is in two fragments.
const MUTATED: usize = 12;
const REPEATED: usize = 10;
const FRAGMENTED: usize = 10;
/// One in so many batches ends with the connection.
const CUT: usize = 12;
/// One in so many calls is a silly rename instead.
const SILLY: usize = 30;
/// The most bytes of a batch: what the sockets hold while nobody reads, so that client and server do not wait for each other.
const BATCH_BYTES_MAX: usize = 128 << 10;

/// How a connection ends.
#[derive(Clone, Copy)]
enum Cut {
    InARecord,
    WithRepliesUnread,
    WithALengthThatIsWrong,
}

/// What is drawn from.
pub struct Source<'r> {
    pub random: &'r mut Random,
    pub pool: &'r Pool,
    /// As [`Grammar::round`].
    pub round: u64,
    /// Calls that were sent as they are, and may be sent again.
    pub recent: Vec<Vec<u8>>,
}

/// Makes calls on all connections; the number of calls.
pub fn run(world: &World, source: &mut Source<'_>, learnt: &mut Learnt) -> Result<u64> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(Connection::new(world)?);
    }
    let mut calls = 0;
    for _ in 0..BATCHES {
        let mut cut = Vec::new();
        for (number, connection) in connections.iter_mut().enumerate() {
            let batch = source.batch(world);
            calls += batch.len() as u64;
            learnt.transcript.push(format!("connection {number}"));
            let line =
                |sent: &Sent| format!("  {}{}", summary(sent), if sent.mutated { ", mutated" } else { "" });
            learnt.transcript.extend(batch.iter().map(line));
            let bytes = source.bytes(&batch);
            let ending = (source.random.below(CUT) == 0).then(|| {
                *source.random.choose(&[Cut::InARecord, Cut::WithRepliesUnread, Cut::WithALengthThatIsWrong])
            });
            match ending {
                None => {
                    connection.send(&bytes, batch)?;
                    cut.push(false);
                    continue;
                }
                Some(how) => source.cut(connection, bytes, how),
            }
            learnt.transcript.push("  cut".into());
            cut.push(true);
        }
        for (connection, cut) in connections.iter_mut().zip(cut) {
            if cut || !receive_all(connection, learnt)? {
                *connection = Connection::new(world)?;
            }
        }
    }
    connections.into_iter().try_for_each(Connection::finish)?;
    Ok(calls)
}

/// Receives what is due; false when the connection has ended.
fn receive_all(connection: &mut Connection, learnt: &mut Learnt) -> Result<bool> {
    while connection.waits() {
        if let Received::End = connection.receive(learnt)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn summary(sent: &Sent) -> String {
    format!("{:?} {}", Head::of(&sent.record), sent.record.escape_ascii())
}

impl Source<'_> {
    fn batch(&mut self, world: &World) -> Vec<Sent> {
        let mut batch = Vec::new();
        let mut size = 0;
        for _ in 0..=self.random.below(BATCH_MAX) {
            let from = batch.len();
            self.draw(world, &mut batch);
            size += batch[from..].iter().map(|sent| sent.record.len()).sum::<usize>();
            if size > BATCH_BYTES_MAX {
                batch.truncate(from.max(1));
                break;
            }
        }
        let whole = batch.iter().filter(|sent| !sent.mutated).map(|sent| sent.record.clone());
        self.recent.extend(whole);
        let old = self.recent.len().saturating_sub(CONNECTIONS * BATCH_MAX);
        self.recent.drain(..old);
        batch
    }

    fn draw(&mut self, world: &World, batch: &mut Vec<Sent>) {
        if self.random.below(REPEATED) == 0
            && let Some(record) = self.random.choose_any(&self.recent)
        {
            return batch.push(Sent { record: record.clone(), mutated: false });
        }
        let silly = self.random.below(SILLY) == 0;
        let (random, pool, round) = (&mut *self.random, self.pool, self.round);
        let mut grammar = Grammar { random, pool, scope: Scope::Any, export: world.export(), round };
        if silly {
            let user = Some(&super::call::USERS[0]);
            let record = |call: &Call| Sent { record: call.record(next_xid(), user), mutated: false };
            return batch.extend(grammar.silly_rename().iter().map(record));
        }
        let (call, user) = grammar.call();
        let mut record = call.record(next_xid(), user);
        let mutated = self.random.below(MUTATED) == 0;
        if mutated {
            self.mutate(&mut record);
        }
        batch.push(Sent { record, mutated });
    }

    /// Changes a record, but not its number: a reply to another call would be taken for one to this.
    fn mutate(&mut self, record: &mut Vec<u8>) {
        let number: Vec<u8> = record[..4].to_vec();
        let other = self.random.choose_any(&self.recent).unwrap_or(record).clone();
        self.random.change(record, &other);
        if self.random.below(4) == 0 {
            let edge = self.random.choose(&EDGES).to_be_bytes();
            record.extend(edge);
        }
        let kept = record.len().min(4);
        record[..kept].copy_from_slice(&number[..kept]);
    }

    /// A batch as it goes over the wire.
    fn bytes(&mut self, batch: &[Sent]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for Sent { record, .. } in batch {
            let whole = self.random.below(FRAGMENTED) > 0;
            let at = self.random.below(record.len());
            bytes.extend(if whole { fragment(record) } else { fragments(record, at) });
        }
        bytes
    }

    /// Sends a batch on a connection that is not used any more afterwards. It does not matter whether the server takes it.
    fn cut(&mut self, connection: &mut Connection, mut bytes: Vec<u8>, how: Cut) {
        match how {
            Cut::InARecord => bytes.truncate(self.random.below(bytes.len())),
            Cut::WithRepliesUnread => {}
            Cut::WithALengthThatIsWrong => {
                let edge = self.random.choose(&EDGES).to_be_bytes();
                bytes.extend([&edge[..], &bytes.clone()].concat());
            }
        }
        let _ = connection.write(&bytes);
    }
}
