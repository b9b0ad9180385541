//! What systemd does for a service that has `Delegate=cpu` and `DelegateSubgroup=daemon`: the machine has no systemd.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, setxattr};

/// The control group that the service may divide.
pub const GROUP: &str = "/sys/fs/cgroup/loopbox";

/// The group in it in which the service is started.
pub const OWN_GROUP: &str = "/sys/fs/cgroup/loopbox/daemon";

/// Makes both.
pub fn delegate() -> io::Result<()> {
    fs::create_dir_all(OWN_GROUP)?;
    fs::write(Path::new(GROUP).with_file_name("cgroup.subtree_control"), "+cpu")?;
    Ok(setxattr(GROUP, "trusted.delegate", b"1", XattrFlags::empty())?)
}
