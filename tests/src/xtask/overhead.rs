//! `cargo xtask overhead`: what a build costs that does nothing, by Nix's own sandbox and by loopbox, in one machine.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use super::setup;
use crate::bench::statistics::{ratio, summary};
use crate::demo::Workload;
use crate::demo::ways::machine;
use crate::lab::new_nix::NewNix;
use crate::lab::{Lab, say};
use crate::vm::{Output, Vm};

/// How much is built.
#[derive(Debug, Args)]
pub struct Options {
    /// Derivations in each round that do not need each other.
    #[arg(long, default_value_t = 200)]
    count: u32,
    /// Derivations in each round each of which needs the one ten before.
    #[arg(long, default_value_t = 100)]
    dependent: u32,
    /// Rounds; in each, every way builds derivations of its own.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// The demonstration's graph instead, which compiles; not by the build hook.
    #[arg(long)]
    demo: bool,
}

/// Derivations in the demonstration's graph.
const DEMO: u32 = 13;

/// How many dependent derivations can be built at any time: more than are built at once, so that nobody has to wait.
const WIDTH: u32 = 10;

/// The machine is killed after this.
const LIMIT: Duration = Duration::from_secs(1800);

/// Ways to build: the version of Nix whose store it is, and who builds.
const WAYS: [(&str, &str); 6] = [
    ("2.8", "Nix"),
    ("2.8", "loopbox"),
    ("2.8", HOOK),
    ("2.34", "Nix"),
    ("2.34", "loopbox"),
    ("2.34", DAEMON),
];

/// Nix, whose build hook is loopbox.
const HOOK: &str = "Nix, loopbox's build hook";

/// Nix, which leaves running the builders to loopbox, as a build user.
const DAEMON: &str = "Nix, loopbox's daemon";

/// What is built.
struct Graph {
    name: &'static str,
    /// Its derivations.
    count: u32,
    /// How many of them do not need each other; 0 for all.
    width: u32,
}

/// What is built, and who builds it, with which Nix.
type Way = (&'static str, &'static str, &'static str);

fn graphs(options: &Options) -> Vec<Graph> {
    if options.demo {
        return vec![Graph { name: "of the demonstration", count: DEMO, width: 0 }];
    }
    let independent = Graph { name: "independent", count: options.count, width: 0 };
    vec![independent, Graph { name: "dependent", count: options.dependent, width: WIDTH }]
}

fn ways(options: &Options) -> impl Iterator<Item = (&'static str, &'static str)> {
    let demo = options.demo;
    WAYS.into_iter().filter(move |(_, by)| !demo || *by != HOOK)
}

/// Measures and prints the medians.
pub fn run(options: &Options) -> Result<ExitCode> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    say("building derivations that do nothing, round by round");
    let samples = measure(&lab, options)?;
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header([
        "derivations",
        "Nix",
        "built by",
        "seconds each, every round",
        "median",
        "to Nix's own, round by round",
    ]);
    for Graph { name: graph, count, .. } in graphs(options) {
        for (version, by) in ways(options) {
            let each = |by| {
                let rounds = samples.get(&(graph, version, by)).context("a way was not measured")?;
                let each = rounds.iter().map(|ms| ms / 1000.0 / f64::from(count));
                anyhow::Ok(each.collect::<Vec<f64>>())
            };
            let (own, each) = (each("Nix")?, each(by)?);
            let ratio = ratio(&each, &own).context("a way has no rounds")?;
            let median = summary(&each).context("a way has no rounds")?.median;
            let all: Vec<String> = each.iter().map(|seconds| format!("{seconds:.3}")).collect();
            table.add_row([
                format!("{count} {graph}"),
                version.into(),
                by.into(),
                all.join(" "),
                format!("{median:.3}"),
                format!("{:.2} ({:.2} to {:.2})", ratio.median, ratio.min, ratio.max),
            ]);
        }
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}

/// Milliseconds of each round by way.
fn measure(lab: &Lab, options: &Options) -> Result<BTreeMap<Way, Vec<f64>>> {
    let workload = Workload::prepare(lab)?;
    let loopbox = lab.loopbox()?;
    let nix = NewNix::bring(lab)?;
    let graph = workload.graph.parent().context("the graph is in a directory")?;
    let inputs: BTreeMap<String, String> = serde_json::from_slice(&fs::read(graph.join("inputs.json"))?)?;
    let busybox = inputs.get("busybox").context("the store has no busybox")?;
    let files = lab.checkout().join("tests/overhead");
    let expression = if options.demo { workload.graph.clone() } else { files.join("trivial.nix") };
    let enter: Vec<String> =
        nix.enter(lab, loopbox.parent())?.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let (mut script, mut measured) = (String::new(), Vec::new());
    for round in 0..options.rounds {
        for Graph { name, count, width } in graphs(options) {
            for (number, (version, by)) in ways(options).enumerate() {
                measured.push((name, version, by));
                let enter = if version == "2.34" { enter.join(" ") } else { String::new() };
                let way = match by {
                    "Nix" => "nix",
                    HOOK => "hook",
                    DAEMON => "external",
                    _ => "build",
                };
                let arguments = format!("{busybox} {count} {width} {round}-{width}-{number}");
                script += &format!(
                    "{enter} sh {}/measure.sh {way} {} {} {arguments}\n",
                    files.display(),
                    loopbox.display(),
                    expression.display(),
                );
            }
        }
    }
    let vm = Vm { timeout: LIMIT, ..machine(&workload) };
    let finished = vm.run(lab, &["sh".into(), "-e".into(), "-c".into(), script.into()], Output::Capture)?;
    if finished.status != 0 {
        bail!("a build failed: {}", String::from_utf8_lossy(&finished.stderr));
    }
    let text = String::from_utf8_lossy(&finished.stdout);
    let mut samples: BTreeMap<_, Vec<f64>> = BTreeMap::new();
    for (line, way) in text.lines().zip(measured) {
        samples.entry(way).or_default().push(line.parse().context("a time is no number")?);
    }
    Ok(samples)
}
