//! Masked samples: the shape of a value, without the value.

/// The shape of a value: letters become `a` or `A`, digits become `9`, and other characters are kept; at most 32
/// characters.
///
/// Safe to show in a status or a log, where observed values must not appear.
#[must_use]
pub fn mask(observed: &str) -> String {
    let shape = |c: char| match c {
        c if c.is_numeric() => '9',
        c if c.is_uppercase() => 'A',
        c if c.is_alphabetic() => 'a',
        c if c.is_control() => ' ',
        c => c,
    };
    let mut out: String = observed.chars().take(32).map(shape).collect();
    if observed.chars().nth(32).is_some() {
        out.pop();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn a_masked_value_keeps_its_shape_and_nothing_else() {
        assert_eq!(mask("Ünder-Score 42.5€"), "Aaaaa-Aaaaa 99.9€");
        assert_eq!(mask(""), "");
    }

    #[test]
    fn a_masked_value_has_at_most_32_characters() {
        assert_eq!(mask(&"ä".repeat(100)).chars().count(), 32);
        assert_eq!(mask(&"7".repeat(32)), "9".repeat(32));
    }
}
