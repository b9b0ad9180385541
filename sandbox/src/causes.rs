//! An error with all that led to it.

use std::error::Error;

/// The longest chain of causes that is told; a longer one would be a cycle.
const MOST: usize = 16;

/// The error, its cause, the cause of that, and so on.
pub fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source()).take(MOST)
}

/// All of them in one line.
#[must_use]
pub fn in_a_line(error: &(dyn Error + 'static)) -> String {
    chain(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::in_a_line;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot {0}")]
    struct Step(&'static str, #[source] Option<Box<Step>>);

    #[test]
    fn causes_follow_what_they_led_to() {
        let error = Step("build", Some(Box::new(Step("mount", Some(Box::new(Step("connect", None)))))));
        assert_eq!(in_a_line(&error), "cannot build: cannot mount: cannot connect");
    }
}
