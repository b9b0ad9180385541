//! Names for directories that others could make first, were they to guess them.

/// Random bytes in a name: nobody meets one that another has chosen.
const BYTES: usize = 16;

/// A name that begins so and goes on with what nobody can guess: in a directory that everybody may write, whoever knew it
/// could make it first.
///
/// # Panics
/// If the system has no random numbers, without which no server could keep its handles secret either.
#[must_use]
pub fn unguessable(begins: &str) -> String {
    let mut bytes = [0; BYTES];
    if let Err(error) = getrandom::fill(&mut bytes) {
        panic!("the system has no random numbers: {error}");
    }
    bytes.iter().fold(format!("{begins}-"), |name, byte| format!("{name}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::unguessable;

    #[test]
    fn no_two_names_are_the_same() {
        let (one, two) = (unguessable("loopbox"), unguessable("loopbox"));
        assert_eq!((one.len(), one == two), ("loopbox-".len() + 32, false));
    }
}
