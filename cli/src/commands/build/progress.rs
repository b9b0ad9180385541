//! Shows how builds go on: on a terminal with a line for each that runs and one for all of them, elsewhere as plain lines.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use builder::build::{BuildError, Event, LogEvent, Observer, WaitReason};
use builder::store_path::StorePath;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output::{self, Printable};

/// How often a running build's line moves.
const TICK: Duration = Duration::from_millis(120);

/// The longest name of a phase that is shown, in characters: more than a line of a terminal holds beside the rest.
const PHASE_MAX: usize = 80;

/// Shows events on standard error. Clones show on the same lines.
#[derive(Clone)]
pub struct Progress {
    shared: Arc<Shared>,
}

struct Shared {
    /// Whether what builds write is left out.
    quiet: bool,
    bars: Option<MultiProgress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many derivations there are to build.
    total: usize,
    done: usize,
    /// How far all of them are, if there are several.
    overall: Option<ProgressBar>,
    running: HashMap<StorePath, ProgressBar>,
}

impl Progress {
    /// With or without what builds write; on a terminal with what moves.
    pub fn new(quiet: bool) -> Progress {
        let shows = output::stderr_can_redraw() && !output::is_quiet();
        Progress::with(quiet, shows.then(MultiProgress::new))
    }

    /// The same in lines that stay where they are.
    pub fn in_lines(quiet: bool) -> Progress {
        Progress::with(quiet, None)
    }

    fn with(quiet: bool, bars: Option<MultiProgress>) -> Progress {
        Progress { shared: Arc::new(Shared { quiet, bars, state: Mutex::default() }) }
    }

    /// Takes the lines of running builds away.
    pub fn end(&self) {
        if let Some(bars) = &self.shared.bars {
            // There is nothing to tell when the terminal has gone.
            let _ = bars.clear();
        }
    }

    fn say(&self, line: &str) {
        self.show(Printable::message(line));
    }

    fn show(&self, line: Printable) {
        match &self.shared.bars {
            Some(bars) => {
                let _ = bars.println(line.as_str());
            }
            None => output::tell_printable(line),
        }
    }

    /// Phases are for those who watch; on a terminal only.
    fn hear(&self, path: &StorePath, heard: &LogEvent<'_>) {
        // With several builds, lines have to say whose they are.
        let whose = if self.lock().total > 1 { format!("{}> ", path.short_name()) } else { String::new() };
        match heard {
            LogEvent::Line(_) if self.shared.quiet => {}
            LogEvent::Line(line) => self.show(Printable::log_line(&whose, line)),
            LogEvent::Message(message) => {
                message.lines().for_each(|line| self.show(Printable::log_line(&whose, line)));
            }
            LogEvent::Phase(phase) => {
                if let Some(bar) = self.lock().running.get(path) {
                    let phase: String = phase.chars().take(PHASE_MAX).collect();
                    bar.set_message(output::in_one_line(&phase));
                }
            }
            LogEvent::Detail => {}
        }
    }

    /// One derivation needs no line that says how many have been built.
    fn plan(&self, total: usize) {
        let mut state = self.lock();
        state.total = total;
        let Some(bars) = self.shared.bars.as_ref().filter(|_| total > 1) else { return };
        let bar = bars.add(ProgressBar::new(total as u64));
        if let Ok(style) = ProgressStyle::with_template("{percent:>3}% {wide_bar} {pos} of {len} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        state.overall = Some(bar);
    }

    fn start(&self, path: &StorePath) {
        let Some(bars) = &self.shared.bars else { return };
        let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}");
        let bar = ProgressBar::new_spinner().with_prefix(path.short_name().to_owned());
        let mut state = self.lock();
        let bar = match &state.overall {
            Some(overall) => bars.insert_before(overall, bar),
            None => bars.add(bar),
        };
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        state.running.insert(path.clone(), bar);
    }

    /// The number of builds that have ended, this one included.
    fn stop(&self, path: &StorePath) -> usize {
        let mut state = self.lock();
        if let Some(bar) = state.running.remove(path) {
            bar.finish_and_clear();
        }
        state.done += 1;
        state.overall.iter().for_each(|bar| bar.inc(1));
        state.done
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(paths: &BTreeSet<StorePath>) -> String {
    output::count(paths.len() as u64, "path", "paths")
}

/// What is waited for, in words.
pub fn waiting_for(reason: &WaitReason<'_>) -> String {
    match reason {
        WaitReason::Path(path, Some(holder)) => {
            format!("waiting for the lock on '{}', held by {holder}", output::name(path))
        }
        WaitReason::Path(path, None) => format!("waiting for the lock on '{}'", output::name(path)),
        WaitReason::User => "waiting for a free build user".into(),
    }
}

impl Observer for Progress {
    fn observe(&self, event: &Event<'_>) {
        let total = self.lock().total;
        match event {
            Event::Planned(total) => self.plan(*total),
            Event::NotFetched(paths, problem) => {
                let why = problem.map(|problem| format!(": {problem}")).unwrap_or_default();
                self.say(&format!("building {} that could not be fetched{why}", count(paths)));
            }
            Event::Fetching(paths) => self.say(&format!("fetching {}", count(paths))),
            Event::Waiting(reason) => self.say(&waiting_for(reason)),
            Event::Started(path) => {
                self.say(&format!("building {path}"));
                self.start(path);
            }
            Event::StartedDeep(path) => {
                self.say(&format!("building {path} where hidden directories can be walked"));
            }
            Event::Log(path, heard) => self.hear(path, heard),
            Event::Hook(hook, line) => self.show(Printable::log_line(&format!("{hook}: "), line)),
            Event::Built(built) => {
                let done = self.stop(&built.derivation);
                let how = match &built.build {
                    Some(measures) => {
                        let seconds = measures.seconds;
                        let all = seconds.setup + seconds.build + seconds.teardown;
                        match measures.spent.nfs_calls.total() {
                            0 => format!("{all:.1} s"),
                            calls => format!("{calls} NFS calls, {all:.1} s"),
                        }
                    }
                    None => "somebody else had built it meanwhile".into(),
                };
                self.say(&format!("[{done}/{total}] built {} ({how})", &built.derivation.short_name()));
            }
            Event::Failed(path, error) => {
                let done = self.stop(path);
                if !matches!(error, BuildError::Interrupted) {
                    self.say(&format!("[{done}/{total}] failed: {}", path.short_name()));
                }
            }
        }
    }
}
