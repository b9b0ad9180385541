//! The kernel's own NFS server, inside the machine: the reference that a case is compared with.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use crate::command::{command, quiet};

/// Where the server answers NFS calls.
pub const PORT: u16 = 2049;
/// Where it answers MOUNT calls.
pub const MOUNT_PORT: u16 = 20048;
/// Where the port mapper listens; another server may have started it.
const PORT_MAPPER: u16 = 111;

/// Exports `export` (on a file system that can be exported) and mounts it at `at`, over loopback and NFSv3.
pub fn serve(directory: &Path, at: &Path) -> Result<()> {
    export(directory)?;
    fs::create_dir_all(at)?;
    let options = format!(
        "vers=3,addr=127.0.0.1,proto=tcp,mountproto=tcp,mountport={MOUNT_PORT},port={PORT},nolock,nocto"
    );
    mount(
        Some(format!("127.0.0.1:{}", directory.display()).as_str()),
        at,
        Some("nfs"),
        MsFlags::empty(),
        Some(options.as_str()),
    )
    .context("cannot mount the reference")
}

/// Exports a directory; the first time starts the server.
pub fn export(directory: &Path) -> Result<()> {
    let first = !Path::new("/proc/fs/nfsd/threads").exists();
    if first {
        prepare()?;
    }
    quiet(
        command("exportfs", ["-o", "rw,no_root_squash,insecure,fsid=1,no_subtree_check,async"])
            .arg(format!("127.0.0.1:{}", directory.display())),
    )?;
    if first {
        quiet(&mut command("rpc.nfsd", ["-N4", "-V3", "8"]))?;
        quiet(command("rpc.mountd", ["-N4", "-p"]).arg(MOUNT_PORT.to_string()))?;
    }
    Ok(())
}

/// Everything that the server's programs need.
fn prepare() -> Result<()> {
    quiet(&mut command("modprobe", ["nfsd"]))?;
    // Debian's own file says manage-gids, with which the server ignores the groups that the client sends.
    fs::write("/etc/nfs.conf", "[mountd]\nmanage-gids=n\n")?;
    mount(Some("state"), "/var/lib/nfs", Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .context("cannot mount a place for the server's state")?;
    for name in ["etab", "rmtab", "xtab", "state"] {
        fs::write(Path::new("/var/lib/nfs").join(name), "")?;
    }
    mount(Some("nfsd"), "/proc/fs/nfsd", Some("nfsd"), MsFlags::empty(), None::<&str>)
        .context("cannot mount the server's control files")?;
    if TcpStream::connect((Ipv4Addr::LOCALHOST, PORT_MAPPER)).is_err() {
        quiet(&mut command("rpcbind", ["-w"]))?;
    }
    Ok(())
}
