//! `cargo xtask`: the one way to set up, test, demonstrate and measure loopbox.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match tests::xtask::Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("Error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("Caused by: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}
