//! The rules that a spec may go against.

/// A rule; a closed set. Its id stays what it is: pipelines name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyRule {
    /// No version can lie in the range.
    RangeMatchesNothing,
    /// The range lets in pre-releases that are hardly meant.
    RangeAdmitsPrereleases,
    /// The range lets every later major version in.
    RangeWithoutEnd,
    /// No tag can match the pattern.
    PatternMatchesNothing,
    /// The pattern matches within a longer number.
    PatternWithoutAnchor,
    /// A dot between numbers stands for any character.
    PatternWithBareDot,
    /// What the pattern lets through can not be ranked.
    PatternHidesVersion,
    /// What an entry of `avoid` names would not be chosen anyway.
    AvoidWithoutEffect,
}

impl PolicyRule {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::RangeMatchesNothing,
        Self::RangeAdmitsPrereleases,
        Self::RangeWithoutEnd,
        Self::PatternMatchesNothing,
        Self::PatternWithoutAnchor,
        Self::PatternWithBareDot,
        Self::PatternHidesVersion,
        Self::AvoidWithoutEffect,
    ];

    /// The id, in kebab-case.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::RangeMatchesNothing => "range-matches-nothing",
            Self::RangeAdmitsPrereleases => "range-admits-prereleases",
            Self::RangeWithoutEnd => "range-without-end",
            Self::PatternMatchesNothing => "pattern-matches-nothing",
            Self::PatternWithoutAnchor => "pattern-without-anchor",
            Self::PatternWithBareDot => "pattern-with-bare-dot",
            Self::PatternHidesVersion => "pattern-hides-version",
            Self::AvoidWithoutEffect => "avoid-without-effect",
        }
    }

    /// What it is about, as a sentence.
    #[must_use]
    pub const fn summary(self) -> &'static str {
        match self {
            Self::RangeMatchesNothing => "No version can lie in a range, or in one of its alternatives.",
            Self::RangeAdmitsPrereleases => "A range lets in pre-releases that are hardly meant.",
            Self::RangeWithoutEnd => "A range lets every later major version in.",
            Self::PatternMatchesNothing => "No tag can match a pattern.",
            Self::PatternWithoutAnchor => "A pattern matches within a longer number.",
            Self::PatternWithBareDot => "A dot between two numbers stands for any character.",
            Self::PatternHidesVersion => "Nothing that tags.include lets through can be ranked.",
            Self::AvoidWithoutEffect => "An entry of avoid names what would not be chosen anyway.",
        }
    }

    /// What helps, as a fragment.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::RangeMatchesNothing => "write || between conditions of which one is enough",
            Self::RangeAdmitsPrereleases => "write the end as <2.0.0-0",
            Self::RangeWithoutEnd => "write an end, such as <2.0.0",
            Self::PatternMatchesNothing => {
                "a tag has 1 to 128 characters of A-Z a-z 0-9 _ . - and starts with none of . -"
            }
            Self::PatternWithoutAnchor => "write ^ before it and $ behind it",
            Self::PatternWithBareDot => "write \\. where a dot is meant",
            Self::PatternHidesVersion => "put what is to be ranked into a group named version",
            Self::AvoidWithoutEffect => "take it out, or correct it",
        }
    }
}
