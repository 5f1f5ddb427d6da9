//! The numbers of revisions, and which revisions may be deleted. Pure.

use std::collections::HashSet;

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::ResourceExt;

/// How many of the newest revisions are kept even if no job needs them.
const KEEP: usize = 10;

/// Returns the number that the revision `name` should have, or `None` if it is already the newest.
///
/// If a spec returns to the content of an earlier revision, that revision becomes the newest again.
#[must_use]
pub fn number(all: &[ControllerRevision], name: &str) -> Option<i64> {
    let highest = all.iter().max_by_key(|r| r.revision);
    match highest {
        Some(highest) if highest.name_any() == name => None,
        Some(highest) => Some(highest.revision + 1),
        None => Some(1),
    }
}

/// Returns the names of the revisions that are neither among the newest, nor current, nor needed by a job.
#[must_use]
pub fn superfluous(all: &[ControllerRevision], current: &str, pinned: &HashSet<String>) -> Vec<String> {
    let mut newest: Vec<&ControllerRevision> = all.iter().collect();
    newest.sort_by_key(|r| std::cmp::Reverse(r.revision));
    newest
        .into_iter()
        .skip(KEEP)
        .map(ResourceExt::name_any)
        .filter(|name| name != current && !pinned.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision(name: &str, revision: i64) -> ControllerRevision {
        let mut out = ControllerRevision { revision, ..ControllerRevision::default() };
        out.metadata.name = Some(name.into());
        out
    }

    #[test]
    fn a_new_revision_gets_the_next_number_and_an_old_one_again() {
        let all = [revision("a", 1), revision("b", 2)];
        assert_eq!(number(&[], "a"), Some(1));
        assert_eq!(number(&all, "b"), None);
        assert_eq!(number(&all, "c"), Some(3));
        assert_eq!(number(&all, "a"), Some(3));
    }

    #[test]
    fn a_revision_that_a_job_needs_stays_however_old() {
        let all: Vec<_> = (1..=13).map(|i| revision(&format!("r{i}"), i)).collect();
        let pinned = HashSet::from(["r2".to_owned()]);
        assert_eq!(superfluous(&all, "r13", &pinned), ["r3", "r1"]);
        assert_eq!(superfluous(&all, "r1", &HashSet::new()), ["r3", "r2"]);
    }
}
