//! `cargo xtask`: the one way to set up, test, demonstrate and measure loopbox.

fn main() {}
