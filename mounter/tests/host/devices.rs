//! Devices in a jail: those that are asked for, and no others.

use super::support::{Place, ROOT, USER, run};
use mounter::jail::{Device, DeviceNode};

/// `null` by its number, the host's own `zero`, and a directory of the host's.
fn devices() -> Vec<Device> {
    let number = DeviceNode::Number { major: 1, minor: 3, mode: 0o666, uid: 0, gid: 0 };
    let host = |source: &str| DeviceNode::Host { source: source.into() };
    let device = |at: &str, node| Device { at: at.into(), node };
    vec![
        device("/dev/null", number),
        device("/work/zero", host("/dev/zero")),
        device("/dev/all", host("/dev")),
    ]
}

#[test]
fn devices_work_and_nobody_inside_changes_them() {
    let place = Place::new();
    std::fs::create_dir(place.root().join("dev/all")).unwrap();
    std::fs::write(place.root().join("work/zero"), "").unwrap();
    let script = "stat -c '%F %t:%T %a %u:%g' /dev/null; stat -c '%F %t:%T' /work/zero /dev/all/full
        echo x > /dev/all/null && echo written; : < /dev/null && : < /work/zero && echo read
        for at in /dev/null /work/zero /dev/all/null; do chmod 4755 $at; touch $at; done 2>&1
        mkdir /dev/all/new; ls /dev/all/pts";
    let before = std::fs::metadata("/dev/null").unwrap().permissions();
    let mut spec = place.spec(script);
    spec.devices = devices();
    spec.user = ROOT;
    let (output, _) = run(&spec).unwrap();
    insta::assert_snapshot!(output, @"
    character special file 1:3 666 0:0
    character special file 1:5
    character special file 1:7
    written
    read
    chmod: changing permissions of '/dev/null': Read-only file system
    touch: setting times of '/dev/null': Read-only file system
    chmod: changing permissions of '/work/zero': Read-only file system
    touch: setting times of '/work/zero': Read-only file system
    chmod: changing permissions of '/dev/all/null': Read-only file system
    touch: setting times of '/dev/all/null': Read-only file system
    mkdir: cannot create directory '/dev/all/new': Read-only file system
    ");
    assert_eq!(std::fs::metadata("/dev/null").unwrap().permissions(), before);
}

/// Whoever sits at the server's port could make any file a disk.
#[test]
fn nothing_else_in_the_root_works_as_a_device() {
    let place = Place::new();
    let (null, made) = (nix::sys::stat::makedev(1, 3), place.root().join("tmp/null"));
    let mode = nix::sys::stat::Mode::from_bits_truncate(0o666);
    nix::sys::stat::mknod(&made, nix::sys::stat::SFlag::S_IFCHR, mode, null).unwrap();
    std::fs::set_permissions(&made, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    for user in [USER, ROOT] {
        let mut spec = place.spec(": > /tmp/null");
        spec.user = user;
        let (output, _) = run(&spec).unwrap();
        assert_eq!(output, "sh: 1: cannot create /tmp/null: Permission denied\n");
    }
}

#[test]
fn a_device_that_cannot_be_shown_is_named() {
    let place = Place::new();
    let mut spec = place.spec("true");
    spec.devices = devices();
    insta::assert_snapshot!(run(&spec).unwrap_err(), @r#"cannot show the device "/work/zero""#);
    spec.devices[1].at = "/work/../x".into();
    insta::assert_snapshot!(run(&spec).unwrap_err(), @r#"invalid jail specification: the place "/work/../x" is not an absolute, normalized path"#);
}
