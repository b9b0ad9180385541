//! A store in another place (`--store /elsewhere`), built through external-builders.

use std::fs;

use super::store::{Store, ran};
use crate::cases::loopbox::Loopbox;
use crate::cases::{Place, cases};

cases![inputs_come_from_the_store_that_is_built_in];

/// Nix leaves building to loopbox.
pub fn settings() -> String {
    let program = Loopbox::program();
    format!(
        "build-users-group =\nsubstituters =\n\
         external-builders = [{{\"systems\":[\"x86_64-linux\"],\"program\":\"{}\",\"args\":[\"external-builder\"]}}]\n",
        program.display()
    )
}

fn inputs_come_from_the_store_that_is_built_in(place: &Place) {
    let store = Store::of_new_nix(place, &settings());
    let files = place.directory("files");
    fs::copy("/bin/busybox", files.join("busybox")).expect("the machine has busybox");
    place.file("files/mark", "right\n");
    let files = files.to_str().expect("a path of text");
    let words = store.words("carried", "elsewhere", files);
    let build = |root: &str| {
        let words = ["--store", root, "--no-out-link"].into_iter().chain(words.iter().copied());
        ran(&mut store.command("nix-build", words))
    };
    let built = build("/nix/one");
    assert_eq!(built.status, 0, "{}", built.stderr);
    assert_eq!(fs::read_to_string(format!("/nix/one{}", built.stdout)).expect("it was built"), "right\n");

    // What has the same name in the machine's own store is another matter.
    let name = fs::read_dir("/nix/one/nix/store").expect("it is a store").find_map(|entry| {
        let name = entry.expect("it can be read").file_name().into_string().expect("store paths are text");
        name.ends_with("-files").then_some(name)
    });
    let decoy = format!("/nix/store/{}", name.expect("the files were added"));
    fs::create_dir(&decoy).expect("a directory can be made");
    fs::copy("/bin/busybox", format!("{decoy}/busybox")).expect("it can be copied");
    fs::write(format!("{decoy}/mark"), "wrong\n").expect("it can be written");
    let built = build("/nix/two");
    assert_eq!(built.status, 0, "{}", built.stderr);
    assert_eq!(fs::read_to_string(format!("/nix/two{}", built.stdout)).expect("it was built"), "right\n");
}
