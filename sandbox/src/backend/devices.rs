//! The devices of a view. No mount of a view lets one be opened, whatever the backend: those that are declared, the jail
//! mounts.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path};

use mounter::jail::{Device, DeviceNode};
use nfs_server::view::{Entry, ViewSpec};

use super::present;

/// Where the machine's devices are.
const DEVICES: &str = "/dev";

/// What the jail of a view mounts: the devices that it declares, and what it shows of the machine's.
#[must_use]
pub fn devices(view: &ViewSpec) -> Vec<Device> {
    devices_among(view, has_devices)
}

/// The same for somebody else, whom devices are shown from where everybody sees them: nowhere else is looked for any.
pub(crate) fn public_devices(view: &ViewSpec) -> Vec<Device> {
    devices_among(view, |source| is_public(source) && has_devices(source))
}

fn devices_among(view: &ViewSpec, is_of_host: impl Fn(&Path) -> bool) -> Vec<Device> {
    // Where the machine has none at other places, nothing is mounted.
    if cfg!(target_os = "macos") {
        return Vec::new();
    }
    let device = |entry: &Entry| {
        let node = match entry {
            Entry::Device { major, minor, mode, owner, .. } => DeviceNode::Number {
                major: *major,
                minor: *minor,
                mode: *mode,
                uid: owner.uid,
                gid: owner.gid,
            },
            Entry::Graft { source, .. } if is_of_host(source) => DeviceNode::Host { source: source.clone() },
            _ => return None,
        };
        Some(Device { at: entry.at().into(), node })
    };
    present(view).filter_map(device).collect()
}

/// Whether a host path is a device, or a directory of the file system that the machine's devices are on. Devices that lie
/// elsewhere in a directory can be seen, and not be opened.
pub(super) fn has_devices(source: &Path) -> bool {
    let Ok(metadata) = source.symlink_metadata() else { return false };
    let kind = metadata.file_type();
    kind.is_char_device() || kind.is_block_device() || (kind.is_dir() && is_of_devices(source, &metadata))
}

/// Whether a path leads to where the machine's devices are by its text alone.
fn is_public(source: &Path) -> bool {
    let mut parts = source.components();
    source.starts_with(DEVICES) && parts.all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
}

fn is_of_devices(source: &Path, metadata: &Metadata) -> bool {
    let below = source.canonicalize().is_ok_and(|source| source.starts_with(DEVICES));
    below && std::fs::metadata(DEVICES).is_ok_and(|devices| devices.dev() == metadata.dev())
}

#[cfg(test)]
mod tests {
    use nfs_server::view::{Access, Owner};

    use super::*;

    fn graft(source: &Path) -> Entry {
        Entry::Graft { at: "/shown".into(), source: source.into(), access: Access::Ro, optional: true }
    }

    #[test]
    fn devices_are_told_from_what_else_a_view_shows() {
        let directory = tempfile::tempdir().unwrap();
        for (source, expected) in
            [("/dev/null", true), ("/dev", true), ("/etc", false), ("/dev/fd", false), ("/missing", false)]
        {
            assert_eq!(has_devices(Path::new(source)), expected && cfg!(target_os = "linux"), "{source}");
        }
        let declared = Entry::Device {
            at: "/d".into(),
            major: 1,
            minor: 3,
            mode: 0o600,
            owner: Owner { uid: 1, gid: 2 },
        };
        let view = ViewSpec { entries: vec![declared, graft(directory.path())] };
        let number = DeviceNode::Number { major: 1, minor: 3, mode: 0o600, uid: 1, gid: 2 };
        assert_eq!(devices(&view), [Device { at: "/d".into(), node: number }]);
    }
}
