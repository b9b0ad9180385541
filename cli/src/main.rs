//! The program `loopbox`: words and wiring.

fn main() {}
