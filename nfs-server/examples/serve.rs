//! Serves the view of a JSON specification until standard input ends, and prints how to mount it.
//!
//! `serve SPEC.json`; only the kernel's NFS client may connect.

use std::error::Error;
use std::io::Read;
use std::sync::Arc;

use nfs_server::view::{View, ViewSpec};
use nfs_server::{Peers, Server, ServerOptions, Users};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: serve SPEC.json")?;
    let spec: ViewSpec = serde_json::from_slice(&std::fs::read(path)?)?;
    let view = Arc::new(View::open(&spec, None)?);
    let options = ServerOptions::new(Users::Any, Peers::KernelOnly);
    let server = Server::start(view, options)?;
    println!("{} {}", server.addr().port(), server.export());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    for (name, count) in server.stop().iter().filter(|(_, count)| *count > 0) {
        eprintln!("{name} {count}");
    }
    Ok(())
}
