//! The second ground: a stock kernel on an emulated processor, with the same contract as the first.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tests::lab::{Lab, packages};
use tests::vm::{Disk, Finished, Output, Platform, Vm};

fn machine() -> Vm {
    Vm { platform: Platform::Emulator, memory: 1024, timeout: Duration::from_secs(240), ..Vm::default() }
}

fn lab() -> Lab {
    packages::install().expect("the packages are there or can be installed");
    Lab::open().expect("the lab can be made").with_xtask(env!("CARGO_BIN_EXE_xtask"))
}

fn shell(vm: &Vm, script: &str) -> Finished {
    vm.run(&lab(), &["sh".into(), "-c".into(), script.into()], Output::Capture).expect("the machine runs")
}

/// An image with an ext4 file system, and how it is mounted.
fn disk(name: &str, keep: bool) -> Disk {
    let image = lab().path(&format!("vm-test-{name}.ext4")).expect("the lab can be written");
    let made = Command::new("mkfs.ext4").arg("-q").arg("-F").arg(&image).arg("8M").status();
    assert!(made.expect("mkfs.ext4 can be started").success());
    Disk { image, at: PathBuf::from("/mnt").join(name), keep }
}

/// That the host's files cannot be mounted once more to be written to, too. All in one machine, since starting one takes seconds.
#[test]
fn a_machine_on_the_emulator_keeps_the_contract_of_the_other_ground() {
    let lab = lab();
    let kept = lab.kept("").expect("the lab can be written").join("emulator-test");
    let forgotten = lab.checkout().join("loopbox-emulator-test-forgotten");
    let (lost, stays) = (disk("emulated-lost", false), disk("emulated-stays", true));
    let vm = Vm { disks: vec![lost.clone(), stays.clone()], ..machine() };
    let script = format!(
        "printf 'a\\r\\n\\000\\377b'; printf 'err\\n' >&2\n\
         test $(id -u) = 0 && grep -q nfs /proc/filesystems && modprobe nfsd && pwd >&2 || exit 1\n\
         echo x > $LOOPBOX_KEPT/emulator-test && echo y > {} || exit 2\n\
         echo lost > {}/file && echo stays > {}/file || exit 3\n\
         mkdir /mnt/all || exit 4\n\
         mount -t 9p -o trans=virtio,version=9p2000.L root /mnt/all 2> /dev/null \
         && touch /mnt/all/usr/loopbox-vm-test 2> /dev/null && exit 5\n\
         head -c 300000 /dev/zero; exit 7",
        forgotten.display(),
        lost.at.display(),
        stays.at.display()
    );
    let finished = shell(&vm, &script);
    let said = String::from_utf8_lossy(&finished.stderr).into_owned();
    assert_eq!(finished.status, 7, "{said}");
    assert_eq!(said, format!("err\n{}\n", lab.checkout().display()));
    assert!(finished.stdout.starts_with(b"a\r\n\0\xffb\0"));
    assert_eq!(finished.stdout.len(), 6 + 300_000);
    assert_eq!(fs::read(&kept).expect("it is there"), b"x\n");
    fs::remove_file(kept).expect("it can be removed");
    assert!(!forgotten.exists());

    for (disk, left) in [(&lost, ""), (&stays, "stays\n")] {
        let mut debugfs = Command::new("debugfs");
        let shown = debugfs.args(["-R", "cat /file"]).arg(&disk.image).output();
        assert_eq!(String::from_utf8_lossy(&shown.expect("debugfs can be started").stdout), left);
        fs::remove_file(&disk.image).expect("it can be removed");
    }
}
