//! Texts that others write: views, declarations, descriptions of builds, policies, what Nix says to its build hook, and words of the
//! command line. Each is refused or understood, and what was understood is read again from what is printed of it.

use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::path::Path;

use anyhow::Result;
use builder::build_hook::Connection;
use builder::external::Description;
use nfs_server::view::ViewSpec;
use sandbox::command::{BindSpec, Declaration};
use sandbox::conditions::Fault;
use sandbox::daemon::Policy;

use super::Run;
use crate::lab::remove;

/// A kind of text.
struct Kind {
    name: &'static str,
    samples: &'static [&'static [u8]],
    /// Whether what was understood is the same when it is printed and read again; nothing for what was refused. The path is for
    /// what is read from files.
    reads_back: fn(&Path, &[u8]) -> Option<bool>,
}

const KINDS: [Kind; 7] = [
    Kind {
        name: "a view",
        samples: &[
            br#"{"entries":[{"directory":{"at":"/","mode":493}},{"graft":{"at":"/nix/store/a","source":"/nix/store/a","access":"ro","optional":true}}]}"#,
            br#"{"entries":[{"scratch":{"at":"/tmp","source":"/var/tmp/x","mode":1023,"owner":{"uid":1,"gid":2}}},{"inline":{"at":"/etc/hosts","contents":"::1 localhost","mode":292}}]}"#,
            br#"{"entries":[{"symlink":{"at":"/dev/fd","target":"/proc/self/fd"}},{"device":{"at":"/dev/null","major":1,"minor":3,"mode":438}}]}"#,
        ],
        reads_back: view,
    },
    Kind {
        name: "a declaration",
        samples: &[
            br#"{"version":1,"view":{"with":["/usr/bin/git"],"ro":[{"source":"/home/a/src","at":"/src"}],"rw":["/out"],"env":["A=b","C"],"chdir":"/src","net":true,"hostname":"x"}}"#,
            br#"{"version":1,"view":{"closure":["/nix/store/a"],"tmpfs":["/tmp"],"dir":["/var/empty"],"preserveEnv":true}}"#,
        ],
        reads_back: declaration,
    },
    Kind {
        name: "a description of a build",
        samples: &[
            br#"{"version":1,"builder":"/bin/sh","args":["-c","x"],"env":{"out":"/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-x"},"inputPaths":["/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-y"],"outputs":{"out":"/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-x"},"storeDir":"/nix/store","realStoreDir":"/nix/store","system":"x86_64-linux","topTmpDir":"/tmp/a","tmpDir":"/tmp/a/build","tmpDirInSandbox":"/build"}"#,
        ],
        reads_back: description,
    },
    Kind {
        name: "a policy",
        samples: &[
            b"users = ['alice', \"1000\"]\ngroups = [\"nixbld\"]\nmax-sessions = 256\nmax-sessions-per-user = 32\n",
            b"max-bytes-per-session = \"50G\"\nmax-inodes-per-session = 1000000\n",
        ],
        reads_back: policy,
    },
    Kind {
        name: "what Nix says to its build hook",
        samples: &[
            b"\x01\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0cores\0\0\0\x01\0\0\0\0\0\0\x002\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0try\0\0\0\0\0\x01\0\0\0\0\0\0\0\x0c\0\0\0\0\0\0\0x86_64-linux\0\0\0\0\x04\0\0\0\0\0\0\0/a/b\0\0\0\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0kvm\0\0\0\0\0",
        ],
        reads_back: hook,
    },
    Kind {
        name: "a fault",
        samples: &[
            b"op=write,path=/build/*,error=ENOSPC,after=1M",
            b"op=read,delay=20ms,every=3,count=5",
            b"op=read,short=512,probability=0.25,seed=7",
        ],
        reads_back: fault,
    },
    Kind {
        name: "a path to show",
        samples: &[b"/home/a/src:/src", b"/etc/hosts", b"relative/", b"/a:b:/c"],
        reads_back: bind,
    },
];

/// Goes on until the time is over, with one kind after the other.
pub fn run(run: &mut Run) -> Result<()> {
    let file = run.lab.path(&format!("fuzz/text-{}", std::process::id()))?;
    let samples: Vec<Vec<Vec<u8>>> =
        KINDS.iter().map(|kind| kind.samples.iter().map(|sample| sample.to_vec()).collect()).collect();
    for (Kind { name, reads_back, .. }, samples) in KINDS.iter().zip(&samples) {
        // What is not understood even when it is whole would only test the first check.
        let is_good = |sample: &Vec<u8>| reads_back(&file, sample) == Some(true);
        anyhow::ensure!(samples.iter().all(is_good), "a sample of {name} is not understood");
    }
    'time: loop {
        for (Kind { name, reads_back, .. }, samples) in KINDS.iter().zip(&samples) {
            let Some(input) = run.next(samples) else { break 'time };
            match catch_unwind(|| reads_back(&file, &input)) {
                Ok(None | Some(true)) => {}
                Ok(Some(false)) => drop(run.keep(&input, &format!("{name}: printed, it is another"))?),
                Err(_) => drop(run.keep(&input, &format!("{name}: who reads it panicked"))?),
            }
        }
    }
    remove(&file)
}

fn view(_: &Path, input: &[u8]) -> Option<bool> {
    let spec: ViewSpec = serde_json::from_slice(input).ok()?;
    // Whether it can be served or not is said, and does not change it.
    let _ = spec.validate();
    let printed = serde_json::to_vec(&spec).expect("what was read can be printed");
    Some(serde_json::from_slice::<ViewSpec>(&printed).is_ok_and(|again| again == spec))
}

fn declaration(file: &Path, input: &[u8]) -> Option<bool> {
    write(file, input);
    let declared = Declaration::read(file).ok()?;
    declared.write(file).expect("what was read can be written");
    Some(Declaration::read(file).is_ok_and(|again| again == declared))
}

/// Nobody but Nix writes these.
fn description(file: &Path, input: &[u8]) -> Option<bool> {
    write(file, input);
    Description::read(file).ok().map(|_| true)
}

/// Nobody but people write these: the same text says the same.
fn policy(file: &Path, input: &[u8]) -> Option<bool> {
    write(file, input);
    let policy = Policy::read(file).ok()?;
    Some(Policy::read(file).is_ok_and(|again| again == policy))
}

/// All that Nix says, until it says no more.
fn hook(_: &Path, input: &[u8]) -> Option<bool> {
    let mut connection = Connection::new(input, io::sink());
    connection.settings().ok()?;
    while connection.offer().ok()?.is_some() {}
    Some(true)
}

fn fault(_: &Path, input: &[u8]) -> Option<bool> {
    let fault: Fault = std::str::from_utf8(input).ok()?.parse().ok()?;
    let printed = fault.to_string();
    Some(printed.parse::<Fault>().is_ok_and(|again| again.to_string() == printed))
}

fn bind(_: &Path, input: &[u8]) -> Option<bool> {
    let Ok(bind) = std::str::from_utf8(input).ok()?.parse::<BindSpec>();
    let again = bind.word().to_str()?.parse::<BindSpec>();
    Some(again == Ok(bind))
}

fn write(file: &Path, input: &[u8]) {
    fs::write(file, input).expect("the lab can be written");
}
