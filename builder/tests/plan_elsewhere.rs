//! The plan of a build whose inputs are in a store with a root of its own.

use std::collections::BTreeSet;
use std::path::Path;

use builder::derivation::parse;
use builder::plan::{Host, InputInfo, Request, Scratch, plan};
use builder::store::Settings;
use builder::store_path::StorePath;
use sandbox::jail::User;
use sandbox::view::Entry;

const BUSYBOX: &str = "71fc7s32zl20dc955bhghy5dvalm7ndz-busybox";
const OWN: &str = "axkxi7ggzyj40i6l6ic8a9rx3msmqy75-own";
const OUT: &str = "q3b0hd0q850n5gqdwdfd5dlyc9vwpp2v-out";
const DERIVATION: &str = "q3b0hd0q850n5gqdwdfd5dlyc9vwpp2v-out.drv";

fn path(base: &str) -> StorePath {
    StorePath::new(base).expect("a store path")
}

#[test]
fn inputs_of_a_store_in_another_place_are_shown_where_derivations_name_them() {
    let text =
        format!(r#"Derive([("out","/nix/store/{OUT}","","")],[],["/nix/store/{BUSYBOX}"],"x","/b",[],[])"#);
    let derivation = parse(text.as_bytes()).unwrap();
    let planned = plan(&Request {
        variations: &builder::variation::VariationSet::default(),
        scratches: sandbox::Scratches::Local,
        store: Path::new("/nix/store"),
        inputs_at: Path::new("/elsewhere/nix/store"),
        path: &path(DERIVATION),
        derivation: &derivation,
        known: &InputInfo { inputs: BTreeSet::from([path(BUSYBOX)]), ..InputInfo::default() },
        settings: &Settings { system: "x".into(), sandbox_build_dir: "/build".into(), ..Settings::default() },
        sandbox_paths: &[],
        hook_paths: &[],
        // The machine's own store has a path of the same name.
        sandbox_closure: &BTreeSet::from([path(OWN), path(BUSYBOX)]),
        cores: None,
        host: &Host::default(),
        user: &User::new(30001, 30000),
        scratch: &Scratch {
            store: "/s/store".into(),
            build: "/s/build".into(),
            tmp: "/s/tmp".into(),
            mount: None,
        },
    });
    let entries = planned.unwrap().view.entries;
    let grafts = entries.iter().filter_map(|entry| match entry {
        Entry::Graft { at, source, .. } => Some(format!("{} <- {}", at.display(), source.display())),
        _ => None,
    });
    insta::assert_snapshot!(grafts.collect::<Vec<_>>().join("\n"), @"
    /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox <- /elsewhere/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox
    /nix/store/axkxi7ggzyj40i6l6ic8a9rx3msmqy75-own <- /nix/store/axkxi7ggzyj40i6l6ic8a9rx3msmqy75-own
    ");
}
