//! What macOS's `mount` and `nfsstat -m` say, as pure functions.
//!
//! What a mount really has is not always what was asked for: `/etc/nfs.conf` may add options to every NFS mount.

use std::path::PathBuf;

/// A line of `mount`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mounted {
    /// What is mounted.
    pub device: String,
    /// Where.
    pub at: PathBuf,
    /// The file system's type.
    pub kind: String,
    /// Flags, such as `nodev` and `mounted by root`.
    pub flags: Vec<String>,
}

/// One mount in what `nfsstat -m` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NfsMount {
    /// Where it is.
    pub at: PathBuf,
    /// What is mounted.
    pub device: String,
    /// The options that it was mounted with.
    pub asked: Vec<String>,
    /// Those that it has.
    pub has: Vec<String>,
}

/// Reads what `mount` prints: `DEVICE on PATH (TYPE, FLAG, …)`. Other lines are passed over.
#[must_use]
pub fn mount(output: &str) -> Vec<Mounted> {
    output.lines().filter_map(mounted).collect()
}

/// Reads what `nfsstat -m` prints.
#[must_use]
pub fn nfsstat(output: &str) -> Vec<NfsMount> {
    let mut mounts: Vec<NfsMount> = Vec::new();
    let mut current = false;
    for line in output.lines() {
        if let Some((at, device)) = line.split_once(" from ").filter(|_| line.starts_with('/')) {
            current = false;
            mounts.push(NfsMount { at: at.into(), device: device.into(), ..NfsMount::default() });
        }
        let Some(mount) = mounts.last_mut() else { continue };
        match line.trim().split_once(':') {
            Some(("-- Original mount options", _)) => current = false,
            Some(("-- Current mount parameters", _)) => current = true,
            Some(("NFS parameters", options)) => {
                let options = options.trim().split(',').map(str::to_owned).collect();
                *(if current { &mut mount.has } else { &mut mount.asked }) = options;
            }
            _ => {}
        }
    }
    mounts
}

impl NfsMount {
    /// The first of these options that the mount does not have.
    #[must_use]
    pub fn lacks<'a>(&self, options: &[&'a str]) -> Option<&'a str> {
        options.iter().copied().find(|option| !self.has.iter().any(|has| has == option))
    }
}

/// A path may hold ` on `, and what is mounted may not where it matters: it is an address and a secret.
fn mounted(line: &str) -> Option<Mounted> {
    let (device, rest) = line.split_once(" on ")?;
    let (at, words) = rest.strip_suffix(')')?.rsplit_once(" (")?;
    let mut words = words.split(", ").map(str::to_owned);
    Some(Mounted { device: device.into(), at: at.into(), kind: words.next()?, flags: words.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNT: &str = "\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s7 on /nix (apfs, local, journaled, noatime, nobrowse)
127.0.0.1:/3f9a on /private/tmp/a place on top (1) (nfs, nodev, nosuid, mounted by root, nobrowse)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
";

    const NFSSTAT: &str = "\
/private/tmp/view from 127.0.0.1:/3f9a
  -- Original mount options:
     General mount flags: 0x100018 nodev,nosuid,nobrowse
     NFS parameters: vers=3,tcp,port=53771,mountport=53771,hard,intr,locallocks
     File system locations:
       /3f9a @ 127.0.0.1 (127.0.0.1)
  -- Current mount parameters:
     General mount flags: 0x4100018 nodev,nosuid,nobrowse,multilabel
     NFS parameters: vers=3,tcp,port=53771,mountport=53771,nomntudp,hard,intr,noresvport,negnamecache,callumnt,locallocks,noquota,sec=sys
     File system locations:
       /3f9a @ 127.0.0.1 (127.0.0.1)
     Status flags: 0x0

/Volumes/other from server:/share
  -- Current mount parameters:
     NFS parameters: vers=4.0,tcp,port=2049,soft,locks
";

    #[test]
    fn mounts_are_read_from_what_mount_prints() {
        insta::assert_debug_snapshot!(mount(MOUNT)[2..4], @r#"
        [
            Mounted {
                device: "/dev/disk3s7",
                at: "/nix",
                kind: "apfs",
                flags: [
                    "local",
                    "journaled",
                    "noatime",
                    "nobrowse",
                ],
            },
            Mounted {
                device: "127.0.0.1:/3f9a",
                at: "/private/tmp/a place on top (1)",
                kind: "nfs",
                flags: [
                    "nodev",
                    "nosuid",
                    "mounted by root",
                    "nobrowse",
                ],
            },
        ]
        "#);
        assert_eq!(mount(MOUNT).len(), 5);
        assert_eq!(mount("mount: no such thing\n\n/dev/disk1 on /x (apfs"), []);
    }

    #[test]
    fn what_an_nfs_mount_has_is_told_from_what_was_asked_for() {
        let mounts = nfsstat(NFSSTAT);
        let [view, other] = &mounts[..] else { panic!("{mounts:?}") };
        assert_eq!((view.at.to_str(), view.device.as_str()), (Some("/private/tmp/view"), "127.0.0.1:/3f9a"));
        assert_eq!(view.asked.join(","), "vers=3,tcp,port=53771,mountport=53771,hard,intr,locallocks");
        assert_eq!(view.lacks(&["vers=3", "port=53771", "locallocks", "hard", "noquota"]), None);
        assert_eq!(other.lacks(&["tcp", "vers=3", "hard"]), Some("vers=3"));
        assert_eq!(other.asked, [""; 0]);
    }

    #[test]
    fn what_is_no_report_has_no_mounts() {
        assert_eq!(nfsstat(""), []);
        assert_eq!(nfsstat("nfsstat: /x: not an NFS mount\n     NFS parameters: vers=3\n"), []);
    }
}
