//! What macOS's `nfsstat -m` says, as a pure function.
//!
//! What a mount really has is not always what was asked for: `/etc/nfs.conf` may add options to every NFS mount.

/// Where the options stand that a mount was asked for with, and those that it has.
const ASKED: &str = "-- Original mount options:";
const CURRENT: &str = "-- Current mount parameters:";
const PARAMETERS: &str = "NFS parameters:";

/// How the transport is called: the second once the client has chosen a family of addresses (`socket_type` of Apple's
/// `nfsstat.c`).
const TCP: [&str; 2] = ["tcp", "proto=tcp"];

/// What a mount of loopbox's must not have: it gives up on a slow server, asks a lock manager that does not exist, or
/// changes the bytes of names.
const UNWANTED: [&str; 4] = ["soft", "locks", "nolocks", "nfc"];

/// The options that a mount has now, as `nfsstat -m` prints them: below a line `PATH from DEVICE`, under a heading. Both
/// are in the kernel's own words; a path may hold anything, also what looks like such a line.
pub(crate) fn parameters(output: &str, at: &str, device: &str) -> Option<Vec<String>> {
    let header = format!("{at} from {device}\n");
    let after = if let Some(rest) = output.strip_prefix(&header) {
        rest
    } else {
        output.split_once(&format!("\n{header}"))?.1
    };
    let mut current = false;
    // An empty line ends what is said of a mount.
    for line in after.lines().map(str::trim).take_while(|line| !line.is_empty()) {
        match line {
            ASKED => current = false,
            CURRENT => current = true,
            _ => {
                if let Some(options) = line.strip_prefix(PARAMETERS).filter(|_| current) {
                    return Some(options.trim().split(',').map(str::to_owned).collect());
                }
            }
        }
    }
    None
}

/// What is wrong with these options for a mount of loopbox's server at this port, if anything is.
pub(crate) fn fault(has: &[String], port: u16) -> Option<String> {
    let has = |option: &str| has.iter().any(|has| has == option);
    let port = format!("port={port}");
    if let Some(lacking) = ["vers=3", &port, "hard", "locallocks"].into_iter().find(|option| !has(option)) {
        return Some(format!("it is not {lacking:?}, as was asked for"));
    }
    if !TCP.into_iter().any(has) {
        return Some("it is not \"proto=tcp\", as was asked for".into());
    }
    let unwanted = UNWANTED.into_iter().find(|option| has(option));
    unwanted.map(|option| format!("it is {option:?}, which was not asked for"))
}

#[cfg(test)]
mod tests {
    use super::{fault, parameters};

    /// As the sources of NFS-339 print it.
    const NFSSTAT: &str = "\
/private/tmp/view from 127.0.0.1:/3f9a
  -- Original mount options:
     General mount flags: 0x100018 nodev,nosuid,nobrowse
     NFS parameters: vers=3,proto=tcp,port=53771,mountport=53771,nomntudp,hard,intr,locallocks,nonfc,sec=sys
     File system locations:
       /3f9a @ 127.0.0.1 (127.0.0.1)
  -- Current mount parameters:
     General mount flags: 0x4100018 nodev,nosuid,nobrowse,multilabel
     NFS parameters: vers=3,proto=tcp,port=53771,mountport=53771,nomntudp,hard,nointr,noresvport,negnamecache,callumnt,locallocks,noquota,nonfc,sec=sys
     File system locations:
       /3f9a @ 127.0.0.1 (127.0.0.1)
     Status flags: 0x0

/Volumes/other from server:/share
  -- Current mount parameters:
     NFS parameters: vers=4.0,tcp,port=2049,soft,locks
";

    fn options(text: &str) -> Vec<String> {
        text.split(',').map(str::to_owned).collect()
    }

    #[test]
    fn what_a_mount_has_is_told_from_what_was_asked_for() {
        let view = parameters(NFSSTAT, "/private/tmp/view", "127.0.0.1:/3f9a").unwrap();
        assert!(view.contains(&"nointr".into()) && !view.contains(&"intr".into()), "it was asked for only");
        assert_eq!(fault(&view, 53771), None);
        let other = parameters(NFSSTAT, "/Volumes/other", "server:/share").unwrap();
        assert_eq!(other, ["vers=4.0", "tcp", "port=2049", "soft", "locks"]);
    }

    #[test]
    fn the_path_may_hold_whatever_the_report_is_made_of() {
        let at = "/tmp/a from b:/c\n     NFS parameters: vers=2\n\n/tmp/view";
        let text = format!(
            "{NFSSTAT}\n{at} from 127.0.0.1:/7e\n  -- Current mount parameters:\n     NFS parameters: vers=3\n"
        );
        assert_eq!(parameters(&text, at, "127.0.0.1:/7e"), Some(options("vers=3")));
        assert_eq!(parameters(&text, "/tmp/view", "127.0.0.1:/3f9a"), None);
    }

    #[test]
    fn what_is_no_report_has_no_mounts() {
        assert_eq!(parameters("", "/x", "d"), None);
        let text = "nfsstat: /x: not an NFS mount\n     NFS parameters: vers=3\n";
        assert_eq!(parameters(text, "/x", "d"), None);
        assert_eq!(parameters("/x from d\n\n     NFS parameters: vers=3\n", "/x", "d"), None);
    }

    #[test]
    fn a_mount_with_options_from_elsewhere_is_found_out() {
        let good = "vers=3,tcp,port=40123,hard,locallocks,nonfc";
        assert_eq!(fault(&options(good), 40123), None);
        let changes = [
            ("vers=3", "vers=4"),
            ("tcp", "proto=tcp6"),
            ("tcp", "udp"),
            ("tcp", "ticotsord"),
            ("hard", "soft"),
            ("locallocks", "nolocks"),
            ("nonfc", "nfc"),
            ("port=40123", "port=2049"),
        ];
        let faults = changes.map(|(from, to)| fault(&options(&good.replace(from, to)), 40123));
        let faults: Vec<String> = faults.into_iter().map(Option::unwrap_or_default).collect();
        insta::assert_snapshot!(faults.join("\n"), @r#"
        it is not "vers=3", as was asked for
        it is not "proto=tcp", as was asked for
        it is not "proto=tcp", as was asked for
        it is not "proto=tcp", as was asked for
        it is not "hard", as was asked for
        it is not "locallocks", as was asked for
        it is "nfc", which was not asked for
        it is not "port=40123", as was asked for
        "#);
    }
}
