//! Descriptors that a build has handed to others: they are good for nothing once its outputs are registered.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::thread;

use super::store::Store;
use super::traces;
use crate::cases::loopbox::Loopbox;
use crate::cases::other::take_handed;
use crate::cases::{Place, cases};

cases![
    what_a_build_has_handed_out_is_not_its_output,
    processes_that_a_build_left_change_nothing_of_its_output
];

/// Makes the derivation's contents known beforehand, so that it is built in the host's network.
const FIXED: &str = "outputHashAlgo = \"sha256\"; outputHashMode = \"flat\"; \
                     outputHash = builtins.hashString \"sha256\" \"good\\n\";";

fn what_a_build_has_handed_out_is_not_its_output(place: &Place) {
    let mut store = Store::make(place);
    for backend in ["bind", "hardlink"] {
        let socket = format!("loopbox-handed-{backend}-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&socket).expect("it is a name");
        let listener = UnixListener::bind_addr(&address).expect("nobody else listens there");
        let taking = thread::spawn(move || take_handed(&listener));
        let script = format!("echo good > $out; /program __other hand {socket} $out");
        let ran = store.build_script(place, &script, FIXED, &["--backend", backend]);
        assert_eq!(ran.status, 0, "{backend}: {}", ran.stderr);
        let handed: OwnedFd = taking.join().expect("no panic").expect("the build hands it");
        let output = ran.stdout.trim().to_owned();
        let handed = File::from(handed);
        handed.write_all_at(b"evil\n", 0).expect("it can be written to as long as it is open");
        assert_eq!(fs::read_to_string(&output).expect("there is an output"), "good\n", "{backend}");
        let inode = |metadata: fs::Metadata| metadata.ino();
        let own = inode(fs::metadata(&output).expect("it can be looked at"));
        assert_ne!(own, inode(handed.metadata().expect("it can be looked at")), "{backend}");
        store.ask("nix-store", ["--verify-path", &output]);
        store.ask("nix-store", ["--delete", &output]);
        traces::assert_none(&Loopbox::at(place));
    }
}

/// A process in the background writes to the output, through a mapping too, until it is killed.
fn processes_that_a_build_left_change_nothing_of_its_output(place: &Place) {
    let mut store = Store::make(place);
    for backend in ["nfs", "bind", "hardlink"] {
        let script = format!(
            "mkdir $out; echo {backend} > $out/file; ln $out/file $out/other; \
             (while :; do echo evil >> $out/file; mv $out/other $out/third; ln -s /etc/passwd $out/other; \
              rm $out/other; mv $out/third $out/other; done) > /dev/null 2>&1 & usleep 100000"
        );
        let ran = store.build_script(place, &script, "", &["--backend", backend]);
        // The moment at which it ends decides whether the output has both names, and nothing else.
        assert_eq!(ran.status, 0, "{backend}: {}", ran.stderr);
        traces::wait_until_gone(&store.users);
        store.ask("nix-store", ["--verify-path", ran.stdout.trim()]);
        assert!(fs::metadata("/etc/passwd").expect("it is there").mode() & 0o200 != 0, "{backend}");
        traces::assert_none(&Loopbox::at(place));
    }
}
