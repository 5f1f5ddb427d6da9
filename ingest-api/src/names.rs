//! Names from a URL, checked before they reach Kubernetes.

use std::fmt;

use crate::error::ApiError;

/// A namespace: a DNS label (RFC 1123), at most 63 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(String);

/// The name of a model or a job, or a model's id: DNS labels joined by dots, at most 63 characters in all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Namespace {
    /// Checks a namespace from a URL.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let good = text.len() <= 63 && is_label(text);
        good.then(|| Self(text.to_owned())).ok_or_else(|| bad("namespace", text))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Name {
    /// Checks a name from a URL.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let good = text.len() <= 63 && text.split('.').all(is_label);
        good.then(|| Self(text.to_owned())).ok_or_else(|| bad("name", text))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let edges = bytes.first().is_some_and(|b| inner(*b)) && bytes.last().is_some_and(|b| inner(*b));
    edges && bytes.iter().all(|b| inner(*b) || *b == b'-')
}

fn bad(what: &str, text: &str) -> ApiError {
    let shown: String = text.chars().take(64).collect();
    ApiError::BadRequest(format!(
        "'{shown}' is no {what}: use lower-case letters, digits and '-', at most 63, with a letter or digit at each end"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_names_are_sent_to_kubernetes() {
        for good in ["shop", "a", "e5f6a7b8", "a-b", &"a".repeat(63)] {
            assert!(Namespace::parse(good).is_ok() && Name::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a/b", "..", "ä", "a b", &"a".repeat(64)] {
            assert!(Namespace::parse(bad).is_err() && Name::parse(bad).is_err(), "{bad}");
        }
        assert!(Namespace::parse("a.b").is_err() && Name::parse("a.b").is_ok());
    }
}
