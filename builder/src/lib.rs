//! Plan a build, make its view, run it, take its outputs.
