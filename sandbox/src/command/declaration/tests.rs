//! A declaration is the same as flags and as a file.

use std::os::unix::ffi::OsStringExt;

use super::*;

fn all() -> Declaration {
    Declaration {
        with: vec!["/usr/bin/git".into()],
        closure: vec!["/nix/store/a".into()],
        ro: vec![BindSpec::same("/etc/gitconfig".into()), BindSpec::from(OsString::from("/a:/b"))],
        ro_try: vec![BindSpec::same("/etc/fonts".into())],
        rw: vec![BindSpec::same("/src".into())],
        symlink: vec![Link { target: "usr/bin".into(), at: "/bin".into() }],
        tmpfs: vec!["/var/tmp".into()],
        dir: vec![OsString::from_vec(b"/home/\xff".to_vec()).into()],
        env: vec!["A=1".into(), "B".into()],
        preserve_env: true,
        clear_env: true,
        chdir: Some("/src".into()),
        net: true,
        hostname: Some("here".into()),
    }
}

#[test]
fn what_is_read_is_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("view.json");
    for declaration in [all(), Declaration::default()] {
        declaration.write(&file).unwrap();
        assert_eq!(Declaration::read(&file).unwrap(), declaration);
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\n  \"version\": 1,\n  \"view\": {}\n}\n");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing but the file is left");
}

#[test]
fn what_is_no_view_says_so() {
    let told = |text: &str| Declaration::parse(text.as_bytes(), "v.json".as_ref()).unwrap_err().to_string();
    for text in ["", "[]", r#"{"version": 1}"#, r#"{"version": 1, "view": {"root": "/"}}"#] {
        assert_eq!(told(text), r#""v.json" is not a view of 'loopbox run'"#, "{text}");
    }
    let other = r#""v.json" is a view of version 2, and this loopbox reads version 1"#;
    assert_eq!(told(r#"{"version": 2, "seen": {}}"#), other);
}

#[test]
fn a_file_that_cannot_be_written_is_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("view.json");
    fs::create_dir(&file).unwrap();
    let error = all().write(&file).unwrap_err();
    assert!(error.to_string().ends_with("; the file is as it was"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn the_later_of_two_counts() {
    let mut one = all();
    one.extend(Declaration {
        ro: vec![BindSpec::same("/etc/gitconfig".into()), BindSpec::same("/c".into())],
        env: vec!["A=2".into(), "C".into()],
        chdir: Some("/".into()),
        ..Declaration::default()
    });
    assert_eq!(one.ro.len(), 3);
    assert_eq!(one.env, ["B", "A=2", "C"]);
    assert_eq!((one.chdir, one.hostname), (Some("/".into()), Some("here".into())));
}

#[test]
fn what_lies_in_something_that_is_shown_is_not_shown_twice() {
    let same = |path: &str| BindSpec::same(path.into());
    let mut declaration = Declaration {
        with: vec!["/b/program".into(), "/a/program".into()],
        ro: vec![same("/c"), same("/a/file"), same("/a"), same("/w")],
        rw: vec![same("/w")],
        dir: vec!["/a/d".into(), "/c".into(), "/d".into()],
        ..Declaration::default()
    };
    declaration.fold();
    assert_eq!(declaration.ro, [same("/a"), same("/c")]);
    assert_eq!(declaration.with, [PathBuf::from("/b/program")]);
    assert_eq!(declaration.dir, [PathBuf::from("/d")]);
}

#[test]
fn flags_say_the_same() {
    let words: Vec<String> = all()
        .flags()
        .into_iter()
        .map(|(flag, value)| format!("{flag} {}", value.unwrap_or_default().display()))
        .collect();
    insta::assert_snapshot!(words.join("\n"), @"
    --with /usr/bin/git
    --closure /nix/store/a
    --ro /etc/gitconfig
    --ro /a:/b
    --ro-try /etc/fonts
    --rw /src
    --symlink usr/bin:/bin
    --tmpfs /var/tmp
    --dir /home/�
    --env A=1
    --env B
    --chdir /src
    --hostname here
    --preserve-env 
    --clear-env 
    --net 
    ");
}
