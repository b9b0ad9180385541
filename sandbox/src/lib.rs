//! One program in one view, from nothing to nothing left.
//!
//! A [`ViewSpec`](view::ViewSpec) says what a program sees, a [`JailSpec`](jail::JailSpec) who runs it and with which
//! limits, a [`Backend`](backend::Backend) how the view becomes a directory. A [`Session`] does the rest: it makes the
//! view, runs the program in it, ends whatever the program left, and takes the view away. What it would leave behind if
//! this process were killed is recorded first, and a later run removes it ([`recovery`]).
//!
//! Nothing here knows Nix or a terminal.

pub mod access;
pub mod backend;
pub mod cancel;
pub mod causes;
pub mod command;
pub mod compare;
pub mod conditions;
#[cfg(target_os = "linux")]
pub mod daemon;
pub mod entry;
pub mod host_mount;
pub mod learn;
pub mod limits;
mod local;
pub mod patterns;
mod phantom;
pub mod program;
pub mod recovery;
pub mod report;
mod safe_place;
mod server;
pub mod session;
pub mod status;
pub mod work_dir;

pub use local::{Scratches, UnknownScratches};
pub use phantom::phantom;
#[cfg(target_os = "linux")]
pub use server::can_restrict_files;
pub use server::{Capability, ConfineError, Rights, ServeError, ServeOptions, confine, serve};
pub use session::{
    PhaseSeconds, Privilege, Program, ProvidedSession, Session, SessionError, SessionOutcome,
    SessionProvider, SessionTerminal, Setup,
};
pub use work_dir::{Layout, TopDir, WorkDir, WorkDirError, temporary_directory, unused_directory};

/// What a program sees, as plain data.
pub mod view {
    pub use nfs_server::view::{
        Access, Entry, FileIdOrder, OpenError, Owner, Quota, QuotaUsage, SpecError, View, ViewSpec,
        ViewVariation, is_special_file_marker,
    };
}

/// Who runs what, and how it ends.
pub mod jail {
    #[cfg(target_os = "linux")]
    pub use mounter::guard;
    #[cfg(target_os = "linux")]
    pub use mounter::jail::AttendantContext;
    pub use mounter::jail::{
        Architecture, EntryMode, ExitOutcome, Ids, JailError, JailSpec, KillError, Limit, Mac, NO_ID,
        Resource, Roles, Root, Spawner, StdioFds, StreamError, Streams, SystemCalls, Task, User, WORD,
        can_scope_abstract_sockets, enter,
    };
    pub use mounter::profile::{Files, NetworkAccess, Profile};
    pub use mounter::{keep_ended_children, signal_text};
}

pub use mounter::farm::FarmError;
pub use mounter::{
    MountError, NetworkError, copy_contents, inherited, is_mount_point, mount_path, tree, unguessable,
    unmount,
};
pub use nfs_server::ServerError;
