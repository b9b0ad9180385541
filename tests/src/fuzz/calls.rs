//! Sequences of valid calls for a running server, over several connections, with a model beside it.
//!
//! A round has two stretches. *Alone*: one call at a time on one connection, each result compared with the model, and the whole
//! tree at the end. *Together*: calls in flight on several connections, some mutated or repeated, and connections that are cut;
//! the results are well-formed, and no more is known of them. The next round's model is taken from what is there then.

mod call;
mod connection;
mod grammar;
mod model;
mod reply;
mod resources;
mod status;
mod together;

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use nfs_server::Users;

use self::call::{Call, Handle, USERS, User};
use self::connection::{Connection, Learnt, Received, Sent, fragment, next_xid};
use self::grammar::{Grammar, Scope};
use self::model::Model;
use self::reply::Reply;
use self::resources::{Resources, memory};
use self::together::Source;
use super::Run;
use super::world::{World, has_panicked, with_host};
use crate::lab::remove;

/// Calls in a stretch alone.
const ALONE: usize = 120;
/// Rounds with one view: with more, names get deep and files many.
const ROUNDS: usize = 12;
/// Files that a server may keep open besides one for each file that is there: orphans (at most 256), and directories of sources.
const OPEN_MORE: usize = 256 + 16;
/// What the process may hold more after a view than after the first, in bytes. A connection has buffers of 5 MiB and four threads
/// with 1 MiB each, and what is given back to the allocator is not given back to the system at once.
const MEMORY_MORE: u64 = 64 << 20;
/// A run ends after so many findings: most likely they are one.
const FOUND_MAX: u64 = 5;
/// Handles of files that are gone, among those that are drawn.
const STRANGE_MAX: usize = 16;

/// Goes on until the time is over.
pub fn run(run: &mut Run) -> Result<()> {
    with_host(run, attack)
}

fn attack(run: &mut Run, host: &Path) -> Result<()> {
    let elsewhere = World::make(&host.join("elsewhere"), Users::Any)?;
    let mut connection = Connection::new(&elsewhere)?;
    let foreign = Model::take(&elsewhere, &mut connection)?.pool();
    let foreign = [foreign.directories, foreign.others].concat();
    connection.finish()?;
    let before = Resources::settled()?;
    let mut settled = None;
    while !run.is_over() {
        let here = host.join("here");
        remove(&here)?;
        attack_one(run, &here, &foreign)?;
        if let Err(error) = Resources::wait(before) {
            run.keep(b"", &format!("the server is stopped: {error:#}"))?;
        }
        let now = memory()?;
        let limit = *settled.get_or_insert(now) + MEMORY_MORE;
        ensure!(
            now <= limit,
            "{} MiB are in use, and {} were after the first view",
            now >> 20,
            (limit - MEMORY_MORE) >> 20
        );
        if run.found >= FOUND_MAX {
            bail!("more than enough was found");
        }
    }
    Ok(())
}

/// Some rounds with one view, or until something is found.
fn attack_one(run: &mut Run, host: &Path, foreign: &[Handle]) -> Result<()> {
    let users = USERS.iter().map(|user| user.uid).collect();
    let world = World::make(host, Users::Only(users))?;
    let idle = Resources::settled()?;
    let mut learnt = Learnt::default();
    for _ in 0..ROUNDS {
        if run.is_over() {
            break;
        }
        let number = run.tried;
        let mut outcome = Round { run, world: &world, learnt: &mut learnt, foreign, number }.go(idle);
        if has_panicked() {
            outcome = Err(anyhow!("a thread panicked"));
        }
        if let Err(error) = outcome {
            run.keep(learnt.transcript.join("\n").as_bytes(), &format!("{error:#}"))?;
            break;
        }
    }
    Ok(())
}

/// A round with one view.
struct Round<'r> {
    run: &'r mut Run,
    world: &'r World,
    learnt: &'r mut Learnt,
    foreign: &'r [Handle],
    /// As [`Grammar::round`].
    number: u64,
}

impl Round<'_> {
    /// Takes both stretches; `idle` is what the process holds without connections.
    fn go(&mut self, idle: Resources) -> Result<()> {
        let world = self.world;
        let mut connection = Connection::new(world)?;
        let mut model =
            Model::take(world, &mut connection).context("the view, before calls are made alone")?;
        self.learnt.given.extend(model.handles().cloned());
        // What was done together in the round before is known to have left a good view now.
        self.learnt.transcript.clear();
        for _ in 0..ALONE {
            self.alone(&mut model, &mut connection)?;
        }
        model
            .compare_all(world, &mut connection, &mut self.run.random)
            .context("the view, after calls were made alone")?;
        connection.finish()?;

        let mut pool = model.pool();
        pool.strange = self.strange();
        let round = self.number;
        let mut source = Source { random: &mut self.run.random, pool: &pool, round, recent: Vec::new() };
        self.run.tried += together::run(world, &mut source, self.learnt)?;
        let files = idle.files + model.len() + pool.directories.len() + OPEN_MORE;
        Resources::wait(Resources { files, ..idle })?;
        ensure!(world.is_untouched(), "the server changed what it shows read-only");
        Ok(())
    }

    /// One call, and what the model says of it.
    fn alone(&mut self, model: &mut Model, connection: &mut Connection) -> Result<()> {
        let mut pool = model.pool();
        pool.strange = model.gone().chain(self.foreign).cloned().collect();
        let mut grammar = Grammar {
            random: &mut self.run.random,
            pool: &pool,
            scope: Scope::Modelled,
            export: self.world.export(),
            round: self.number,
        };
        let (call, user) = grammar.call();
        self.run.tried += 1;
        let xid = next_xid();
        self.learnt.transcript.push(format!("alone {xid}, {user:?}: {}", call.summary()));
        let record = call.record(xid, user);
        connection.send(&fragment(&record), vec![Sent { record, mutated: false }])?;
        let Received::Reply(reply) = connection.receive(self.learnt)? else { bail!("the connection ended") };
        let compared = compare(model, self.world, &call, user, &reply);
        compared.map_err(|why| anyhow!("{xid}, {}: {why}", call.summary()))
    }

    /// Handles that were given to others, and some that were given here once.
    fn strange(&mut self) -> Vec<Handle> {
        let mut given: Vec<&Handle> = self.learnt.given.iter().collect();
        // A set has no order that a seed decides. A handle begins with the file's number, which it does.
        given.sort();
        let random = &mut self.run.random;
        let old = (0..STRANGE_MAX).filter_map(|_| random.choose_any(&given).map(|handle| handle.to_vec()));
        self.foreign.iter().cloned().chain(old).collect()
    }
}

fn compare(
    model: &mut Model,
    world: &World,
    call: &Call,
    user: Option<&User>,
    reply: &Reply,
) -> Result<(), String> {
    match (call, user) {
        (Call::Null, _) => matches!(reply, Reply::Other(None)).then_some(()).ok_or(reply.summary()),
        (Call::Mount(path), _) => {
            let Reply::Other(handle) = reply else { return Err(reply.summary()) };
            let expected = (path == world.export().as_bytes()).then(|| model.root()).flatten();
            if handle.as_ref() == expected { Ok(()) } else { Err(format!("MNT gives {handle:?}")) }
        }
        (call, Some(user)) if USERS.iter().any(|admitted| admitted.uid == user.uid) => {
            model.check(call, user, reply)
        }
        _ => match reply {
            Reply::Refused(_) => Ok(()),
            other => Err(format!("{}, for somebody who is not admitted", other.summary())),
        },
    }
}
