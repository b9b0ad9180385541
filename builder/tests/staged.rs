//! Outputs of a build that ended well: looked at, compared, and registered in a store with a database of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot look at its own files has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use builder::derivation::{FixedHash, parse};
use builder::output::{OutputError, OutputMismatch, ReplacePolicy, StagedOutputs, is_whole, write_nar};
use builder::plan::{Host, InputInfo, OutputChecks, Plan, Request, SandboxPath, Scratch, plan};
use builder::store::{PathInfo, RegisterWhen, Settings, Store};
use builder::store_path::StorePath;
use rusqlite::Connection;
use sandbox::jail::User;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const BEHIND: &str = "axkxi7ggzyj40i6l6ic8a9rx3msmqy75-behind";
const INPUT: &str = "71fc7s32zl20dc955bhghy5dvalm7ndz-input";
const NOT_VALID: &str = "b0wdq4sjw2b8vxqq0c2ml6s3gq2dyr1k-gone";
const DERIVATION: &str = "86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv";
const OUT: &str = "aymyqqwynscb4igjwfrkj649vqk4370l-x";
const DEV: &str = "q3b0hd0q850n5gqdwdfd5dlyc9vwpp2v-x-dev";

/// Bytes of the archive of each path that the store has.
const SIZE: u64 = 1000;

/// A store in which an input is valid and what that refers to, and the plan of a build with the outputs `dev` and `out`.
struct World {
    place: TempDir,
    store: Store,
    plan: Plan,
}

fn path(base: &str) -> StorePath {
    StorePath::new(base).unwrap()
}

fn paths(bases: &[&str]) -> BTreeSet<StorePath> {
    bases.iter().map(|base| path(base)).collect()
}

fn planned(scratch: &Path) -> Plan {
    let text = format!(
        r#"Derive([("dev","/nix/store/{DEV}","",""),("out","/nix/store/{OUT}","","")],[],["/nix/store/{INPUT}"],"x86_64-linux","/nix/store/{INPUT}/sh",[],[])"#
    );
    let info = PathInfo {
        path: path(INPUT),
        nar_hash: "00".repeat(32),
        nar_size: SIZE,
        deriver: None,
        references: BTreeSet::new(),
    };
    let known = InputInfo {
        inputs: paths(&[INPUT, BEHIND, NOT_VALID]),
        infos: BTreeMap::from([(path(INPUT), info)]),
        ..InputInfo::default()
    };
    let at = |name: &str| scratch.join(name);
    plan(&Request {
        variations: &builder::variation::VariationSet::default(),
        scratches: sandbox::Scratches::Nfs,
        store: Path::new("/nix/store"),
        inputs_at: Path::new("/nix/store"),
        path: &path(DERIVATION),
        derivation: &parse(text.as_bytes()).unwrap(),
        known: &known,
        settings: &Settings {
            version: (2, 8),
            system: "x86_64-linux".into(),
            sandbox_build_dir: "/build".into(),
            ..Settings::default()
        },
        sandbox_paths: &SandboxPath::parse_all([]).unwrap(),
        hook_paths: &[],
        sandbox_closure: &BTreeSet::new(),
        cores: None,
        host: &Host::default(),
        user: &User::new(fs::metadata(scratch).unwrap().uid(), 30000),
        scratch: &Scratch { store: at("outputs"), build: at("build"), tmp: at("tmp"), mount: None },
    })
    .unwrap()
}

impl World {
    fn new() -> World {
        let place = tempfile::tempdir().unwrap();
        for directory in ["store", "outputs", "state/db"] {
            fs::create_dir_all(place.path().join(directory)).unwrap();
        }
        let at = |name: &str| place.path().join(name);
        fs::write(at("state/db/schema"), "10").unwrap();
        fs::write(at("state/db/big-lock"), "").unwrap();
        let store = at("store").display().to_string();
        let tables = format!(
            "create table ValidPaths (id integer primary key autoincrement not null, path text unique not null,
                hash text not null, registrationTime integer not null, deriver text, narSize integer, ultimate integer,
                sigs text, ca text);
            create table Refs (referrer integer not null references ValidPaths(id) on delete cascade,
                reference integer not null references ValidPaths(id) on delete restrict,
                primary key (referrer, reference));
            insert into ValidPaths values (1, '{store}/{BEHIND}', 'sha256:{0}', 1, null, {SIZE}, 0, null, null),
                (2, '{store}/{INPUT}', 'sha256:{0}', 1, null, {SIZE}, 0, null, null);
            insert into Refs values (2, 1);",
            "00".repeat(32)
        );
        let connection = Connection::open(at("state/db/db.sqlite")).unwrap();
        let _: String = connection.query_row("pragma journal_mode = wal", [], |row| row.get(0)).unwrap();
        connection.execute_batch(&tables).unwrap();
        let store = Store::at(at("store"), at("state"), at("log"));
        store.told_settings(&BTreeMap::new(), (2, 8)).unwrap();
        let plan = planned(place.path());
        World { place, store, plan }
    }

    /// What the build wrote to an output that is one file.
    fn wrote(&self, base: &str, text: &str) -> PathBuf {
        let file = self.plan.scratch.store.join(base);
        fs::write(&file, text).unwrap();
        file
    }

    /// The same in both outputs: `dev` refers to nothing, `out` to it and to the input.
    fn wrote_both(&self) {
        self.wrote(DEV, "dev");
        self.wrote(OUT, &format!("{DEV} {INPUT}"));
    }

    fn inspect(&self) -> Result<StagedOutputs<'_>, OutputError> {
        StagedOutputs::inspect(&self.plan, &self.store, &BTreeSet::new(), None)
    }

    fn refused(&self) -> String {
        self.inspect().expect_err("they are refused").to_string().replace(&self.directory(), "STORE")
    }

    fn register(&self, existing: ReplacePolicy) -> Result<BTreeMap<String, PathInfo>, OutputError> {
        self.inspect().unwrap().register(existing, RegisterWhen::Now)
    }

    fn directory(&self) -> String {
        self.store.directory().display().to_string()
    }

    fn in_store(&self, name: &str) -> PathBuf {
        self.store.directory().join(name)
    }

    /// Whether a valid path is taken to have been built on this machine.
    fn is_ultimate(&self, base: &str) -> bool {
        let connection = Connection::open(self.place.path().join("state/db/db.sqlite")).unwrap();
        let whole = self.in_store(base).display().to_string();
        connection
            .query_row("select ultimate from ValidPaths where path = ?", [whole], |row| row.get(0))
            .unwrap()
    }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn an_output_is_known_by_its_archive_and_by_what_it_refers_to() {
    let mut world = World::new();
    world.wrote_both();
    world.plan.outputs.iter_mut().for_each(|output| output.discard_references = output.name == "dev");
    world.wrote(DEV, OUT);
    let staged = world.inspect().unwrap();
    let out = &staged.infos()["out"];
    let mut archive = Vec::new();
    let directory: OwnedFd = fs::File::open(staged.directory()).unwrap().into();
    write_nar(&directory, OUT, &mut archive).unwrap();
    assert_eq!(out.nar_hash, data_encoding::HEXLOWER.encode(&Sha256::digest(&archive)));
    assert_eq!((out.nar_size, out.deriver.clone()), (archive.len() as u64, Some(path(DERIVATION))));
    assert_eq!(out.references, paths(&[DEV, INPUT]));
    assert_eq!(staged.infos()["dev"].references, paths(&[]), "it is not to be believed");
    let canonical = fs::metadata(staged.directory().join(OUT)).unwrap();
    assert_eq!((canonical.mode() & 0o7777, canonical.mtime()), (0o444, 1));
}

#[test]
fn outputs_that_are_registered_are_in_the_store_and_known_there() {
    let world = World::new();
    world.wrote_both();
    fs::create_dir_all(world.in_store(OUT).join("the rest of a build that died")).unwrap();
    let infos = world.register(ReplacePolicy::Remove).unwrap();
    assert_eq!(text(&world.in_store(OUT)), format!("{DEV} {INPUT}"));
    assert_eq!(text(&world.in_store(DEV)), "dev");
    assert_eq!(fs::read_dir(&world.plan.scratch.store).unwrap().count(), 0);
    let known = world.store.infos(&paths(&[DEV, OUT])).unwrap();
    let infos: BTreeMap<_, _> = infos.into_values().map(|info| (info.path.clone(), info)).collect();
    assert_eq!(known, infos);
    assert!(world.is_ultimate(OUT));
}

#[test]
fn outputs_that_cannot_be_registered_are_not_in_the_store_either() {
    let world = World::new();
    world.wrote_both();
    world.wrote(OUT, NOT_VALID);
    let failed = world.register(ReplacePolicy::Remove);
    assert!(matches!(failed, Err(OutputError::Register(_))));
    assert_eq!(fs::read_dir(world.store.directory()).unwrap().count(), 0);
}

#[test]
fn an_output_that_is_built_again_takes_the_place_of_the_old_one_which_comes_out() {
    let world = World::new();
    world.wrote_both();
    fs::write(world.in_store(OUT), "spoilt").unwrap();
    world.register(ReplacePolicy::Exchange).unwrap();
    assert_eq!(text(&world.in_store(OUT)), format!("{DEV} {INPUT}"));
    assert_eq!(text(&world.in_store(DEV)), "dev", "there was none");
    assert_eq!(text(&world.plan.scratch.store.join(OUT)), "spoilt");
    assert!(!world.plan.scratch.store.join(DEV).exists());
}

#[test]
fn an_old_output_is_back_in_its_place_if_the_new_one_cannot_be_registered() {
    let world = World::new();
    world.wrote_both();
    world.wrote(OUT, NOT_VALID);
    fs::write(world.in_store(OUT), "spoilt").unwrap();
    let failed = world.register(ReplacePolicy::Exchange);
    assert!(matches!(failed, Err(OutputError::Register(_))));
    assert_eq!(text(&world.in_store(OUT)), "spoilt");
    assert!(!world.in_store(DEV).exists());
}

#[test]
fn an_output_that_is_missing_is_named() {
    let world = World::new();
    world.wrote(DEV, "");
    assert_eq!(
        world.refused(),
        format!(
            "builder for 'STORE/{DERIVATION}' failed to produce output path for output 'out' at \"STORE/{OUT}\""
        )
    );
    let unwanted = paths(&[OUT]);
    let staged = StagedOutputs::inspect(&world.plan, &world.store, &unwanted, None).unwrap();
    assert_eq!(staged.infos().keys().collect::<Vec<_>>(), ["dev"], "unless nobody wants it");
}

#[test]
fn what_somebody_else_could_have_written_is_refused() {
    let mut world = World::new();
    world.wrote_both();
    let file = world.wrote(OUT, "");
    let uid = fs::metadata(&file).unwrap().uid();
    let suspicious = |uid, mode| {
        format!(
            "suspicious ownership or permission on \"STORE/{OUT}\" for output 'out'; rejecting this build output \
             (uid {uid}, mode {mode})"
        )
    };
    for mode in [0o662, 0o626, 0o644, 0o444] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        match mode & 0o022 {
            0 => drop(world.inspect().unwrap()),
            _ => assert_eq!(world.refused(), suspicious(uid, format!("{mode:o}"))),
        }
    }
    fs::remove_file(&file).unwrap();
    symlink("anywhere", &file).unwrap();
    world.inspect().expect("the mode of a link says nothing");
    world.plan.jail.user.uid = uid + 1;
    world.plan.outputs.retain(|output| output.name == "out");
    assert_eq!(world.refused(), suspicious(uid, "777".into()));
}

#[test]
fn what_was_written_stays_as_it_is_when_copies_are_taken() {
    let world = World::new();
    world.wrote_both();
    let written = world.plan.scratch.store.join(OUT);
    fs::hard_link(&written, world.plan.scratch.store.join("twin")).unwrap();
    fs::set_permissions(&written, Permissions::from_mode(0o640)).unwrap();
    let copies = world.place.path().join("copies");
    let unwanted = BTreeSet::new();
    let staged = StagedOutputs::inspect(&world.plan, &world.store, &unwanted, Some(&copies)).unwrap();
    assert_eq!(staged.directory(), copies);
    assert_eq!(fs::read_dir(&copies).unwrap().count(), 2, "nothing that was kept aside is left");
    staged.register(ReplacePolicy::Remove, RegisterWhen::Now).unwrap();
    assert_eq!(text(&world.in_store(OUT)), text(&written));
    assert_eq!(fs::metadata(&written).unwrap().mode() & 0o777, 0o640);
    let again = StagedOutputs::inspect(&world.plan, &world.store, &unwanted, Some(&copies));
    assert!(matches!(again, Err(OutputError::Copies { .. })), "the directory has to be new");
}

#[test]
fn outputs_that_differ_from_those_of_the_store_are_told_and_kept_beside_them() {
    let world = World::new();
    world.wrote_both();
    world.register(ReplacePolicy::Remove).unwrap();
    world.wrote_both();
    assert!(world.inspect().unwrap().differing(true).unwrap().is_empty());
    world.wrote(DEV, "DEV");
    let kept = world.in_store(&format!("{DEV}.check"));
    fs::create_dir(&kept).unwrap();
    let staged = world.inspect().unwrap();
    for keep in [false, true] {
        let differing = staged.differing(keep).unwrap();
        let told = OutputError::NotDeterministic { derivation: "/x.drv".into(), outputs: differing.clone() };
        let [OutputMismatch { path, .. }] = &differing[..] else { panic!("{told}") };
        assert_eq!(path, &world.in_store(DEV));
        let from = if keep { format!(" from 'STORE/{DEV}.check'") } else { String::new() };
        let sentence = format!(
            "derivation '/x.drv' may not be deterministic: output 'STORE/{DEV}' differs{from}\n  differs from byte 0 on: \
             \"dev\" before, \"DEV\" now"
        );
        assert_eq!(told.to_string().replace(&world.directory(), "STORE"), sentence);
    }
    assert_eq!((text(&world.in_store(DEV)), text(&kept)), ("dev".into(), "DEV".into()));
}

#[test]
fn a_path_is_whole_while_it_is_what_was_registered() {
    let world = World::new();
    world.wrote_both();
    let info = world.register(ReplacePolicy::Remove).unwrap().remove("out").unwrap();
    assert!(is_whole(&world.store, &info).unwrap());
    fs::remove_file(world.in_store(OUT)).unwrap();
    assert!(!is_whole(&world.store, &info).unwrap());
    fs::write(world.in_store(OUT), "other").unwrap();
    assert!(!is_whole(&world.store, &info).unwrap());
}

#[test]
fn outputs_that_were_fetched_and_are_the_same_when_they_are_built_are_this_machine_s_own() {
    let mut world = World::new();
    world.plan.outputs.retain(|output| output.name == "dev");
    world.plan.outputs[0].path = path(INPUT);
    world.wrote(INPUT, "");
    assert!(!world.is_ultimate(INPUT));
    world.inspect().unwrap().trust().unwrap();
    assert!(world.is_ultimate(INPUT) && !world.is_ultimate(BEHIND));
}

#[test]
fn what_a_derivation_demands_is_looked_for_in_the_closure_that_the_store_knows() {
    let demand = |checks: OutputChecks| {
        let mut world = World::new();
        world.wrote_both();
        world.plan.outputs[1].checks = checks;
        world.inspect().err().map(|error| error.to_string().replace(&world.directory(), "STORE"))
    };
    let without = |base| OutputChecks { disallowed_requisites: paths(&[base]), ..OutputChecks::default() };
    let refused = |base| {
        Some(format!("output 'STORE/{OUT}' is not allowed to refer to the following paths:\n  STORE/{base}"))
    };
    assert_eq!(demand(without(NOT_VALID)), None);
    assert_eq!(demand(without(BEHIND)), refused(BEHIND));
    assert_eq!(demand(without(DEV)), refused(DEV));
    let references = OutputChecks { disallowed_references: paths(&[INPUT]), ..OutputChecks::default() };
    assert_eq!(demand(references), refused(INPUT));
    let own =
        |world: &World| world.inspect().unwrap().infos().values().map(|info| info.nar_size).sum::<u64>();
    let world = World::new();
    world.wrote_both();
    let whole = own(&world) + 2 * SIZE;
    let most = |size| OutputChecks { max_closure_size: Some(size), ..OutputChecks::default() };
    assert_eq!(demand(most(whole)), None);
    assert_eq!(
        demand(most(whole - 1)),
        Some(format!(
            "closure of path 'STORE/{OUT}' is too large at {whole} bytes; limit is {} bytes",
            whole - 1
        ))
    );
}

#[test]
fn outputs_that_refer_to_each_other_are_refused() {
    let world = World::new();
    world.wrote(DEV, OUT);
    world.wrote(OUT, DEV);
    assert_eq!(
        world.refused(),
        format!(
            "cycle detected in build of 'STORE/{DERIVATION}' in the references of output 'dev' from output 'out'"
        )
    );
}

#[test]
fn contents_that_have_to_be_others_are_refused() {
    let mut world = World::new();
    world.wrote_both();
    let (algorithm, hash) = ("md5".into(), "00".repeat(16));
    world.plan.outputs[0].fixed = Some(FixedHash { recursive: false, algorithm, hash });
    assert!(world.refused().starts_with("hash mismatch in fixed-output derivation"));
}
