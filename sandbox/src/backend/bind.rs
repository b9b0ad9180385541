//! Views put together of bind mounts, in the jail's own mount namespace: what Linux has for the purpose.

use std::path::Path;

use mounter::jail::{Place, PlaceKind, Places, Root};
use nfs_server::view::{Access, Entry, OpenError, View};

use super::{Backend, BackendError, ProvisionRequest, Provisioned, ResourceUsage, ViewSummary, present};

/// Binds what a view shows to where it shows it. The jail's supervisor does all of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bind;

struct BindView {
    view: View,
    places: Places,
}

impl Backend for Bind {
    fn provision(&self, request: ProvisionRequest<'_>) -> Result<Box<dyn Provisioned>, BackendError> {
        // It finds the sources, and gives writable directories their modes and owners.
        let view = View::open(request.view, None)?;
        let places = present(request.view).map(place).collect();
        Ok(Box::new(BindView {
            view,
            places: Places { mount_point: request.at.into(), in_memory: true, places },
        }))
    }
}

impl Provisioned for BindView {
    fn root(&self) -> Root {
        Root::Places(self.places.clone())
    }

    fn view(&self) -> Result<&View, OpenError> {
        Ok(&self.view)
    }

    fn end(self: Box<Self>) -> Result<ViewSummary, BackendError> {
        let shows =
            |place: &&Place| matches!(place.what, PlaceKind::Shown { .. } | PlaceKind::Writable { .. });
        let mounted = self.places.places.iter().filter(shows).count() as u64;
        // What is mounted below a writable directory needs a name in it to be mounted on.
        let writable: Vec<&Path> =
            self.places.places.iter().filter(|place| is_writable(place)).map(|place| &*place.at).collect();
        let below = |place: &&Place| place.at.parent().is_some_and(|holder| writable.contains(&holder));
        let inodes_created = self.places.places.iter().filter(below).count() as u64;
        // The file system in memory, and its root once more.
        let usage = ResourceUsage { mounts: mounted + 2, inodes_created, ..ResourceUsage::default() };
        Ok(usage.into())
    }
}

fn is_writable(place: &Place) -> bool {
    matches!(place.what, PlaceKind::Writable { .. })
}

fn place(entry: &Entry) -> Place {
    let what = match entry {
        Entry::Graft { source, access: Access::Rw, .. } | Entry::Scratch { source, .. } => {
            PlaceKind::Writable { source: source.clone() }
        }
        // Nobody is asked what is looked for.
        Entry::Graft { access: Access::Phantom, .. } => PlaceKind::Directory { mode: 0o755, uid: 0, gid: 0 },
        Entry::Graft { source, .. } => PlaceKind::Shown { source: source.clone() },
        Entry::Inline { contents, mode, .. } => PlaceKind::File { contents: contents.clone(), mode: *mode },
        Entry::Symlink { target, .. } => PlaceKind::Symlink { target: target.clone() },
        // The jail mounts the device on it.
        Entry::Device { .. } => PlaceKind::File { contents: String::new(), mode: 0 },
        Entry::Directory { mode, owner, .. } => {
            PlaceKind::Directory { mode: *mode, uid: owner.uid, gid: owner.gid }
        }
    };
    Place { at: entry.at().into(), what }
}
