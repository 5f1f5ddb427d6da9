//! Names in messages.

/// At most ten names, quoted, each cut at 64 characters.
pub fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let first: Vec<String> =
        names.by_ref().take(10).map(|n| format!("'{}'", n.chars().take(64).collect::<String>())).collect();
    let more = if names.next().is_some() { ", …" } else { "" };
    first.join(", ") + more
}
