//! Directories that a farm makes, and writes down as its own.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use nix::fcntl::openat;
use nix::sys::stat::{self, Mode};

use super::list::List;
use super::{DIRECTORY, FarmError, failed};
use crate::Identity;

/// Makes one and writes it down. A farm that is killed between the two leaves an empty directory, which is removed without
/// being entered.
pub(super) fn make(
    holder: impl AsFd,
    name: &OsStr,
    path: &dyn Fn() -> PathBuf,
    list: &mut List,
) -> Result<OwnedFd, FarmError> {
    let step = |source: io::Error| failed("make", &path(), source);
    stat::mkdirat(&holder, name, Mode::S_IRWXU).map_err(|errno| step(errno.into()))?;
    let opened = openat(&holder, name, DIRECTORY, Mode::empty()).map_err(|errno| step(errno.into()))?;
    list.made(Identity::of(&opened).map_err(step)?)?;
    Ok(opened)
}
