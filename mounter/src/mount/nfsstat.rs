//! What macOS's `nfsstat -m` says, as a pure function.
//!
//! What a mount really has is not always what was asked for: `/etc/nfs.conf` may add options to every NFS mount.

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NfsMount {
    /// What is mounted.
    pub(crate) device: String,
    /// The options that it has.
    options: Vec<String>,
}

/// Reads what `nfsstat -m` prints: for each mount a line `PATH from DEVICE`, and below it the options that were asked for
/// and those that it has, each under a heading.
pub(crate) fn mounts(output: &str) -> Vec<NfsMount> {
    let mut mounts: Vec<NfsMount> = Vec::new();
    let mut current = false;
    for line in output.lines() {
        if let Some((_, device)) = line.split_once(" from ").filter(|_| line.starts_with('/')) {
            current = false;
            mounts.push(NfsMount { device: device.into(), options: Vec::new() });
        }
        let Some(mount) = mounts.last_mut() else { continue };
        match line.trim().split_once(':') {
            Some(("-- Original mount options", _)) => current = false,
            Some(("-- Current mount parameters", _)) => current = true,
            Some(("NFS parameters", options)) if current => {
                mount.options = options.trim().split(',').map(str::to_owned).collect();
            }
            _ => {}
        }
    }
    mounts
}

impl NfsMount {
    /// The first of these options that the mount does not have.
    pub(crate) fn lacks<'a>(&self, options: &[&'a str]) -> Option<&'a str> {
        options.iter().copied().find(|option| !self.options.iter().any(|has| has == option))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NFSSTAT: &str = "\
/private/tmp/view from 127.0.0.1:/3f9a
  -- Original mount options:
     General mount flags: 0x100018 nodev,nosuid,nobrowse
     NFS parameters: vers=3,tcp,port=53771,mountport=53771,hard,intr,locallocks
     File system locations:
       /3f9a @ 127.0.0.1 (127.0.0.1)
  -- Current mount parameters:
     General mount flags: 0x4100018 nodev,nosuid,nobrowse,multilabel
     NFS parameters: vers=3,tcp,port=53771,mountport=53771,nomntudp,hard,noresvport,negnamecache,callumnt,locallocks,noquota,sec=sys
     File system locations:
       /3f9a @ 127.0.0.1 (127.0.0.1)
     Status flags: 0x0

/Volumes/other from server:/share
  -- Current mount parameters:
     NFS parameters: vers=4.0,tcp,port=2049,soft,locks
";

    #[test]
    fn what_a_mount_has_is_told_from_what_was_asked_for() {
        let mounts = mounts(NFSSTAT);
        let [view, other] = &mounts[..] else { panic!("{mounts:?}") };
        assert_eq!((view.device.as_str(), other.device.as_str()), ("127.0.0.1:/3f9a", "server:/share"));
        assert_eq!(view.lacks(&["vers=3", "port=53771", "locallocks", "hard", "noquota"]), None);
        assert_eq!(view.lacks(&["tcp", "intr"]), Some("intr"), "it was asked for only");
        assert_eq!(other.lacks(&["tcp", "vers=3", "hard"]), Some("vers=3"));
    }

    #[test]
    fn what_is_no_report_has_no_mounts() {
        assert_eq!(mounts(""), []);
        assert_eq!(mounts("nfsstat: /x: not an NFS mount\n     NFS parameters: vers=3\n"), []);
    }
}
