//! What was measured: samples by what was done and who answered.

use serde::{Deserialize, Serialize};

use super::subjects::Server;

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Seconds.
    #[serde(rename = "s")]
    Seconds,
    /// Millions of instructions of a machine whose clock counts them.
    #[serde(rename = "Minstr")]
    Instructions,
    /// Calls answered in a second.
    #[serde(rename = "calls/s")]
    Rate,
    /// Microseconds of the server's processor time for a call.
    #[serde(rename = "us/call")]
    PerCall,
    /// Calls.
    #[serde(rename = "calls")]
    Calls,
    /// Mebibytes.
    #[serde(rename = "MiB")]
    Mebibytes,
    /// Open descriptors.
    #[serde(rename = "descriptors")]
    Descriptors,
}

/// One measurement, or the reason why there is none. Parts of the benchmark in other processes print them, one a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// A measurement.
    Sample {
        /// What was done.
        workload: String,
        /// Who answered.
        server: Server,
        /// What the number counts.
        unit: Unit,
        /// The number.
        value: f64,
    },
    /// A server cannot do that, or did not finish it.
    Cannot {
        /// What should have been done.
        workload: String,
        /// Who did not.
        server: Server,
        /// A sentence.
        why: String,
    },
}

/// All samples of one workload on one server, in the order of the rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// What was done.
    pub workload: String,
    /// Who answered.
    pub server: Server,
    /// What the samples count.
    pub unit: Unit,
    /// The samples.
    pub samples: Vec<f64>,
}

/// Why there are no samples, or fewer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cannot {
    /// What should have been done.
    pub workload: String,
    /// Who did not.
    pub server: Server,
    /// A sentence.
    pub why: String,
}

/// Everything that a run of the benchmark found.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The samples.
    pub series: Vec<Series>,
    /// What is missing among them.
    pub cannot: Vec<Cannot>,
}

impl Results {
    /// Takes note of one event.
    pub fn add(&mut self, event: Event) {
        match event {
            Event::Sample { workload, server, unit, value } => {
                let known = self.series.iter_mut().find(|series| series.is(&workload, server));
                match known {
                    Some(series) => series.samples.push(value),
                    None => self.series.push(Series { workload, server, unit, samples: vec![value] }),
                }
            }
            Event::Cannot { workload, server, why } => {
                let cannot = Cannot { workload, server, why };
                if !self.cannot.contains(&cannot) {
                    self.cannot.push(cannot);
                }
            }
        }
    }

    /// The samples of a workload on a server.
    pub fn series(&self, workload: &str, server: Server) -> Option<&Series> {
        self.series.iter().find(|series| series.is(workload, server))
    }

    /// The workloads that there are samples or reasons for, in the order in which they came.
    pub fn workloads(&self) -> Vec<&str> {
        let sampled = self.series.iter().map(|series| series.workload.as_str());
        let missing = self.cannot.iter().map(|cannot| cannot.workload.as_str());
        let mut names: Vec<&str> = Vec::new();
        for name in sampled.chain(missing) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

impl Series {
    fn is(&self, workload: &str, server: Server) -> bool {
        self.workload == workload && self.server == server
    }
}
