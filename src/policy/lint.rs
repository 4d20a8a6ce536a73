//! What a policy says that is allowed, and yet hardly meant.
//!
//! Nothing here guesses: a range is called empty where no version lies in it, and a pattern idle where no tag of the OCI
//! grammar matches it. What can not be told in bounded time is left alone.

mod language;
mod pattern;
mod rule;
#[cfg(test)]
mod tests;
mod written;

pub use rule::PolicyRule;

use super::Policy;
use super::range::{Fault, FaultKind};
use super::scale::{Scale, SemverScale};

/// Something in a spec that is hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// The rule that it goes against.
    pub rule: PolicyRule,
    /// Whether the policy can choose nothing because of it.
    pub is_fatal: bool,
    /// Path of the field in the object, such as `spec.avoid[2]`.
    pub field: String,
    /// The part of the field's value that is at fault, as it is written there; `None` where that is the whole.
    pub part: Option<String>,
    /// What is wrong, as a lowercase fragment.
    pub message: String,
    /// What would be right.
    pub hint: String,
}

impl Policy {
    /// What is hardly meant, in the order of the spec's fields.
    #[must_use]
    pub fn advice(&self) -> Vec<Advice> {
        let mut advice = pattern::advice(&self.filter, &self.scale);
        if let Scale::Semver(semver) = &self.scale {
            advice.extend(self.of_range(semver));
        }
        advice.extend(self.of_avoid());
        advice
    }

    fn of_range(&self, semver: &SemverScale) -> Vec<Advice> {
        let faults = semver.range.faults(semver.prereleases);
        let is_meant = |fault: &Fault| match fault.kind {
            FaultKind::NoEnd { .. } => self.filter.include().is_some_and(pattern::names_one_major),
            FaultKind::Empty | FaultKind::BeforeEnd { .. } | FaultKind::OtherPrereleases { .. } => false,
        };
        faults.into_iter().filter(|fault| !is_meant(fault)).map(of_fault).collect()
    }

    fn of_avoid(&self) -> impl Iterator<Item = Advice> {
        let rule = match &self.scale {
            Scale::Semver(_) => format!("is in {}", self.scale.rule()),
            Scale::Calver(format) => format!("reads {format}"),
            Scale::Numerical(_) => "is a number".to_owned(),
            Scale::Alphabetical(_) | Scale::NewestBuild | Scale::Follow(_) => "competes".to_owned(),
        };
        self.avoid.idle(&self.scale).into_iter().map(move |(index, entry)| Advice {
            rule: PolicyRule::AvoidWithoutEffect,
            is_fatal: false,
            field: format!("spec.avoid[{index}]"),
            part: None,
            message: format!("nothing that {entry} names {rule}, so it is never chosen anyway"),
            hint: "take it out, or correct it".to_owned(),
        })
    }
}

fn of_fault(Fault { kind, part }: Fault) -> Advice {
    let (rule, message, hint) = match kind {
        FaultKind::Empty => (
            PolicyRule::RangeMatchesNothing,
            "no version can lie in this range".to_owned(),
            "its conditions must all hold at once; write || between those of which one is enough".to_owned(),
        ),
        FaultKind::BeforeEnd { admitted, end } => (
            PolicyRule::RangeAdmitsPrereleases,
            format!("it lets {admitted} in, since a pre-release lies before its version"),
            format!("write {end} to keep the pre-releases of its end out"),
        ),
        FaultKind::OtherPrereleases { written, admitted } => (
            PolicyRule::RangeAdmitsPrereleases,
            format!(
                "the pre-release {written} in it lets those of every version compete, such as {admitted}"
            ),
            format!(
                "write ^{}.{}.{} || {written} for this one alone, or -0 where all are meant",
                written.major, written.minor, written.patch
            ),
        ),
        FaultKind::NoEnd { admitted } => (
            PolicyRule::RangeWithoutEnd,
            format!("it has no end: {admitted} and every later major version would be chosen"),
            format!(
                "write the first version that is not meant behind it, such as <{}.0.0{}",
                admitted.major,
                if admitted.pre.is_empty() { "" } else { "-0" }
            ),
        ),
    };
    let is_fatal = rule == PolicyRule::RangeMatchesNothing && part.is_none();
    Advice { rule, is_fatal, field: "spec.select.semver.range".to_owned(), part, message, hint }
}
