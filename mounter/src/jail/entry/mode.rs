//! How a program on macOS gets into its view.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a view is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryMode {
    /// The view is the root directory.
    Chroot,
    /// The same, with the system's own disk image in the view, at the place where dyld looks: its shared cache carries
    /// the flag that the kernel asks for.
    Cryptex,
    /// The machine's root stays, and a sandbox profile closes all of it but the closure. What is written comes from
    /// the view.
    Profile,
}

impl EntryMode {
    /// Whether the view becomes the root directory.
    #[must_use]
    pub fn changes_root(self) -> bool {
        self != EntryMode::Profile
    }

    /// What a build can do or see in this mode that it could not with the view as its root, a sentence each.
    #[must_use]
    pub fn limitations(self) -> &'static [&'static str] {
        match self {
            EntryMode::Chroot => &[],
            EntryMode::Cryptex => &["the system's whole disk image is readable at /System/Cryptexes/OS"],
            EntryMode::Profile => &[
                "what is hidden answers 'Operation not permitted', not 'No such file or directory'",
                "the store is the machine's own: outputs are written at their places in it while they are built",
                "/tmp is closed; TMPDIR leads into the view",
                "the names in the store, and beside the build directory, can be listed",
                "paths can be shown only where they are, and none can be made up",
                "what was looked for in vain is not reported, as the server is not asked",
                "outputs that exist cannot be built again: '--check' and '--repair' need a root of their own",
            ],
        }
    }
}

impl fmt::Display for EntryMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EntryMode::Chroot => "chroot",
            EntryMode::Cryptex => "chroot with the system's disk image",
            EntryMode::Profile => "sandbox profile without chroot",
        })
    }
}
