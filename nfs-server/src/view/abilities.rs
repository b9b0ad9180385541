//! What a host's file systems can do, where hosts differ.

/// What the view does by itself because its host cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// Whether named pipes and sockets can be made by name in an open directory. Where they cannot, files
    /// [stand in](super::stands_in) for them in scratches.
    pub special_files: bool,
    /// Whether names that differ in case only are two names. When it is not said, each file system is asked.
    pub tells_case: Option<bool>,
}

impl Default for Abilities {
    /// Those of this system. On macOS mknod(2) makes devices only, a socket's name comes from bind(2), which like
    /// mkfifo(2) takes a path that somebody could lead elsewhere meanwhile.
    fn default() -> Abilities {
        Abilities { special_files: cfg!(target_os = "linux"), tells_case: None }
    }
}
