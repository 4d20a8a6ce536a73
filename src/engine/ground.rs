//! On what the next commits stand, where another branch is written than read.

use std::collections::BTreeMap;

use super::plan::Plan;
use crate::api::ObjectKey;
use crate::git::{BranchName, CommitId, Start};

/// The last commit of a branch, set against what the policies want.
pub(super) struct Sight<'a> {
    pub(super) commit: CommitId,
    pub(super) parents: &'a [CommitId],
    /// Whether the branch holds nothing but Tagtide's commits since it left the one that is read.
    pub(super) is_vouched_for: bool,
    pub(super) plan: &'a Plan,
}

/// On which branch's tree the edits are made, where the commits go, and whether they vouch for the branch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ground {
    pub(super) side: Side,
    pub(super) start: Start,
    pub(super) vouches: bool,
}

/// One of the two branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The one that is read.
    Base,
    /// The one that is written.
    Target,
}

/// Decides, of a branch that is read and another one that is written. Where the side that it names needs no edits, there
/// is nothing to do.
///
/// The other branch goes on by itself, with whatever people put on it, as long as it holds something that the first one
/// lacks. Once it was merged, or what it brought was overtaken, it goes on from the first one; but not where that would
/// take someone's work out of its files.
pub(super) fn choose(
    base: &Sight<'_>,
    target: Option<&Sight<'_>>,
    names: (&BranchName, &BranchName),
) -> Ground {
    let Some(target) = target else {
        return Ground { side: Side::Base, start: Start::New(base.commit), vouches: true };
    };
    let carry_on = Ground {
        side: Side::Target,
        start: Start::Tip(target.commit),
        vouches: target.is_vouched_for || target.commit == base.commit,
    };
    let is_settled = target.plan.files.is_empty() && !base.plan.files.is_empty();
    if target.commit == base.commit || is_settled {
        return carry_on;
    }
    let is_merged = base.parents.contains(&target.commit);
    let is_overtaken = target.is_vouched_for && is_within(base.plan, target.plan);
    if base.plan.files.is_empty() || is_merged || is_overtaken {
        let (from, into) = names;
        let message = format!(
            "Merge {from} into {into}\n\nWhat {into} held is merged or overtaken; it goes on from there.\n\n"
        );
        let start = Start::Over { tip: target.commit, base: base.commit, message };
        return Ground { side: Side::Base, start, vouches: true };
    }
    carry_on
}

/// Whether every edit of one plan is in the other one too.
fn is_within(one: &Plan, other: &Plan) -> bool {
    let (one, other) = (edits(one), edits(other));
    one.iter().all(|(edit, count)| other.get(edit).is_some_and(|there| there >= count))
}

/// How often each value is written, by file and policy. Lines tell nothing: they differ between the branches.
fn edits(plan: &Plan) -> BTreeMap<(&str, &ObjectKey, &str), usize> {
    let mut edits = BTreeMap::new();
    for file in &plan.files {
        for change in &file.changes {
            *edits.entry((file.path.as_str(), &change.policy, change.to.as_str())).or_default() += 1;
        }
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edit::{Change, Part};
    use crate::engine::plan::PlannedFile;

    fn id(digit: char) -> CommitId {
        CommitId::parse(&digit.to_string().repeat(40)).unwrap()
    }

    /// The plan that writes these policies' values.
    fn plan(policies: &[&str]) -> Plan {
        let changes = policies.iter().map(|name| Change {
            line: 1,
            policy: ObjectKey::new("shop", *name),
            part: Part::Tag,
            from: "1".into(),
            to: "2".into(),
        });
        let file = PlannedFile { path: "a.yaml".into(), content: Vec::new(), changes: changes.collect() };
        Plan { files: if policies.is_empty() { Vec::new() } else { vec![file] }, ..Plan::default() }
    }

    /// With a base at `b`, child of `a`, what is decided on a target.
    fn decide(base: &[&str], target: Option<(char, bool, &[&str])>) -> Ground {
        let (base, wanted) = (plan(base), plan(target.map_or(&[], |(_, _, wanted)| wanted)));
        let base = Sight { commit: id('b'), parents: &[id('a')], is_vouched_for: false, plan: &base };
        let target = target.map(|(commit, is_vouched_for, _)| Sight {
            commit: id(commit),
            parents: &[],
            is_vouched_for,
            plan: &wanted,
        });
        let (from, into) = (BranchName::parse("main").unwrap(), BranchName::parse("tagtide").unwrap());
        choose(&base, target.as_ref(), (&from, &into))
    }

    fn on_target(ground: &Ground) -> bool {
        ground.side == Side::Target && ground.start == Start::Tip(id('c'))
    }

    #[test]
    fn a_branch_that_is_not_there_begins_at_the_base() {
        let ground = decide(&["api"], None);
        assert_eq!(ground, Ground { side: Side::Base, start: Start::New(id('b')), vouches: true });
    }

    #[test]
    fn a_branch_with_something_that_the_base_lacks_goes_on_by_itself() {
        for is_vouched_for in [true, false] {
            let ground = decide(&["api", "web"], Some(('c', is_vouched_for, &["web"])));
            assert!(on_target(&ground), "{ground:?}");
            assert_eq!(ground.vouches, is_vouched_for);
        }
    }

    #[test]
    fn a_branch_that_holds_all_is_left_alone_and_so_is_one_whose_base_does() {
        assert!(on_target(&decide(&["api"], Some(('c', true, &[])))));
        assert_eq!(decide(&[], Some(('c', true, &["api"]))).side, Side::Base);
        assert_eq!(decide(&[], Some(('c', false, &["api"]))).side, Side::Base);
    }

    #[test]
    fn a_branch_that_was_merged_or_overtaken_goes_on_from_the_base() {
        let merged = decide(&["api"], Some(('a', false, &["api"])));
        let overtaken = decide(&["api"], Some(('c', true, &["api", "web"])));
        for ground in [merged, overtaken] {
            assert!(matches!(ground.start, Start::Over { base, .. } if base == id('b')), "{ground:?}");
            assert!(ground.vouches && ground.side == Side::Base);
        }
    }

    #[test]
    fn peoples_commits_on_the_branch_are_never_taken_out_of_its_files() {
        let ground = decide(&["api"], Some(('c', false, &["api"])));
        assert!(on_target(&ground) && !ground.vouches, "{ground:?}");
    }

    #[test]
    fn a_branch_at_the_very_commit_of_the_base_is_as_good_as_new() {
        let ground = decide(&["api"], Some(('b', false, &["api"])));
        assert_eq!(ground, Ground { side: Side::Target, start: Start::Tip(id('b')), vouches: true });
    }
}
