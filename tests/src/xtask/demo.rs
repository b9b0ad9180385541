//! `cargo xtask demo`: builds the demonstration's graph.

use anyhow::Result;

use super::setup;
use crate::demo::Workload;
use crate::lab::Lab;

/// Prepares and builds.
pub fn run() -> Result<()> {
    let lab = Lab::open()?;
    setup::machine(&lab)?;
    let workload = Workload::prepare(&lab)?;
    println!("{workload:?} {:?}", workload.attributes()?);
    Ok(())
}
