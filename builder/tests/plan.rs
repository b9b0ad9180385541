//! Plans: what a build sees, and with what it is started, as text.
#![allow(clippy::unwrap_used, reason = "the data of these tests is their own")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

use builder::derivation::{Derivation, parse};
use builder::plan::{Device, Host, InputInfo, Plan, PlanError, Request, SandboxPath, Scratch, plan};
use builder::store::{PathInfo, Settings};
use builder::store_path::StorePath;
use sandbox::jail::{Ids, User};
use sandbox::view::Entry;

const BUSYBOX: &str = "71fc7s32zl20dc955bhghy5dvalm7ndz-busybox";
const PATH: &str = "86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv";
const OUT: &str = "aymyqqwynscb4igjwfrkj649vqk4370l-x";
const NULL: (&str, Device) = ("/dev/null", Device { major: 1, minor: 3, mode: 0o666, uid: 0, gid: 0 });

/// What differs from test to test.
struct Case {
    outputs: String,
    platform: &'static str,
    environment: Vec<(&'static str, &'static str)>,
    settings: Settings,
    sandbox_paths: Vec<&'static str>,
    host: Host,
    known: InputInfo,
}

impl Default for Case {
    fn default() -> Case {
        let busybox = StorePath::new(BUSYBOX).unwrap();
        let info = PathInfo {
            path: busybox.clone(),
            nar_hash: "00".repeat(32),
            nar_size: 1000,
            deriver: None,
            references: BTreeSet::new(),
        };
        Case {
            outputs: format!(r#"("out","/nix/store/{OUT}","","")"#),
            platform: "x86_64-linux",
            environment: Vec::new(),
            settings: Settings {
                version: (2, 8),
                system: "x86_64-linux".into(),
                sandbox_build_dir: "/build".into(),
                ..Settings::default()
            },
            sandbox_paths: Vec::new(),
            host: Host {
                devices: BTreeMap::from([(NULL.0.into(), NULL.1)]),
                processors: 4,
                user_namespaces: true,
                pts: true,
                shm: true,
                ..Host::default()
            },
            known: InputInfo {
                inputs: BTreeSet::from([busybox.clone()]),
                infos: BTreeMap::from([(busybox, info)]),
                ..InputInfo::default()
            },
        }
    }
}

impl Case {
    fn plan(&self) -> Result<Plan, PlanError> {
        let variables = self.environment.iter().map(|(name, value)| format!("({name:?},{value:?})"));
        let text = format!(
            r#"Derive([{}],[],["/nix/store/{BUSYBOX}"],"{}","/nix/store/{BUSYBOX}/bin/sh",["-c","exit"],[{}])"#,
            self.outputs,
            self.platform,
            variables.collect::<Vec<_>>().join(",")
        );
        let derivation: Derivation<'_> = parse(text.as_bytes()).unwrap();
        plan(&Request {
            variations: &builder::variation::VariationSet::default(),
            scratches: sandbox::Scratches::Local,
            store: Path::new("/nix/store"),
            inputs_at: Path::new("/nix/store"),
            path: &StorePath::new(PATH).unwrap(),
            derivation: &derivation,
            known: &self.known,
            settings: &self.settings,
            sandbox_paths: &SandboxPath::parse_all(self.sandbox_paths.iter().copied()).unwrap(),
            hook_paths: &[],
            sandbox_closure: &BTreeSet::new(),
            cores: None,
            host: &self.host,
            user: &User { groups: vec![7], ..User::new(30001, 30000) },
            scratch: &Scratch {
                store: "/s/store".into(),
                build: "/s/build".into(),
                tmp: "/s/tmp".into(),
                mount: None,
            },
        })
    }

    fn error(&self) -> String {
        self.plan().expect_err("it cannot be planned").to_string()
    }
}

fn entries(plan: &Plan) -> String {
    let mut text = String::new();
    for entry in &plan.view.entries {
        let what = match entry {
            Entry::Graft { source, optional, .. } => {
                format!("<- {}{}", source.display(), if *optional { "?" } else { "" })
            }
            Entry::Inline { mode, .. } => format!("{mode:04o}"),
            Entry::Symlink { target, .. } => format!("-> {}", target.display()),
            Entry::Device { major, minor, mode, owner, .. } => {
                format!("{major}:{minor} {mode:04o} {}:{}", owner.uid, owner.gid)
            }
            Entry::Directory { mode, owner, .. } => format!("{mode:04o} {}:{}", owner.uid, owner.gid),
            Entry::Scratch { source, mode, owner, .. } => {
                format!("{mode:04o} {}:{} <- {}", owner.uid, owner.gid, source.display())
            }
        };
        writeln!(text, "{} {} {what}", entry.at().display(), entry.kind()).unwrap();
    }
    text
}

fn words(plan: &Plan) -> String {
    plan.jail.env.iter().map(|(name, value)| format!("{}={}\n", name.display(), value.display())).collect()
}

fn files(plan: &Plan) -> String {
    plan.files
        .iter()
        .map(|(name, text)| format!("--- {name}\n{}\n", String::from_utf8_lossy(text.as_bytes())))
        .collect()
}

#[test]
fn a_build_sees_what_nix_s_own_sandbox_shows() {
    let plan = Case::default().plan().unwrap();
    insta::assert_snapshot!(entries(&plan), @"
    / directory 0750 0:30000
    /build scratch 0700 30001:30000 <- /s/build
    /dev directory 0755 0:0
    /dev/fd symlink -> /proc/self/fd
    /dev/null device 1:3 0666 0:0
    /dev/ptmx symlink -> /dev/pts/ptmx
    /dev/pts directory 0755 0:0
    /dev/shm directory 0755 0:0
    /dev/stderr symlink -> /proc/self/fd/2
    /dev/stdin symlink -> /proc/self/fd/0
    /dev/stdout symlink -> /proc/self/fd/1
    /etc directory 0555 0:0
    /etc/group inline file 0644
    /etc/hosts inline file 0644
    /etc/passwd inline file 0644
    /nix/store scratch 1775 0:30000 <- /s/store
    /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox graft <- /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox
    /proc directory 0555 0:0
    /tmp scratch 1777 0:0 <- /s/tmp
    ");
    assert!(!plan.jail.network);
    assert_eq!(plan.jail.user.inside, Some(Ids { uid: 1000, gid: 100 }));
    assert_eq!((plan.jail.umask, plan.jail.hostname.as_str()), (0o022, "localhost"));
    assert_eq!(plan.local, [Path::new("/build"), Path::new("/tmp")], "outputs are served");
}

#[test]
fn the_environment_is_nix_s_and_the_derivation_overrides_its_first_part_only() {
    let environment =
        vec![("PATH", "/p"), ("HOME", "/h"), ("TMPDIR", "/t"), ("out", "/nix/store/x"), ("TERM", "vt")];
    let plan = Case { environment, ..Case::default() }.plan().unwrap();
    insta::assert_snapshot!(words(&plan), @"
    HOME=/h
    NIX_BUILD_CORES=4
    NIX_BUILD_TOP=/build
    NIX_LOG_FD=2
    NIX_STORE=/nix/store
    PATH=/p
    PWD=/build
    TEMP=/build
    TEMPDIR=/build
    TERM=xterm-256color
    TMP=/build
    TMPDIR=/build
    out=/nix/store/x
    ");
    assert_eq!(format!("{:?}", plan.jail.argv), r#"["sh", "-c", "exit"]"#);
}

#[test]
fn a_fixed_output_gets_the_network_and_what_it_takes_to_use_it() {
    let mut case = Case {
        outputs: format!(r#"("out","/nix/store/{OUT}","r:sha256","00ff")"#),
        environment: vec![("impureEnvVars", "http_proxy no_proxy")],
        ..Case::default()
    };
    case.host.environment =
        BTreeMap::from([("http_proxy".into(), "http://p".into()), ("OTHER".into(), "x".into())]);
    case.host.network_files = BTreeMap::from([("/etc/resolv.conf".into(), "/run/resolv.conf".into())]);
    case.host.certificates = Some("/certs.pem".into());
    let plan = case.plan().unwrap();
    assert!(plan.jail.network);
    let shown = entries(&plan);
    let etc: Vec<&str> = shown.lines().filter(|line| line.starts_with("/etc/")).collect();
    insta::assert_snapshot!(etc.join("\n"), @"
    /etc/group inline file 0644
    /etc/nsswitch.conf inline file 0644
    /etc/passwd inline file 0644
    /etc/resolv.conf graft <- /run/resolv.conf
    /etc/ssl/certs/ca-certificates.crt graft <- /certs.pem?
    ");
    let set = words(&plan);
    let set: Vec<&str> =
        set.lines().filter(|line| line.contains("proxy") || line.contains("CHECKED")).collect();
    insta::assert_snapshot!(set.join("\n"), @"
    NIX_OUTPUT_CHECKED=1
    http_proxy=http://p
    impureEnvVars=http_proxy no_proxy
    no_proxy=
    ");
    let fixed = plan.outputs[0].fixed.as_ref().unwrap();
    assert_eq!((fixed.recursive, fixed.algorithm.as_str(), fixed.hash.as_str()), (true, "sha256", "00ff"));
}

#[test]
fn sandbox_paths_are_shown_in_place_of_what_would_be_there() {
    let sandbox_paths = vec!["/bin/sh=/b/sh", "/etc/hosts", "/usr=/u?", "/usr/lib=/u/lib", "/proc", "/dev"];
    let plan = Case { sandbox_paths, ..Case::default() }.plan().unwrap();
    let shown = entries(&plan);
    let grafts: Vec<&str> = shown.lines().filter(|line| line.contains("graft")).collect();
    insta::assert_snapshot!(grafts.join("\n"), @"
    /bin/sh graft <- /b/sh
    /dev graft <- /dev
    /etc/hosts graft <- /etc/hosts
    /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox graft <- /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox
    /usr graft <- /u?
    ");
    assert!(!shown.contains("/dev/null"), "{shown}");
    assert_eq!((plan.jail.proc, plan.jail.pts, plan.jail.shm), (Some("/proc".into()), None, None));
}

#[test]
fn host_paths_that_are_asked_for_have_to_be_allowed_by_their_text() {
    let mut case = Case {
        environment: vec![("__impureHostDeps", "/usr/lib/libfoo /usr/lib/../lib64")],
        ..Case::default()
    };
    case.settings.allowed_impure_host_deps = vec!["/usr/lib".into()];
    assert_eq!(
        case.error(),
        "it asks for the host path '/usr/lib/../lib64', which Nix's setting 'allowed-impure-host-deps' does not allow"
    );
    case.environment = vec![("__impureHostDeps", "/usr/lib/libfoo")];
    assert!(entries(&case.plan().unwrap()).contains("/usr/lib/libfoo graft <- /usr/lib/libfoo?\n"));
}

#[test]
fn texts_are_passed_as_files_and_graphs_in_the_form_that_nix_store_reads() {
    let environment = vec![
        ("passAsFile", "text"),
        ("text", "out is /1rz4g4znpzjwh1xymhjpm42vipw92pr73vdgl6xs1hycac8kf2n9"),
        ("exportReferencesGraph", "graph /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox/bin"),
    ];
    let plan = Case { environment, ..Case::default() }.plan().unwrap();
    insta::assert_snapshot!(files(&plan), @"
    --- .attr-1lf969yddshzhld7sr1vbagr07bnygg99lgl6gk5kxcnp4z9wbcq
    out is /nix/store/aymyqqwynscb4igjwfrkj649vqk4370l-x
    --- graph
    /nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox

    0
    ");
    assert!(words(&plan).contains("textPath=/build/.attr-"));
    let environment = vec![("exportReferencesGraph", "graph /nix/store/00000000000000000000000000000000-x")];
    assert_eq!(
        Case { environment, ..Case::default() }.error(),
        "it asks for the references of '/nix/store/00000000000000000000000000000000-x', which is not in the closure of its inputs"
    );
}

#[test]
fn structured_attributes_are_files_with_outputs_and_graphs() {
    let json = r#"{"b":[1,"x"],"exportReferencesGraph":{"g":["/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox"]},"a":{"k":"v"}}"#;
    let mut case = Case { environment: vec![("__json", json), ("out", "/nix/store/x")], ..Case::default() };
    let plan = case.plan().unwrap();
    insta::assert_snapshot!(files(&plan), @r#"
    --- .attrs.json
    {"a":{"k":"v"},"b":[1,"x"],"exportReferencesGraph":{"g":["/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox"]},"g":[{"closureSize":1000,"narHash":"sha256:0000000000000000000000000000000000000000000000000000","narSize":1000,"path":"/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox","references":[]}],"outputs":{"out":"/nix/store/aymyqqwynscb4igjwfrkj649vqk4370l-x"}}
    --- .attrs.sh
    declare -A a=(['k']='v' )
    declare -a b=(1 'x' )
    declare -A outputs=(['out']='/nix/store/aymyqqwynscb4igjwfrkj649vqk4370l-x' )
    "#);
    assert!(!words(&plan).contains("__json"), "structured attributes are not in the environment");
    case.settings.version = (2, 34);
    assert!(files(&case.plan().unwrap()).contains(r#""valid":true"#));
}

#[test]
fn the_kernel_treats_calls_as_nix_has_it() {
    let mut case = Case::default();
    case.settings.filter_syscalls = true;
    let plan = case.plan().unwrap();
    assert_eq!(plan.jail.shm_size, "50%");
    assert!(plan.jail.system_calls.filtered);
    assert!(!plan.jail.system_calls.says_32_bits && !plan.jail.system_calls.says_linux_26);
    case.settings = Settings {
        impersonate_linux_26: true,
        filter_syscalls: false,
        sandbox_dev_shm_size: Some("1G".into()),
        extra_platforms: vec!["i686-linux".into()],
        ..case.settings
    };
    case.platform = "i686-linux";
    let plan = case.plan().unwrap();
    assert_eq!(plan.jail.shm_size, "1G");
    assert!(
        plan.jail.system_calls.says_32_bits
            && plan.jail.system_calls.says_linux_26
            && !plan.jail.system_calls.filtered
    );
}

#[test]
fn what_cannot_be_had_is_refused() {
    let with = |environment| Case { environment, ..Case::default() }.error();
    insta::assert_snapshot!(with(vec![("requiredSystemFeatures", "kvm")]), @r"
    missing system features
      Required features: {kvm}
      Available features: {}
    ");
    insta::assert_snapshot!(with(vec![("requiredSystemFeatures", "recursive-nix")]), @"it requires the system feature 'recursive-nix', which loopbox does not support");
    insta::assert_snapshot!(with(vec![("__noChroot", "1")]), @"derivation '/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv' has '__noChroot' set, but that's not allowed when 'sandbox' is 'true'");
    let mut relaxed = Case { environment: vec![("__noChroot", "1")], ..Case::default() };
    relaxed.settings.sandbox_relaxed = true;
    insta::assert_snapshot!(relaxed.error(), @"derivation '/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv' has '__noChroot' set: Nix would build it without a sandbox, but loopbox always uses one");
    insta::assert_snapshot!(with(vec![("__json", "[]")]), @"its structured attributes are not a JSON object");
    let mut foreign = Case::default();
    foreign.settings.system = "riscv64-linux".into();
    insta::assert_snapshot!(foreign.error(), @r"
    platform mismatch
      Required system: 'x86_64-linux'
      Current system: 'riscv64-linux'
    ");
    let overlap = Case { sandbox_paths: vec!["/usr=/u", "/usr/lib=/l"], ..Case::default() };
    insta::assert_snapshot!(overlap.error(), @"the paths that it is to see are in conflict");
}

#[test]
fn checks_name_paths_and_outputs_and_are_those_of_every_output() {
    let environment = vec![("allowedReferences", ""), ("disallowedRequisites", "out")];
    let checks = Case { environment, ..Case::default() }.plan().unwrap().outputs.remove(0).checks;
    assert_eq!(checks.allowed_references, Some(BTreeSet::new()), "nothing is something else than no list");
    assert_eq!(checks.disallowed_requisites, BTreeSet::from([StorePath::new(OUT).unwrap()]));
    assert!(checks.ignore_self && checks.allowed_requisites.is_none());
    let environment = vec![("allowedReferences", "out /nix/store/x")];
    assert_eq!(
        Case { environment, ..Case::default() }.error(),
        "derivation '/nix/store/86vc0xcvj3sv0wsg1pfp3pvvv2s10qn2-x.drv' output check for 'out' contains an illegal \
         reference specifier '/nix/store/x', expected store path or output name (one of [out])"
    );
}

#[test]
fn structured_checks_are_those_of_one_output() {
    let with = |json, version| {
        let mut case = Case { environment: vec![("__json", json)], ..Case::default() };
        case.settings.version = version;
        case.plan().map(|mut plan| plan.outputs.remove(0))
    };
    let json = r#"{"outputChecks":{"out":{"maxSize":7,"allowedRequisites":["/nix/store/71fc7s32zl20dc955bhghy5dvalm7ndz-busybox"]},
        "other":{"maxSize":"?"}},"allowedReferences":["ignored by Nix here"],"unsafeDiscardReferences":{"out":true}}"#;
    let output = with(json, (2, 14)).unwrap();
    assert_eq!((output.checks.max_size, output.checks.ignore_self), (Some(7), false));
    assert_eq!(output.checks.allowed_requisites, Some(BTreeSet::from([StorePath::new(BUSYBOX).unwrap()])));
    assert!(output.checks.allowed_references.is_none() && output.discard_references);
    assert!(!with(json, (2, 8)).unwrap().discard_references, "Nix 2.8 does not know the attribute");
    for (json, message) in [
        (
            r#"{"outputChecks":{"out":{"maxSize":-1}}}"#,
            "attribute 'outputChecks.out.maxSize' has to be a number of bytes",
        ),
        (
            r#"{"outputChecks":{"out":{"allowedReferences":"out"}}}"#,
            "attribute 'outputChecks.out.allowedReferences' has to be a list of strings",
        ),
        (r#"{"outputChecks":[]}"#, "attribute 'outputChecks' has to be an object"),
        (
            r#"{"unsafeDiscardReferences":{"out":1}}"#,
            "attribute 'unsafeDiscardReferences.out' has to be true or false",
        ),
    ] {
        assert_eq!(with(json, (2, 34)).expect_err("malformed").to_string(), message);
    }
}
