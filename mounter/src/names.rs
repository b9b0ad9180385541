//! Unpredictable names for directories in places where other users may create files, such as /tmp.

/// Random bytes in a name.
const BYTES: usize = 16;

/// A name with this prefix and a random suffix. In a directory that everybody may write, others could create a predictable
/// name first.
///
/// # Panics
/// If the system has no random numbers (getrandom(2)); the server's handles need them as well.
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
