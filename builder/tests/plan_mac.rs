//! Plans for a Mac, made on any machine: what a build sees and may do in each of the ways into its view.
#![allow(clippy::unwrap_used, reason = "the data of these tests is their own")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use builder::derivation::{Derivation, parse};
use builder::plan::{Host, InputInfo, Plan, PlanError, Request, SandboxPath, Scratch, plan};
use builder::store::Settings;
use builder::store_path::StorePath;
use sandbox::backend::Hardlink;
use sandbox::entry::MacHost;
use sandbox::jail::EntryMode;
use sandbox::jail::User;
use sandbox::jail::{Files, NetworkAccess};
use sandbox::view::Entry;

const DERIVATION: &str = "86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-jq.drv";
const OUT: &str = "1c9sq6j003f83zps2hy7fzm4n96iby6c-jq";
/// What one derivation of the demonstration is built from.
const CLOSURE: [&str; 8] = [
    "0in11c8i43r7yqk4j9cskqv6y6vgggsn-oniguruma",
    "2xrff1ic6hw64cwxvjh3pz2sfljrrnm8-musl",
    "628wv7509n88yif84c4i5pj4bz733zjb-make",
    "63mxwi4ryx9sdlirzfvq5zpa7dgin8jk-jq_1.6.orig.tar.gz",
    "6fnpdb3vzc02k8lln3281vdrz9rcv2f8-oniguruma.h",
    "71fc7s32zl20dc955bhghy5dvalm7ndz-busybox",
    "7ld9zyi42nnj551jv6phbqmwhla9lm9b-zig",
    "d2xzald74k7bfjhd0pax8h4q5y4s5z3p-cc",
];

/// What differs from test to test.
struct Case {
    mode: EntryMode,
    hash: &'static str,
    environment: Vec<(&'static str, &'static str)>,
    sandbox_paths: Vec<&'static str>,
    inputs: Vec<String>,
    settings: Settings,
}

impl Case {
    fn of(mode: EntryMode) -> Case {
        Case {
            mode,
            hash: "",
            environment: Vec::new(),
            sandbox_paths: Vec::new(),
            inputs: CLOSURE.map(String::from).into(),
            settings: Settings {
                system: "aarch64-darwin".into(),
                extra_platforms: vec!["x86_64-darwin".into()],
                build_users_group: "nixbld".into(),
                sandbox_build_dir: "/build".into(),
                allowed_impure_host_deps: ["/System/Library", "/usr/lib", "/dev", "/bin/sh"]
                    .map(String::from)
                    .into(),
                ..Settings::default()
            },
        }
    }

    fn plan(&self) -> Result<Plan, PlanError> {
        let variables = self.environment.iter().map(|(name, value)| format!("({name:?},{value:?})"));
        let method = if self.hash.is_empty() { "" } else { "r:sha256" };
        let text = format!(
            r#"Derive([("out","/nix/store/{OUT}","{method}","{}")],[],[],"x86_64-darwin","/nix/store/{}/bin/sh",["-e"],[{}])"#,
            self.hash,
            CLOSURE[5],
            variables.collect::<Vec<_>>().join(",")
        );
        let derivation: Derivation<'_> = parse(text.as_bytes()).unwrap();
        let inputs = self.inputs.iter().map(|path| StorePath::new(path).unwrap()).collect();
        let top = Path::new("/nix/var/nix/builds/nix-build-jq-4711-0");
        let beside = Path::new("/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-jq.drv.chroot");
        plan(&Request {
            variations: &builder::variation::VariationSet::default(),
            scratches: sandbox::Scratches::Nfs,
            store: Path::new("/nix/store"),
            inputs_at: Path::new("/nix/store"),
            path: &StorePath::new(DERIVATION).unwrap(),
            derivation: &derivation,
            known: &InputInfo { inputs, ..InputInfo::default() },
            settings: &self.settings,
            sandbox_paths: &SandboxPath::parse_all(self.sandbox_paths.iter().copied()).unwrap(),
            hook_paths: &[],
            sandbox_closure: &BTreeSet::new(),
            cores: Some(2),
            host: &Host {
                network_files: BTreeMap::from([(
                    "/etc/resolv.conf".into(),
                    "/private/var/run/resolv.conf".into(),
                )]),
                mac: Some(MacHost { mode: self.mode, image: Some("/System/os.dmg".into()) }),
                ..Host::default()
            },
            user: &User::new(351, 350),
            scratch: &Scratch {
                store: beside.join("store"),
                build: top.join("build"),
                tmp: beside.join("tmp"),
                mount: Some(top.join("view.noindex")),
            },
        })
    }

    fn error(&self) -> String {
        self.plan().expect_err("it cannot be planned").to_string()
    }
}

fn places(plan: &Plan) -> String {
    let line = |entry: &Entry| match entry {
        Entry::Symlink { at, target } => format!("{} -> {}\n", at.display(), target.display()),
        Entry::Graft { at, source, optional, .. } => {
            let sign = if *optional { "?" } else { "" };
            let from = if at == source { String::new() } else { format!(" <- {}", source.display()) };
            format!("{} graft{sign}{from}\n", at.display())
        }
        Entry::Scratch { at, source, mode, owner } => {
            format!(
                "{} scratch {mode:04o} {}:{} <- {}\n",
                at.display(),
                owner.uid,
                owner.gid,
                source.display()
            )
        }
        entry => format!("{} {}\n", entry.at().display(), entry.kind()),
    };
    plan.view.entries.iter().map(line).collect()
}

/// What a build may reach, as data: the text that becomes of it is the business of `mounter::profile`.
fn files(plan: &Plan) -> &Files {
    &plan.jail.mac.as_ref().unwrap().profile.files
}

fn lines(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| format!("{}\n", path.display())).collect()
}

fn variable(plan: &Plan, name: &str) -> String {
    let found = plan.jail.env.iter().find(|(key, _)| key == name);
    found.unwrap().1.to_string_lossy().into_owned()
}

#[test]
fn below_another_root_a_build_sees_the_system_s_libraries_and_its_closure() {
    let plan = Case::of(EntryMode::Chroot).plan().unwrap();
    insta::assert_snapshot!(places(&plan), @r#"
    / directory
    /Library/Apple/System/Library/LaunchDaemons/com.apple.oahd.plist graft?
    /Library/Apple/usr/libexec/oah graft?
    /System/Cryptexes graft?
    /System/Library graft?
    /System/Volumes/Preboot/Cryptexes graft?
    /dev directory
    /etc -> private/etc
    /nix/store scratch 1775 0:350 <- /nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-jq.drv.chroot/store
    /nix/store/0in11c8i43r7yqk4j9cskqv6y6vgggsn-oniguruma graft
    /nix/store/2xrff1ic6hw64cwxvjh3pz2sfljrrnm8-musl graft
    /nix/store/628wv7509n88yif84c4i5pj4bz733zjb-make graft
    /nix/store/63mxwi4ryx9sdlirzfvq5zpa7dgin8jk-jq_1.6.orig.tar.gz graft
    /nix/store/6fnpdb3vzc02k8lln3281vdrz9rcv2f8-oniguruma.h graft
    /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox graft
    /nix/store/7ld9zyi42nnj551jv6phbqmwhla9lm9b-zig graft
    /nix/store/d2xzald74k7bfjhd0pax8h4q5y4s5z3p-cc graft
    /private/etc/group inline file
    /private/etc/hosts inline file
    /private/etc/passwd inline file
    /private/tmp scratch 1777 0:0 <- /nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-jq.drv.chroot/tmp
    /private/tmp/nix-build-jq.drv-0 scratch 0700 351:350 <- /nix/var/nix/builds/nix-build-jq-4711-0/build
    /private/var/db/timezone graft?
    /private/var/select/sh graft?
    /tmp -> private/tmp
    /usr/lib graft?
    /usr/libexec/oah graft?
    /usr/share/icu graft?
    /usr/share/locale graft?
    /usr/share/zoneinfo graft?
    /var -> private/var
    "#);
    assert_eq!(files(&plan), &Files::View);
    assert_eq!(plan.jail.cwd, Path::new("/private/tmp/nix-build-jq.drv-0"));
    assert_eq!(variable(&plan, "TMPDIR"), "/private/tmp/nix-build-jq.drv-0");
    let mac = plan.jail.mac.unwrap();
    assert_eq!((mac.devices, mac.image, mac.alone), (Some("/dev".into()), None, true));
    assert_eq!(format!("{:?}", mac.architecture), "Some(X86_64)");
}

/// What the machine has is not a matter of this plan.
#[test]
fn a_farm_of_links_has_the_directories_that_a_build_writes_to_in_itself() {
    let Plan { mut view, jail, .. } = Case::of(EntryMode::Chroot).plan().unwrap();
    view.entries.retain(|entry| !matches!(entry, Entry::Graft { optional: true, .. }));
    let steps = Hardlink { mounts: false }.plan(&view, &jail.user).unwrap();
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(steps.join("\n"), @r"
    / directory 0755 0:0
    /dev directory 0755 0:0
    /etc -> private/etc
    /nix/store moved from /nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-jq.drv.chroot/store
    /nix/store/0in11c8i43r7yqk4j9cskqv6y6vgggsn-oniguruma links to /nix/store/0in11c8i43r7yqk4j9cskqv6y6vgggsn-oniguruma
    /nix/store/2xrff1ic6hw64cwxvjh3pz2sfljrrnm8-musl links to /nix/store/2xrff1ic6hw64cwxvjh3pz2sfljrrnm8-musl
    /nix/store/628wv7509n88yif84c4i5pj4bz733zjb-make links to /nix/store/628wv7509n88yif84c4i5pj4bz733zjb-make
    /nix/store/63mxwi4ryx9sdlirzfvq5zpa7dgin8jk-jq_1.6.orig.tar.gz links to /nix/store/63mxwi4ryx9sdlirzfvq5zpa7dgin8jk-jq_1.6.orig.tar.gz
    /nix/store/6fnpdb3vzc02k8lln3281vdrz9rcv2f8-oniguruma.h links to /nix/store/6fnpdb3vzc02k8lln3281vdrz9rcv2f8-oniguruma.h
    /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox links to /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox
    /nix/store/7ld9zyi42nnj551jv6phbqmwhla9lm9b-zig links to /nix/store/7ld9zyi42nnj551jv6phbqmwhla9lm9b-zig
    /nix/store/d2xzald74k7bfjhd0pax8h4q5y4s5z3p-cc links to /nix/store/d2xzald74k7bfjhd0pax8h4q5y4s5z3p-cc
    /private/etc/group file 0644
    /private/etc/hosts file 0644
    /private/etc/passwd file 0644
    /private/tmp moved from /nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-jq.drv.chroot/tmp
    /private/tmp/nix-build-jq.drv-0 moved from /nix/var/nix/builds/nix-build-jq-4711-0/build
    /tmp -> private/tmp
    /var -> private/var
    ");
    let root = Hardlink { mounts: false }.plan(&view, &User::new(0, 0)).unwrap_err();
    assert!(root.to_string().contains("root could write whatever it links to"), "{root}");
}

#[test]
fn with_the_disk_image_the_system_s_own_cache_is_not_shown() {
    let plan = Case::of(EntryMode::Cryptex).plan().unwrap();
    let shown = places(&plan);
    let system: Vec<&str> = shown.lines().filter(|line| line.starts_with("/System")).collect();
    insta::assert_snapshot!(system.join("\n"), @r#"
    /System/Cryptexes/OS directory
    /System/Library graft?
    "#);
    let image = plan.jail.mac.unwrap().image;
    assert_eq!(image, Some(("/System/os.dmg".into(), "/System/Cryptexes/OS".into())));
}

#[test]
fn below_the_machine_s_root_the_view_is_a_place_to_build_in_and_the_profile_closes_the_rest() {
    let plan = Case::of(EntryMode::Profile).plan().unwrap();
    insta::assert_snapshot!(places(&plan), @r#"
    / directory
    /build scratch 0700 351:350 <- /nix/var/nix/builds/nix-build-jq-4711-0/build
    "#);
    let Files::Listed { fixed, read, write, lists_above: true } = files(&plan) else {
        panic!("no files are listed")
    };
    assert_eq!(*fixed, CLOSURE.map(|path| Path::new("/nix/store").join(path)));
    insta::assert_snapshot!(lines(read), @r#"
    /Library/Apple/System/Library/LaunchDaemons/com.apple.oahd.plist
    /Library/Apple/usr/libexec/oah
    /System/Cryptexes
    /System/Library
    /System/Volumes/Preboot/Cryptexes
    /private/var/db/timezone
    /private/var/select/sh
    /usr/lib
    /usr/libexec/oah
    /usr/share/icu
    /usr/share/locale
    /usr/share/zoneinfo
    "#);
    insta::assert_snapshot!(lines(write), @r#"
    /nix/var/nix/builds/nix-build-jq-4711-0/view.noindex/build
    /nix/store/1c9sq6j003f83zps2hy7fzm4n96iby6c-jq
    "#);
    let top = "/nix/var/nix/builds/nix-build-jq-4711-0/view.noindex/build";
    assert_eq!((plan.jail.cwd.as_path(), variable(&plan, "NIX_BUILD_TOP").as_str()), (Path::new(top), top));
    assert_eq!(plan.jail.mac.unwrap().devices, None);
}

#[test]
fn host_paths_are_shown_where_the_links_of_the_root_lead_and_a_shell_brings_the_one_that_it_starts() {
    let mut case = Case::of(EntryMode::Chroot);
    case.environment =
        vec![("__impureHostDeps", "/bin/sh /usr/lib/libSystem.B.dylib /dev/zero /System/Library/Fonts")];
    case.sandbox_paths = vec!["/etc/foo", "/opt=/private/opt?"];
    let shown = places(&case.plan().unwrap());
    let expected =
        ["/bin/sh graft?", "/bin/bash graft?", "/private/etc/foo graft", "/opt graft? <- /private/opt"];
    for line in expected {
        assert!(shown.lines().any(|found| found == line), "{line} in\n{shown}");
    }
    assert!(!shown.contains("libSystem") && !shown.contains("zero") && !shown.contains("Fonts"), "{shown}");
}

#[test]
fn a_path_cannot_be_shown_elsewhere_where_the_machine_s_root_stays() {
    let mut case = Case::of(EntryMode::Profile);
    case.sandbox_paths = vec!["/opt=/private/opt"];
    insta::assert_snapshot!(case.error(), @r#"'/private/opt' cannot be shown at '/opt' on this Mac, whose root stays the machine's: mismatched impure paths are not supported"#);
}

#[test]
fn whom_a_build_may_talk_to_is_its_derivation_s_to_say() {
    let network = |plan: &Plan| plan.jail.mac.as_ref().unwrap().profile.network;
    assert_eq!(network(&Case::of(EntryMode::Profile).plan().unwrap()), NetworkAccess::None);
    let environment = vec![("__darwinAllowLocalNetworking", "1")];
    let local = Case { environment, ..Case::of(EntryMode::Profile) };
    assert_eq!(network(&local.plan().unwrap()), NetworkAccess::Local);
    let fixed = Case { hash: "00ff", ..Case::of(EntryMode::Chroot) }.plan().unwrap();
    assert!(places(&fixed).contains("/private/etc/resolv.conf graft <- /private/var/run/resolv.conf\n"));
    assert_eq!(network(&fixed), NetworkAccess::All);
}

#[test]
fn rules_of_a_derivation_s_own_are_for_relaxed_sandboxes() {
    let mut case = Case::of(EntryMode::Chroot);
    case.environment = vec![("__sandboxProfile", "(allow mach-lookup)")];
    insta::assert_snapshot!(case.error(), @r#"derivation '/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-jq.drv' specifies a sandbox profile, but this is only allowed when 'sandbox' is 'relaxed'"#);
    case.settings.sandbox_relaxed = true;
    assert_eq!(case.plan().unwrap().jail.mac.unwrap().profile.extra, "(allow mach-lookup)");
}

#[test]
fn nobody_builds_as_root() {
    let mut case = Case::of(EntryMode::Profile);
    case.settings.build_users_group.clear();
    insta::assert_snapshot!(case.error(), @r#"builds on macOS need users of their own, and Nix's setting 'build-users-group' names none"#);
}
