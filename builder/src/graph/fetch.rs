//! Lets Nix fetch what need not be built, and plans anew when something could not be fetched after all: a signature that
//! is not trusted, an archive that is gone. Nix builds it then.

use super::{Graph, GraphError, load};
use crate::build::{Builder, Event};

/// Fetches. What cannot be fetched is among what is to be built afterwards, with whatever it needs.
///
/// # Errors
/// When the store does not say what has been fetched, or what could not be fetched cannot be built here.
pub fn fetch(builder: &Builder, mut graph: Graph) -> Result<Graph, GraphError> {
    // Every round finds another path that cannot be fetched, or is the last.
    while !graph.fetch.is_empty() {
        builder.observer.observe(&Event::Fetching(&graph.fetch));
        let problem = builder.store.fetch(&graph.fetch).err();
        if builder.cancel.is_cancelled() {
            graph.fetch.clear();
            break;
        }
        let lacking = builder.store.invalid(&graph.fetch)?;
        if lacking.is_empty() {
            graph.fetch.clear();
            break;
        }
        builder.observer.observe(&Event::NotFetched(&lacking, problem.as_ref()));
        let mut unfetchable = std::mem::take(&mut graph.unfetchable);
        unfetchable.extend(lacking);
        let (roots, purpose) = (&graph.roots, graph.purpose);
        graph = load::load_without(&builder.store, &builder.settings, roots, purpose, unfetchable)?;
    }
    Ok(graph)
}
