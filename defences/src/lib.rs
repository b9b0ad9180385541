//! What keeps a build, and other users, from what is not theirs: each defence by its name, at the places in the code where it
//! stands.
//!
//! A test that an attack fails says little unless the attack would succeed without the defence. So the tests' own program, which is
//! compiled with the feature `weakened`, takes defences away that the variable [`VARIABLE`] names. In every other program all of
//! them stand, and the compiler knows it: nothing is left of [`Defence::stands`].

/// Defences that do not stand, with commas between them; heeded with the feature `weakened` alone.
pub const VARIABLE: &str = "LOOPBOX_WITHOUT";

macro_rules! defences {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something that an attack has to get past.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Defence {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Defence {
            /// All of them, from the server to the terminal.
            pub const ALL: &[Defence] = &[$(Defence::$variant),+];

            /// What it is called in the variable and in the documentation.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Defence::$variant => $name,)+
                }
            }
        }
    };
}

defences! {
    /// What is shown read-only is changed by no procedure.
    ReadOnlyGrafts = "read-only-grafts",
    /// Files get no set-id bits, and show none.
    SetIdBits = "set-id-bits",
    /// The server follows no link of the host, and what it opens is the file that was meant.
    OpenedFiles = "opened-files",
    /// The server lets a caller do what owner and mode of a file let him do.
    Modes = "modes",
    /// A file handle has a proof that this server gave it.
    HandleProof = "handle-proof",
    /// Who may not use a view is not answered.
    Callers = "callers",
    /// Only the kernel's NFS client and root can have the ports that are admitted.
    PeerPorts = "peer-ports",
    /// The path of the export is a secret.
    ExportPath = "export-path",
    /// There are only so many connections to a server.
    Connections = "connections",
    /// A call that is longer than any may be is not waited for.
    RecordSize = "record-size",
    /// What a program may write has an end.
    Quotas = "quotas",

    /// Server and mount are in a network of their own.
    ServerNetwork = "server-network",
    /// The kernel's client of a view talks to nobody when the view's server has gone.
    EndedClients = "ended-clients",
    /// The server is the user that the view is for, without capabilities.
    ServerUser = "server-user",
    /// The server opens only files of its view (landlock).
    ServerFiles = "server-files",
    /// The server makes only the system calls of serving (seccomp).
    ServerCalls = "server-calls",

    /// The root directory of a program is its view.
    Root = "root",
    /// The machine's tree is gone from the mount namespace, and not just out of sight.
    DetachedTree = "detached-tree",
    /// A program sees no process outside of its view, and none outlives it.
    ProcessNamespace = "process-namespace",
    /// User 0 inside is not user 0 of the machine.
    UserNamespace = "user-namespace",
    /// A program has its own System V objects and queues of messages.
    IpcNamespace = "ipc-namespace",
    /// A program has its own name for the machine.
    HostName = "host-name",
    /// A program has a network of its own, without the machine's.
    Network = "network",
    /// Processes get no privileges by executing.
    NewPrivileges = "new-privileges",
    /// Nix's filter of system calls.
    SystemCalls = "system-calls",
    /// A program that has the machine's network reaches no abstract Unix sockets of the machine.
    AbstractSockets = "abstract-sockets",
    /// The files of /proc that are the machine's are read-only or empty.
    Proc = "proc",
    /// User 0 inside makes no mount namespaces.
    MountNamespaces = "mount-namespaces",
    /// Devices and set-id programs do not work on what is mounted.
    MountOptions = "mount-options",
    /// The program that the first process inside is cannot be changed through it.
    OwnProgram = "own-program",
    /// A program has no descriptors but its three streams.
    Descriptors = "descriptors",
    /// The streams of a program are not the caller's files.
    Streams = "streams",
    /// The terminal of who watches is not a program's controlling terminal.
    Terminal = "terminal",
    /// A program is in a session of its own, which the terminal of who watches does not control.
    OwnSession = "own-session",
    /// All processes of a build user are killed when his build has ended.
    KilledUser = "killed-user",

    /// What takes an output opens no link, and is sure what it has opened.
    OutputFiles = "output-files",
    /// Outputs on the machine's own file system are copied before they are looked at.
    OutputCopies = "output-copies",
    /// Outputs go only so deep.
    OutputDepth = "output-depth",
    /// What removes a tree follows no link.
    RemovedLinks = "removed-links",
    /// A log has an end.
    LogSize = "log-size",

    /// Directories with run records are written by root alone.
    StateDirectory = "state-directory",
    /// Root makes temporary directories and records where nobody else can exchange them.
    SafeDirectories = "safe-directories",
    /// The daemon does for somebody what he could do himself: as this user, with his groups.
    AskingUser = "asking-user",
    /// The daemon shows no devices but the usual ones.
    Devices = "devices",
    /// Only so many attend to one user's requests.
    Attendants = "attendants",

    /// A terminal gets no control characters from a log.
    LogText = "log-text",
    /// Names are printed without control characters.
    NameText = "name-text",
    /// Names are text in pages, not markup.
    Markup = "markup",
}

impl Defence {
    /// Whether it is there: always, but in the tests' own program.
    #[must_use]
    #[inline]
    pub fn stands(self) -> bool {
        #[cfg(feature = "weakened")]
        let stands = !weakened::without().contains(&self);
        #[cfg(not(feature = "weakened"))]
        let stands = true;
        stands
    }
}

/// The variable for a process that is started without those of this one.
#[must_use]
pub fn passed_on() -> Option<(&'static str, String)> {
    #[cfg(feature = "weakened")]
    let passed_on = std::env::var(VARIABLE).ok().map(|names| (VARIABLE, names));
    #[cfg(not(feature = "weakened"))]
    let passed_on = None;
    passed_on
}

#[cfg(feature = "weakened")]
mod weakened {
    use std::sync::OnceLock;

    use super::{Defence, VARIABLE};

    /// Those that the variable names. It is read once, before the process has a second thread that could change it.
    pub(super) fn without() -> &'static [Defence] {
        static WITHOUT: OnceLock<Vec<Defence>> = OnceLock::new();
        WITHOUT.get_or_init(|| std::env::var(VARIABLE).map(|names| parse(&names)).unwrap_or_default())
    }

    /// A name that is none is a mistake in a test, which would go unnoticed otherwise.
    fn parse(names: &str) -> Vec<Defence> {
        let known = |name: &str| Defence::ALL.iter().copied().find(|defence| defence.name() == name);
        let names = names.split(',').filter(|name| !name.is_empty());
        names.map(|name| known(name).unwrap_or_else(|| panic!("{VARIABLE}: no defence {name}"))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn all_stand_when_nobody_takes_them_away() {
        assert!(Defence::ALL.iter().all(|defence| defence.stands()));
        assert_eq!(passed_on(), None);
    }

    #[test]
    fn names_are_different() {
        let names: BTreeSet<_> = Defence::ALL.iter().map(|defence| defence.name()).collect();
        assert_eq!(names.len(), Defence::ALL.len());
    }
}
