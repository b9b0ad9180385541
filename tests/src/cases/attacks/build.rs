//! Outputs that are not what they seem, and what a build leaves for those that clean up.

use std::fs::{self, File};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileExt, MetadataExt, chown};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Outcome, USER, World, attacks};
use crate::cases::clean::store::Store;
use crate::cases::clean::traces;
use crate::cases::other::take_handed;

/// Somebody whose file it is that an output links to.
const SOMEBODY: u32 = 12_345;
/// Makes the contents known beforehand, so that it is built in the machine's network.
const FIXED: &str = "outputHashAlgo = \"sha256\"; outputHashMode = \"flat\"; \
                     outputHash = builtins.hashString \"sha256\" \"good\\n\";";

attacks! {
    linked_output, "an output that is a link to a file of the machine", [OutputFiles], link_output;
    handed_output, "a descriptor of an output, handed to a process of the machine", [OutputCopies], hand_output;
    left_link, "a link in what is removed", [RemovedLinks], leave_link;
    survivor, "a process that stays when its build has ended", [ProcessNamespace, KilledUser], survive;
    set_id_in_build, "a set-id program in a build directory of the machine's own", [SystemCalls],
        |world| super::exhaust::build(world, "echo > program; chmod 4755 program; cat program > $out", &[]);
    attributes, "extended attributes, which a store cannot hold", [SystemCalls],
        |world| super::exhaust::build(world, "echo > file; /program __other attribute file; cp file $out", &[]);
}

/// Who takes the output changes owner and times of what he finds.
fn link_output(world: &World) -> Outcome {
    let victim = world.place.file("victim", "somebody's");
    chown(&victim, Some(SOMEBODY), Some(SOMEBODY)).expect("root gives it away");
    let mut store = Store::make(&world.place);
    let script = format!("ln -s {} $out", victim.display());
    let ran = world.weaken(&mut store.script(&world.place, &script, ""));
    let owner = fs::metadata(&victim).expect("it is there").uid();
    Outcome::when(owner != SOMEBODY, format!("{}, its owner is {owner}", ran.told()))
}

/// As CVE-2024-27297 of Nix, where views are made of the machine's own files.
fn hand_output(world: &World) -> Outcome {
    let mut store = Store::make(&world.place);
    let socket = format!("loopbox-attack-{}-{}", std::process::id(), world.place.dir().display());
    let address = SocketAddr::from_abstract_name(&socket).expect("it is a name");
    let listener = UnixListener::bind_addr(&address).expect("nobody else listens there");
    let taking = thread::spawn(move || take_handed(&listener));
    let script = format!("echo good > $out; /program __other hand {socket} $out");
    let ran = world.weaken(store.script(&world.place, &script, FIXED).args(["--backend", "bind"]));
    let handed = File::from(taking.join().expect("no panic").expect("the build hands it"));
    handed.write_all_at(b"evil\n", 0).expect("it can be written to as long as it is open");
    let contents = fs::read_to_string(ran.stdout.trim());
    Outcome::when(
        contents.as_deref().is_ok_and(|text| text == "evil\n"),
        format!("{}, {contents:?}", ran.told()),
    )
}

/// A command's `/tmp` is removed after it.
fn leave_link(world: &World) -> Outcome {
    world.place.directory("victim");
    let file = world.place.file("victim/file", "the machine's");
    let user = USER.to_string();
    // Through its root no link would lead: that is another mount than the one that is removed.
    let line = "/bin/busybox ln -s ../../../victim /tmp/link";
    let words = ["run", "--uid", &user, "--with", "/bin/busybox", "--", "/bin/busybox", "sh", "-c", line];
    let ran = world.loopbox.run(words);
    Outcome::when(!file.exists(), ran.told())
}

fn survive(world: &World) -> Outcome {
    let mut store = Store::make(&world.place);
    let script = "sleep 4712 > /dev/null 2>&1 < /dev/null & echo > $out";
    let ran = world.weaken(&mut store.script(&world.place, script, ""));
    let left = traces::all("sleep 4712");
    for process in &left {
        // It may end in this moment.
        let _ = kill(Pid::from_raw(process.cast_signed()), Signal::SIGKILL);
    }
    Outcome::when(!left.is_empty(), format!("{}, {left:?}", ran.told()))
}
