//! nfs-ganesha, unpacked from Debian's packages and not installed: NFSv3 alone, without lock manager and quotas.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Address;
use crate::command::command;
use crate::lab::Lab;
use crate::lab::apt::{Suite, codename};

/// The server, its file system module, and those of their libraries that nfs-common does not bring.
const PACKAGES: [&str; 8] = [
    "nfs-ganesha",
    "nfs-ganesha-vfs",
    "libntirpc4.3",
    "liburcu8",
    "libwbclient0",
    "libdbus-1-3",
    "libnfsidmap1",
    "libbsd0",
];
/// Where it keeps its state: memory, in the virtual machine and on the host alike.
const STATE: &str = "/run/bench-ganesha";
/// Where the port mapper listens, without which the server does not start.
const PORT_MAPPER: u16 = 111;
/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether it does.
const POLL: Duration = Duration::from_millis(20);

/// Brings the packages, once.
pub fn bring(lab: &Lab) -> Result<PathBuf> {
    lab.once("ganesha", "bringing nfs-ganesha", |at| {
        Suite::open(lab, &codename()?)?.unpack(&PACKAGES, false, at)
    })
}

/// Starts it on a directory: where it listens, the server, and the port mapper if it had to be started too.
pub fn start(root: &Path) -> Result<(Address, Child, Option<Child>)> {
    let unpacked = bring(&Lab::open()?)?;
    let state = Path::new(STATE);
    fs::create_dir_all(state).context("cannot create the server's state")?;
    let export = root.display().to_string();
    let address = Address { nfs: free_port()?, mount: free_port()?, export };
    let configuration = state.join("ganesha.conf");
    fs::write(&configuration, configure(&address, &unpacked))?;
    let port_mapper = if listens(PORT_MAPPER) { None } else { Some(port_mapper()?) };
    let log = state.join("log");
    let server = run(&unpacked, &configuration, &log)?;
    let started = (address, server, port_mapper);
    wait_for(&started.0, &log)?;
    Ok(started)
}

fn configure(address: &Address, unpacked: &Path) -> String {
    let Address { nfs, mount, export } = address;
    let plugins = unpacked.join("usr/lib/x86_64-linux-gnu/ganesha");
    format!(
        "NFS_CORE_PARAM {{
            Protocols = 3; NFS_Port = {nfs}; MNT_Port = {mount};
            Enable_NLM = false; Enable_RQUOTA = false; Enable_UDP = false;
            Plugins_Dir = \"{}\";
        }}
        NFSV4 {{ Graceless = true; RecoveryRoot = \"{STATE}\"; }}
        EXPORT_DEFAULTS {{
            Access_Type = RW; Squash = No_Root_Squash; SecType = sys; Protocols = 3; Transports = TCP;
        }}
        EXPORT {{ Export_Id = 1; Path = {export}; Pseudo = {export}; FSAL {{ Name = VFS; }} }}\n",
        plugins.display()
    )
}

fn run(unpacked: &Path, configuration: &Path, log: &Path) -> Result<Child> {
    let libraries = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu", "usr/lib/ganesha"]
        .map(|directory| unpacked.join(directory).display().to_string())
        .join(":");
    with_us()
        .arg(unpacked.join("usr/bin/ganesha.nfsd"))
        .args(["-F", "-N", "NIV_EVENT", "-p"])
        .arg(Path::new(STATE).join("pid"))
        .arg("-f")
        .arg(configuration)
        .arg("-L")
        .arg(log)
        .env("LD_LIBRARY_PATH", libraries)
        .stdin(Stdio::null())
        .stdout(File::create(Path::new(STATE).join("stdout"))?)
        .spawn()
        .context("cannot start nfs-ganesha")
}

fn port_mapper() -> Result<Child> {
    let child =
        with_us().args(["rpcbind", "-f"]).stdin(Stdio::null()).spawn().context("cannot start rpcbind")?;
    let start = Instant::now();
    while !listens(PORT_MAPPER) && start.elapsed() < PATIENCE {
        thread::sleep(POLL);
    }
    Ok(child)
}

/// A command that dies with this program.
fn with_us() -> Command {
    command("setpriv", ["--pdeathsig", "KILL"])
}

fn wait_for(address: &Address, log: &Path) -> Result<()> {
    let start = Instant::now();
    while !listens(address.nfs) || !listens(address.mount) {
        if start.elapsed() > PATIENCE {
            let log = fs::read_to_string(log).unwrap_or_default();
            bail!("nfs-ganesha does not listen:\n{log}");
        }
        thread::sleep(POLL);
    }
    Ok(())
}

fn listens(port: u16) -> bool {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("there is no free port")?;
    Ok(listener.local_addr()?.port())
}
