//! A server as a process of its own, so that what it takes can be told from what its client takes.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use mounter::jail::User;
use nfs_server::view::{AccessObserver, View, ViewOptions, ViewSpec};
use nfs_server::{Listener, ServerOptions, Users};
use nix::sys::socket::{setsockopt, sockopt::TcpCongestion};
use sandbox::Rights;
use sandbox::access::{AccessLog, Recording};

use super::{Address, Offer, nfs3_server, nfsserve};
use crate::bench::subjects::Server;
use crate::bench::work::LARGE;

/// What is sent at a time where nothing but sending is measured.
const PIECE: usize = 1 << 20;

/// Whose connections loopbox takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peers {
    /// Those of the kernel's client, as in a build.
    Kernel,
    /// Those of any program of this machine: the benchmark's own client too.
    Anyone,
}

/// What to serve, and how.
#[derive(Debug, Args)]
pub struct Options {
    server: Server,
    /// A view's specification.
    spec: PathBuf,
    #[arg(long, value_enum)]
    peers: Peers,
}

/// The command that becomes a server.
pub fn command(server: Server, offer: &Offer, peers: Peers) -> Result<Command> {
    let spec = offer.root.join("view.json");
    fs::write(&spec, serde_json::to_vec(&offer.spec)?).context("cannot write the view's specification")?;
    let mut command = Command::new(std::env::current_exe().context("cannot find this program's own file")?);
    command.args(["__bench-serve", &server.to_string()]).arg(spec).arg("--peers").arg(match peers {
        Peers::Kernel => "kernel",
        Peers::Anyone => "anyone",
    });
    Ok(command)
}

/// Serves until standard input ends.
pub fn main(options: &Options) -> Result<ExitCode> {
    if options.server == Server::Local {
        return sendfile(&options.spec.with_file_name(LARGE));
    }
    let spec: ViewSpec = serde_json::from_slice(&fs::read(&options.spec)?).context("no specification")?;
    let view = || View::open(&spec, None).map(Arc::new);
    match options.server {
        Server::Loopbox | Server::LoopboxLocal => loopbox(&spec, options.peers, None)?,
        Server::Recording => loopbox(&spec, options.peers, Some(AccessLog::new(Recording::Hidden)))?,
        Server::Nfs3Server => nfs3_server::serve(view()?, ready)?,
        Server::Nfsserve => nfsserve::serve(view()?, ready)?,
        other => bail!("{other} is no process of this program"),
    }
    Ok(ExitCode::SUCCESS)
}

/// With as little power as in a session of user 0, who the clients here are. With a record, calls are timed as in builds.
fn loopbox(spec: &ViewSpec, peers: Peers, record: Option<AccessLog>) -> Result<()> {
    let peers = match peers {
        Peers::Kernel => nfs_server::Peers::KernelOnly,
        Peers::Anyone => nfs_server::Peers::Anyone,
    };
    let rights = Rights::of(&User::new(0, 0));
    let times_calls = record.is_some();
    let observer = record.map(|record| Arc::new(record) as Arc<dyn AccessObserver>);
    let options = ViewOptions { observer, becomes: Some(rights.user.clone()), ..ViewOptions::default() };
    let view = Arc::new(View::open_with(spec, options)?);
    let listener = Listener::new(peers)?;
    sandbox::confine(&rights, spec)?;
    let options = ServerOptions { times_calls, ..ServerOptions::new(Users::Any, peers) };
    let server = nfs_server::Server::start_on(listener, view, options)?;
    let port = server.addr().port();
    ready(&Address { nfs: port, mount: port, export: server.export().to_owned() })?;
    server.stop();
    Ok(())
}

/// No server, but what bounds those that send a file's data: sends it piece by piece, without a copy.
fn sendfile(path: &Path) -> Result<ExitCode> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let length = i64::try_from(file.metadata()?.len())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    // As loopbox has its connections: what bounds it must not be held up by what it is not.
    setsockopt(&listener, TcpCongestion, &"reno".into())?;
    let port = listener.local_addr()?.port();
    let address = Address { nfs: port, mount: port, export: String::new() };
    println!("{}", serde_json::to_string(&address)?);
    let (socket, _) = listener.accept()?;
    let mut offset = 0;
    // Until the client has enough of it.
    while nix::sys::sendfile::sendfile(&socket, &file, Some(&mut offset), PIECE).is_ok() {
        if offset >= length {
            offset = 0;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says where the server listens, and returns when it is to end.
fn ready(address: &Address) -> Result<()> {
    println!("{}", serde_json::to_string(address)?);
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
