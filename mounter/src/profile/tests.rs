//! Profiles as text, for small and for large closures, and for names that try to change them.

use std::path::PathBuf;

use super::{ALL, COMMON, Files, LOCAL, NO_FLAGS, NO_SET_ID, NetworkAccess, Profile, RESOLVER, SYSTEM, VIEW};

/// What libsandbox refuses to make an object of.
const OBJECT_MAX: usize = 65_535;

fn listed(fixed: Vec<PathBuf>) -> Profile {
    let build = "/nix/var/nix/builds/nix-build-hello-1-0/view.noindex";
    let files = Files::Listed {
        fixed,
        read: vec!["/System/Library".into(), "/usr/lib".into()],
        write: vec![build.into(), "/nix/store/mmmm-hello".into()],
        lists_above: true,
    };
    Profile { files, network: NetworkAccess::None, extra: String::new() }
}

/// The forms of a text, each from its first parenthesis to the one that closes it.
fn forms(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut depth, mut quoted, mut escaped) = (Vec::new(), 0, 0_usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'(' if !quoted => {
                start = if depth == 0 { at } else { start };
                depth += 1;
            }
            b')' if !quoted => {
                depth -= 1;
                if depth == 0 {
                    found.push(&text[start..=at]);
                }
            }
            _ => {}
        }
    }
    assert!(depth == 0 && !quoted, "every form and every string ends");
    found
}

#[test]
fn in_a_view_the_view_decides_about_files_and_the_server_cannot_be_reached() {
    let profile = Profile { files: Files::View, network: NetworkAccess::None, extra: String::new() };
    let server = "(deny network-outbound (remote ip \"localhost:40123\"))\n";
    assert_eq!(profile.text(Some(40123)), [COMMON, VIEW, NO_SET_ID, server].concat());
}

#[test]
fn without_a_view_every_path_is_named() {
    let profile = listed(vec!["/nix/store/aaaa-bash".into(), "/nix/store/bbbb-gcc".into()]);
    let text = profile.text(Some(40123));
    let own = text.strip_prefix(&[COMMON, SYSTEM].concat()).unwrap_or_default();
    insta::assert_snapshot!(own, @r#"
    (allow file-read*
      (literal "/")
      (literal "/System")
      (literal "/nix")
      (literal "/nix/store")
      (literal "/nix/var")
      (literal "/nix/var/nix")
      (literal "/nix/var/nix/builds")
      (literal "/nix/var/nix/builds/nix-build-hello-1-0")
      (literal "/usr"))
    (allow file-read* file-write* process-exec
      (subpath "/nix/store/aaaa-bash")
      (subpath "/nix/store/bbbb-gcc"))
    (allow file-read* process-exec
      (subpath "/System/Library")
      (subpath "/usr/lib"))
    (allow file* process-exec network-inbound network-outbound
      (subpath "/nix/var/nix/builds/nix-build-hello-1-0/view.noindex")
      (subpath "/nix/store/mmmm-hello"))
    (deny file-write-acl file-write-flags)
    (deny file-write-setugid)
    (deny network-outbound (remote ip "localhost:40123"))
    "#);
}

#[test]
fn what_is_above_a_person_s_files_is_not_listed() {
    let read = vec!["/Users/me/src".into()];
    let files = Files::Listed { fixed: Vec::new(), read, write: Vec::new(), lists_above: false };
    let text = Profile { files, network: NetworkAccess::None, extra: String::new() }.text(None);
    assert!(text.contains("(allow file-read-metadata\n  (literal \"/\")\n  (literal \"/Users\")"), "{text}");
}

#[test]
fn whatever_may_be_reached_the_server_may_not() {
    for network in [NetworkAccess::None, NetworkAccess::Local, NetworkAccess::All] {
        let extra = "(allow network*) ; all of it".into();
        let text = Profile { network, extra, ..listed(Vec::new()) }.text(Some(2049));
        assert!(text.ends_with(
            "(allow network*) ; all of it\n(deny network-outbound (remote ip \"localhost:2049\"))\n"
        ));
    }
}

#[test]
fn the_network_brings_the_resolver_with_it() {
    let text = |network| Profile { network, ..listed(Vec::new()) }.text(None);
    let none = text(NetworkAccess::None);
    assert!(none.ends_with(&[NO_FLAGS, NO_SET_ID].concat()), "{none}");
    assert_eq!(text(NetworkAccess::Local), [&none, LOCAL, RESOLVER].concat());
    assert_eq!(text(NetworkAccess::All), [&none, ALL, RESOLVER].concat());
}

#[test]
fn no_form_comes_near_the_limit_however_many_paths_there_are() {
    let name = "long-enough-to-be-a-name-of-a-package-that-nixpkgs-has-1.2.3-dev";
    let paths: Vec<PathBuf> =
        (0..5000).map(|number| format!("/nix/store/{number:032}-{name}").into()).collect();
    let text = listed(paths.clone()).text(Some(40123));
    let forms = forms(&text);
    let longest = forms.iter().map(|form| form.len()).max();
    assert!(longest.is_some_and(|length| length < OBJECT_MAX / 2), "{longest:?}");
    let mut named: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("(subpath \"")?.split('"').next())
        .filter(|path| path.ends_with(name))
        .map(PathBuf::from)
        .collect();
    named.sort();
    assert_eq!(named, paths);
}

#[test]
fn names_that_look_like_rules_are_names() {
    let hostile = r#"/nix/store/aaaa-x") (allow default) (allow file* (subpath "/"#;
    let text =
        listed(vec![hostile.into(), "/nix/store/bbbb-y\\".into(), "/nix/store/cccc-\n;".into()]).text(None);
    let heads: Vec<&str> =
        forms(&text).into_iter().filter(|form| form.starts_with("(allow default")).collect();
    assert_eq!(heads, Vec::<&str>::new());
    assert_eq!(forms(&text).len(), forms(&listed(vec!["/nix/store/aaaa-x".into()]).text(None)).len());
}
