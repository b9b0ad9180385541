//! What is wrong with a specification, and how that is said.

use insta::assert_snapshot;

use nfs_server::view::{Access, Entry, Owner, SpecError, ViewSpec};

fn graft(at: &str, source: &str, access: Access) -> Entry {
    Entry::Graft { at: at.into(), source: source.into(), access, optional: false }
}

fn directory(at: &str) -> Entry {
    Entry::Directory { at: at.into(), mode: 0o755, owner: Owner::default() }
}

fn inline(at: &str) -> Entry {
    Entry::Inline { at: at.into(), contents: String::new(), mode: 0o444 }
}

fn scratch(at: &str, source: &str, mode: u32) -> Entry {
    Entry::Scratch { at: at.into(), source: source.into(), mode, owner: Owner::default() }
}

fn symlink(at: &str, target: &str) -> Entry {
    Entry::Symlink { at: at.into(), target: target.into() }
}

fn validate(entries: &[Entry]) -> Result<(), SpecError> {
    ViewSpec { entries: entries.to_vec() }.validate()
}

fn error(entries: &[Entry]) -> String {
    validate(entries).expect_err("it is wrong").to_string()
}

#[test]
fn what_a_build_needs_is_valid() {
    let entries = [
        scratch("/nix/store", "/work/outputs", 0o1775),
        graft("/nix/store/abc-gcc", "/nix/store/abc-gcc", Access::Ro),
        graft("/nix/store/def-glibc", "/nix/store/def-glibc", Access::Ro),
        scratch("/build", "/work/build", 0o700),
        inline("/etc/passwd"),
        symlink("/bin/sh", "../nix/store/abc-bash/bin/sh"),
        Entry::Device { at: "/dev/null".into(), major: 1, minor: 3, mode: 0o666, owner: Owner::default() },
        directory("/proc"),
    ];
    assert_eq!(validate(&entries), Ok(()));
    assert_eq!(validate(&[]), Ok(()));
}

#[test]
fn the_root_may_be_a_directory_a_scratch_or_a_graft() {
    for root in [directory("/"), scratch("/", "/work", 0o755), graft("/", "/host", Access::Ro)] {
        assert_eq!(validate(&[root]), Ok(()));
    }
    assert_snapshot!(error(&[inline("/")]), @"the root of a view has to be a directory, a scratch or a graft");
}

#[test]
fn paths_start_at_the_root() {
    assert_snapshot!(error(&[inline("etc/passwd")]), @r#"view path "etc/passwd" is not absolute"#);
    assert_snapshot!(error(&[graft("/usr", "usr", Access::Ro)]), @r#"source path "usr" is not absolute"#);
    assert_snapshot!(error(&[directory("")]), @r#"view path "" is not absolute"#);
}

#[test]
fn paths_are_in_their_plain_form() {
    assert_snapshot!(error(&[directory("/a/../b")]), @r#"view path "/a/../b" is not normalized: it must not contain '.', '..', '//' or NUL"#);
    for odd in ["/a/./b", "/a//b", "/a/", "//a", "/..", "/a\0b", "/."] {
        let not_plain = SpecError::NotPlain { role: "view", path: odd.into() };
        assert_eq!(validate(&[directory(odd)]), Err(not_plain), "{odd:?}");
        let not_plain = SpecError::NotPlain { role: "source", path: odd.into() };
        assert_eq!(validate(&[graft("/a", odd, Access::Ro)]), Err(not_plain), "{odd:?}");
    }
}

#[test]
fn names_and_paths_have_the_systems_lengths() {
    let name = |length: usize| format!("/{}", "n".repeat(length));
    assert_eq!(validate(&[directory(&name(255))]), Ok(()));
    assert_eq!(validate(&[directory(&name(256))]), Err(SpecError::TooLong { path: name(256).into() }));
    let path = |count: usize| "/a".repeat(count);
    assert_eq!(validate(&[directory(&path(2047))]), Ok(()));
    assert_eq!(validate(&[directory(&path(2048))]), Err(SpecError::TooLong { path: path(2048).into() }));
    let message = error(&[directory(&name(256))]).replace(&"n".repeat(256), "n…n");
    assert_snapshot!(message, @r#"path "/n…n" is too long: at most 255 bytes in a name and 4095 in a path"#);
}

#[test]
fn two_entries_at_one_place_are_one_too_many() {
    assert_snapshot!(error(&[directory("/a"), inline("/a")]), @r#"two entries are both at "/a""#);
}

#[test]
fn only_directories_and_scratches_hold_other_entries() {
    assert_eq!(
        validate(&[directory("/a"), inline("/a/b"), scratch("/c", "/s", 0o755), inline("/c/d/e")]),
        Ok(())
    );
    assert_snapshot!(error(&[inline("/a/b"), graft("/a", "/s", Access::Ro)]), @r#""/a/b" lies below "/a", which is a graft; only a directory or a scratch can hold other entries"#);
    assert_snapshot!(error(&[graft("/", "/s", Access::Rw), inline("/a/b/c")]), @r#""/a/b/c" lies below "/", which is a graft; only a directory or a scratch can hold other entries"#);
    assert_snapshot!(error(&[symlink("/lib", "usr/lib"), directory("/lib/x")]), @r#""/lib/x" lies below "/lib", which is a symlink; only a directory or a scratch can hold other entries"#);
    assert_snapshot!(error(&[inline("/a"), directory("/a/b")]), @r#""/a/b" lies below "/a", which is an inline file; only a directory or a scratch can hold other entries"#);
    let device =
        Entry::Device { at: "/dev".into(), major: 1, minor: 3, mode: 0o666, owner: Owner::default() };
    assert_snapshot!(error(&[device, directory("/dev/pts")]), @r#""/dev/pts" lies below "/dev", which is a device; only a directory or a scratch can hold other entries"#);
    assert_eq!(validate(&[inline("/a"), inline("/ab"), inline("/a.b")]), Ok(()), "beside is not below");
}

#[test]
fn modes_have_no_set_id_bits_and_only_directories_are_sticky() {
    let file = |mode| Entry::Inline { at: "/f".into(), contents: String::new(), mode };
    let dir = |mode| Entry::Directory { at: "/d".into(), mode, owner: Owner::default() };
    assert_eq!(validate(&[file(0o777), dir(0o1777), scratch("/s", "/s", 0o1777)]), Ok(()));
    assert_snapshot!(error(&[file(0o4755)]), @r#"mode 4755 of "/f" has bits besides 777"#);
    assert_snapshot!(error(&[file(0o1644)]), @r#"mode 1644 of "/f" has bits besides 777"#);
    assert_snapshot!(error(&[dir(0o2755)]), @r#"mode 2755 of "/d" has bits besides 1777"#);
    assert_snapshot!(error(&[scratch("/s", "/s", 0o100_755)]), @r#"mode 100755 of "/s" has bits besides 1777"#);
    let device =
        Entry::Device { at: "/dev/null".into(), major: 1, minor: 3, mode: 0o1666, owner: Owner::default() };
    assert_snapshot!(error(&[device]), @r#"mode 1666 of "/dev/null" has bits besides 777"#);
}

#[test]
fn links_have_a_text() {
    assert_snapshot!(error(&[symlink("/l", "")]), @r#"the symbolic link at "/l" has an empty target, one over 4095 bytes, or one with a NUL byte"#);
    assert_eq!(validate(&[symlink("/l", "a\0b")]), Err(SpecError::Target { at: "/l".into() }));
    assert_eq!(validate(&[symlink("/l", &"x".repeat(4096))]), Err(SpecError::Target { at: "/l".into() }));
    assert_eq!(validate(&[symlink("/l", &"x".repeat(4095)), symlink("/m", "../../..")]), Ok(()));
}

#[test]
fn no_host_directory_is_writable_at_two_places() {
    let writable = |at: &str, source: &str| graft(at, source, Access::Rw);
    assert_snapshot!(error(&[scratch("/a", "/s", 0o755), scratch("/b", "/s", 0o755)]), @r#"the writable entries at "/a" and "/b" share the host directory "/s""#);
    assert_snapshot!(error(&[scratch("/a", "/s/deep/down", 0o755), writable("/b", "/s")]), @r#"the writable entries at "/b" and "/a" share the host directory "/s/deep/down""#);
    assert_eq!(validate(&[scratch("/a", "/s", 0o755), scratch("/b", "/sx", 0o755)]), Ok(()));
    assert_eq!(validate(&[scratch("/a", "/s", 0o755), graft("/b", "/s", Access::Ro)]), Ok(()));
    assert_eq!(validate(&[graft("/a", "/s", Access::Ro), graft("/b", "/s", Access::Ro)]), Ok(()));
}

#[test]
fn a_specification_is_json_that_knows_all_its_words() {
    let spec = ViewSpec { entries: vec![graft("/usr", "/usr", Access::Rw), scratch("/b", "/s", 0o700)] };
    let text = serde_json::to_string(&spec).unwrap();
    assert_snapshot!(text, @r#"{"entries":[{"graft":{"at":"/usr","source":"/usr","access":"rw","optional":false}},{"scratch":{"at":"/b","source":"/s","mode":448,"owner":{"uid":0,"gid":0}}}]}"#);
    assert_eq!(serde_json::from_str::<ViewSpec>(&text).unwrap(), spec);
    let short = r#"{"entries":[{"graft":{"at":"/usr","source":"/usr"}}]}"#;
    let entries = serde_json::from_str::<ViewSpec>(short).unwrap().entries;
    assert_eq!(entries, [graft("/usr", "/usr", Access::Ro)], "read-only and needed unless it says otherwise");
    let unknown = r#"{"entries":[{"graft":{"at":"/usr","source":"/usr","readonly":true}}]}"#;
    let message = serde_json::from_str::<ViewSpec>(unknown).unwrap_err().to_string();
    assert_snapshot!(message, @"unknown field `readonly`, expected one of `at`, `source`, `access`, `optional` at line 1 column 60");
}
