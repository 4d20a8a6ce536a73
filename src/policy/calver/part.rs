//! The parts of a calendar version.

/// A part as calver.org names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// `YYYY`: four digits.
    FullYear,
    /// `YY`: years since 2000, not padded: 6, 16, 106; three digits at most.
    ShortYear,
    /// `0Y`: years since 2000, padded to two digits: 06, 16, 106.
    PaddedYear,
    /// `MM`: 1 to 12.
    Month,
    /// `0M`: 01 to 12.
    PaddedMonth,
    /// `WW`: 1 to 53.
    Week,
    /// `0W`: 01 to 53.
    PaddedWeek,
    /// `DD`: 1 to 31.
    Day,
    /// `0D`: 01 to 31.
    PaddedDay,
    /// `MAJOR`
    Major,
    /// `MINOR`
    Minor,
    /// `MICRO`
    Micro,
    /// `MODIFIER`: text.
    Modifier,
}

/// What a part says, however it is padded. Dates count from the largest part to the smallest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meaning {
    Year,
    Month,
    Week,
    Day,
    Major,
    Minor,
    Micro,
    Modifier,
}

/// How the digits of a part are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Digits {
    /// Always this many.
    Fixed(usize),
    /// Two, or three from the year 2100 on.
    TwoOrMore,
    /// As many as the number needs: no zero in front.
    Plain,
    /// Any, with or without zeros in front: calver.org says nothing of them.
    Any,
}

impl Part {
    /// The longer names first, so that `YYYY` is not read as `YY` twice.
    pub(super) const ALL: [Self; 13] = [
        Self::FullYear,
        Self::ShortYear,
        Self::PaddedYear,
        Self::Month,
        Self::PaddedMonth,
        Self::Week,
        Self::PaddedWeek,
        Self::Day,
        Self::PaddedDay,
        Self::Major,
        Self::Minor,
        Self::Micro,
        Self::Modifier,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::FullYear => "YYYY",
            Self::ShortYear => "YY",
            Self::PaddedYear => "0Y",
            Self::Month => "MM",
            Self::PaddedMonth => "0M",
            Self::Week => "WW",
            Self::PaddedWeek => "0W",
            Self::Day => "DD",
            Self::PaddedDay => "0D",
            Self::Major => "MAJOR",
            Self::Minor => "MINOR",
            Self::Micro => "MICRO",
            Self::Modifier => "MODIFIER",
        }
    }

    pub(super) const fn meaning(self) -> Meaning {
        match self {
            Self::FullYear | Self::ShortYear | Self::PaddedYear => Meaning::Year,
            Self::Month | Self::PaddedMonth => Meaning::Month,
            Self::Week | Self::PaddedWeek => Meaning::Week,
            Self::Day | Self::PaddedDay => Meaning::Day,
            Self::Major => Meaning::Major,
            Self::Minor => Meaning::Minor,
            Self::Micro => Meaning::Micro,
            Self::Modifier => Meaning::Modifier,
        }
    }

    pub(super) const fn digits(self) -> Digits {
        match self {
            Self::FullYear => Digits::Fixed(4),
            Self::PaddedMonth | Self::PaddedWeek | Self::PaddedDay => Digits::Fixed(2),
            Self::PaddedYear => Digits::TwoOrMore,
            Self::ShortYear | Self::Month | Self::Week | Self::Day => Digits::Plain,
            Self::Major | Self::Minor | Self::Micro | Self::Modifier => Digits::Any,
        }
    }

    /// The same part written the other way, where there is one: padded or not.
    pub(super) const fn padded_otherwise(self) -> Option<Self> {
        match self {
            Self::ShortYear => Some(Self::PaddedYear),
            Self::PaddedYear => Some(Self::ShortYear),
            Self::Month => Some(Self::PaddedMonth),
            Self::PaddedMonth => Some(Self::Month),
            Self::Week => Some(Self::PaddedWeek),
            Self::PaddedWeek => Some(Self::Week),
            Self::Day => Some(Self::PaddedDay),
            Self::PaddedDay => Some(Self::Day),
            Self::FullYear | Self::Major | Self::Minor | Self::Micro | Self::Modifier => None,
        }
    }
}

impl Meaning {
    /// Whether it belongs to the date.
    pub(super) const fn is_date(self) -> bool {
        match self {
            Self::Year | Self::Month | Self::Week | Self::Day => true,
            Self::Major | Self::Minor | Self::Micro | Self::Modifier => false,
        }
    }
}
