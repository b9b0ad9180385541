//! Why there is no jail, or why it ended badly: one variant for each step.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Limit;
use crate::{MountError, errno};

/// The step that failed. It crosses the pipe from the process that took the step.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum JailError {
    /// The specification contradicts itself.
    #[error("the jail cannot be as specified: {problem}")]
    Spec {
        /// What is wrong.
        problem: String,
    },
    /// The supervisor cannot be started.
    #[error("cannot start the supervisor of the jail, {program:?}")]
    Launch {
        /// The binary.
        program: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The supervisor cannot be talked to.
    #[error("cannot talk to the supervisor of the jail")]
    Control {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Somebody killed the supervisor.
    #[error("the supervisor of the jail died; everything inside was killed with it")]
    SupervisorDied,
    /// No mount namespace.
    #[error("cannot make a mount namespace")]
    MountNamespace {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The view cannot be mounted.
    #[error("cannot mount the view")]
    Mount {
        /// Why.
        source: MountError,
    },
    /// A place of a root that is put together of mounts cannot be made.
    #[error("cannot {step} {at:?}")]
    Place {
        /// Where it would be.
        at: PathBuf,
        /// What could not be done.
        step: String,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// No process namespace, or no process in it.
    #[error("cannot start the first process inside")]
    Fork {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// No namespaces for mounts, IPC, names or the network.
    #[error("cannot make namespaces for mounts, IPC, host name and network")]
    Namespaces {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The root directory cannot be made a mount of its own.
    #[error("cannot use {path:?} as a root directory")]
    Root {
        /// The host directory.
        path: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The root cannot be entered, or the old one not be left.
    #[error("cannot change the root to {path:?}")]
    Pivot {
        /// The host directory.
        path: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The machine's devices cannot be shown in the root.
    #[error("cannot mount the devices at {at:?}")]
    Devices {
        /// The place on the host.
        at: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A device cannot be shown.
    #[error("cannot show the device {at:?}")]
    Device {
        /// The place inside.
        at: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// There is no file system in memory to make devices in.
    #[error("cannot mount a file system in memory for devices")]
    Stage {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The system's disk image cannot be attached in the root.
    #[error("cannot attach the disk image {image:?} at {at:?}")]
    Image {
        /// The image.
        image: PathBuf,
        /// The place on the host.
        at: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The sandbox does not take the profile.
    #[error("the system's sandbox refuses the profile: {said}")]
    Sandbox {
        /// What it says.
        said: String,
    },
    /// The loopback interface stays down.
    #[error("cannot bring the loopback interface up")]
    Loopback {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A name is refused.
    #[error("cannot set the host or domain name {name:?}")]
    Name {
        /// The name.
        name: String,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A file system of the kernel's own cannot be mounted inside.
    #[error("cannot mount {kind} at {at:?} inside")]
    Special {
        /// Its type.
        kind: String,
        /// The place inside.
        at: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A part of /proc that root could change the host through cannot be made read-only.
    #[error("cannot make {path:?} read-only inside")]
    Knob {
        /// The place inside.
        path: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A limit is refused.
    #[error("cannot set the limit {limit:?}")]
    Limit {
        /// The limit.
        limit: Limit,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// No user namespace.
    #[error("cannot make a user namespace")]
    UserNamespace {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The user namespace does not get its users.
    #[error("cannot write {path:?}")]
    IdMap {
        /// The kernel's file.
        path: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The user cannot be changed.
    #[error("cannot become user {uid} and group {gid}")]
    Ids {
        /// The user, as seen inside.
        uid: u32,
        /// The group, as seen inside.
        gid: u32,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Privileges cannot be given up.
    #[error("cannot give up new privileges")]
    NoNewPrivs {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The kernel cannot treat the program's calls as asked.
    #[error("cannot set up how system calls are treated")]
    SystemCalls {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// No session.
    #[error("cannot start a session")]
    Session {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory {path:?} inside")]
    WorkingDirectory {
        /// The directory inside.
        path: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Signals, descriptors, or the death of the supervisor cannot be arranged.
    #[error("cannot arrange {what}")]
    Arrange {
        /// What.
        what: String,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// All is set up, and the program cannot be executed.
    #[error("cannot execute {program:?} inside")]
    Exec {
        /// The program inside.
        program: PathBuf,
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The end of the program cannot be waited for.
    #[error("cannot wait for the program")]
    Wait {
        /// Why.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The program has ended, and the view cannot be unmounted in order: what it wrote may not be complete.
    #[error("cannot unmount the view")]
    Unmount {
        /// Why.
        source: MountError,
    },
}
