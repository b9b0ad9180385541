//! The kernel's own NFS server, inside the machine: the reference that a case is compared with.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};

use crate::command::{command, quiet};

/// Exports `export` (on a file system that can be exported) and mounts it at `at`, over loopback and NFSv3.
pub fn serve(export: &Path, at: &Path) -> Result<()> {
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
    quiet(&mut command("rpcbind", ["-w"]))?;
    quiet(
        command("exportfs", ["-o", "rw,no_root_squash,insecure,fsid=1,no_subtree_check,async"])
            .arg(format!("127.0.0.1:{}", export.display())),
    )?;
    quiet(&mut command("rpc.nfsd", ["-N4", "-V3", "8"]))?;
    quiet(&mut command("rpc.mountd", ["-N4", "-p", "20048"]))?;
    fs::create_dir_all(at)?;
    let options = "vers=3,addr=127.0.0.1,proto=tcp,mountproto=tcp,mountport=20048,port=2049,nolock,nocto";
    mount(
        Some(format!("127.0.0.1:{}", export.display()).as_str()),
        at,
        Some("nfs"),
        MsFlags::empty(),
        Some(options),
    )
    .context("cannot mount the reference")
}
