//! The virtual machine itself: what goes in, what comes out, and that nothing stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tests::lab::kernel::Kernel;
use tests::lab::{Lab, packages};
use tests::vm::{Disk, Finished, Output, Vm};

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

fn vm() -> Vm {
    Vm { memory: 512, timeout: Duration::from_secs(60), ..Vm::default() }
}

fn lab() -> Lab {
    packages::install().expect("the packages are there or can be installed");
    Lab::open().expect("the lab can be made").with_xtask(XTASK)
}

fn shell(vm: &Vm, script: &str) -> anyhow::Result<Finished> {
    vm.run(&lab(), &["sh".into(), "-c".into(), script.into()], Output::Capture)
}

/// How many kernels of this job's directory run on the host.
fn kernels(marker: &str) -> usize {
    fs::read_dir("/proc")
        .expect("/proc can be listed")
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| {
            let line = String::from_utf8_lossy(line);
            line.contains("linux.uml") && line.contains(marker)
        })
        .count()
}

#[test]
fn output_comes_back_unchanged_with_the_exit_status() {
    let finished =
        shell(&vm(), "printf 'a\\r\\n\\000\\377b'; printf 'err\\n' >&2; exit 7").expect("the machine runs");
    assert_eq!(finished.stdout, b"a\r\n\0\xffb");
    assert_eq!(finished.stderr, b"err\n");
    assert_eq!(finished.status, 7);
}

#[test]
fn a_program_that_is_missing_is_the_callers_mistake() {
    let finished = vm().run(&lab(), &["/no/such/program".into()], Output::Capture).expect("the machine runs");
    assert_eq!(finished.status, 127);
    assert!(String::from_utf8_lossy(&finished.stderr).contains("/no/such/program"));
}

#[test]
fn the_program_is_root_beside_a_real_nfs_client() {
    let finished =
        shell(&vm(), "id -u; grep -c nfs /proc/filesystems; ip -o link show lo | grep -o LOOPBACK,UP")
            .expect("the machine runs");
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "0\n2\nLOOPBACK,UP\n");
}

/// Whatever the host has at /lib/modules, or nothing at all.
#[test]
fn modules_of_the_machines_kernel_are_where_programs_look_for_them() {
    let script = "modprobe nfsd && grep -c '^nfsd ' /proc/modules && ls /lib/modules/ && uname -r";
    let finished = shell(&vm(), script).expect("the machine runs");
    let printed = String::from_utf8_lossy(&finished.stdout);
    let [loaded, listed, release] = printed.lines().collect::<Vec<_>>()[..] else {
        panic!("{printed}{}", String::from_utf8_lossy(&finished.stderr));
    };
    assert_eq!(loaded, "1");
    assert_eq!(listed, release);
}

/// As when somebody mounts a file system whose module is not loaded.
#[test]
fn the_kernel_loads_a_module_that_it_needs() {
    let finished = shell(&vm(), "mount -t nfsd nfsd /mnt && test -e /mnt/threads").expect("the machine runs");
    assert_eq!(finished.status, 0, "{}", String::from_utf8_lossy(&finished.stderr));
}

#[test]
fn only_one_directory_keeps_what_is_written() {
    let lab = lab();
    let kept = lab.kept("").expect("the lab can be written").join("vm-test");
    let forgotten = [
        PathBuf::from("/usr/loopbox-vm-test-forgotten"),
        lab.checkout().join("loopbox-vm-test-forgotten"),
        lab.path("vm-test-forgotten").expect("the lab can be written"),
    ];
    let mut script = "echo x > $LOOPBOX_KEPT/vm-test".to_owned();
    for path in &forgotten {
        script += &format!(" && echo y > {0} && test -s {0}", path.display());
    }
    assert_eq!(shell(&vm(), &script).expect("the machine runs").status, 0);
    assert_eq!(fs::read(&kept).expect("it is there"), b"x\n");
    fs::remove_file(kept).expect("it can be removed");
    assert!(forgotten.iter().all(|path| !path.exists()));
}

/// A file of this test's in the checkout: in a directory of its own, so that nothing else could be lost.
fn precious(name: &str) -> PathBuf {
    let directory = lab().directory(&format!("vm-test-{name}")).expect("the lab can be written");
    fs::write(directory.join("file"), "precious").expect("a file can be written");
    directory
}

/// The directory is as it was; removes it.
fn unharmed(directory: &Path) {
    let names: Vec<_> = fs::read_dir(directory)
        .expect("it is there")
        .map(|entry| entry.expect("it can be read").file_name())
        .collect();
    assert_eq!(names, ["file"]);
    assert_eq!(fs::read(directory.join("file")).expect("it is there"), b"precious");
    fs::remove_dir_all(directory).expect("it can be removed");
}

#[test]
fn what_is_removed_in_the_machine_is_still_on_the_host() {
    let directory = precious("removed");
    let script = format!("rm -r {0} && test ! -e {0} && mkdir {0}", directory.display());
    assert_eq!(shell(&vm(), &script).expect("the machine runs").status, 0);
    unharmed(&directory);
}

#[test]
fn what_is_moved_in_the_machine_is_still_on_the_host() {
    let directory = precious("moved");
    let script = format!("mv {0}/file {0}/elsewhere && echo changed > {0}/elsewhere", directory.display());
    assert_eq!(shell(&vm(), &script).expect("the machine runs").status, 0);
    unharmed(&directory);
}

/// Root in the machine can mount the host's files as often as it likes, and the kernel's own root with them.
#[test]
fn another_mount_of_the_hosts_files_changes_nothing_either() {
    let lab = lab();
    let directory = precious("mounted");
    let theirs = format!("/mnt/all/host{}", directory.display());
    let kernel = Kernel::bring(&lab).expect("the kernel can be brought").root;
    let mut script =
        format!("mkdir /mnt/all && mount -t hostfs all /mnt/all -o / && test -s {theirs}/file || exit 1\n");
    let attempts = [
        format!("rm {theirs}/file"),
        format!("mv {theirs} {theirs}-moved"),
        format!("chmod 0 {theirs}/file"),
        format!("ln {theirs}/file {theirs}/link"),
        format!("truncate -s 0 {theirs}/file"),
        format!("touch {theirs}/new"),
        format!("touch /mnt/all/host{}/new", kernel.display()),
        "touch /mnt/all/new".to_owned(),
        "mkdir /mnt/all/host/loopbox-vm-test".to_owned(),
        "mkdir /mnt/all/host/dev/loopbox-vm-test".to_owned(),
        "chmod 755 /mnt/all/usr/bin/linux.uml".to_owned(),
        ": >> /mnt/all/proc/sys/kernel/hostname".to_owned(),
    ];
    for attempt in attempts {
        script += &format!("( {attempt} ) 2> /dev/null && echo '{attempt}'\n");
    }
    let finished = shell(&vm(), &format!("{script}exit 7")).expect("the machine runs");
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "", "this worked");
    assert_eq!(finished.status, 7);
    unharmed(&directory);
}

/// Writing to an image that is kept goes to the image, and to nothing beside it.
#[test]
fn a_disk_that_is_kept_keeps_what_is_written() {
    let image = lab().path("vm-test-disk.ext4").expect("the lab can be written");
    let made = Command::new("mkfs.ext4").arg("-q").arg(&image).arg("8M").status();
    assert!(made.expect("mkfs.ext4 can be started").success());
    let disk = Disk { image: image.clone(), at: "/mnt/disk".into(), keep: true };
    let machine = Vm { disks: vec![disk], ..vm() };
    assert_eq!(shell(&machine, "echo kept > /mnt/disk/file").expect("the machine runs").status, 0);
    let finished = shell(&machine, "cat /mnt/disk/file").expect("the machine runs");
    assert_eq!(String::from_utf8_lossy(&finished.stdout), "kept\n");
    fs::remove_file(image).expect("it can be removed");
}

#[test]
fn a_machine_that_takes_too_long_is_killed_and_nothing_is_left() {
    let slow = Vm { timeout: Duration::from_secs(4), ..vm() };
    let start = Instant::now();
    let error = shell(&slow, "sleep 1000 & sleep 1000").expect_err("it is killed");
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(error.to_string().contains("killed after 4 s"), "{error}");
    gone(&format!("/runs/{}-", std::process::id()));
}

#[test]
fn a_killed_caller_leaves_no_machine() {
    let mut caller = Command::new(XTASK)
        .args(["vm", "--mem", "512", "--", "sleep", "1000"])
        .spawn()
        .expect("xtask can be started");
    let marker = format!("/runs/{}-", caller.id());
    let start = Instant::now();
    while kernels(&marker) == 0 {
        assert!(start.elapsed() < Duration::from_secs(30), "the machine does not start");
        thread::sleep(Duration::from_millis(50));
    }
    caller.kill().expect("it can be killed");
    caller.wait().expect("it can be waited for");
    gone(&marker);
}

/// Waits for the kernel to finish what a kill began.
fn gone(marker: &str) {
    let start = Instant::now();
    while kernels(marker) > 0 {
        assert!(start.elapsed() < Duration::from_secs(10), "a machine is left");
        thread::sleep(Duration::from_millis(20));
    }
}
