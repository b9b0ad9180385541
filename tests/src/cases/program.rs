//! What a person meets in `loopbox run`, `mount`, `unmount` and `doctor`.

use super::Case;

mod backend;
mod busy;
mod caller;
mod doctor;
mod explain;
mod faults;
mod kept;
mod late;
mod learn;
mod live;
mod mount;
mod presets;
mod quota;
mod report;
mod run;
mod scratch;
mod server;
pub mod status;
mod streams;
mod strict;
mod terminal;
pub mod traced;

/// All of them.
pub fn cases() -> Vec<Case> {
    [
        run::CASES,
        scratch::CASES,
        busy::CASES,
        caller::CASES,
        server::CASES,
        status::CASES,
        backend::CASES,
        explain::CASES,
        late::CASES,
        live::CASES,
        mount::CASES,
        presets::CASES,
        quota::CASES,
        faults::CASES,
        report::CASES,
        kept::CASES,
        learn::CASES,
        strict::CASES,
        traced::CASES,
        doctor::CASES,
        terminal::CASES,
        streams::CASES,
    ]
    .concat()
}
