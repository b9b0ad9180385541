//! Errors of setting up, running and ending a jail: one variant for each step.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::resource::Limit;
use crate::{MountError, errno, text};

/// The step that failed. It crosses the pipe from the process that took the step.
#[derive(Debug, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum JailError {
    /// The specification is invalid.
    #[error("invalid jail specification: {problem}")]
    Spec {
        /// What is wrong.
        problem: String,
    },
    /// The supervisor cannot be started.
    #[error("cannot start the supervisor of the jail, {program:?}")]
    Launch {
        /// The binary.
        #[serde(with = "text::path")]
        program: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Communication with the supervisor failed.
    #[error("cannot communicate with the supervisor of the jail")]
    Control {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The supervisor was killed.
    #[error("the supervisor of the jail died; everything inside was killed with it")]
    SupervisorDied,
    /// unshare(2) of the mount namespace failed.
    #[error("cannot make a mount namespace")]
    MountNamespace {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The view cannot be mounted.
    #[error("cannot mount the view")]
    Mount {
        /// The underlying error.
        source: MountError,
    },
    /// A place of a root that is put together of mounts cannot be made.
    #[error("cannot {step} {at:?}")]
    Place {
        /// Where it would be.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// What could not be done.
        step: String,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// unshare(2) of the pid namespace, or fork(2), failed.
    #[error("cannot start the first process of the jail")]
    Fork {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// unshare(2) of the mount, IPC, UTS or network namespace failed.
    #[error("cannot make namespaces for mounts, IPC, host name and network")]
    Namespaces {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The root directory cannot be made a mount of its own.
    #[error("cannot use {path:?} as a root directory")]
    Root {
        /// The host directory.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The root cannot be entered, or the old one not be left.
    #[error("cannot change the root to {path:?}")]
    Pivot {
        /// The host directory.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The machine's devices cannot be shown in the root.
    #[error("cannot mount the devices at {at:?}")]
    Devices {
        /// The place on the host.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A device cannot be shown.
    #[error("cannot show the device {at:?}")]
    Device {
        /// The place inside.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// There is no file system in memory to make devices in.
    #[error("cannot mount a file system in memory for devices")]
    Stage {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The system's disk image cannot be attached in the root.
    #[error("cannot attach the disk image {image:?} at {at:?}")]
    Image {
        /// The image.
        #[serde(with = "text::path")]
        image: PathBuf,
        /// The place on the host.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The sandbox does not take the profile.
    #[error("the system's sandbox refuses the profile: {said}")]
    Sandbox {
        /// The message of the sandbox.
        said: String,
    },
    /// The loopback interface cannot be brought up.
    #[error("cannot bring the loopback interface up")]
    Loopback {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The host or domain name cannot be set.
    #[error("cannot set the host or domain name {name:?}")]
    Name {
        /// The name.
        name: String,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A file system of the kernel's own cannot be mounted inside.
    #[error("cannot mount {kind} at {at:?} inside")]
    Special {
        /// Its type.
        kind: String,
        /// The place inside.
        #[serde(with = "text::path")]
        at: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// A part of /proc that root could change the host through cannot be made read-only.
    #[error("cannot make {path:?} read-only inside")]
    ReadOnlyProc {
        /// The place inside.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// setrlimit(2) failed.
    #[error("cannot set the limit {limit:?}")]
    Limit {
        /// The limit.
        limit: Limit,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// unshare(2) of the user namespace failed.
    #[error("cannot make a user namespace")]
    UserNamespace {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The id maps of the user namespace cannot be written.
    #[error("cannot write {path:?}")]
    IdMap {
        /// The kernel's file.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// The I/O error.
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
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// `PR_SET_NO_NEW_PRIVS` failed.
    #[error("cannot set no_new_privs")]
    NoNewPrivs {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The seccomp filter, landlock or personality(2) cannot be set.
    #[error("cannot install the filter of system calls")]
    SystemCalls {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// setsid(2), or taking the controlling terminal, failed.
    #[error("cannot start a new session")]
    Session {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The working directory cannot be entered.
    #[error("cannot enter the working directory {path:?} inside")]
    WorkingDirectory {
        /// The directory inside.
        #[serde(with = "text::path")]
        path: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Another step of the set-up failed: signals, descriptors, death signals.
    #[error("cannot {what}")]
    Arrange {
        /// The step, as an infinitive.
        what: String,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// execve(2) of the program failed.
    #[error("cannot execute {program:?} inside")]
    Exec {
        /// The program inside.
        #[serde(with = "text::path")]
        program: PathBuf,
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// Waiting for the program failed.
    #[error("cannot wait for the program")]
    Wait {
        /// The I/O error.
        #[serde(with = "errno")]
        source: io::Error,
    },
    /// The program has ended, and the view cannot be unmounted in order: what it wrote may not be complete.
    #[error("cannot unmount the view")]
    Unmount {
        /// The underlying error.
        source: MountError,
    },
}
