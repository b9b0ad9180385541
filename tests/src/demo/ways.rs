//! The ways to build the graph: Nix's own sandbox on the host, loopbox in the machine, a newer Nix through loopbox.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Workload;
use crate::command::{quiet, run, text};
use crate::lab::new_nix::NewNix;
use crate::lab::ssh::Ssh;
use crate::lab::{Lab, say, store};
use crate::vm::{Disk, Finished, Output, Vm};

/// Building the whole graph in the machine takes two minutes here.
const LIMIT: Duration = Duration::from_secs(900);
/// In MiB; the compiler needs some hundreds at once.
const MEMORY: u32 = 6144;

/// What each store path is: the hash of its contents and what it refers to, as the store says.
pub type Contents = BTreeMap<String, String>;

/// Prints every path given as an argument with its hash and references.
const DESCRIBE: &str = "for path in \"$@\"; do
  echo \"$path $(nix-store -q --hash \"$path\") $(nix-store -q --references \"$path\" | tr '\\n' ' ')\"
done";

/// Somebody without any rights: his user and group.
const ORDINARY: &str = "30001:30001";

/// Where an ordinary user finds what he builds with: a checkout may lie in a home that is closed to him.
const PUBLIC: &str = "/tmp/public";

/// Where Nix's daemon listens.
const NIX_SOCKET: &str = "/nix/var/nix/daemon-socket/socket";

/// Checks every path of a store against what is registered, and then describes some.
const CHECK: &str = "nix-store --verify --check-contents 1>&2";

/// Nix's own sandbox, on the host.
pub fn nix(workload: &Workload) -> Result<Contents> {
    let graph = workload.graph.as_os_str();
    run(workload
        .store
        .command("nix-build", ["-Q".as_ref(), "--no-out-link".as_ref(), graph])
        .stdout(std::process::Stdio::null()))?;
    let script = format!("{CHECK}; {DESCRIBE}");
    let outputs = outputs(workload)?;
    let mut describe = workload.store.command("sh", ["-e", "-c", &script, "sh"]);
    read(&text(describe.args(outputs).stderr(std::process::Stdio::null()))?)
}

/// The same build again, to see which outputs are always the same.
pub fn nix_again(workload: &Workload) -> Result<()> {
    let graph = workload.graph.as_os_str();
    quiet(
        &mut workload
            .store
            .command("nix-build", ["-Q".as_ref(), "--check".as_ref(), "--no-out-link".as_ref(), graph]),
    )
}

/// `loopbox build` in the machine, with a backend, and more words if need be.
pub fn loopbox(lab: &Lab, workload: &Workload, backend: &str) -> Result<Contents> {
    let script = format!(
        "export NIX_CONF_DIR={} PATH={}:$PATH; loopbox build --backend {backend} --no-out-link {} > /dev/null; {CHECK}; {DESCRIBE}",
        store::configuration(lab)?.display(),
        lab.loopbox()?.parent().unwrap_or(Path::new("/")).display(),
        workload.graph.display(),
    );
    in_machine(lab, workload, &[], &script)
}

/// Stock Nix in the machine, which leaves the building to loopbox: an ordinary user asks Nix's daemon, that has build users run
/// loopbox, and loopbox's daemon mounts for those.
pub fn external_builder(lab: &Lab, workload: &Workload) -> Result<Contents> {
    let loopbox = lab.loopbox()?;
    let nix = NewNix::bring(lab)?;
    let configuration = format!(
        "build-users-group = nixbld\nsubstituters =\nmax-jobs = 1\n\
         experimental-features = nix-command external-builders\n\
         external-builders = [{{\"systems\":[\"x86_64-linux\"],\"program\":\"{PUBLIC}/loopbox\",\"args\":[\"external-builder\"]}}]\n"
    );
    let directory = lab.directory("new-nix-conf")?;
    std::fs::write(directory.join("nix.conf"), configuration)?;
    let script = format!(
        "mkdir {PUBLIC}; cp -r {} {PUBLIC}/conf; cp {} {PUBLIC}/loopbox; cp -r {} {PUBLIC}/graph
         export NIX_CONF_DIR={PUBLIC}/conf
         {PUBLIC}/loopbox daemon & nix-daemon 2> /dev/null &
         until [ -S /run/loopbox.socket ] && [ -S {NIX_SOCKET} ]; do sleep 0.1; done
         mkdir /tmp/home && chown {ORDINARY} /tmp/home
         HOME=/tmp/home NIX_REMOTE=daemon /usr/sbin/chroot --userspec {ORDINARY} / nix-build -Q --no-out-link {PUBLIC}/graph/graph.nix > /dev/null
         {CHECK}; {DESCRIBE}
         kill %1 %2",
        directory.display(),
        loopbox.display(),
        workload.graph.parent().context("the graph is in a directory")?.display(),
    );
    let enter = nix.enter(lab, [Some(lab.checkout()), loopbox.parent()].into_iter().flatten())?;
    in_machine(lab, workload, &enter, &script)
}

/// Nix's own distributed builds in the machine: two others there build by loopbox, and one of them is lost meanwhile.
pub fn two_machines(lab: &Lab, workload: &Workload) -> Result<Contents> {
    let loopbox = lab.loopbox()?;
    let nix = NewNix::bring(lab)?;
    Ssh::bring(lab)?;
    let cases = format!(
        "LOOPBOX_PROGRAM={} {} __vm-cases machines --on tmpfs 1>&2; exec \"$@\"",
        loopbox.display(),
        lab.own_program()?.display()
    );
    let mut before = ["sh", "-e", "-c", &cases, "sh"].map(OsString::from).to_vec();
    before.extend(nix.enter(lab, [lab.checkout()])?);
    in_machine(lab, workload, &before, &format!("{CHECK}; {DESCRIBE}"))
}

/// A machine with the workload's store at /nix; writes to it are forgotten.
pub fn machine(workload: &Workload) -> Vm {
    let disk = Disk { image: workload.image.clone(), at: "/nix".into(), keep: false };
    Vm { memory: MEMORY, disks: vec![disk], timeout: LIMIT, ..Vm::default() }
}

fn in_machine(lab: &Lab, workload: &Workload, enter: &[OsString], script: &str) -> Result<Contents> {
    let mut words = enter.to_vec();
    words.extend(["sh", "-e", "-c", script, "sh"].map(OsString::from));
    words.extend(outputs(workload)?.into_iter().map(OsString::from));
    let Finished { status, stdout, stderr } = machine(workload).run(lab, &words, Output::Capture)?;
    if status != 0 {
        bail!(
            "the graph was not built in the machine: status {status}\n{}",
            String::from_utf8_lossy(&stderr)
        );
    }
    read(&String::from_utf8_lossy(&stdout))
}

/// The graph's outputs, all of them.
fn outputs(workload: &Workload) -> Result<Vec<String>> {
    let script = "nix-store -q --outputs $(nix-instantiate --quiet \"$1\" 2>/dev/null)";
    let mut list = workload.store.command("sh", ["-e", "-c", script, "sh"]);
    let outputs: Vec<String> =
        text(list.arg(&workload.graph))?.lines().map(str::to_owned).filter(|line| !line.is_empty()).collect();
    if outputs.is_empty() {
        bail!("the graph has no outputs");
    }
    Ok(outputs)
}

fn read(lines: &str) -> Result<Contents> {
    let line = |line: &str| {
        let (path, rest) = line.split_once(' ').context("a store path without a hash")?;
        Ok((path.to_owned(), rest.trim_end().to_owned()))
    };
    let contents: Result<Contents> =
        lines.lines().filter(|line| line.starts_with("/nix/store/")).map(line).collect();
    say(&format!("{} outputs", lines.lines().count()));
    contents
}
