//! What a program sees of its jail.

use std::path::PathBuf;

use super::support::{MAPPED, Place, ROOT, USER, run};
use mounter::jail::{ExitOutcome, JailError, Limit, Resource, Root, SystemCalls, User};

#[test]
fn the_status_of_the_program_comes_through() {
    let place = Place::new();
    assert_eq!(run(&place.spec("exit 7")).unwrap().1, ExitOutcome::Exited(7));
}

#[test]
fn the_signal_that_ends_the_program_comes_through() {
    // As process 1 a program is safe from its own signals, so a real-time limit of the kernel ends it.
    let place = Place::new();
    let mut spec = place.spec("while :; do :; done");
    spec.limits = vec![Limit { resource: Resource::Cpu, soft: Some(1), hard: Some(1) }];
    assert_eq!(run(&spec).unwrap().1, ExitOutcome::Signaled(libc::SIGKILL));
}

#[test]
fn the_root_holds_only_what_the_directory_holds() {
    let place = Place::new();
    let (output, _) = run(&place.spec("ls /")).unwrap();
    insta::assert_snapshot!(output, @"
    bin
    dev
    lib
    lib64
    proc
    tmp
    work
    ");
}

#[test]
fn nothing_of_the_host_is_mounted_inside() {
    let place = Place::new();
    let (output, _) =
        run(&place.spec("while read -r _ _ _ _ at _; do echo $at; done < /proc/self/mountinfo")).unwrap();
    insta::assert_snapshot!(output, @"
    /
    /proc
    /dev/pts
    /dev/shm
    ");
}

#[test]
fn the_root_of_process_one_is_the_jail_itself() {
    let place = Place::new();
    let (output, _) = run(&place.spec("ls /proc/1/root/; ls /../..; readlink /proc/1/root")).unwrap();
    insta::assert_snapshot!(output, @"
    bin
    dev
    lib
    lib64
    proc
    tmp
    work
    bin
    dev
    lib
    lib64
    proc
    tmp
    work
    /
    ");
}

#[test]
fn the_program_is_process_one_and_sees_no_other() {
    let place = Place::new();
    let (output, _) = run(&place.spec("echo $$; echo /proc/[0-9]*")).unwrap();
    insta::assert_snapshot!(output, @"
    1
    /proc/1
    ");
}

#[test]
fn the_program_runs_as_the_user_without_further_groups() {
    let place = Place::new();
    let (output, _) = run(&place.spec("id")).unwrap();
    insta::assert_snapshot!(output, @"uid=30001 gid=30000 groups=30000");
}

#[test]
fn a_mapped_user_has_its_number_inside_and_another_outside() {
    let place = Place::new();
    let mut spec = place.spec("id; touch /tmp/mine; stat -c %u:%g /tmp/mine; stat -c %u:%g /");
    spec.user = MAPPED;
    let (output, _) = run(&spec).unwrap();
    insta::assert_snapshot!(output, @"
    uid=1000 gid=100 groups=100
    1000:100
    65534:65534
    ");
    let metadata = place.root().join("tmp/mine").metadata().unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!((metadata.uid(), metadata.gid()), (30001, 30000));
}

#[test]
fn further_groups_are_given_where_asked_for() {
    let place = Place::new();
    let mut spec = place.spec("id -G");
    spec.user = User { groups: vec![30005, 30006], ..USER };
    let (output, _) = run(&spec).unwrap();
    insta::assert_snapshot!(output, @"30000 30005 30006");
}

#[test]
fn root_inside_has_no_power_over_the_machine() {
    let place = Place::new();
    let mut spec = place.spec("id -u; echo x > /proc/sys/kernel/core_pattern; hostname other; hostname");
    spec.user = ROOT;
    let (output, _) = run(&spec).unwrap();
    insta::assert_snapshot!(output, @"
    0
    sh: 1: cannot create /proc/sys/kernel/core_pattern: Read-only file system
    hostname: you must be root to change the host name
    localhost
    ");
}

/// Whatever this kernel has there.
#[test]
fn nothing_in_proc_but_processes_can_be_written_and_what_others_may_not_read_is_empty() {
    let place = Place::new();
    let mut spec = place.spec(
        "for file in /proc/*; do case ${file##*/} in [0-9]*|self|thread-self|mounts|net) continue;; esac
           if [ -f $file ] && (true >> $file) 2> /dev/shm/why; then echo $file can be written; fi; done
         for name in kcore kpageflags vmallocinfo timer_list keys interrupts sys/net/ipv4/tcp_fastopen_key; do
           if [ -e /proc/$name ] && read -r line < /proc/$name && [ \"$line\" ]; then echo $name tells $line; fi; done
         ls /proc/acpi /proc/scsi /proc/asound 2> /dev/shm/why
         read -r line < /proc/meminfo && echo ${line%%:*}; echo 1000 > /proc/self/oom_score_adj && echo own
         mounts=0; while read -r line; do mounts=$((mounts + 1)); done < /proc/self/mounts; [ $mounts -lt 100 ] && echo few",
    );
    spec.user = ROOT;
    let output = run(&spec)
        .unwrap()
        .0
        .replace("/proc/acpi:\n", "")
        .replace("/proc/scsi:\n", "")
        .replace("/proc/asound:\n", "");
    assert_eq!(output.split_whitespace().collect::<Vec<_>>(), ["MemTotal", "own", "few"], "{output}");
}

#[test]
fn root_inside_cannot_make_the_kernel_s_knobs_writable_again() {
    let place = Place::new();
    let mut spec = place.spec(
        "mount -o remount,bind,rw /proc/sys 2>/dev/null && echo remounted; umount /proc/sys 2>/dev/null && echo gone; \
         unshare -m -p -f mount -t proc proc /tmp 2>/dev/null && echo fresh; echo done",
    );
    spec.user = ROOT;
    assert_eq!(run(&spec).unwrap().0, "done\n");
}

#[test]
fn root_without_a_user_namespace_is_refused() {
    let place = Place::new();
    let mut spec = place.spec("true");
    spec.user.inside = None;
    spec.user.uid = 0;
    assert_eq!(
        run(&spec).unwrap_err().to_string(),
        "invalid jail specification: root needs a user namespace of its own"
    );
}

#[test]
fn a_program_without_network_has_a_loopback_interface_that_is_up() {
    let place = Place::new();
    let (output, _) =
        run(&place.spec("while read -r name _; do echo $name; done < /proc/net/dev; cat /proc/net/if_inet6"))
            .unwrap();
    insta::assert_snapshot!(output, @"
    Inter-|
    face
    lo:
    00000000000000000000000000000001 01 80 10 80       lo
    ");
}

#[test]
fn the_host_s_network_is_there_where_asked_for() {
    let place = Place::new();
    let mut spec = place.spec("readlink /proc/self/ns/net");
    spec.network = true;
    let own = std::fs::read_link("/proc/self/ns/net").unwrap();
    assert_eq!(PathBuf::from(run(&spec).unwrap().0.trim()), own);
    spec.network = false;
    assert_ne!(PathBuf::from(run(&spec).unwrap().0.trim()), own);
}

#[test]
fn the_machine_has_the_name_that_was_asked_for() {
    let place = Place::new();
    let (output, _) = run(&place.spec("hostname; cat /proc/sys/kernel/domainname")).unwrap();
    insta::assert_snapshot!(output, @"
    localhost
    (none)
    ");
}

#[test]
fn terminals_and_shared_memory_are_new_and_usable() {
    let place = Place::new();
    let (output, _) =
        run(&place
            .spec("ls /dev/pts /dev/shm; : > /dev/shm/x && echo written; [ -w /dev/ptmx ] && echo ptmx"))
        .unwrap();
    insta::assert_snapshot!(output, @"
    /dev/pts:
    ptmx

    /dev/shm:
    written
    ptmx
    ");
}

#[test]
fn environment_arguments_and_directory_are_those_of_the_specification() {
    let place = Place::new();
    let mut spec = place.spec("");
    spec.argv =
        ["the-name", "-c", "echo $0 $1; pwd; cat /proc/self/environ", "zero", "one"].map(Into::into).to_vec();
    spec.env = vec![("A".into(), "1".into()), ("PATH".into(), "/bin".into())];
    let (output, _) = run(&spec).unwrap();
    insta::assert_snapshot!(output.replace('\0', "|"), @"
    zero one
    /work
    A=1|PATH=/bin|PWD=/work|
    ");
}

#[test]
fn no_descriptor_of_loopbox_is_open_inside() {
    let place = Place::new();
    let (output, _) = run(&place.spec("for fd in /proc/self/fd/*; do echo ${fd##*/}; done")).unwrap();
    // The last is the directory itself, which the shell reads.
    insta::assert_snapshot!(output, @"
    0
    1
    2
    3
    ");
}

#[test]
fn signals_umask_session_privileges_and_limits_are_set() {
    let place = Place::new();
    let mut spec = place.spec(
        "umask; ulimit -c; while read -r key value; do case $key in SigBlk:|SigIgn:|NoNewPrivs:|CapEff:|CapPrm:|CapAmb:) \
         echo $key $value;; esac; done < /proc/self/status; read -r _ _ _ _ pgrp session terminal _ < /proc/self/stat; \
         echo $pgrp $session $terminal",
    );
    spec.umask = 0o027;
    spec.limits = vec![Limit { resource: Resource::Core, soft: Some(0), hard: None }];
    let (output, _) = run(&spec).unwrap();
    insta::assert_snapshot!(output, @"
    0027
    0
    SigBlk: 0000000000000000
    SigIgn: 0000000000000000
    CapPrm: 0000000000000000
    CapEff: 0000000000000000
    CapAmb: 0000000000000000
    NoNewPrivs: 1
    1 1 0
    ");
}

#[test]
fn filtered_calls_are_refused_on_every_file_system() {
    let place = Place::new();
    let script = "cd /dev/shm; touch file; chmod 4755 file; chmod 2755 file; chmod 1755 file && stat -c %a file; \
                  while read -r key value; do [ $key = Seccomp: ] && echo $value; done < /proc/self/status";
    let mut spec = place.spec(script);
    spec.system_calls.filtered = true;
    let (output, _) = run(&spec).unwrap();
    insta::assert_snapshot!(output, @"
    chmod: changing permissions of 'file': Operation not permitted
    chmod: changing permissions of 'file': Operation not permitted
    1755
    2
    ");
}

#[test]
fn the_kernel_s_personality_is_that_of_the_specification() {
    let place = Place::new();
    let mut spec = place.spec("cat /proc/self/personality");
    spec.system_calls =
        SystemCalls { same_addresses: true, own_abstract_sockets: true, ..SystemCalls::default() };
    assert_eq!(run(&spec).unwrap().0, "00040000\n");
    spec.system_calls = SystemCalls { says_32_bits: true, says_linux_26: true, ..SystemCalls::default() };
    assert_eq!(run(&spec).unwrap().0, "00020008\n");
}

#[test]
fn fewer_calls_take_no_new_privileges() {
    let place = Place::new();
    let mut spec = place.spec("");
    (spec.system_calls.filtered, spec.no_new_privs) = (true, false);
    insta::assert_snapshot!(run(&spec).unwrap_err(), @"invalid jail specification: only who takes no new privileges can have fewer calls");
    let mut spec = place.spec("");
    spec.shm_size = "1,uid=0".into();
    insta::assert_snapshot!(run(&spec).unwrap_err(), @r#"invalid jail specification: "1,uid=0" is not a size of a file system in memory"#);
}

#[test]
fn a_program_that_does_not_exist_is_told_apart_from_other_failures() {
    let place = Place::new();
    let mut spec = place.spec("");
    spec.program = "/bin/absent".into();
    match run(&spec) {
        Err(JailError::Exec { program, source }) => {
            assert_eq!((program, source.raw_os_error()), ("/bin/absent".into(), Some(libc::ENOENT)));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_step_that_fails_is_named() {
    let place = Place::new();
    let mut spec = place.spec("true");
    spec.cwd = "/absent".into();
    insta::assert_snapshot!(run(&spec).unwrap_err(), @r#"cannot enter the working directory "/absent" inside"#);
    spec.proc = Some("/absent".into());
    insta::assert_snapshot!(run(&spec).unwrap_err(), @r#"cannot mount proc at "/absent" inside"#);
    spec.root = Root::Directory("/absent".into());
    insta::assert_snapshot!(run(&spec).unwrap_err(), @r#"cannot use "/absent" as a root directory"#);
}

#[test]
fn a_missing_supervisor_is_named() {
    let place = Place::new();
    let stdio = mounter::jail::StdioFds::null().unwrap();
    let absent = mounter::jail::Spawner::new("/absent".into());
    let error = mounter::jail::Jail::spawn(&absent, &place.spec("true").request(), stdio);
    insta::assert_snapshot!(error.unwrap_err(), @r#"cannot start the supervisor of the jail, "/absent""#);
}

#[test]
fn a_program_that_is_not_process_1_is_ended_by_signals_and_leaves_no_orphans() {
    let place = Place::new();
    let mut spec = place.spec("echo $$; kill -TERM $$; echo not ended");
    assert_eq!(run(&spec).unwrap(), ("1\nnot ended\n".into(), ExitOutcome::Exited(0)));
    spec.own_init = true;
    assert_eq!(run(&spec).unwrap(), ("2\n".into(), ExitOutcome::Signaled(15)));
    for script in
        ["kill -34 $$", "exit 5", "(exit 3 & exit 0); sleep 0.1; ls /proc | grep -c '^[0-9]'; exit 6"]
    {
        let mut spec = place.spec(script);
        spec.own_init = true;
        let expected = match script {
            "kill -34 $$" => ExitOutcome::Signaled(34),
            "exit 5" => ExitOutcome::Exited(5),
            _ => ExitOutcome::Exited(6),
        };
        assert_eq!(run(&spec).unwrap().1, expected, "{script}");
    }
}

#[test]
fn process_1_of_loopbox_s_own_shows_nothing_of_itself() {
    let place = Place::new();
    let script = "cat /proc/1/exe /proc/1/fd/0 /proc/1/mem /proc/1/environ; ls /proc/1/cwd/ /proc/1/root/; ls /proc/1/map_files; :";
    let mut spec = place.spec(script);
    spec.own_init = true;
    for user in [USER, MAPPED, ROOT] {
        spec.user = user;
        let (output, _) = run(&spec).unwrap();
        let refused = |line: &&str| line.contains("denied") || line.contains("not permitted");
        assert_eq!((output.lines().filter(refused).count(), output.lines().count()), (7, 7), "{output}");
    }
}

#[test]
fn a_child_of_process_1_that_cannot_be_executed_is_told_too() {
    let place = Place::new();
    let mut spec = place.spec("true");
    spec.own_init = true;
    spec.program = "/bin/absent".into();
    let error = run(&spec).unwrap_err();
    assert!(matches!(error, JailError::Exec { .. }), "{error}");
}
