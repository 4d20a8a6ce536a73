//! Text that must not be printed.

use std::fmt;

/// A password, a token or a key as text. It has no `Display`, and its `Debug` shows nothing of it, so that it cannot
/// reach a log or a status by accident.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SecretText(Box<str>);

impl SecretText {
    /// The text itself, for the place that sends it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        let secret = SecretText::from("hunter2".to_owned());
        assert_eq!(format!("{:?}", Some(&secret)), "Some([redacted])");
        assert_eq!(secret.expose(), "hunter2");
    }
}
