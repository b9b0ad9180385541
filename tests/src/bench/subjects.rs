//! What is measured: the servers and the workloads, by the names that the results use.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
pub enum Server {
    /// Nobody: the files themselves, on tmpfs. The limit.
    #[serde(rename = "local")]
    Local,
    /// The kernel's own NFS server.
    #[serde(rename = "knfsd")]
    Knfsd,
    /// This project's.
    #[serde(rename = "loopbox")]
    Loopbox,
    /// This project's, with the machine's own directories mounted over scratches, as in a jail.
    #[serde(rename = "loopbox-local")]
    LoopboxLocal,
    /// nfs-ganesha, Debian's package.
    #[serde(rename = "ganesha")]
    Ganesha,
    /// The crate nfs3_server, on loopbox's view.
    #[serde(rename = "nfs3_server")]
    #[value(name = "nfs3_server")]
    Nfs3Server,
    /// The crate nfsserve, on loopbox's view.
    #[serde(rename = "nfsserve")]
    Nfsserve,
    /// This project's, remembering what is asked for as in every build; only if it is named.
    #[serde(rename = "recording")]
    Recording,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// Walk 20,000 files; the client has seen none of them.
    FindCold,
    /// The same walk again.
    FindWarm,
    /// Stat and read all 200 MB of them; the client has seen none.
    TarCold,
    /// The same again.
    TarWarm,
    /// Make 5,000 small files.
    Create,
    /// Remove them, with a client that has not seen them.
    Rm,
    /// Write 500 MB and wait until they are written.
    Write,
    /// Read 500 MB that the client has not seen.
    ReadCold,
    /// Read 4 KiB here and there, by one thread.
    Random,
    /// The same by eight threads.
    #[value(name = "random-8")]
    #[serde(rename = "random-8")]
    Random8,
    /// Unpack and compile zlib with a compiler that the client has not seen.
    CompileCold,
    /// The same again.
    Compile,
    /// Compile SQLite, one large file, with a compiler that the client has not seen; only if it is named.
    CompileLarge,
    /// GETATTR.
    WireGetattr,
    /// LOOKUP.
    WireLookup,
    /// ACCESS.
    WireAccess,
    /// READ of 4 KiB.
    WireRead4k,
    /// READ of 1 MiB.
    WireRead1m,
    /// READDIRPLUS of a directory of some fifty names.
    WireReaddirplus,
    /// What the kernel's client asks for during all of the above in the virtual machine.
    Replay,
    /// What a server holds on to after a walk of 200,000 files and after opening a million.
    Memory,
}

/// What runs a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The kernel's client, in the virtual machine.
    Machine,
    /// A client of the benchmark's own, over loopback on the host.
    Wire,
    /// The same client, with an eye on memory.
    Memory,
    /// The same client, with what the kernel's was seen to ask for.
    Replay,
}

impl Server {
    /// Those that are measured if nobody is named, in the order of the tables.
    pub const ALL: [Server; 7] = [
        Server::Local,
        Server::Knfsd,
        Server::Loopbox,
        Server::LoopboxLocal,
        Server::Ganesha,
        Server::Nfs3Server,
        Server::Nfsserve,
    ];

    /// Those whose instructions are counted if nobody is named.
    pub const COUNTED: [Server; 2] = [Server::Knfsd, Server::Loopbox];
}

impl Workload {
    /// Those whose instructions are counted if nobody is named, on a ground where everything is slow.
    pub const COUNTED: [Workload; 7] = [
        Workload::FindCold,
        Workload::TarCold,
        Workload::Create,
        Workload::Rm,
        Workload::Write,
        Workload::ReadCold,
        Workload::Random,
    ];

    /// Those that are measured if nobody is named.
    pub fn usual() -> impl Iterator<Item = Workload> {
        Workload::value_variants().iter().copied().filter(|workload| *workload != Workload::CompileLarge)
    }

    /// Where it runs.
    pub fn stage(self) -> Stage {
        match self {
            Workload::WireGetattr
            | Workload::WireLookup
            | Workload::WireAccess
            | Workload::WireRead4k
            | Workload::WireRead1m
            | Workload::WireReaddirplus => Stage::Wire,
            Workload::Replay => Stage::Replay,
            Workload::Memory => Stage::Memory,
            _ => Stage::Machine,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_name(self, f)
    }
}

/// The name that the command line knows it by, which is also the one of the results.
pub(super) fn write_name(value: &impl ValueEnum, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value.to_possible_value() {
        Some(value) => f.pad(value.get_name()),
        None => Err(fmt::Error),
    }
}
