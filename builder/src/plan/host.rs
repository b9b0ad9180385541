//! What a plan has to know of the machine, looked up once, so that planning itself asks nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use sandbox::entry::MacHost;
use serde::Serialize;

use crate::store::Settings;

/// Files that builds with network access need to find other machines.
const NETWORK_FILES: [&str; 3] = ["/etc/resolv.conf", "/etc/services", "/etc/hosts"];

/// Devices that every build sees, beside `kvm` for those that ask for it.
const DEVICES: [&str; 6] = ["full", "null", "random", "tty", "urandom", "zero"];

/// This machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Devices that exist, by their place.
    pub devices: BTreeMap<PathBuf, Device>,
    /// Network configuration that exists, by its place, with what it resolves to.
    pub network_files: BTreeMap<PathBuf, PathBuf>,
    /// The certificates that Nix is configured with, when they exist.
    pub certificates: Option<PathBuf>,
    /// This process' environment, from which `impureEnvVars` are taken.
    #[serde(skip)]
    pub environment: BTreeMap<String, OsString>,
    /// Processors.
    pub processors: u32,
    /// Whether user namespaces can be made.
    pub user_namespaces: bool,
    /// Whether there are pseudo-terminals of one's own.
    pub pts: bool,
    /// Whether there is shared memory.
    pub shm: bool,
    /// What is asked of a Mac; none elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacHost>,
}

/// A character device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Owner's group.
    pub gid: u32,
}

impl Host {
    /// Looks at this machine. How a Mac is entered takes trials, and is for others to add.
    #[must_use]
    pub fn detect(settings: &Settings) -> Host {
        let kvm = settings.system_features.iter().any(|feature| feature == "kvm").then_some("kvm");
        let devices = DEVICES.into_iter().chain(kvm).filter_map(|name| {
            let place = Path::new("/dev").join(name);
            Some((place.clone(), device(&place)?))
        });
        let resolved = |path: &Path| std::fs::canonicalize(path).ok();
        let network_files =
            NETWORK_FILES.iter().filter_map(|file| Some((PathBuf::from(file), resolved(Path::new(file))?)));
        let environment =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        let namespaces = std::fs::read_to_string("/proc/sys/user/max_user_namespaces");
        Host {
            devices: devices.collect(),
            network_files: network_files.collect(),
            certificates: settings.ssl_cert_file.as_deref().and_then(resolved),
            environment: environment.collect(),
            processors: std::thread::available_parallelism()
                .map_or(1, |count| count.get().try_into().unwrap_or(1)),
            user_namespaces: namespaces.is_ok_and(|limit| limit.trim() != "0"),
            pts: Path::new("/dev/pts/ptmx").exists(),
            shm: Path::new("/dev/shm").exists(),
            mac: None,
        }
    }
}

#[allow(
    clippy::unnecessary_fallible_conversions,
    clippy::useless_conversion,
    reason = "the widths differ between systems"
)]
fn device(place: &Path) -> Option<Device> {
    let metadata = std::fs::metadata(place).ok().filter(|metadata| metadata.file_type().is_char_device())?;
    let number = libc::dev_t::try_from(metadata.rdev()).ok()?;
    Some(Device {
        major: libc::major(number).try_into().ok()?,
        minor: libc::minor(number).try_into().ok()?,
        mode: metadata.mode() & 0o777,
        uid: metadata.uid(),
        gid: metadata.gid(),
    })
}
