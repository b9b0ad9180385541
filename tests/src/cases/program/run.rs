//! `loopbox run`: what each of its options shows and sets.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::Value;

use crate::cases::loopbox::Loopbox;
use crate::cases::place::{USER, stat};
use crate::cases::{Place, cases};

cases![
    the_root_holds_what_the_plan_says_and_nothing_else,
    a_path_of_the_host_that_was_not_named_does_not_exist,
    what_is_shown_read_only_cannot_be_changed,
    what_is_shown_writable_is_the_hosts_own,
    a_writable_directory_of_another_user_stays_his,
    files_named_like_deleted_open_ones_are_shown_and_kept,
    a_mount_point_of_the_host_tells_of_its_own_file_system,
    a_tmpfs_is_empty_writable_and_gone_afterwards,
    without_a_network_there_is_a_loopback_interface_alone,
    with_a_network_the_hosts_interfaces_are_there,
    directory_and_environment_are_the_callers,
    a_directory_is_the_callers_whatever_its_name,
    what_is_shown_may_have_any_name,
    a_program_is_found_as_a_shell_finds_it,
    a_command_runs_as_the_user_that_was_named,
    root_inside_has_no_power_outside,
    the_commands_status_is_loopboxes,
    nothing_stays_of_a_run,
    slashes_at_the_end_of_a_directory_do_not_matter,
];

/// `loopbox run` of a shell script, with these words before it.
fn shell(place: &Place, words: &[&str], script: &str) -> String {
    let words = [&["run", "--with", "sh"], words, &["--", "sh", "-e", "-c", script]].concat();
    Loopbox::at(place).good(words)
}

fn the_root_holds_what_the_plan_says_and_nothing_else(place: &Place) {
    let loopbox = Loopbox::at(place);
    let plan = loopbox.good(["run", "--dry-run", "--with", "ls", "--", "ls", "-A", "/"]);
    let plan: Value = serde_json::from_str(&plan).expect("a plan is JSON");
    let entries = plan["view"]["entries"].as_array().expect("a view has entries");
    let planned: BTreeSet<&str> = entries
        .iter()
        .filter_map(|entry| entry.as_object()?.values().next()?["at"].as_str()?.split('/').nth(1))
        .collect();
    let seen = loopbox.good(["run", "--with", "ls", "--", "ls", "-A", "/"]);
    assert_eq!(seen.lines().collect::<BTreeSet<_>>(), planned);
    assert!(planned.contains("tmp") && !planned.contains("root"), "{planned:?}");
    let etc = loopbox.good(["run", "--with", "ls", "--", "ls", "-A", "/etc"]);
    assert_eq!(etc, "group\nhosts\nld.so.cache\npasswd", "the cache is the loader's, of --with");
}

fn a_path_of_the_host_that_was_not_named_does_not_exist(place: &Place) {
    let file = place.file("secret", "x");
    let script = format!("test ! -e {0} && test ! -e /proc/1/root{0} && echo hidden", file.display());
    assert_eq!(shell(place, &[], &script), "hidden");
}

fn what_is_shown_read_only_cannot_be_changed(place: &Place) {
    place.directory("shown");
    let file = place.file("shown/file", "as it was\n");
    let shown = format!("{}:/shown", place.path("shown").display());
    let script = "read line < /shown/file; echo $line
        if echo changed > /shown/file; then exit 9; fi
        if echo new > /shown/new; then exit 9; fi";
    assert_eq!(shell(place, &["--ro", &shown, "--uid", "0"], script), "as it was");
    assert_eq!(fs::read_to_string(file).expect("it is there"), "as it was\n");
    assert_eq!(place.names("shown"), ["file"]);
}

fn what_is_shown_writable_is_the_hosts_own(place: &Place) {
    let directory = place.directory("shown");
    std::os::unix::fs::chown(&directory, Some(USER), Some(USER)).expect("root can give it away");
    let shown = format!("{}:/shown", directory.display());
    shell(place, &["--rw", &shown, "--uid", &USER.to_string()], "echo new > /shown/new");
    assert_eq!(fs::read_to_string(place.path("shown/new")).expect("it is there"), "new\n");
    use std::os::unix::fs::MetadataExt;
    assert_eq!(stat(place.path("shown/new")).uid(), USER);
}

fn files_named_like_deleted_open_ones_are_shown_and_kept(place: &Place) {
    const NAME: &str = ".nfs000000000076202f00000088";
    let directory = place.directory("shown");
    for inner in ["rmdir", "moved", "shell"] {
        place.directory(format!("shown/{inner}"));
        place.file(format!("shown/{inner}/{NAME}"), "the host's");
    }
    let shown = format!("{}:/shown", directory.display());
    let script = format!(
        "ls -A /shown/rmdir; if rmdir /shown/rmdir; then exit 9; fi
        mkdir /shown/new; if mv -T /shown/new /shown/moved; then exit 9; fi
        rm -r /shown/shell; touch /shown/plain; mv /shown/plain /shown/new/{NAME}"
    );
    let words = ["--with", "ls", "--with", "rmdir", "--with", "mv", "--with", "rm", "--with", "mkdir"];
    let words = [&words[..], &["--with", "touch", "--uid", "0", "--rw", &shown]].concat();
    assert_eq!(shell(place, &words, &script), NAME);
    assert_eq!(place.names("shown"), ["moved", "new", "rmdir"]);
    for kept in ["moved", "new", "rmdir"] {
        assert_eq!(place.names(format!("shown/{kept}")), [NAME]);
    }
}

fn a_mount_point_of_the_host_tells_of_its_own_file_system(place: &Place) {
    let mount = |directory: &str, size: &str| {
        let at = place.directory(directory);
        nix::mount::mount(Some("tmpfs"), &at, Some("tmpfs"), nix::mount::MsFlags::empty(), Some(size))
            .expect("a tmpfs can be mounted");
        at
    };
    let outer = mount("outer", "size=20m");
    let inner = mount("outer/inner", "size=10m");
    place.directory("outer/inner/below");
    let shown = format!("{}:/shown", outer.display());
    for way in ["--ro", "--rw"] {
        let words = ["run", "--with", "stat", way, &shown, "--", "stat", "-f", "-c", "%b %S"];
        let told =
            Loopbox::at(place).good([&words[..], &["/shown", "/shown/inner", "/shown/inner/below"]].concat());
        let mebibytes = |line: &str| {
            let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().expect("a number")).collect();
            numbers.iter().product::<u64>() >> 20
        };
        assert_eq!(told.lines().map(mebibytes).collect::<Vec<_>>(), [20, 10, 10], "{way}");
    }
    for directory in [inner, outer] {
        nix::mount::umount(&directory).expect("nothing is left in it");
    }
}

fn a_writable_directory_of_another_user_stays_his(place: &Place) {
    let shown = format!("{}:/shown", place.directory("shown").display());
    let script = "if echo new > /shown/new; then exit 9; fi";
    shell(place, &["--rw", &shown, "--uid", &USER.to_string()], script);
    assert!(place.names("shown").is_empty());
}

fn a_tmpfs_is_empty_writable_and_gone_afterwards(place: &Place) {
    let words = ["--with", "ls", "--tmpfs", "/work", "--uid", &USER.to_string()];
    assert_eq!(shell(place, &words, "ls -A /work; echo x > /work/x; ls /work"), "x");
    assert!(place.names("temporary").is_empty());
}

/// The interfaces' names, from the third line on.
const INTERFACES: &str = "while read name rest; do echo $name; done < /proc/net/dev";

fn without_a_network_there_is_a_loopback_interface_alone(place: &Place) {
    let seen = shell(place, &["--with", "perl"], INTERFACES);
    assert_eq!(seen.lines().skip(2).collect::<Vec<_>>(), ["lo:"]);
    let connect = "use IO::Socket; $l = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') or die;
        IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $l->sockport) or die; print 'up'";
    let perl = ["run", "--with", "perl", "--ro", "/usr/lib/x86_64-linux-gnu", "--ro", "/usr/share/perl"];
    let words = [&perl[..], &["--", "perl", "-e", connect]].concat();
    assert_eq!(Loopbox::at(place).good(words), "up");
}

fn with_a_network_the_hosts_interfaces_are_there(place: &Place) {
    let host = fs::read_to_string("/proc/net/dev").expect("the host has a network");
    let host: Vec<&str> = host.lines().filter_map(|line| line.split_whitespace().next()).collect();
    let seen = shell(place, &["--net"], INTERFACES);
    assert_eq!(seen.lines().collect::<Vec<_>>(), host);
}

fn directory_and_environment_are_the_callers(place: &Place) {
    let words = ["--with", "env", "--chdir", "/tmp", "--env", "A=b c", "--env", "EMPTY="];
    let seen = shell(place, &words, "echo $PWD; env");
    let lines: BTreeSet<&str> = seen.lines().collect();
    for line in ["/tmp", "A=b c", "EMPTY=", "HOME=/tmp"] {
        assert!(lines.contains(line), "{line} is missing in {seen}");
    }
    assert!(!seen.contains("LOOPBOX"), "loopbox's own environment shows: {seen}");
}

fn a_directory_is_the_callers_whatever_its_name(place: &Place) {
    let name = OsStr::from_bytes(b"no text: \xff");
    let directory = place.path("named").join(name);
    fs::create_dir_all(&directory).expect("a directory");
    let script = "pwd > written; cat written";
    for scratch in ["local", "nfs"] {
        let words = ["run", "--preset", "dev", "--scratch", scratch, "--", "sh", "-e", "-c", script];
        let output = Loopbox::at(place).command(words).current_dir(&directory).output();
        let output = output.expect("loopbox can be started");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout.trim_ascii_end(), directory.as_os_str().as_bytes());
        fs::remove_file(directory.join("written")).expect("it was written");
    }
}

fn what_is_shown_may_have_any_name(place: &Place) {
    let source = place.path("shown").join(OsStr::from_bytes(b"no text: \xff"));
    fs::create_dir_all(&source).expect("a directory");
    fs::write(source.join("file"), "read\n").expect("a file");
    let [shown, written, link] = [&b"/read \xfe"[..], b"/write \xfd", b"/link \xfc"].map(OsStr::from_bytes);
    let flag = |flag: &str, first: &OsStr, at: &OsStr| {
        let mut word = first.to_owned();
        word.push(":");
        word.push(at);
        [flag.into(), word]
    };
    let script = "cat \"$1/file\"; cp \"$1/file\" \"$2/copy\"; cat \"$3\"";
    let mut words: Vec<OsString> = ["run", "--preset", "base"].map(OsString::from).into();
    words.extend(flag("--ro", source.as_os_str(), shown));
    words.extend(flag("--rw", source.as_os_str(), written));
    words.extend(flag("--symlink", Path::new(written).join("copy").as_os_str(), link));
    words.extend(["--", "sh", "-e", "-c", script, "sh"].map(OsString::from));
    words.extend([shown, written, link].map(OsString::from));
    assert_eq!(Loopbox::at(place).good(words), "read\nread");
    assert_eq!(fs::read_to_string(source.join("copy")).expect("it was copied"), "read\n");
}

fn a_program_is_found_as_a_shell_finds_it(place: &Place) {
    place.shell(
        "mkdir -p one/tool two three; echo '#!/bin/sh' > two/tool; printf '#!/bin/sh\necho three\n' > three/tool; chmod +x three/tool",
    );
    let path = ["one", "two", "three"].map(|name| place.path(name).display().to_string());
    let run = |directories: &[String], word: &str| {
        let path = format!("PATH={}", directories.join(":"));
        let shown = directories.iter().flat_map(|directory| ["--ro", directory]);
        let words = ["run", "--preset", "base", "--env", &path].into_iter().chain(shown).chain(["--", word]);
        Loopbox::at(place).run(words)
    };
    assert_eq!(run(&path, "tool").stdout, "three");
    let ran = run(&path[..2], "tool");
    assert_eq!(ran.status, 126, "{ran:?}");
    assert!(ran.stderr.contains("two/tool\" is not marked as executable"), "{ran:?}");
    for (directories, word) in [(&path[..1], "tool"), (&path[..], "")] {
        let ran = run(directories, word);
        assert_eq!(ran.status, 127, "{ran:?}");
        assert!(ran.stderr.contains("is in no directory of the PATH in the view"), "{ran:?}");
    }
}

fn a_command_runs_as_the_user_that_was_named(place: &Place) {
    let words = ["--with", "id", "--uid", "30001", "--gid", "30002"];
    assert_eq!(shell(place, &words, "id -u; id -g; id -G"), "30001\n30002\n30002");
}

fn root_inside_has_no_power_outside(place: &Place) {
    let words = ["--with", "id", "--with", "mknod", "--uid", "0"];
    let script =
        "id -u; while read inside outside count; do echo $inside $outside $count; done < /proc/self/uid_map
        if mknod /tmp/disk b 98 0; then exit 9; fi
        if echo 0 > /proc/sys/kernel/printk; then exit 9; fi";
    assert_eq!(shell(place, &words, script), "0\n0 0 1");
}

fn the_commands_status_is_loopboxes(place: &Place) {
    let loopbox = Loopbox::at(place);
    let status = |script: &str| loopbox.run(["run", "--with", "sh", "--", "sh", "-c", script]).status;
    assert_eq!([status("exit 0"), status("exit 5"), status("exit 255")], [0, 5, 255]);
}

fn nothing_stays_of_a_run(place: &Place) {
    shell(place, &[], "echo x > /tmp/x");
    assert!(place.names("state").is_empty());
    assert!(place.names("temporary").is_empty());
}

fn slashes_at_the_end_of_a_directory_do_not_matter(place: &Place) {
    let words = ["--with", "ls", "--dir", "/made/in/", "--tmpfs", "/work//", "--chdir", "/made/"];
    assert_eq!(shell(place, &words, "pwd; ls; ls -A /work"), "/made\nin");
}
