//! Reading a format such as `YYYY.0M.0D[.MICRO][-MODIFIER]`.

use std::fmt;

use super::part::{Digits, Meaning, Part};

/// The longest format, in bytes.
const MOST_BYTES: usize = 64;

/// What is in the way of reading a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::policy) enum FormatError {
    #[error("it must have 1 to {MOST_BYTES} bytes")]
    Length,
    #[error(
        "nothing is called {0:?}; the parts are {parts}, with . - or _ between them, and [ ] around what may be missing at the end",
        parts = Part::ALL.map(Part::name).join(" ")
    )]
    Unknown(String),
    #[error("{0} and {1} say the same; one of them is enough")]
    Twice(&'static str, &'static str),
    #[error("it has no year; write YYYY, YY or 0Y")]
    NoYear,
    #[error("the year may not be missing, so no [ ] can be around it")]
    OptionalYear,
    #[error("weeks and months do not go together; leave one of them out")]
    WeekAndMonth,
    #[error("{0} needs a month; write MM or 0M")]
    DayWithoutMonth(&'static str),
    #[error("{part} takes any number of digits, so it can not stand right before {next}; put a separator between them{}", instead(*.padded))]
    NoEnd { part: &'static str, next: &'static str, padded: Option<&'static str> },
    #[error("MODIFIER takes the rest of a tag, so nothing can stand behind it")]
    BehindModifier,
    #[error("a [ is not closed")]
    Unclosed,
    #[error("a ] closes nothing")]
    Unopened,
    #[error("[ ] must hold one of the parts")]
    EmptyBrackets,
    #[error("behind ] only more in [ ] may stand: what may be missing comes last")]
    BehindBrackets,
}

fn instead(padded: Option<&'static str>) -> String {
    padded.map(|padded| format!(", or write {padded}")).unwrap_or_default()
}

/// A format that was found valid.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Format {
    text: Box<str>,
    pub(super) steps: Vec<Step>,
}

/// What is read next of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// This very character.
    Separator(char),
    /// A number, kept at `place` among those that are compared.
    Number { part: Part, place: usize, is_last_of_run: bool },
    /// All that is left.
    Modifier,
    /// What may be missing begins here, and ends before the step `end`.
    Optional { end: usize },
}

impl Format {
    pub(in crate::policy) fn parse(text: &str) -> Result<Self, FormatError> {
        if text.is_empty() || text.len() > MOST_BYTES {
            return Err(FormatError::Length);
        }
        let steps = steps(text)?;
        let mut format = Self { text: text.into(), steps };
        format.check_parts()?;
        format.check_ends()?;
        format.place_numbers();
        Ok(format)
    }

    fn parts(&self) -> impl Iterator<Item = Part> {
        self.steps.iter().filter_map(Step::part)
    }

    fn check_parts(&self) -> Result<(), FormatError> {
        let parts: Vec<Part> = self.parts().collect();
        let with = |meaning: Meaning| parts.iter().find(|part| part.meaning() == meaning);
        for (index, part) in parts.iter().enumerate() {
            let before = parts.iter().take(index).find(|other| other.meaning() == part.meaning());
            if let Some(before) = before {
                return Err(FormatError::Twice(before.name(), part.name()));
            }
        }
        if with(Meaning::Year).is_none() {
            return Err(FormatError::NoYear);
        }
        if with(Meaning::Week).is_some() && with(Meaning::Month).is_some() {
            return Err(FormatError::WeekAndMonth);
        }
        if let (Some(day), None) = (with(Meaning::Day), with(Meaning::Month)) {
            return Err(FormatError::DayWithoutMonth(day.name()));
        }
        let always = self.steps.iter().take_while(|step| !matches!(step, Step::Optional { .. }));
        if !always.filter_map(Step::part).any(|part| part.meaning() == Meaning::Year) {
            return Err(FormatError::OptionalYear);
        }
        Ok(())
    }

    /// Every number must end where it can be seen: before a separator, or after a fixed number of digits.
    fn check_ends(&mut self) -> Result<(), FormatError> {
        let mut before: Option<Part> = None;
        let mut runs_on = vec![false; self.steps.len()];
        let mut before_at = 0;
        for (at, step) in self.steps.iter().enumerate() {
            match step {
                Step::Separator(_) => before = None,
                Step::Optional { .. } => {}
                Step::Modifier if at + 1 < self.steps.len() => return Err(FormatError::BehindModifier),
                Step::Modifier => {}
                Step::Number { part, .. } => {
                    if let Some(before) = before {
                        if matches!(before.digits(), Digits::Plain | Digits::Any) {
                            let padded = before.padded_otherwise().map(Part::name);
                            let (part, next) = (before.name(), part.name());
                            return Err(FormatError::NoEnd { part, next, padded });
                        }
                        if let Some(runs_on) = runs_on.get_mut(before_at) {
                            *runs_on = true;
                        }
                    }
                    (before, before_at) = (Some(*part), at);
                }
            }
        }
        for (step, runs_on) in self.steps.iter_mut().zip(runs_on) {
            if let Step::Number { is_last_of_run, .. } = step {
                *is_last_of_run = !runs_on;
            }
        }
        Ok(())
    }

    /// Numbers count from left to right, but those of the date among themselves from the year to the day.
    fn place_numbers(&mut self) {
        let numbers: Vec<Meaning> =
            self.parts().map(Part::meaning).filter(|meaning| *meaning != Meaning::Modifier).collect();
        let mut date: Vec<Meaning> = numbers.iter().copied().filter(|meaning| meaning.is_date()).collect();
        date.sort_unstable();
        let mut date = date.into_iter();
        let order: Vec<Meaning> = numbers
            .iter()
            .filter_map(|meaning| if meaning.is_date() { date.next() } else { Some(*meaning) })
            .collect();
        for step in &mut self.steps {
            if let Step::Number { part, place, .. } = step {
                *place = order.iter().position(|meaning| *meaning == part.meaning()).unwrap_or_default();
            }
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Step {
    fn part(&self) -> Option<Part> {
        match self {
            Self::Number { part, .. } => Some(*part),
            Self::Modifier => Some(Part::Modifier),
            Self::Separator(_) | Self::Optional { .. } => None,
        }
    }
}

/// The steps of a format, whose numbers have no place yet.
fn steps(text: &str) -> Result<Vec<Step>, FormatError> {
    let mut steps = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut has_closed = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let ('[' | ']' | '.' | '-' | '_', Some(after)) = (first, rest.get(1..)) {
            rest = after;
            match first {
                '[' => {
                    open.push(steps.len());
                    steps.push(Step::Optional { end: 0 });
                }
                ']' => {
                    let at = open.pop().ok_or(FormatError::Unopened)?;
                    close(&mut steps, at)?;
                    has_closed = true;
                }
                _ if has_closed && open.is_empty() => return Err(FormatError::BehindBrackets),
                separator => steps.push(Step::Separator(separator)),
            }
            continue;
        }
        let found = Part::ALL.into_iter().find_map(|part| Some((part, rest.strip_prefix(part.name())?)));
        let (part, after) = found.ok_or_else(|| FormatError::Unknown(word(rest)))?;
        if has_closed && open.is_empty() {
            return Err(FormatError::BehindBrackets);
        }
        rest = after;
        steps.push(match part {
            Part::Modifier => Step::Modifier,
            part => Step::Number { part, place: 0, is_last_of_run: true },
        });
    }
    if open.is_empty() { Ok(steps) } else { Err(FormatError::Unclosed) }
}

fn close(steps: &mut [Step], at: usize) -> Result<(), FormatError> {
    let length = steps.len();
    if !steps.iter().skip(at + 1).any(|step| step.part().is_some()) {
        return Err(FormatError::EmptyBrackets);
    }
    if let Some(Step::Optional { end }) = steps.get_mut(at) {
        *end = length;
    }
    Ok(())
}

/// The start of a text up to the next separator, for people to find.
fn word(text: &str) -> String {
    text.chars().take_while(|c| !matches!(c, '.' | '-' | '_' | '[' | ']')).take(16).collect()
}
