//! What a build prints: plans, results and failures, as JSON and as text.

use std::collections::{BTreeMap, BTreeSet};

use builder::build::{BuildError, Builder, Built};
use builder::graph::{Finished, Graph};
use builder::output::OutputError;
use builder::report::BuildReport;
use builder::status::Failures;
use builder::store::{PathInfo, Store, StoreError};
use builder::store_path::StorePath;
use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use sandbox::jail::ExitOutcome;
use serde_json::{Value, json};

use crate::error::CommandError;
use crate::exit::{FAILED, Status};
use crate::output::{self, OutputError as PrintError, Printable};
use crate::report::document::AnyReport;
use crate::report::listed;

/// A derivation could not be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot build '{derivation}'")]
struct NotBuilt {
    derivation: String,
    source: BuildError,
}

/// Prints a value to standard output, for people as well as for programs.
pub fn print(value: &Value) -> Result<(), PrintError> {
    output::print_json(value)
}

/// The plans of everything that is missing. What has to wait for other builds has none yet: the closure of its inputs
/// is not known before they are there.
pub fn plans(builder: &Builder, graph: &Graph) -> Value {
    let path = |path: &StorePath| whole(&builder.store, path);
    let build = graph.missing.iter().map(|(name, missing)| {
        let after: Vec<String> = missing.after.iter().map(path).collect();
        let planned = after.is_empty().then(|| builder.dry_plan(name, &missing.derivation));
        let (plan, problem) = match planned {
            None => (Value::Null, Value::Null),
            Some(Ok(plan)) => (json!(plan), Value::Null),
            Some(Err(error)) => (Value::Null, CommandError::from(error).to_string().into()),
        };
        json!({ "drvPath": path(name), "after": after, "plan": plan, "problem": problem })
    });
    let build: Vec<Value> = build.collect();
    let mut plans = json!({ "build": build, "fetch": graph.fetch.iter().map(path).collect::<Vec<_>>() });
    let conditions = &builder.options.conditions;
    if !conditions.are_none() {
        plans["conditions"] = json!(conditions);
    }
    plans
}

/// Everything that happened, and the outputs that were asked for.
pub fn finished(builder: &Builder, roots: &[StorePath], finished: &Finished) -> Result<Value, StoreError> {
    let store = &builder.store;
    let mut derivations: Vec<Value> = finished.built.iter().map(|built| of_built(store, built)).collect();
    derivations.extend(finished.failed.iter().map(|(path, error)| of_failed(store, path, error)));
    let skipped = finished.skipped.iter();
    derivations.extend(skipped.map(|path| json!({ "drvPath": whole(store, path), "status": "skipped" })));
    let known: BTreeSet<&StorePath> = finished.built.iter().map(|built| &built.derivation).collect();
    if finished.failed.is_empty() && finished.skipped.is_empty() {
        for root in roots.iter().filter(|root| !known.contains(root)) {
            let named = store.derivation(root)?.output_paths(store.directory());
            let named: BTreeMap<String, StorePath> = named.into_iter().flatten().collect();
            let mut infos = store.infos(&named.values().cloned().collect())?;
            let outputs: BTreeMap<String, PathInfo> =
                named.into_iter().filter_map(|(name, path)| Some((name, infos.remove(&path)?))).collect();
            derivations.push(of_valid(store, root, outputs));
        }
    }
    Ok(json!({ "derivations": derivations }))
}

/// The outputs of the derivations that were asked for, in the order in which they were, `out` first.
pub fn outputs(builder: &Builder, roots: &[StorePath]) -> Result<Vec<Vec<(String, StorePath)>>, StoreError> {
    let of = |root| {
        let derivation = builder.store.derivation(root)?;
        let mut outputs = derivation.output_paths(builder.store.directory()).unwrap_or_default();
        outputs.sort_by_key(|(name, _)| (name != "out", name.clone()));
        Ok(outputs)
    };
    roots.iter().map(of).collect()
}

/// Tells of every failure. The exit status is that of `nix-build`, unless loopbox itself is what failed.
pub fn failed(builder: &Builder, failures: Vec<(StorePath, BuildError)>) -> Status {
    let mut kinds = Failures::default();
    for (path, error) in failures {
        kinds.add(&error);
        let derivation = whole(&builder.store, &path);
        tail_of_log(&derivation, &error);
        output::tell(CommandError::from(NotBuilt { derivation, source: error }));
    }
    Status::Exited(kinds.exit_status().unwrap_or(FAILED).into())
}

/// The last lines that a failed builder wrote, or the paths that it may not ask for.
fn tail_of_log(derivation: &str, error: &BuildError) {
    if let BuildError::Undeclared(error) = error {
        output::tell(format_args!("{derivation} asked for paths of this machine that are not in its view:"));
        listed::some_of(&error.paths, false, listed::WITH_REPORT).into_iter().for_each(output::tell);
    }
    let BuildError::Builder(failure) = error else { return };
    if !failure.log.is_empty() {
        output::tell(format_args!("Last {} log lines:", failure.log.len()));
        for line in &failure.log {
            output::tell_printable(Printable::log_line("> ", line));
        }
    }
    if failure.log_file.is_some() {
        output::tell(format_args!("For full logs, run: nix log {derivation}"));
    }
    if let Some(kept) = &failure.kept {
        output::tell(format_args!("note: keeping build directory {kept:?}"));
    }
}

/// Tells which paths of this machine were asked for that views hide.
pub fn list_hidden(finished: &Finished) {
    reports(finished).flat_map(|report| listed::of_build(report, listed::WITH_REPORT)).for_each(output::tell);
}

/// What each build asked its view for, with whose it is that was hidden.
pub fn full_reports(builder: &Builder, finished: &Finished) -> Vec<AnyReport> {
    let with_owners = |report: &BuildReport| {
        let mut report = report.clone();
        report.find_owners(builder.store.directory());
        AnyReport::Build(Box::new(report))
    };
    reports(finished).map(with_owners).collect()
}

fn reports(finished: &Finished) -> impl Iterator<Item = &BuildReport> {
    let built = finished.built.iter().filter_map(|built| Some(&built.build.as_ref()?.report));
    built.chain(finished.failed.iter().filter_map(|(_, error)| error.report()))
}

/// A derivation whose outputs are there.
pub fn of_valid(store: &Store, derivation: &StorePath, outputs: BTreeMap<String, PathInfo>) -> Value {
    of_built(store, &Built { derivation: derivation.clone(), outputs, build: None })
}

fn of_built(store: &Store, built: &Built) -> Value {
    let outputs: BTreeMap<&String, Value> =
        built.outputs.iter().map(|(name, info)| (name, of_output(store, info))).collect();
    let mut value = json!({
        "drvPath": whole(store, &built.derivation),
        "status": if built.build.is_some() { "built" } else { "valid" },
        "outputs": outputs,
    });
    if let Some(measures) = &built.build {
        value["filesVisible"] = json!(measures.files_visible);
        let spent = &measures.spent;
        value["nfsCalls"] = json!(spent.nfs_calls);
        value["inodesCreated"] = json!(spent.inodes_created);
        value["linksMade"] = json!(spent.links_made);
        value["bytesCopied"] = json!(spent.bytes_copied);
        value["mounts"] = json!(spent.mounts);
        value["seconds"] = json!(measures.seconds);
        value["viewSeconds"] = json!(measures.view);
        value["hidden"] = json!(measures.report.access.not_shown.hidden())["paths"].take();
        add_imposed(&mut value, &measures.report);
    }
    value
}

/// What was refused on purpose, if anything was.
fn add_imposed(value: &mut Value, report: &BuildReport) {
    let imposed = &report.access.imposed;
    if !imposed.is_nothing() {
        value["imposed"] = json!(imposed);
    }
}

fn of_failed(store: &Store, path: &StorePath, error: &BuildError) -> Value {
    let mut value = json!({
        "drvPath": whole(store, path),
        "status": "failed",
        "error": error.to_string(),
    });
    if let BuildError::Builder(failure) = error {
        match failure.outcome {
            ExitOutcome::Exited(status) => value["exitStatus"] = status.into(),
            ExitOutcome::Signaled(signal) => value["signal"] = signal.into(),
        }
        value["exceeded"] = json!(failure.exceeded.map(|limit| limit.to_string()));
        value["log"] = json!(failure.log);
        value["logFile"] = json!(failure.log_file);
        value["kept"] = json!(failure.kept);
        value["hidden"] = json!(failure.report.access.not_shown.hidden())["paths"].take();
        add_imposed(&mut value, &failure.report);
    }
    if let BuildError::Undeclared(error) = error {
        value["undeclared"] = json!(error.paths);
    }
    if let BuildError::Output(OutputError::NotDeterministic { outputs, .. }) = error {
        value["differing"] = json!(outputs);
    }
    value
}

fn of_output(store: &Store, info: &PathInfo) -> Value {
    let digest = HEXLOWER_PERMISSIVE.decode(info.nar_hash.as_bytes()).unwrap_or_default();
    json!({
        "path": whole(store, &info.path),
        "narHash": format!("sha256-{}", BASE64.encode(&digest)),
        "narSize": info.nar_size,
        "references": info.references.iter().map(|path| whole(store, path)).collect::<Vec<_>>(),
    })
}

fn whole(store: &Store, path: &StorePath) -> String {
    store.locate(path).display().to_string()
}
